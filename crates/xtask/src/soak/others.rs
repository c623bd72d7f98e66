//! The long runs that are no scenarios: tests of other crates in the large.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{build, cargo};

/// Blocks that are judged twice; some minutes, because the second implementation is slow.
const RULES_BLOCKS: u64 = 10_000;
const RULES_BLOCKS_SMALL: u64 = 1_000;

/// Kills with `--small`.
const KILLS_SMALL: &str = "100";

/// What the test of real nodes says at its end begins so.
const KILLS_SUMMARY: &str = "ledger-kills:";

/// How long a run is to be.
#[derive(Clone, Copy)]
pub(super) struct Size<'a> {
    pub(super) small: bool,
    /// Kills of real nodes, about a second each.
    pub(super) kills: &'a str,
}

/// A run: its name, and whether everything held.
pub(super) type Other = (&'static str, fn(&Path, Size<'_>) -> Result<bool, String>);

pub(super) const OTHERS: &[Other] =
    &[("ledger-rules", judge_twice), ("ledger-kills", kill_often), ("services", offer_services)];

/// Tests of a crate by name, as a command to be run.
fn tests(root: &Path, (package, name): (&str, &str), options: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["test", "-q", "-p", package, "--test", "it"]).args(options).args([name, "--", "--nocapture"]);
    command.current_dir(root);
    command
}

fn succeeds(mut command: Command) -> Result<bool, String> {
    command.status().map(|status| status.success()).map_err(|error| format!("cargo cannot be started: {error}"))
}

/// Whether both implementations of the ledger's rules say the same of the same blocks.
fn judge_twice(root: &Path, size: Size<'_>) -> Result<bool, String> {
    let blocks = if size.small { RULES_BLOCKS_SMALL } else { RULES_BLOCKS };
    let mut command = tests(root, ("meshline-ledger", "checker::"), &["--release"]);
    command.env("MESHLINE_CHECK_BLOCKS", blocks.to_string());
    succeeds(command)
}

/// Whether every listing of services agrees with who lives.
fn offer_services(root: &Path, size: Size<'_>) -> Result<bool, String> {
    let mut command = tests(root, ("meshline-sim", "services_churn::"), &["--release"]);
    if !size.small {
        command.env("MESHLINE_SOAK", "1");
    }
    succeeds(command)
}

/// Whether real nodes and a simulated disk lose nothing by so many kills. The last line says what came of it.
fn kill_often(root: &Path, size: Size<'_>) -> Result<bool, String> {
    let kills = if size.small { KILLS_SMALL } else { size.kills };
    // Whoever has them built elsewhere says where.
    if std::env::var_os("MESHLINE_BIN_DIR").is_none() {
        build(root, &["-p", "node", "-p", "config-tool"])?;
    }
    let mut summary = None;
    for which in [("meshline-ledger", "crashes::"), ("meshline-lab", "ledger_faults::kills_at_any_moment")] {
        let mut command = tests(root, which, &[]);
        command.envs([("MESHLINE_SOAK", "1"), ("MESHLINE_KILLS", kills)]);
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
        summary = line.starts_with(KILLS_SUMMARY).then_some(line).or(summary);
    }
    let status = child.wait().map_err(cannot)?;
    Ok((status.success(), summary))
}
