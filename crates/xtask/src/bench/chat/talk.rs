//! From pressing "Send" in one browser to the message being seen in another, at two nodes of a running mesh; in turns
//! with the same over a bare server that makes an event of what is posted.

use serde_json::Value;

use super::bare::Bare;
use super::page::{look, number, ratio};
use crate::bench::process::Running;
use crate::bench::ring::Ring;
use crate::bench::table::Row;
use crate::bench::{Bench, median};

/// Nodes of the meshes, in full and in small.
const MESHES: (&[u16], &[u16]) = (&[5, 50], &[3]);

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let meshes = if bench.small { MESHES.1 } else { MESHES.0 };
    let rows = meshes.iter().map(|nodes| measure(bench, *nodes)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn measure(bench: &Bench, nodes: u16) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, nodes, true)?;
    let _signal = ring.start_signal()?;
    let running = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let bare = Bare::talk(bench)?;
    let (from, to) = (ring.page(1)?, ring.page(nodes)?);
    let (rounds, count) = (bench.size(5, 2), bench.size(200, 20));
    println!("{nodes} nodes, {count} messages a round:");
    let before = cpu_s(&running);
    let words = ["talk", &from, &to, &format!("http://{}/", bare.address), &rounds.to_string(), &count.to_string()];
    let Some(result) = look(bench, &words)? else { return Ok(Vec::new()) };
    println!("all nodes together: {:.1} CPU-s meanwhile", cpu_s(&running) - before);
    let rounds = result.get("rounds").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(rows(nodes, &rounds))
}

fn cpu_s(running: &[Running]) -> f64 {
    running.iter().map(Running::cpu_s).sum()
}

fn rows(nodes: u16, rounds: &[Value]) -> Vec<Row> {
    let row = |share: &str, key: &str, seen: &str| {
        let of = |side: &str| -> Vec<f64> {
            rounds.iter().map(|round| round.get(side).map_or(f64::NAN, |figures| number(figures, key))).collect()
        };
        let (mesh, bare) = (of("mesh"), of("bare"));
        let row = Row::new(format!("Send to {seen}, {nodes} nodes, {share}"), format!("{:.1} ms", median(&mesh)), "");
        row.beside(format!("bare POST and SSE: {:.1} ms", median(&bare)), ratio(&mesh, &bare))
    };
    vec![
        row("p50", "p50", "painted in another browser"),
        row("p99", "p99", "painted in another browser"),
        row("p50", "dom_p50", "there, not yet painted"),
        row("p99", "dom_p99", "there, not yet painted"),
    ]
}
