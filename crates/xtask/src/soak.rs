//! `cargo xtask soak`: the scenarios of `crates/sim/scenarios` at their own size, one after the other. They take up to an
//! hour; the tests run the same files with few nodes. `ledger-rules` among them has the two implementations of the ledger's
//! rules judge the same 10,000 blocks; `ledger-kills` kills real nodes that share a ledger 1,000 times (`--kills N`) and
//! has a simulated disk fail at 1,000 commits; `services` has a hundred simulated members offer a thousand services through
//! churn, kills, a parting and a heal.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Outcome;
use crate::workspace::files;

/// Where scenarios stand.
const FOLDER: &str = "crates/sim/scenarios/";

/// A scenario with `--small` has so many times fewer nodes.
const SMALLER: u64 = 10;

/// The runs that are not scenarios.
const RULES: &str = "ledger-rules";
const KILLS: &str = "ledger-kills";
const SERVICES: &str = "services";
/// Kills of real nodes, about a second each.
const MANY_KILLS: &str = "1000";
/// Blocks it generates, valid and broken; some minutes, because the second implementation is slow.
const RULES_BLOCKS: u64 = 10_000;

/// `soak [--small] [--kills N] [NAME...] [-- WORD...]`: what stands behind `--` goes to each run.
pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    let (words, further) = match words.iter().position(|word| word == "--") {
        Some(at) => (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()),
        None => (words, &[][..]),
    };
    let small = words.iter().any(|word| word == "--small");
    let at = words.iter().position(|word| word == "--kills");
    let kills = at.and_then(|at| words.get(at + 1)).map_or(MANY_KILLS, String::as_str);
    let is_flag = |place: usize, word: &str| word == "--small" || at.is_some_and(|at| place == at || place == at + 1);
    let mut names: Vec<&String> =
        words.iter().enumerate().filter(|(place, word)| !is_flag(*place, word)).map(|(_, word)| word).collect();
    let all: Vec<String> = files(root, &["json"])?.into_iter().filter(|path| path.starts_with(FOLDER)).collect();
    let name = |path: &str| path.trim_start_matches(FOLDER).trim_end_matches(".json").to_owned();
    let rules = names.is_empty() || names.iter().any(|name| *name == RULES);
    let is_killing = names.is_empty() || names.iter().any(|name| *name == KILLS);
    let is_serving = names.is_empty() || names.iter().any(|name| *name == SERVICES);
    let others = [RULES, KILLS, SERVICES];
    let scenarios = names.iter().any(|name| !others.contains(&name.as_str())) || names.is_empty();
    names.retain(|name| !others.contains(&name.as_str()));
    if let Some(unknown) = names.iter().find(|wanted| !all.iter().any(|path| name(path) == ***wanted)) {
        let there: Vec<String> = all.iter().map(|path| name(path)).chain(others.map(str::to_owned)).collect();
        return Err(format!("there is no scenario `{unknown}`; there are {}", there.join(", ")));
    }
    let mut failed = Vec::new();
    if rules && !judge_twice(root, if small { RULES_BLOCKS / SMALLER } else { RULES_BLOCKS })? {
        failed.push(RULES.to_owned());
    }
    if is_killing && !kill_often(root, if small { "100" } else { kills })? {
        failed.push(KILLS.to_owned());
    }
    if is_serving && !serve(root, small)? {
        failed.push(SERVICES.to_owned());
    }
    if scenarios {
        build(root, &["--release", "-p", "meshline-sim"])?;
    }
    let wanted = |path: &&String| scenarios && (names.is_empty() || names.contains(&&name(path)));
    for path in all.iter().filter(wanted) {
        println!("\n== {}", name(path));
        let mut words = vec![path.clone()];
        if small {
            words.extend(["--nodes".to_owned(), (nodes(root, path)? / SMALLER).max(20).to_string()]);
        }
        words.extend(further.iter().cloned());
        if !play(root, &words)? {
            failed.push(name(path));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not everything held: {}", failed.join(", "))) }
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

/// Whether both implementations of the ledger's rules say the same of so many blocks.
fn judge_twice(root: &Path, blocks: u64) -> Result<bool, String> {
    println!("\n== {RULES}");
    let mut command = cargo();
    command.args([
        "test",
        "-q",
        "--release",
        "-p",
        "meshline-ledger",
        "--test",
        "it",
        "checker::",
        "--",
        "--nocapture",
    ]);
    command.env("MESHLINE_CHECK_BLOCKS", blocks.to_string()).current_dir(root);
    command.status().map(|status| status.success()).map_err(|error| format!("cargo cannot be started: {error}"))
}

/// Whether every listing of services agrees with who lives, in the large unless it is to be small.
fn serve(root: &Path, small: bool) -> Result<bool, String> {
    println!("\n== {SERVICES}");
    let mut command = cargo();
    command.args([
        "test",
        "-q",
        "--release",
        "-p",
        "meshline-sim",
        "--test",
        "it",
        "services_churn::",
        "--",
        "--nocapture",
    ]);
    if !small {
        command.env("MESHLINE_SOAK", "1");
    }
    let status = command.current_dir(root).status();
    status.map(|status| status.success()).map_err(|error| format!("cargo cannot be started: {error}"))
}

/// What the test of real nodes says at its end begins so.
const SUMMARY: &str = "ledger-kills:";

/// Whether real nodes and a simulated disk lose nothing by so many kills. The last line says what came of it.
fn kill_often(root: &Path, kills: &str) -> Result<bool, String> {
    println!("\n== {KILLS}");
    if kills.parse::<u64>().is_err() {
        return Err(format!("--kills wants a number, not `{kills}`"));
    }
    // Whoever has them built elsewhere says where.
    if std::env::var_os("MESHLINE_BIN_DIR").is_none() {
        build(root, &["-p", "node", "-p", "config-tool"])?;
    }
    let mut summary = None;
    for (package, name) in [("meshline-ledger", "crashes::"), ("meshline-lab", "ledger_faults::kills_at_any_moment")] {
        let mut command = cargo();
        command.args(["test", "-q", "-p", package, "--test", "it", name, "--", "--nocapture"]);
        command.envs([("MESHLINE_SOAK", "1"), ("MESHLINE_KILLS", kills)]).current_dir(root);
        let (status, said) = told(command)?;
        summary = said.or(summary);
        if !status {
            return Ok(false);
        }
    }
    println!("{}", summary.ok_or("the test of real nodes did not run")?);
    Ok(true)
}

/// Runs a test whose lines are passed on; whether it succeeded, and its summary.
fn told(mut command: Command) -> Result<(bool, Option<String>), String> {
    let cannot = |error| format!("cargo cannot be started: {error}");
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(cannot)?;
    let mut summary = None;
    for line in child.stderr.take().into_iter().flat_map(|lines| BufReader::new(lines).lines()) {
        let line = line.map_err(|error| error.to_string())?;
        eprintln!("{line}");
        summary = line.starts_with(SUMMARY).then_some(line).or(summary);
    }
    let status = child.wait().map_err(cannot)?;
    Ok((status.success(), summary))
}

/// Honest nodes of a scenario.
fn nodes(root: &Path, path: &str) -> Result<u64, String> {
    let file: PathBuf = root.join(path);
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let scenario: Value = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    scenario.get("nodes").and_then(Value::as_u64).ok_or_else(|| format!("{path} does not say how many nodes"))
}

/// Runs one; whether everything held.
fn play(root: &Path, words: &[String]) -> Result<bool, String> {
    let mut command = cargo();
    command.args(["run", "-q", "--release", "-p", "meshline-sim", "--"]).args(words).current_dir(root);
    command.status().map(|status| status.success()).map_err(|error| format!("cargo cannot be started: {error}"))
}
