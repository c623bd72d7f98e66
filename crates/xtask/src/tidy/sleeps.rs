//! Rule: a test waits for the event, never for a time that was long enough on somebody's machine. Where the pace is the
//! point (one byte a second, say), the line or the one above it carries the comment `paced:` with the reason.

use super::Finding;
use super::source::{Source, find_word, numbered};

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !source.is_test() && source.crate_folder() != Some("lab") {
        return Vec::new();
    }
    let mut excused_above = false;
    let mut findings = Vec::new();
    for ((line, code), comment) in numbered(&source.code).zip(source.comments.lines()) {
        let excused = has_reason(comment);
        if sleeps(code) && !excused && !excused_above {
            let message = "a fixed sleep in a test: wait for the event, or say why with `// paced: …`";
            findings.push(Finding::new(&source.path, line, message));
        }
        excused_above = excused && code.trim().is_empty();
    }
    findings
}

/// A call of the thread's or the runtime's sleep, however it was imported; not a method or function of that name of ours.
fn sleeps(code: &str) -> bool {
    find_word(code, "sleep(").and_then(|at| code.get(..at)).is_some_and(|before| {
        let before = before.trim_end();
        !before.ends_with('.') && !before.ends_with("fn")
    })
}

fn has_reason(comment: &str) -> bool {
    comment.split_once("// paced:").is_some_and(|(_, reason)| !reason.trim().is_empty())
}
