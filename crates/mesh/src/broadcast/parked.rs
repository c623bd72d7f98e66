//! Messages of authors who are not known yet: news about a member may come later than what it says.

use std::collections::VecDeque;

use meshline_protocol::{NodeId, UnixMicros};

use super::Arrival;

/// Messages kept; the oldest gives way. News is seconds behind at most.
const MAX_PARKED: usize = 64;

/// Bytes of bodies kept.
const MAX_BYTES: usize = 1024 * 1024;

/// Messages that wait for news of their authors.
#[derive(Debug, Default)]
pub(super) struct Parked {
    /// Whether it came round a ring, and the message.
    waiting: VecDeque<(bool, Arrival)>,
    bytes: usize,
}

impl Parked {
    /// Keeps a message, once.
    pub(super) fn put(&mut self, on_ring: bool, arrival: Arrival) {
        let same = |other: &(bool, Arrival)| {
            other.0 == on_ring && (other.1.line.by, other.1.line.seq) == (arrival.line.by, arrival.line.seq)
        };
        if self.waiting.iter().any(same) {
            return;
        }
        self.bytes += arrival.body.len();
        self.waiting.push_back((on_ring, arrival));
        while self.waiting.len() > MAX_PARKED || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.waiting.pop_front() else { break };
            self.bytes -= oldest.body.len();
        }
    }

    /// Whether a message waits here.
    pub(super) fn has(&self, by: &NodeId, seq: UnixMicros) -> bool {
        self.waiting.iter().any(|(_, one)| one.line.by == *by && one.line.seq == seq)
    }

    /// Whose messages wait.
    pub(super) fn authors(&self) -> impl Iterator<Item = NodeId> {
        self.waiting.iter().map(|(_, one)| one.line.by)
    }

    /// Takes out what an author wrote.
    pub(super) fn take(&mut self, author: NodeId) -> Vec<(bool, Arrival)> {
        let (taken, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, one)| one.line.by == author);
        self.waiting = waiting;
        self.bytes = self.waiting.iter().map(|(_, one)| one.body.len()).sum();
        taken.into()
    }
}
