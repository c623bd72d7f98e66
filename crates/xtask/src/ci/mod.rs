//! `cargo xtask ci`: the checks a change must pass, the same here and on the build machine.

mod beside;
mod programs;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use self::beside::{Beside, Check};
use crate::{Outcome, no_words, tidy};

/// One check. The cheap ones stand first, so that a slip is told within seconds.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", run: |root| cargo(root, &["fmt", "--all", "--check"], &[]) },
    Step { name: "tidy", run: tidy::check },
    // The lab runs the programs themselves. They are built as the tests want them, or half of all would be built twice: what
    // only tests depend on asks more of tokio.
    Step { name: "build", run: |root| cargo(root, &["build", "--workspace", "--bins", "--tests"], &[]) },
    Step { name: "test, beside it clippy and doc", run: test },
];

const CLIPPY: Check = Check {
    name: "clippy",
    words: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    environment: &[],
};

/// The programs as users build them: without what only tests depend on.
const PROGRAMS: Check = Check {
    name: "clippy of the programs alone",
    words: &["clippy", "--workspace", "--bins", "--", "-D", "warnings"],
    environment: &[],
};

/// The view for small devices: of the workspace only the one with everything is built.
const THING: Check = Check {
    name: "clippy of the view for small devices",
    words: &["clippy", "-p", "view", "--no-default-features", "--", "-D", "warnings"],
    environment: &[],
};

const DOC: Check =
    Check { name: "doc", words: &["doc", "--workspace", "--no-deps"], environment: &[("RUSTDOCFLAGS", "-D warnings")] };

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

/// Runs the tests, and what only compiles in the time they leave.
fn test(root: &Path) -> Outcome {
    let programs = programs::build(root)?;
    let beside = Beside::start(root, compiled());
    let failed = programs::run(root, programs);
    let compiled = beside.finish();
    match (failed, compiled) {
        (Err(tests), Err(checks)) => Err(format!("{tests}; {checks}")),
        (failed, compiled) => failed.and(compiled),
    }
}

/// The checks that compile alone. The documentation may be left out, never silently.
fn compiled() -> Vec<Check> {
    if std::env::var_os("MESHLINE_WITHOUT_DOC").is_some() {
        println!("doc: left out, as MESHLINE_WITHOUT_DOC asks; `cargo xtask ci` without it checks the documentation");
        return vec![CLIPPY, PROGRAMS, THING];
    }
    vec![CLIPPY, PROGRAMS, THING, DOC]
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
