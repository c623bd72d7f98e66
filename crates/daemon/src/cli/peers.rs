//! `peers`: every other member known.

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::links::goodput;
use super::table::{heading, micros, table};
use crate::output::print;

/// A row as the command needs it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Peer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) roles: Vec<String>,
    pub(super) reachable: bool,
    pub(super) direct: bool,
    pub(super) via: Option<String>,
    pub(super) hops: usize,
    pub(super) cost: Option<u64>,
    #[serde(default)]
    pub(super) goodput_bps: u64,
    #[serde(default)]
    pub(super) goodput_by: Option<String>,
    pub(super) left: bool,
}

#[derive(Deserialize)]
pub(super) struct Peers {
    pub(super) peers: Vec<Peer>,
}

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get("/api/v1/peers").await?;
    if json {
        print(&document.to_string())?;
        return Ok(());
    }
    let Peers { peers } = serde_json::from_value(document)?;
    print(&text(&peers))?;
    Ok(())
}

fn text(peers: &[Peer]) -> String {
    if peers.is_empty() {
        return "no other member is known".to_owned();
    }
    let name_of =
        |id: &str| peers.iter().find(|peer| peer.id == id).map_or_else(|| id.to_owned(), |peer| peer.name.clone());
    let mut rows = vec![heading(&["MEMBER", "ID", "ROLES", "REACHED", "HOPS", "COST", "GOODPUT"])];
    for peer in peers {
        let reached = match (peer.direct, peer.reachable, &peer.via) {
            (true, _, None) => "directly".to_owned(),
            (true, _, Some(via)) => format!("directly, faster via {}", name_of(via)),
            (false, true, Some(via)) => format!("via {}", name_of(via)),
            (false, true, None) => "yes".to_owned(),
            (false, false, _) if peer.left => "no: has left".to_owned(),
            (false, false, _) => "no".to_owned(),
        };
        let id = peer.id.chars().take(8).collect();
        rows.push(vec![
            peer.name.clone(),
            id,
            peer.roles.join(","),
            reached,
            peer.hops.to_string(),
            micros(peer.cost),
            goodput(peer.goodput_bps, peer.goodput_by.as_deref()),
        ]);
    }
    table(&rows)
}
