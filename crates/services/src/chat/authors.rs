//! Who wrote what is kept: announcements by which others see that an author is a member, and how much there is of each.

use std::collections::BTreeMap;

use meshline_protocol::{NodeId, SignedRecord};

/// Authors of kept messages; there are never more than messages.
#[derive(Debug, Default)]
pub(super) struct Authors {
    known: BTreeMap<NodeId, Author>,
}

#[derive(Debug, Default)]
struct Author {
    record: Option<SignedRecord>,
    messages: usize,
}

impl Authors {
    /// Puts back the announcement of an earlier run.
    pub(super) fn restore(&mut self, record: SignedRecord) {
        let author = record.by;
        self.known.entry(author).or_default().record = Some(record);
    }

    /// A message more. The announcement is returned if it is another than the one known, and must be kept too.
    pub(super) fn add(&mut self, author: NodeId, record: Option<SignedRecord>) -> Option<SignedRecord> {
        let known = self.known.entry(author).or_default();
        known.messages += 1;
        // An announcement is renewed every half an hour; any one will do for as long as it is of the same membership.
        let fresh = record.filter(|_| known.record.is_none())?;
        known.record = Some(fresh.clone());
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

    pub(super) fn record(&self, author: &NodeId) -> Option<&SignedRecord> {
        self.known.get(author)?.record.as_ref()
    }
}
