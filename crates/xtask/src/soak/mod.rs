//! `cargo xtask soak`: the scenarios of `crates/sim/scenarios` at their own size, one after the other. They take up to an
//! hour; the tests run the same files with few nodes. `ledger-rules` among them has the two implementations of the ledger's
//! rules judge the same 10,000 blocks; `ledger-kills` kills real nodes that share a ledger 1,000 times (`--kills N`) and
//! has a simulated disk fail at 1,000 commits; `services` has a hundred simulated members offer a thousand services through
//! churn, kills, a parting and a heal.

mod others;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use self::others::{OTHERS, Size};
use crate::Outcome;
use crate::workspace::files;

/// Where scenarios stand.
const FOLDER: &str = "crates/sim/scenarios/";

/// A scenario with `--small` has so many times fewer nodes.
const SMALLER: u64 = 10;

/// But no fewer than these, with which there are still more members than links.
const FEWEST: u64 = 20;

/// Kills of real nodes, about a second each, unless somebody says otherwise.
const MANY_KILLS: &str = "1000";

/// What is to be run.
struct Wish<'a> {
    size: Size<'a>,
    /// Everything, if none is named.
    names: Vec<&'a str>,
    /// Words for each scenario.
    further: &'a [String],
}

impl Wish<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }
}

/// `[--small] [--kills N] [NAME...] [-- WORD...]`: what stands behind `--` goes to each scenario.
fn read(words: &[String]) -> Result<Wish<'_>, String> {
    let (words, further) = match words.iter().position(|word| word == "--") {
        Some(at) => (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()),
        None => (words, &[][..]),
    };
    let mut wish = Wish { size: Size { small: false, kills: MANY_KILLS }, names: Vec::new(), further };
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--small" => wish.size.small = true,
            "--kills" => {
                let kills = words.next().filter(|kills| kills.parse::<u64>().is_ok());
                wish.size.kills = kills.ok_or("--kills wants a number")?;
            }
            name => wish.names.push(name),
        }
    }
    Ok(wish)
}

/// Runs what is asked for, all of it even if something did not hold.
pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    let wish = read(words)?;
    let all: Vec<String> = files(root, &["json"])?.into_iter().filter(|path| path.starts_with(FOLDER)).collect();
    let there: Vec<&str> = all.iter().map(|path| name(path)).chain(OTHERS.iter().map(|(name, _)| *name)).collect();
    if let Some(unknown) = wish.names.iter().find(|wanted| !there.contains(wanted)) {
        return Err(format!("there is no scenario `{unknown}`; there are {}", there.join(", ")));
    }
    let mut failed = Vec::new();
    for (name, holds) in OTHERS.iter().filter(|(name, _)| wish.has(name)) {
        println!("\n== {name}");
        if !holds(root, wish.size)? {
            failed.push(*name);
        }
    }
    let scenarios: Vec<&String> = all.iter().filter(|path| wish.has(name(path))).collect();
    if !scenarios.is_empty() {
        build(root, &["--release", "-p", "meshline-sim"])?;
    }
    for path in scenarios {
        println!("\n== {}", name(path));
        if !play(root, path, &wish)? {
            failed.push(name(path));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not everything held: {}", failed.join(", "))) }
}

fn name(path: &str) -> &str {
    path.trim_start_matches(FOLDER).trim_end_matches(".json")
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds programs.
fn build(root: &Path, what: &[&str]) -> Outcome {
    let status = cargo().args(["build", "-q", "--bins"]).args(what).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the build ended with {status}")),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}

/// Honest nodes of a scenario.
fn nodes(root: &Path, path: &str) -> Result<u64, String> {
    let file: PathBuf = root.join(path);
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let scenario: Value = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    scenario.get("nodes").and_then(Value::as_u64).ok_or_else(|| format!("{path} does not say how many nodes"))
}

/// Runs one; whether everything held.
fn play(root: &Path, path: &str, wish: &Wish<'_>) -> Result<bool, String> {
    let mut command = cargo();
    command.args(["run", "-q", "--release", "-p", "meshline-sim", "--", path]).current_dir(root);
    if wish.size.small {
        command.args(["--nodes", &(nodes(root, path)? / SMALLER).max(FEWEST).to_string()]);
    }
    command.args(wish.further);
    command.status().map(|status| status.success()).map_err(|error| format!("cargo cannot be started: {error}"))
}
