//! `cargo xtask bench ledger-net`: real nodes that share a ledger: how long a newcomer takes to have all of it, and how
//! soon payments and blocks are everywhere.
//!
//! Chains and waiting payments are made by the example `ledger_bench` of `crates/ledger` and put where the nodes look for
//! them. When something arrives is when the node's stream of events says so, read by a thread for each node here.

mod chain;
mod flood;
mod light;
mod spread;
mod sync;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ring::Ring;
use super::{Bench, Figure, api, output};

/// By the name that `--only` takes.
pub(super) const PARTS: &[(&str, Figure)] = &[
    ("limit", sync::limit),
    ("sync", sync::run),
    ("faulty", sync::faulty),
    ("spread", spread::run),
    ("light", light::run),
    ("flood", flood::run),
];

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at a node.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const LEDGER: &str = "/api/v1/ledger";

/// Has the example make something.
fn made(bench: &Bench, words: &[&str]) -> Result<(), String> {
    output(Command::new(bench.bin.join("examples/ledger_bench")).args(words)).map(drop)
}

/// Copies files to other names. A store has gigabytes that were never written: they stay so.
fn copy(from: &Path, to: &Path, names: &[(&str, &str)]) -> Result<(), String> {
    for (name, as_name) in names {
        output(Command::new("cp").arg("--sparse=always").arg(from.join(name)).arg(to.join(as_name)))?;
    }
    Ok(())
}

fn status(ring: &Ring, number: u16) -> Value {
    let text = api::document(&ring.socket(number), LEDGER).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn number_at(document: &Value, path: &str) -> u64 {
    document.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
