//! Collects what is wrong with values, by JSON pointer. Where the value stood is found out afterwards.

use std::ops::RangeInclusive;

use meshline_protocol::UnixMicros;

use super::finding::Severity;

/// A remark on the value at a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) severity: Severity,
    pub(super) pointer: String,
    /// About the key, not its value.
    pub(super) on_key: bool,
    /// True whatever the other values are.
    pub(super) alone: bool,
    pub(super) message: String,
}

/// The remarks of one judgement.
#[derive(Clone, Debug)]
pub struct Review {
    pub(super) now: UnixMicros,
    pub(super) remarks: Vec<Remark>,
}

impl Review {
    /// A judgement at `now`.
    #[must_use]
    pub fn new(now: UnixMicros) -> Self {
        Self { now, remarks: Vec::new() }
    }

    /// The value is wrong.
    pub fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        self.push(Severity::Error, pointer, message.into(), false);
    }

    /// The value is doubtful.
    pub fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.push(Severity::Warning, pointer, message.into(), false);
    }

    /// A number must lie in its range.
    pub fn range(&mut self, pointer: &str, found: u32, range: RangeInclusive<u32>) {
        if !range.contains(&found) {
            let message = format!("found {found}, expected a whole number from {} to {}", range.start(), range.end());
            self.push(Severity::Error, pointer, message, true);
        }
    }

    /// Whether nothing is wrong, doubts apart.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.remarks.iter().all(|remark| remark.severity == Severity::Warning)
    }

    fn push(&mut self, severity: Severity, pointer: &str, message: String, alone: bool) {
        self.remarks.push(Remark { severity, pointer: pointer.to_owned(), on_key: false, alone, message });
    }
}
