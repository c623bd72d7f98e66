//! The test programs of the workspace, two at a time: those that start processes mostly wait, the others mostly compute. One in
//! which many nodes share the thread of a test runs by itself: where that thread waits for others, all links seem to fall silent.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{cargo, cargo_program, seconds};
use crate::Outcome;

/// So many run beside each other.
const AT_ONCE: usize = 2;

/// Packages whose tests take longest, in that order. They begin first, lest one of them runs alone at the end.
const LONGEST: &[&str] = &["meshline-lab", "meshline-sim", "node"];

/// Packages whose tests run by themselves, after all others.
const ALONE: &[&str] = &["meshline-net"];

/// One test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    package: String,
    target: String,
    /// The folder of the package, where Cargo runs its tests too.
    folder: PathBuf,
    file: PathBuf,
}

/// Runs each once, and then the examples in the documentation.
pub(super) fn run(root: &Path, programs: Vec<Program>) -> Outcome {
    let (alone, others): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|program| ALONE.contains(&program.package.as_str()));
    let mut failed = run_all(others, AT_ONCE);
    failed.extend(run_all(alone, 1));
    if !failed.is_empty() {
        return Err(format!("tests failed: {}", failed.join(", ")));
    }
    cargo(root, &["test", "--workspace", "--doc"], &[])
}

/// Builds all of them.
pub(super) fn build(root: &Path) -> Result<Vec<Program>, String> {
    let output = Command::new(cargo_program())
        .args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo test --no-run` ended with {}", output.status));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let mut programs: Vec<Program> = lines.lines().filter_map(program).collect();
    if programs.is_empty() {
        return Err("cargo named no test program".to_owned());
    }
    programs.sort_by_key(|program| LONGEST.iter().position(|name| *name == program.package).unwrap_or(LONGEST.len()));
    Ok(programs)
}

/// Reads a line of what Cargo tells; `None` if it is about something else.
fn program(line: &str) -> Option<Program> {
    let told: Value = serde_json::from_str(line).ok()?;
    let is_test = told.get("profile")?.get("test")?.as_bool()?;
    let file = PathBuf::from(told.get("executable")?.as_str().filter(|_| is_test)?);
    let folder = Path::new(told.get("manifest_path")?.as_str()?).parent()?.to_path_buf();
    let target = told.get("target")?;
    let kind = target.get("kind")?.get(0)?.as_str()?;
    let name = told.get("package_id")?.as_str()?;
    // `path+file:///folder#name@version`, or without the name where the folder is called so.
    let package = name.rsplit_once('#').and_then(|(_, named)| Some(named.split_once('@')?.0.to_owned()));
    let package = package.or_else(|| Some(folder.file_name()?.to_str()?.to_owned()))?;
    Some(Program { package, target: format!("{kind} {}", target.get("name")?.as_str()?), folder, file })
}

/// Runs them all, so many beside each other and whatever fails, and names those that did.
fn run_all(programs: Vec<Program>, at_once: usize) -> Vec<String> {
    let waiting = Mutex::new(VecDeque::from(programs));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(program) = next(&waiting) {
                    if let Err(reason) = run_one(&program) {
                        let named = format!("{} {} ({reason})", program.package, program.target);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(named);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn next(waiting: &Mutex<VecDeque<Program>>) -> Option<Program> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Runs one, and shows what it said when it is through: two at once would be mixed up.
fn run_one(program: &Program) -> Outcome {
    let started = Instant::now();
    let output = Command::new(&program.file)
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    show(program, started.elapsed(), &output);
    if output.status.success() { Ok(()) } else { Err(output.status.to_string()) }
}

fn show(program: &Program, took: Duration, output: &std::process::Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.trim_end();
    let gap = if errors.is_empty() { "" } else { "\n" };
    println!("-- {} {} in {}\n{}{gap}{errors}\n", program.package, program.target, seconds(took), said.trim());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_read_from_what_cargo_tells() {
        let line = |id: &str, test: bool, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/w/crates/lab/Cargo.toml",
                "target":{{"kind":["test"],"name":"it"}},"profile":{{"test":{test}}},"executable":{file}}}"#
            )
        };
        let found = Program {
            package: "meshline-lab".to_owned(),
            target: "test it".to_owned(),
            folder: PathBuf::from("/w/crates/lab"),
            file: PathBuf::from("/w/target/debug/deps/it-1"),
        };
        let file = r#""/w/target/debug/deps/it-1""#;
        assert_eq!(program(&line("path+file:///w/crates/lab#meshline-lab@0.1.0", true, file)), Some(found.clone()));
        let unnamed = program(&line("path+file:///w/crates/lab#0.1.0", true, file));
        assert_eq!(unnamed, Some(Program { package: "lab".to_owned(), ..found }));
        assert_eq!(program(&line("path+file:///w/crates/lab#meshline-lab@0.1.0", false, file)), None, "no test");
        assert_eq!(program(&line("path+file:///w/crates/lab#meshline-lab@0.1.0", true, "null")), None, "a library");
        assert_eq!(program("no json"), None);
    }

    #[test]
    fn a_program_that_fails_is_named_and_the_others_run_all_the_same() {
        let program = |name: &str, file: &str| Program {
            package: name.to_owned(),
            target: "test it".to_owned(),
            folder: PathBuf::from("/"),
            file: PathBuf::from(file),
        };
        let programs = ["/bin/false", "/bin/true", "/nonexistent/program", "/bin/true"];
        let failed = run_all(programs.iter().map(|file| program(file, file)).collect(), AT_ONCE);
        let mut names: Vec<&str> = failed.iter().filter_map(|named| named.split(' ').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["/bin/false", "/nonexistent/program"]);
    }
}
