//! `trace`: each member on the way to another, with the time it takes to get there and back.

use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, in_path};
use super::links::{HEADINGS, Link};
use super::routes::{ms, short};
use super::table::table;
use crate::exit::{Exit, Stop};
use crate::log::escape;
use crate::output::print;

#[derive(Deserialize)]
struct Trace {
    peer: String,
    name: String,
    reached: bool,
    cost: Option<u64>,
    hops: Vec<Hop>,
    ends: Option<End>,
}

#[derive(Deserialize)]
struct Hop {
    hop: usize,
    peer: String,
    name: String,
    sent: usize,
    rtts_us: Vec<u64>,
    min_us: Option<u64>,
    avg_us: Option<u64>,
    link: Option<Link>,
    failure: Option<End>,
}

#[derive(Deserialize)]
struct End {
    name: String,
    reason: String,
}

pub(super) async fn run(client: &Client, peer: &str, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get(&format!("/api/v1/trace/{}", in_path(peer))).await?;
    let trace: Trace = serde_json::from_value(document.clone())?;
    print(&if json { document.to_string() } else { text(&trace) })?;
    if trace.reached {
        return Ok(());
    }
    let ends = trace.ends.map_or_else(String::new, |end| format!(": {}", end.words()));
    Err(Stop::new(Exit::NoPeer, format!("{} is not reachable{}", escape(&trace.name), escape(&ends))).into())
}

impl End {
    fn words(&self) -> String {
        format!("{} at {}", self.reason, self.name)
    }
}

fn text(trace: &Trace) -> String {
    let cost = trace.cost.map_or_else(|| "no way is known".to_owned(), |cost| format!("cost {}", ms(cost)));
    let count = trace.hops.len();
    let hops = if count == 1 { "1 hop".to_owned() } else { format!("{count} hops") };
    let title = format!("{} ({}), {hops}, {cost}", escape(&trace.name), short(&trace.peer));
    let heads = ["HOP", "MEMBER", "ID", "MIN", "AVG", "LOST"];
    let mut rows = vec![heads.into_iter().chain(HEADINGS).map(ToOwned::to_owned).collect::<Vec<_>>()];
    for hop in &trace.hops {
        rows.push(hop.cells());
        // What lies behind the end of the way was not reached either.
        if hop.rtts_us.is_empty() {
            break;
        }
    }
    let mut lines = vec![title, table(&rows)];
    if !trace.reached {
        lines.extend(trace.ends.as_ref().map(|end| format!("the way ends: {}", escape(&end.words()))));
    }
    lines.join("\n")
}

impl Hop {
    fn cells(&self) -> Vec<String> {
        let time = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), ms);
        let lost = match (&self.failure, self.sent - self.rtts_us.len().min(self.sent)) {
            (_, 0) => "0".to_owned(),
            (Some(end), lost) => format!("{lost} of {}: {}", self.sent, end.reason),
            (None, lost) => format!("{lost} of {}", self.sent),
        };
        let hop = vec![
            self.hop.to_string(),
            self.name.clone(),
            short(&self.peer),
            time(self.min_us),
            time(self.avg_us),
            lost,
        ];
        hop.into_iter().chain(self.link.iter().flat_map(Link::cells)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Hop, Trace, text};

    fn hop(hop: usize, name: &str, rtts_us: &[u64], failure: Option<&str>) -> Hop {
        Hop {
            hop,
            peer: "aaaabbbbcccc".to_owned(),
            name: name.to_owned(),
            sent: 3,
            rtts_us: rtts_us.to_vec(),
            min_us: rtts_us.iter().min().copied(),
            avg_us: rtts_us.first().copied(),
            link: None,
            failure: failure.map(end),
        }
    }

    fn end(reason: &str) -> End {
        End { name: "one".to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn every_hop_has_its_line_up_to_where_the_way_ends() {
        let mut trace = Trace {
            peer: "zzzzyyyyxxxx".to_owned(),
            name: "three".to_owned(),
            reached: false,
            cost: Some(1_500),
            hops: vec![
                hop(1, "one", &[400, 300, 500], None),
                hop(2, "two", &[], Some("no_route")),
                hop(3, "three", &[], Some("no_route")),
            ],
            ends: Some(end("no_route")),
        };
        let shown = text(&trace);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.first(), Some(&"three (zzzzyyyy), 3 hops, cost 1.50 ms"));
        assert_eq!(lines.get(2), Some(&"1    one     aaaabbbb  0.30 ms  0.40 ms  0"));
        assert_eq!(lines.get(3), Some(&"2    two     aaaabbbb  -        -        3 of 3: no_route"));
        assert_eq!(lines.last(), Some(&"the way ends: no_route at one"));
        (trace.reached, trace.ends, trace.cost) = (true, None, None);
        trace.hops.truncate(1);
        assert!(text(&trace).starts_with("three (zzzzyyyy), 1 hop, no way is known\n"));
    }
}
