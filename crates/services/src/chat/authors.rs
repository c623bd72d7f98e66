//! Who wrote what is kept: announcements by which others see that an author is a member, and how much there is of each.

use std::collections::BTreeMap;

use meshline_mesh::Node;
use meshline_protocol::{Code, NodeId, SignedRecord};

/// Authors of kept messages; there are never more than messages.
#[derive(Debug, Default)]
pub(super) struct Authors {
    known: BTreeMap<NodeId, Author>,
}

#[derive(Debug, Default)]
struct Author {
    record: Option<SignedRecord>,
    /// Whether it is on disk, as far as is known.
    written: bool,
    messages: usize,
}

impl Authors {
    /// Puts back the announcement of an earlier run.
    pub(super) fn restore(&mut self, record: SignedRecord) {
        let known = self.known.entry(record.by).or_default();
        known.written = true;
        known.record = Some(record);
    }

    /// A message more. The announcement is returned if it is another than the one known, and must be kept too.
    pub(super) fn add(&mut self, author: NodeId, record: Option<SignedRecord>) -> Option<SignedRecord> {
        let known = self.known.entry(author).or_default();
        known.messages += 1;
        // An announcement is renewed every half an hour; any one will do for as long as it is of the same membership.
        if known.record.is_none() {
            known.record = record;
        }
        let fresh = known.record.clone().filter(|_| !known.written)?;
        known.written = true;
        Some(fresh)
    }

    /// A message less. Says whether it was the author's last.
    pub(super) fn remove(&mut self, author: &NodeId) -> bool {
        let Some(known) = self.known.get_mut(author) else { return false };
        known.messages = known.messages.saturating_sub(1);
        if known.messages > 0 {
            return false;
        }
        self.known.remove(author);
        true
    }

    /// A transaction failed: nobody knows what of it is on disk.
    pub(super) fn write_again(&mut self) {
        self.known.values_mut().for_each(|known| known.written = false);
    }

    /// Authors who were expelled.
    pub(super) fn expelled(&self, node: &Node) -> Vec<NodeId> {
        let is_expelled = |known: &Author| {
            known.record.as_ref().is_some_and(|record| matches!(node.vouch(record), Err(Code::Revoked)))
        };
        self.known.iter().filter(|(_, known)| is_expelled(known)).map(|(id, _)| *id).collect()
    }

    pub(super) fn record(&self, author: &NodeId) -> Option<&SignedRecord> {
        self.known.get(author)?.record.as_ref()
    }
}
