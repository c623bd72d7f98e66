//! What one node in the middle forwards, and how fast a network finds its ways: by the examples of `net` and `sim`.

use std::process::Command;

use serde_json::Value;

use crate::bench::links::measure;
use crate::bench::table::Row;
use crate::bench::{Bench, output};

/// Members, links of each, idle seconds, and what is hoped for.
const NETWORKS: [(&str, &str, &str); 3] = [("10", "6", "60"), ("100", "12", "60"), ("1000", "12", "60")];

pub(in crate::bench) fn forward(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = measure(bench, "forward", bench.size(5, 3), bench.size(40_000, 10_000))?;
    let sizes = result.get("sizes").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_one = |size: &Value| {
        let row = |name: &str, hops: &str| {
            let of = |side: &str| {
                let (rate, mbit) = (number(size, &format!("{side}_per_s")), number(size, &format!("{side}_mbit")));
                format!("{:.0} thousand/s, {:.1} Gbit/s", rate / 1e3, mbit / 1e3)
            };
            let figure = format!("Forwarding of {} B, {hops}", number(size, "body"));
            Row::new(figure, of(name), "")
                .beside(format!("plain copy relay: {}", of("copy")), number(size, &format!("ratio_{name}")))
        };
        [row("tls", "hops with TLS"), row("plain", "hops without")]
    };
    Ok(sizes.iter().flat_map(of_one).collect())
}

pub(in crate::bench) fn cold_start(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (nodes, degree, idle) in NETWORKS.into_iter().take(bench.size(NETWORKS.len(), 2)) {
        let text = output(Command::new(bench.bin.join("examples/cold_start")).args([nodes, degree, idle]))?;
        let line = text.lines().last().unwrap_or_default();
        println!("{line}");
        let result: Value = serde_json::from_str(line).map_err(|error| format!("cold_start: {error}"))?;
        let of = |name: &str| number(&result, name);
        let converged = match of("converged_ms") {
            millis if millis < 0.0 => "not within 120 s".to_owned(),
            millis => format!("≤ {millis} ms"),
        };
        let value = format!(
            "{converged}, {:.1} CPU-s, {} routing frames; {} in an idle minute",
            of("cpu_s"),
            of("routing_frames"),
            of("idle_routing_frames")
        );
        rows.push(Row::new(format!("All ways known, {nodes} members, {} links, simulated", of("links")), value, ""));
    }
    Ok(rows)
}

fn number(result: &Value, name: &str) -> f64 {
    result.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
