//! Checks that only compile, in the idle class of the scheduler beside the tests: those wait half of their time, for links and
//! for clocks, and this takes what they leave and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{cargo_program, seconds};
use crate::Outcome;

/// What such a check calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) environment: &'static [(&'static str, &'static str)],
}

/// Checks that run one after the other while something else goes on.
#[derive(Debug)]
pub(super) struct Beside {
    checks: JoinHandle<Vec<Done>>,
}

#[derive(Debug)]
struct Done {
    name: &'static str,
    said: String,
    outcome: Outcome,
}

impl Beside {
    /// Begins with the first of them.
    pub(super) fn start(root: &Path, checks: Vec<Check>) -> Self {
        let root = PathBuf::from(root);
        Self { checks: std::thread::spawn(move || checks.iter().map(|check| run(&root, *check)).collect()) }
    }

    /// Waits until all are through, shows what each said, and names those that failed.
    pub(super) fn finish(self) -> Outcome {
        let done = self.checks.join().map_err(|_| "the thread of the checks beside the tests ended".to_owned())?;
        let mut failed = Vec::new();
        for check in done {
            println!("\n== {}\n{}", check.name, check.said.trim_end());
            if let Err(reason) = check.outcome {
                failed.push(format!("`{}`: {reason}", check.name));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
    }
}

fn run(root: &Path, check: Check) -> Done {
    let started = Instant::now();
    let output = idle(root, check).stdin(Stdio::null()).output();
    let took = seconds(started.elapsed());
    match output {
        Err(error) => {
            Done { name: check.name, said: String::new(), outcome: Err(format!("cargo cannot be started: {error}")) }
        }
        Ok(output) => {
            let said = format!("{}== {} took {took}", String::from_utf8_lossy(&output.stderr), check.name);
            let outcome = if output.status.success() { Ok(()) } else { Err(output.status.to_string()) };
            Done { name: check.name, said, outcome }
        }
    }
}

/// Where the system has no `chrt`, the check takes its share like everything else.
fn idle(root: &Path, check: Check) -> Command {
    let has_chrt =
        Command::new("chrt").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    let mut command = if has_chrt {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(cargo_program());
        command
    } else {
        Command::new(cargo_program())
    };
    command.args(check.words).envs(check.environment.iter().copied()).current_dir(root);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_fails_is_named_and_the_next_one_runs_all_the_same() {
        let check = |name, words| Check { name, words, environment: &[] };
        let checks = vec![check("wrong", &["no-such-command-of-cargo"]), check("right", &["--version"])];
        let refused = Beside::start(Path::new("/"), checks).finish().expect_err("the first one fails");
        assert!(refused.starts_with("`wrong`") && !refused.contains("right"), "{refused}");
    }
}
