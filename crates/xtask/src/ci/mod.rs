//! `cargo xtask ci`: the checks a change must pass, the same here and on the build machine.

mod programs;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Outcome, no_words, tidy};

/// One check. The cheap ones stand first, so that a slip is told within seconds.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", run: |root| cargo(root, &["fmt", "--all", "--check"], &[]) },
    Step { name: "tidy", run: tidy::check },
    Step { name: "clippy", run: clippy },
    // The lab runs the programs themselves; one build serves all its tests.
    Step { name: "build", run: |root| cargo(root, &["build", "--workspace", "--bins"], &[]) },
    Step { name: "test", run: programs::run },
    Step { name: "doc", run: doc },
];

pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    no_words(words)?;
    let started = Instant::now();
    let mut done = Vec::new();
    for step in STEPS {
        println!("\n== {}", step.name);
        let step_started = Instant::now();
        let outcome = (step.run)(root);
        let took = seconds(step_started.elapsed());
        outcome.map_err(|reason| format!("step `{}` failed after {took}: {reason}", step.name))?;
        println!("== {} passed in {took}", step.name);
        done.push(format!("{} {took}", step.name));
    }
    println!("\nAll passed in {}: {}", seconds(started.elapsed()), done.join(", "));
    Ok(())
}

fn clippy(root: &Path) -> Outcome {
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
}

/// A minute, the last of what the build machine has: it may be left out there, never silently.
fn doc(root: &Path) -> Outcome {
    if std::env::var_os("MESHLINE_WITHOUT_DOC").is_some() {
        println!("doc: left out, as MESHLINE_WITHOUT_DOC asks; `cargo xtask ci` without it checks the documentation");
        return Ok(());
    }
    cargo(root, &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

fn cargo(root: &Path, words: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let status = Command::new(cargo_program())
        .args(words)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`cargo {}` ended with {status}", words.join(" ")))
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
