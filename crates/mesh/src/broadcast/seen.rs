//! What was seen already, within bounds, so that everything is delivered once.

use std::collections::BTreeMap;

use meshline_protocol::{NodeId, UnixMicros};

/// Authors remembered; the one silent longest gives way.
pub(crate) const MAX_AUTHORS: usize = 4_096;

/// Messages remembered an author. Older ones than these count as seen.
pub(crate) const MAX_RECENT: usize = 1_024;

/// How new a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Never seen.
    New,
    /// Delivered here, and on its way again because it was lost somewhere.
    LaterAttempt,
    /// Seen, or older than everything remembered.
    Old,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    attempt: u32,
    /// Whom it came from first: acks go back that way.
    source: NodeId,
}

#[derive(Debug, Default)]
struct Author {
    floor: Option<UnixMicros>,
    recent: BTreeMap<UnixMicros, Entry>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    authors: BTreeMap<NodeId, Author>,
}

impl Seen {
    pub(crate) fn look(&self, author: NodeId, seq: UnixMicros, attempt: u32) -> Freshness {
        let Some(known) = self.authors.get(&author) else { return Freshness::New };
        match known.recent.get(&seq) {
            Some(entry) if attempt > entry.attempt => Freshness::LaterAttempt,
            Some(_) => Freshness::Old,
            None if known.floor.is_some_and(|floor| seq <= floor) => Freshness::Old,
            None => Freshness::New,
        }
    }

    pub(crate) fn note(&mut self, author: NodeId, seq: UnixMicros, attempt: u32, source: NodeId) {
        if !self.authors.contains_key(&author) && self.authors.len() >= MAX_AUTHORS {
            self.forget_most_silent();
        }
        let known = self.authors.entry(author).or_default();
        known.recent.entry(seq).or_insert(Entry { attempt, source }).attempt = attempt;
        if known.recent.len() > MAX_RECENT {
            known.floor = known.recent.pop_first().map(|(seq, _)| seq).max(known.floor);
        }
    }

    /// Whom a message came from first.
    pub(crate) fn source(&self, author: NodeId, seq: UnixMicros) -> Option<NodeId> {
        self.authors.get(&author)?.recent.get(&seq).map(|entry| entry.source)
    }

    fn forget_most_silent(&mut self) {
        let newest = |author: &Author| author.recent.last_key_value().map(|(seq, _)| *seq);
        let silent = self.authors.iter().min_by_key(|(_, author)| newest(author)).map(|(id, _)| *id);
        if let Some(id) = silent {
            self.authors.remove(&id);
        }
    }
}
