//! Messages that came because they were asked for, until it is known whether the tree would have brought them.

use std::collections::VecDeque;

use meshline_protocol::NodeId;

use super::MessageId;
use crate::now::Mono;

/// Messages in doubt at once; one is enough to mend the tree.
const MAX_DOUBTS: usize = 64;

/// A message that did not come along the tree first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) id: MessageId,
    /// Who handed it over.
    pub(super) from: NodeId,
    /// When it was announced.
    pub(super) since: Mono,
    /// Until when the tree may still bring it.
    pub(super) due: Mono,
}

/// Messages in doubt, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Doubts(VecDeque<Doubt>);

impl Doubts {
    pub(super) fn put(&mut self, doubt: Doubt) {
        if self.0.len() < MAX_DOUBTS {
            self.0.push_back(doubt);
        }
    }

    /// The tree brought a message after all: the others in doubt may come as well. Says when it was announced, if it was in
    /// doubt.
    pub(super) fn settle(&mut self, id: &MessageId) -> Option<Mono> {
        let place = self.0.iter().position(|doubt| doubt.id == *id)?;
        self.0.remove(place).map(|doubt| doubt.since)
    }

    /// The first that the tree did not bring; what else is in doubt is forgotten with it.
    pub(super) fn take_due(&mut self, now: Mono) -> Option<Doubt> {
        let due = self.0.iter().find(|doubt| doubt.due <= now).copied()?;
        self.0.clear();
        Some(due)
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.0.iter().map(|doubt| doubt.due).min()
    }
}
