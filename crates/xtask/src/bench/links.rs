//! The figures of one link, by the example `bench` of `crates/net`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Bench;
use super::table::Row;

pub(super) fn echo(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = measure(bench, "echo", bench.size(5, 3), bench.size(2_000, 500))?;
    let placements = result.get("placements").and_then(Value::as_array).ok_or("echo: no placements")?;
    let of_one = |placement: &Value| {
        let name = placement.get("placement").and_then(Value::as_str).unwrap_or_default();
        let row = |share: &str, aim| {
            let of = |side: &str| format!("{:.0} µs", number(placement, &format!("{side}_{share}_us")));
            let row = Row::new(format!("64-byte echo over one link, {share}, {name}"), of("mesh"), aim);
            row.beside(format!("raw TCP, JSON lines: {}", of("raw")), number(placement, &format!("ratio_{share}")))
        };
        [row("p50", "≤ 2 ×"), row("p99", "≤ 2 ×")]
    };
    Ok(placements.iter().flat_map(of_one).collect())
}

pub(super) fn oneway(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = measure(bench, "oneway", bench.size(5, 3), bench.size(200_000, 30_000))?;
    let of = |side: &str| format!("{:.2} million/s", number(&result, &format!("{side}_per_s")) / 1e6);
    let row = Row::new("128-byte messages one way over one link", of("mesh"), "");
    Ok(vec![row.beside(format!("raw TCP, JSON lines: {}", of("raw")), number(&result, "ratio"))])
}

pub(super) fn idle(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = measure(bench, "idle", 3, bench.size(1_000, 100))?;
    let of = |side: &str| format!("{:.1} KB", number(&result, &format!("{side}_bytes")) / 1e3);
    let row = Row::new("RSS of an extra idle link", of("mesh"), "≤ 12.6 KB, 1.25 ×");
    Ok(vec![row.beside(format!("bare tokio-rustls: {}", of("bare")), number(&result, "ratio"))])
}

/// Microseconds of processor time that one handshake takes of both sides together, and the row that says so.
pub(super) fn handshakes(bench: &Bench) -> Result<(f64, Row), String> {
    let result = measure(bench, "handshakes", bench.size(5, 3), bench.size(490, 98))?;
    let of = |side: &str| number(&result, &format!("{side}_us"));
    let value = format!("{:.0} + {:.0} CPU-µs", of("dialler"), of("acceptor"));
    let bare = format!("TLS alone: {:.0} + {:.0} CPU-µs", of("bare_dialler"), of("bare_acceptor"));
    let row = Row::new("Handshake and hello, dialler + acceptor", value, "").beside(bare, number(&result, "ratio"));
    Ok((of("dialler") + of("acceptor"), row))
}

/// Runs one mode, shows what it prints, and returns its result, the last line.
pub(super) fn measure(bench: &Bench, mode: &str, rounds: usize, size: usize) -> Result<Value, String> {
    let mut command = Command::new(bench.bin.join("examples/bench"));
    command.args([mode, "--rounds", &rounds.to_string(), "--size", &size.to_string()]).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("the example cannot be started: {error}"))?;
    let mut last = String::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        last = line.map_err(|error| format!("{mode}: {error}"))?;
        if !last.starts_with('{') {
            println!("{last}");
        }
    }
    let status = child.wait().map_err(|error| format!("{mode}: {error}"))?;
    if !status.success() {
        return Err(format!("{mode} ended with {status}"));
    }
    serde_json::from_str(&last).map_err(|error| format!("{mode}: no result: {error}"))
}

fn number(result: &Value, name: &str) -> f64 {
    result.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
