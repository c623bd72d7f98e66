//! From pressing "Send" in one browser to the message being seen in another, at two nodes of a running mesh; in turns
//! with the same over a bare server that makes an event of what is posted.

use serde_json::Value;

use super::bare::Bare;
use super::page::{look, number, ratio};
use crate::bench::process::Running;
use crate::bench::ring::Ring;
use crate::bench::table::Row;
use crate::bench::{Bench, median};

/// Nodes of a mesh, and milliseconds between two messages. All nodes share the processors of this machine: what one
/// author may send, 20 a second, to 50 members would be more than two of them can do.
const MESHES: &[(u16, usize)] = &[(5, 75), (50, 250)];
const SMALL: &[(u16, usize)] = &[(3, 75)];

/// Messages that the example sends before those of a round.
const WARM_UP: usize = 10;

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let meshes = if bench.small { SMALL } else { MESHES };
    let rows = meshes.iter().map(|mesh| measure(bench, *mesh)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn measure(bench: &Bench, (nodes, pace_ms): (u16, usize)) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, nodes, true)?;
    let _signal = ring.start_signal()?;
    let running = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let server = Bare::talk(bench)?;
    let (from, to) = (ring.page(1)?, ring.page(nodes)?);
    let (rounds, count) = (bench.size(5, 2), bench.size(200, 20));
    println!("{nodes} nodes, {count} messages a round, one each {pace_ms} ms:");
    let before = cpu_s(&running);
    let numbers = [rounds, count, pace_ms].map(|number| number.to_string());
    let bare = format!("http://{}/", server.address);
    let words: Vec<&str> = ["talk", &from, &to, &bare].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let Some(result) = look(bench, &words)? else { return Ok(Vec::new()) };
    let cpu_ms = (cpu_s(&running) - before) * 1e3 / (rounds * (count + WARM_UP)) as f64;
    let rounds = result.get("rounds").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows = rows(nodes, &rounds);
    rows.push(Row::new(
        format!("Processor time of a message, all {nodes} nodes together"),
        format!("{cpu_ms:.1} CPU-ms"),
        "",
    ));
    Ok(rows)
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
