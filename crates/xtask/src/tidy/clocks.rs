//! Rule: a pure crate is told the time and given its seed; it asks for neither, not even in its tests.
//! Clippy bans the same calls; this rule holds where a lint was silenced.

use super::source::{Source, find_word, numbered};
use super::{Finding, PURE};

const BANNED: &[&str] = &["Instant::now", "SystemTime::now", "thread_rng", "rand::rng(", "rand::random"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !source.crate_folder().is_some_and(|folder| PURE.contains(&folder)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, code) in numbered(&source.code) {
        for banned in BANNED.iter().filter(|banned| find_word(code, banned).is_some()) {
            let message = format!("`{}` in a pure crate: time and seed are inputs", banned.trim_end_matches('('));
            findings.push(Finding::new(&source.path, line, message));
        }
    }
    findings
}
