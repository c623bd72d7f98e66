//! Rule: files and functions stay small enough to be read at one go.

use super::Finding;
use super::functions::functions;
use super::source::Source;
use crate::workspace::PROGRAMS;

const FILE: usize = 600;
/// A dispatcher wants to grow more than any other file; it is stopped earlier.
const MOD_FILE: usize = 400;
/// A program is thin: what it decides belongs into a crate.
const PROGRAM_MAIN: usize = 150;
const TEST_FILE: usize = 1000;
const FUNCTION: usize = 70;
const TEST_FUNCTION: usize = 120;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let (file_limit, function_limit) = limits(source);
    let lines = source.text.lines().count();
    let mut findings = Vec::new();
    if lines > file_limit {
        findings.push(Finding::new(&source.path, 0, format!("{lines} lines, the limit is {file_limit}")));
    }
    for function in functions(&source.code) {
        if function.lines > function_limit {
            let message = format!("`{}` has {} lines, the limit is {function_limit}", function.name, function.lines);
            findings.push(Finding::new(&source.path, function.line, message));
        }
    }
    findings
}

fn limits(source: &Source) -> (usize, usize) {
    if source.is_test() {
        return (TEST_FILE, TEST_FUNCTION);
    }
    let path = source.path.as_str();
    let is_program_main = PROGRAMS.iter().any(|program| path == format!("{program}/src/main.rs"));
    let file = if is_program_main {
        PROGRAM_MAIN
    } else if path.ends_with("/mod.rs") {
        MOD_FILE
    } else {
        FILE
    };
    (file, FUNCTION)
}
