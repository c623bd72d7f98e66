//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows. One file per rule.
//!
//! A rule over sources is a function from one [`Source`] to its findings and stands in [`SOURCE_RULES`]; a rule over
//! the whole workspace stands in [`WORKSPACE_RULES`].

mod arrows;
mod clippy_files;
mod clocks;
mod docs;
mod functions;
mod links;
mod sizes;
mod sleeps;
mod source;
#[cfg(test)]
mod tests;
mod unfinished;

use std::fmt;
use std::path::Path;

use crate::{Outcome, no_words, workspace};
use source::Source;

/// Crates that decide and never act: no clock, no random source, no socket, no disk.
/// (`ledger/store` and `wallet/file` touch the disk; they are told the time like all others.)
const PURE: &[&str] = &["protocol", "identity", "mesh", "services", "ledger", "tunnel", "wallet"];

const SOURCE_RULES: &[fn(&Source) -> Vec<Finding>] =
    &[sizes::check, docs::check, unfinished::check, sleeps::check, clocks::check];

type WorkspaceRule = fn(&Path) -> Result<Vec<Finding>, String>;
const WORKSPACE_RULES: &[WorkspaceRule] = &[arrows::check, clippy_files::check, links::check];

/// One broken rule at one place; line 0 stands for the whole file.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.message),
            line => write!(out, "{}:{line}: {}", self.path, self.message),
        }
    }
}

pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    no_words(words)?;
    check(root)
}

/// Prints every finding; fails if there is one.
pub(crate) fn check(root: &Path) -> Outcome {
    let sources = workspace::files(root, &["rs"])?;
    let mut findings = Vec::new();
    for path in &sources {
        let source = Source::new(path, &workspace::read(root, path)?);
        findings.extend(SOURCE_RULES.iter().flat_map(|rule| rule(&source)));
    }
    for rule in WORKSPACE_RULES {
        findings.extend(rule(root)?);
    }
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("{} sources are tidy", sources.len());
            Ok(())
        }
        1 => Err("1 finding".to_owned()),
        many => Err(format!("{many} findings")),
    }
}
