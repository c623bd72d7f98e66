//! What a newcomer holds of cheap headers that have no end.

use std::process::Command;

use super::super::table::Row;
use super::super::{Bench, output};

/// Those that have nothing but headers.
const PEERS: usize = 64;
/// Headers that each of them shows.
const HEADERS: usize = 100_000;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let headers = bench.size(HEADERS, HEADERS / 20);
    let mut command = Command::new(bench.bin.join("examples/header_flood"));
    let told = output(command.args([PEERS.to_string(), headers.to_string()]))?;
    let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [before, peak, counted, shown] = numbers.as_slice() else { return Err(format!("header_flood said {told:?}")) };
    let grown = peak.saturating_sub(*before) as f64 / 1024.0;
    let value = format!("{grown:.1} MiB more resident at the most; {} KiB by its own count", counted / 1024);
    Ok(vec![Row::new(format!("{shown} cheap headers from {PEERS} peers"), value, "≤ 10 MB")])
}
