//! `routes`: every way to every member.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::table::{heading, table};
use crate::output::print;

/// A way as the commands need it.
#[derive(Deserialize)]
pub(super) struct Way {
    pub(super) peer: String,
    pub(super) name: String,
    pub(super) rank: usize,
    pub(super) path: Vec<String>,
    pub(super) hops: usize,
    pub(super) cost: u64,
    pub(super) share: u32,
}

#[derive(Deserialize)]
struct Routes {
    routes: Vec<Way>,
}

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get("/api/v1/routes").await?;
    if json {
        print(&document.to_string())?;
        return Ok(());
    }
    let Routes { routes } = serde_json::from_value(document)?;
    print(&text(&routes))?;
    Ok(())
}

fn text(routes: &[Way]) -> String {
    if routes.is_empty() {
        return "there is no way to any other member".to_owned();
    }
    let names: BTreeMap<&str, &str> = routes.iter().map(|way| (way.peer.as_str(), way.name.as_str())).collect();
    let name = |id: &String| names.get(id.as_str()).map_or_else(|| short(id), |name| (*name).to_owned());
    let mut rows = vec![heading(&["DESTINATION", "RANK", "PATH", "HOPS", "COST", "SHARE"])];
    for way in routes {
        let path: Vec<String> = way.path.iter().map(name).collect();
        // The destination stands at the first of its ways.
        let destination = if way.rank == 1 { way.name.clone() } else { String::new() };
        let (rank, hops) = (way.rank.to_string(), way.hops.to_string());
        rows.push(vec![destination, rank, path.join(" > "), hops, ms(way.cost), share(way.share)]);
    }
    table(&rows)
}

/// An id as people compare it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// Microseconds as milliseconds.
pub(super) fn ms(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}

/// Thousandths; a spare way gets none.
fn share(thousandths: u32) -> String {
    if thousandths == 0 { "spare".to_owned() } else { format!("{} %", thousandths / 10) }
}

#[cfg(test)]
mod tests {
    use super::{Way, text};

    fn way(rank: usize, path: &[&str], cost: u64, share: u32) -> Way {
        let path: Vec<String> = path.iter().map(|hop| (*hop).to_owned()).collect();
        let peer = path.last().cloned().unwrap_or_default();
        Way { name: format!("n{peer}"), peer, rank, hops: path.len(), path, cost, share }
    }

    #[test]
    fn a_way_is_shown_by_names_with_its_cost_and_its_share() {
        let shown = text(&[
            way(1, &["b"], 650, 1_000),
            way(1, &["b", "c"], 12_345, 800),
            way(2, &["aaaabbbbcccc", "c"], 20_000, 0),
        ]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.first(), Some(&"DESTINATION  RANK  PATH           HOPS  COST      SHARE"));
        assert_eq!(lines.get(2), Some(&"nc           1     nb > nc        2     12.34 ms  80 %"));
        assert_eq!(lines.get(3), Some(&"             2     aaaabbbb > nc  2     20.00 ms  spare"));
        assert_eq!(text(&[]), "there is no way to any other member");
    }
}
