//! What was seen already, within bounds, so that everything is delivered once.

use std::collections::BTreeMap;

use meshline_protocol::{NodeId, UnixMicros};

/// Authors remembered; the one silent longest gives way, and what it wrote is not new again.
pub(crate) const MAX_AUTHORS: usize = 4_096;

/// Messages remembered an author. Older ones than these count as seen.
pub(crate) const MAX_RECENT: usize = 1_024;

/// Messages remembered of all authors together: some megabytes. Of more the author with most loses the older half of its own,
/// which has sixteen at least then.
pub(crate) const MAX_TOTAL: usize = 65_536;

/// What an author wrote that is not remembered is new from so long ago on in any case, in microseconds: as much as clocks may
/// be off. Otherwise a crowd that writes ahead of time would silence all others.
pub(crate) const NEVER_OLD: i64 = 60_000_000;

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

#[derive(Debug)]
struct Author {
    floor: Option<UnixMicros>,
    recent: BTreeMap<UnixMicros, Entry>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    authors: BTreeMap<NodeId, Author>,
    /// Messages remembered.
    total: usize,
    /// Of authors that are not remembered everything up to this counts as seen: it may have been.
    floor: Option<UnixMicros>,
}

impl Seen {
    pub(crate) fn look(&self, author: NodeId, seq: UnixMicros, attempt: u32) -> Freshness {
        let known = self.authors.get(&author);
        let floor = known.map_or(self.floor, |known| known.floor);
        match known.and_then(|known| known.recent.get(&seq)) {
            Some(entry) if attempt > entry.attempt => Freshness::LaterAttempt,
            Some(_) => Freshness::Old,
            None if floor.is_some_and(|floor| seq <= floor) => Freshness::Old,
            None => Freshness::New,
        }
    }

    /// A message came at `now` by the members' time.
    pub(crate) fn note(&mut self, (author, seq): (NodeId, UnixMicros), attempt: u32, source: NodeId, now: UnixMicros) {
        if !self.authors.contains_key(&author) && self.authors.len() >= MAX_AUTHORS {
            self.forget_most_silent(now);
        }
        let floor = self.floor;
        let known = self.authors.entry(author).or_insert_with(|| Author { floor, recent: BTreeMap::new() });
        let before = known.recent.len();
        known.recent.entry(seq).or_insert(Entry { attempt, source }).attempt = attempt;
        known.forget_oldest(MAX_RECENT);
        self.total = self.total - before + known.recent.len();
        if self.total > MAX_TOTAL {
            self.thin_busiest();
        }
    }

    /// Whom a message came from first.
    pub(crate) fn source(&self, author: NodeId, seq: UnixMicros) -> Option<NodeId> {
        self.authors.get(&author)?.recent.get(&seq).map(|entry| entry.source)
    }

    /// Messages remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.authors.values().map(|author| author.recent.len()).sum()
    }

    fn forget_most_silent(&mut self, now: UnixMicros) {
        let silent = self.authors.iter().min_by_key(|(_, author)| author.newest()).map(|(id, _)| *id);
        if let Some(author) = silent.and_then(|id| self.authors.remove(&id)) {
            self.total -= author.recent.len();
            let newest = author.newest().map(|newest| newest.min(now.offset(-NEVER_OLD)));
            self.floor = self.floor.max(newest);
        }
    }

    fn thin_busiest(&mut self) {
        let Some(busiest) = self.authors.values_mut().max_by_key(|author| author.recent.len()) else { return };
        let before = busiest.recent.len();
        busiest.forget_oldest(before / 2);
        self.total = self.total - before + busiest.recent.len();
    }
}

impl Author {
    fn newest(&self) -> Option<UnixMicros> {
        self.recent.last_key_value().map(|(seq, _)| *seq)
    }

    /// Remembers so many, the latest.
    fn forget_oldest(&mut self, most: usize) {
        while self.recent.len() > most {
            self.floor = self.recent.pop_first().map(|(seq, _)| seq).max(self.floor);
        }
    }
}
