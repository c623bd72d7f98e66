//! Rule: a file of any length worth speaking of begins by saying what it is for.

use super::Finding;
use super::source::Source;

/// Up to here a file explains itself.
const SHORT: usize = 100;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= SHORT || source.text.trim_start().starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, format!("{lines} lines without a `//!` module doc at the top"))]
}
