//! The chain that is fetched: made once, with the files that a node derives from it, and kept if a folder is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::Bench;
use super::super::process::Running;
use super::super::ring::Ring;
use super::super::scratch::Scratch;
use super::{copy, made, status, wait_for};

/// Payments in a block.
pub(super) const PAYMENTS: usize = 10;
/// What a serving node has.
pub(super) const FILES: [(&str, &str); 3] = [GENESIS, ("chain.redb", "chain.redb"), ("index.redb", "index.redb")];
/// What a liar has: half of the same chain, a block with a false signature, and more blocks on it than the honest chain.
pub(super) const FORGED: [(&str, &str); 2] = [GENESIS, ("forged.redb", "chain.redb")];
/// What a newcomer has.
pub(super) const GENESIS: (&str, &str) = ("genesis.json", "genesis.json");
/// Says that all of it is there, and of how many blocks.
const READY: &str = "ready";
/// A node that uses less of a core has nothing to do.
const CALM: f64 = 0.05;
/// Over so long.
const CALM_SPAN: Duration = Duration::from_secs(2);

/// A folder with such a chain.
pub(super) struct Made {
    path: PathBuf,
    pub(super) blocks: usize,
    /// Goes with this, unless a folder was named.
    _scratch: Option<Scratch>,
}

impl Made {
    pub(super) fn get(bench: &Bench) -> Result<Self, String> {
        let blocks = bench.blocks.unwrap_or_else(|| bench.size(100_000, 2_000));
        let scratch = if bench.chain.is_none() { Some(Scratch::new("chain")?) } else { None };
        let path = scratch.as_ref().map(|scratch| scratch.path().to_owned()).or_else(|| bench.chain.clone());
        let path = path.ok_or("no folder for the chain")?;
        let is_ready = fs::read_to_string(path.join(READY)).is_ok_and(|text| text == blocks.to_string());
        if !is_ready {
            fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            make(bench, &path, blocks)?;
            fs::write(path.join(READY), blocks.to_string()).map_err(|error| error.to_string())?;
        }
        Ok(Self { path, blocks, _scratch: scratch })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn text(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    pub(super) fn transactions(&self) -> usize {
        self.blocks * PAYMENTS
    }
}

/// Two nodes take the chain over, so that index and filters need not be made while somebody is measured.
fn make(bench: &Bench, path: &Path, blocks: usize) -> Result<(), String> {
    for name in ["chain.redb", "index.redb", "forged.redb"] {
        // Of an earlier chain, or none.
        let _ = fs::remove_file(path.join(name));
    }
    let text = path.to_string_lossy().into_owned();
    made(bench, &["chain", &text, &blocks.to_string(), &PAYMENTS.to_string()])?;
    made(bench, &["forged", &text])?;
    let ring = Ring::write(bench, 2, false)?;
    copy(path, &ring.ledger(1)?, &FILES[..2])?;
    copy(path, &ring.ledger(2)?, &[GENESIS])?;
    let nodes = [ring.start(1)?, ring.start(2)?];
    wait_for("the nodes have all of it", || {
        let of = |number| status(&ring, number).pointer("/height").and_then(serde_json::Value::as_u64);
        of(2) == Some(blocks as u64)
    })?;
    wait_calm(nodes.each_ref().as_slice())?;
    let [first, _second] = nodes;
    first.terminate()?;
    copy(&ring.ledger(1)?, path, &FILES[1..])
}

/// Waits until none of these has anything to do.
pub(super) fn wait_calm(nodes: &[&Running]) -> Result<(), String> {
    wait_for("the nodes are at rest", || {
        let busy = || nodes.iter().map(|node| node.cpu_s()).sum::<f64>();
        let before = busy();
        std::thread::sleep(CALM_SPAN);
        busy() - before < CALM * CALM_SPAN.as_secs_f64() * nodes.len() as f64
    })
}
