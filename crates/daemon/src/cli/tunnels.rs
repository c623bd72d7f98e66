//! `tunnels`: the tunnels with other members and the paths of each.

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::table::{heading, micros, millis, table};
use crate::output::print;

#[derive(Deserialize)]
struct Tunnels {
    tunnels: Vec<Tunnel>,
}

#[derive(Deserialize)]
struct Tunnel {
    name: String,
    up: bool,
    age_ms: u64,
    streams: usize,
    sent_bytes: u64,
    received_bytes: u64,
    lost: u64,
    failovers: u64,
    paths: Vec<Path>,
}

#[derive(Deserialize)]
struct Path {
    names: Vec<String>,
    rtt_us: Option<u64>,
    window_bytes: u64,
    alive: bool,
}

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get("/api/v1/tunnels").await?;
    print(&if json { document.to_string() } else { text(&serde_json::from_value::<Tunnels>(document)?.tunnels) })?;
    Ok(())
}

fn text(tunnels: &[Tunnel]) -> String {
    if tunnels.is_empty() {
        return "there is no tunnel; one is made when something is sent through it".to_owned();
    }
    let mut rows =
        vec![heading(&["TUNNEL TO", "AGE", "STREAMS", "SENT", "RECEIVED", "LOST", "MOVED", "PATH", "RTT", "WINDOW"])];
    for tunnel in tunnels {
        let age = if tunnel.up { millis(tunnel.age_ms) } else { "not yet".to_owned() };
        let counts = [tunnel.sent_bytes, tunnel.received_bytes, tunnel.lost, tunnel.failovers];
        let first: Vec<String> = [tunnel.name.clone(), age, tunnel.streams.to_string()]
            .into_iter()
            .chain(counts.iter().map(u64::to_string))
            .collect();
        if tunnel.paths.is_empty() {
            rows.push(first.iter().cloned().chain(["none".to_owned()]).collect());
        }
        for (index, path) in tunnel.paths.iter().enumerate() {
            // What is the tunnel's own stands at the first of its paths.
            let own = if index == 0 { first.clone() } else { vec![String::new(); first.len()] };
            rows.push(own.into_iter().chain(path.cells()).collect());
        }
    }
    table(&rows)
}

impl Path {
    fn cells(&self) -> [String; 3] {
        let silent = if self.alive { "" } else { " (silent)" };
        [format!("{}{silent}", self.names.join(" > ")), micros(self.rtt_us), self.window_bytes.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Tunnel, text};

    #[test]
    fn each_path_has_a_line_and_a_silent_one_is_said_to_be() {
        let path = |names: &[&str], alive| Path {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            rtt_us: Some(1_500),
            window_bytes: 65_536,
            alive,
        };
        let tunnel = Tunnel {
            name: "eddy".to_owned(),
            up: true,
            age_ms: 3_000,
            streams: 2,
            sent_bytes: 10,
            received_bytes: 20,
            lost: 1,
            failovers: 1,
            paths: vec![path(&["eddy"], true), path(&["donald", "eddy"], false)],
        };
        let shown = text(&[tunnel]);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines.get(1).is_some_and(|line| line.starts_with("eddy") && line.ends_with("1500 µs  65536")),
            "{shown}"
        );
        assert!(lines.get(2).is_some_and(|line| line.contains("donald > eddy (silent)")), "{shown}");
        assert!(text(&[]).starts_with("there is no tunnel"));
    }
}
