//! One file per rule; each rule is fed small texts and must name exactly what breaks it.

mod arrows;
mod clocks;
mod docs;
mod functions;
mod links;
mod sizes;
mod sleeps;
mod source;
mod unfinished;

use super::Finding;
use super::source::Source;

/// The lines that a rule objects to.
fn lines(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|finding| finding.line).collect()
}
