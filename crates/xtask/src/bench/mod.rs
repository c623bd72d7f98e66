//! `cargo xtask bench mesh`, `crowd`, `chat`, `routing`, `tunnel`, `nat`, `proxy`, `signal`, `services`, `ledger` and `ledger-net`: figures on this machine, each beside its rival in the same run, as one
//! Markdown table for docs/BENCHMARKS.md. Figures neither pass nor fail.
//!
//! One file a figure, in [`FIGURES`], [`chat::FIGURES`], [`routing::FIGURES`], [`tunnel::PARTS`], [`proxy::FIGURES`], [`signal::FIGURES`], [`services::PARTS`], [`ledger::PARTS`] and [`ledger_net::PARTS`]; figures of
//! one link come from the example `bench` of `crates/net`. Whatever is started is ended when its [`process::Running`] goes, and all files are in one folder that goes with it.

mod api;
mod chat;
mod crowd;
mod ledger;
mod ledger_net;
mod links;
mod machine;
mod memory;
mod mesh;
mod nat;
mod process;
mod proxy;
mod ring;
mod routing;
mod scratch;
mod services;
mod signal;
mod start;
mod table;
mod tunnel;
mod wish;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;
use table::Row;

/// What every figure needs to know.
struct Bench {
    /// The folder with the programs that were built.
    bin: PathBuf,
    /// Sizes for a quick look on a build machine.
    small: bool,
    /// Rounds, if not as many as usual.
    rounds: Option<usize>,
    /// Blocks of a chain, if not as many as usual.
    blocks: Option<usize>,
    /// Where a chain is kept from one run to the next, if it is.
    chain: Option<PathBuf>,
    /// Nobody is measured beside the mesh.
    alone: bool,
    /// The rivals to measure, if not all.
    rivals: Option<Vec<String>>,
}

impl Bench {
    /// A size in full and in small.
    fn size(&self, full: usize, small: usize) -> usize {
        if self.small { small } else { full }
    }

    /// Rounds: as many as were asked for, or as in full and in small.
    fn rounds(&self, full: usize, small: usize) -> usize {
        self.rounds.unwrap_or_else(|| self.size(full, small))
    }
}

type Figure = fn(&Bench) -> Result<Vec<Row>, String>;

/// Those of whole nodes first, then those of one link. The mesh comes after the handshakes, whose share it shows.
const FIGURES: &[Figure] = &[start::run, memory::run, links::idle, links::echo, links::oneway, mesh::run];

pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    if let Some((_, rest)) = words.split_first().filter(|(what, _)| *what == "nat") {
        return nat::run(root, &rest.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let wish = wish::read(words)?;
    let bin = wish.bin.map_or_else(|| build(root, wish.what), |bin| Ok(PathBuf::from(bin)))?;
    let rivals = wish.rivals.map(|names| names.split(',').map(str::to_owned).collect());
    let (small, rounds, blocks, alone) = (wish.small, wish.rounds, wish.blocks, wish.alone);
    let bench = Bench { bin, small, rounds, blocks, chain: wish.chain.map(PathBuf::from), alone, rivals };
    let machine = machine::describe();
    println!("{machine}\n");
    let mut rows = Vec::new();
    for figure in wish.figures {
        rows.extend(figure(&bench)?);
    }
    println!("\n{machine}\n\n`cargo xtask bench {}`:\n", words.join(" "));
    table::print(&rows);
    Ok(())
}

/// Records and builds the view for small devices, and measures it: `thing [--bin FOLDER]`.
pub(crate) fn thing(root: &Path, words: &[String]) -> Outcome {
    let bin = match words {
        [] => build(root, "services")?,
        [flag, folder] if flag == "--bin" => PathBuf::from(folder),
        _ => return Err("usage: cargo xtask thing [--bin FOLDER]".to_owned()),
    };
    let bench = Bench { bin, small: false, rounds: None, blocks: None, chain: None, alone: true, rivals: None };
    table::print(&services::thing::run(root, &bench)?);
    Ok(())
}

/// Builds the programs and the examples, and says where they are.
fn build(root: &Path, what: &str) -> Result<PathBuf, String> {
    if what == "nat" {
        cargo(root, &["build", "--release", "--bins"].into_iter().chain(NAT_PACKAGES).collect::<Vec<_>>())?;
        return target(root);
    }
    let example = |package, name| cargo(root, &["build", "--release", "-p", package, "--example", name]);
    if what == "signal" {
        cargo(root, &["build", "--release", "-p", "signal-server", "--bins", "--examples"])?;
        return target(root);
    }
    if what == "services" {
        cargo(
            root,
            &["build", "--release", "--bins", "-p", "node", "-p", "view", "-p", "signal-server", "-p", "config-tool"],
        )?;
        example("meshline-sim", "lookup")?;
        return target(root);
    }
    if what == "ledger" {
        example("meshline-ledger", "ledger_bench")?;
        return target(root);
    }
    if what == "ledger-net" {
        example("meshline-ledger", "ledger_bench")?;
        example("meshline-ledger", "header_flood")?;
        cargo(root, &["build", "--release", "-p", "node", "-p", "config-tool"])?;
        return target(root);
    }
    example("meshline-net", "bench")?;
    match what {
        "routing" => example("meshline-sim", "cold_start")?,
        "proxy" => {}
        "tunnel" => cargo(root, &["build", "--release", "-p", "node", "-p", "config-tool"])?,
        _ => cargo(root, &["build", "--release", "-p", "node", "-p", "signal-server", "-p", "config-tool"])?,
    }
    if !["routing", "tunnel", "proxy"].contains(&what) {
        example("meshline-daemon", "http")?;
        example("node", "page")?;
    }
    target(root)
}

/// What runs in a cell.
const NAT_PACKAGES: [&str; 10] =
    ["-p", "meshline-lab", "-p", "node", "-p", "proxy", "-p", "signal-server", "-p", "config-tool"];

/// The folder that release builds go to.
fn target(root: &Path) -> Result<PathBuf, String> {
    let metadata = output(Command::new(cargo_program()).current_dir(root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata.get("target_directory").and_then(Value::as_str).ok_or("cargo names no target folder")?;
    Ok(Path::new(target).join("release"))
}

fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn cargo(root: &Path, words: &[&str]) -> Outcome {
    let status = Command::new(cargo_program()).args(words).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`cargo {}` ended with {status}", words.join(" "))),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}

/// What a program prints, if it succeeds.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// The middle of some values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
}
