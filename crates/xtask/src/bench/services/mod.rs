//! `cargo xtask bench services`: from an advertisement until others see it, look-ups in a full directory, what an idle view
//! costs, readings of a topic beside mosquitto, and what ten thousand of them a second do to others.

mod calm;
mod idle;
mod readings;
mod seen;
pub(super) mod thing;

use std::process::Command;

use serde_json::Value;

use super::table::Row;
use super::{Bench, Figure, output};

pub(super) const PARTS: &[(&str, Figure)] = &[
    ("seen", seen::run),
    ("lookup", lookup),
    ("idle", idle::run),
    ("thing", idle::thing),
    ("readings", readings::run),
    ("calm", calm::run),
];

/// Look-ups in a directory of ten thousand services, in the core alone, by the example of `crates/sim`.
fn lookup(bench: &Bench) -> Result<Vec<Row>, String> {
    let members = bench.size(160, 20).to_string();
    let text = output(Command::new(bench.bin.join("examples/lookup")).args([&members, "64"]))?;
    println!("{}", text.trim());
    let found: Value = serde_json::from_str(text.trim()).map_err(|error| format!("lookup: {error}"))?;
    let number = |key: &str| found.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let of = format!("{:.0} services of {members} members", number("services"));
    let row = |what: &str, key: &str| {
        let value =
            format!("{:.1} µs, p99 {:.1} µs", number(&format!("{key}_p50_us")), number(&format!("{key}_p99_us")));
        Row::new(format!("Look-up {what}, {of}, in the core"), value, "")
    };
    Ok(vec![row("by name", "name"), row("by kind (1 of 100)", "kind"), row("of all", "all")])
}

/// The value at a share of some, in their order.
fn at_share(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(at - 1).copied().unwrap_or(f64::NAN)
}
