//! The newest advertisement of each member.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use meshline_protocol::limits::MAX_IDS;
use meshline_protocol::message::{LinkState, RoutingAdvertisement, SummaryEntry};
use meshline_protocol::{NodeId, UnixMicros};

use crate::gossip::MAX_MEMBERS;

/// An advertisement as it came and as it reads.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) line: RoutingAdvertisement,
    pub(super) body: Bytes,
    pub(super) state: LinkState,
}

/// How an advertisement stands to what is known of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Newer,
    Same,
    Older,
}

/// The newest advertisement of each member.
#[derive(Debug, Default)]
pub(super) struct Lsdb {
    /// Apart: what is looked for in the tree then lies close together.
    entries: BTreeMap<NodeId, Arc<Entry>>,
    /// Changes with everything that bears on the ways.
    pub(super) version: u64,
    /// The digest, until something changes.
    digest: OnceLock<String>,
}

impl Lsdb {
    pub(super) fn age(&self, author: &NodeId, seq: UnixMicros) -> Age {
        match self.entries.get(author).map(|entry| entry.line.seq) {
            Some(known) if seq == known => Age::Same,
            Some(known) if seq < known => Age::Older,
            Some(_) | None => Age::Newer,
        }
    }

    /// Takes in an advertisement that is newer; says whether there is room for it.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) -> bool {
        let author = entry.line.by;
        let known = self.entries.get(&author);
        if known.is_none() && self.entries.len() >= MAX_MEMBERS {
            return false;
        }
        let bears = known
            .is_none_or(|known| known.state.links != entry.state.links || known.state.carries != entry.state.carries);
        self.version += u64::from(bears);
        self.digest.take();
        self.entries.insert(author, entry);
        true
    }

    pub(super) fn get(&self, author: &NodeId) -> Option<&Entry> {
        self.entries.get(author).map(|entry| &**entry)
    }

    /// A member left or was expelled.
    pub(super) fn remove(&mut self, author: &NodeId) {
        if self.entries.remove(author).is_some() {
            self.digest.take();
            self.version += 1;
        }
    }

    /// Forgets what has ended.
    pub(super) fn expire(&mut self, now: UnixMicros) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.state.expires > now);
        if self.entries.len() != before {
            self.digest.take();
            self.version += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &LinkState)> {
        self.entries.iter().map(|(id, entry)| (*id, &entry.state))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = SummaryEntry> {
        self.entries.values().map(|entry| SummaryEntry { id: entry.line.by, seq: entry.line.seq })
    }

    /// A hash over all pairs (FNV-1a, which anybody can compute): it is compared among members that exchange the
    /// pairs themselves if it differs, and a member that lies about it harms only itself.
    pub(super) fn digest(&self) -> String {
        self.digest.get_or_init(|| self.hash()).clone()
    }

    fn hash(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for pair in self.pairs() {
            for byte in pair.id.as_bytes().iter().chain(&pair.seq.get().to_be_bytes()) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }

    /// All pairs, in as many lists as are needed.
    pub(super) fn lists(&self) -> Vec<Vec<SummaryEntry>> {
        let pairs: Vec<SummaryEntry> = self.pairs().collect();
        if pairs.is_empty() {
            return vec![Vec::new()];
        }
        pairs.chunks(MAX_IDS).map(<[SummaryEntry]>::to_vec).collect()
    }

    /// What of a list is newer than what is here.
    pub(super) fn older_than(&self, list: &[SummaryEntry]) -> impl Iterator<Item = SummaryEntry> {
        list.iter().filter(|entry| self.age(&entry.id, entry.seq) == Age::Newer).copied()
    }

    /// What is newer here, of those a list names.
    pub(super) fn newer_among(&self, list: &[SummaryEntry]) -> impl Iterator<Item = SummaryEntry> {
        list.iter().filter_map(|theirs| {
            let seq = self.get(&theirs.id)?.line.seq;
            (seq > theirs.seq).then_some(SummaryEntry { id: theirs.id, seq })
        })
    }

    /// What is newer here than a list shows, within the piece that the list covers.
    pub(super) fn newer_than(&self, list: &[SummaryEntry]) -> Vec<SummaryEntry> {
        let theirs: BTreeMap<NodeId, UnixMicros> = list.iter().map(|entry| (entry.id, entry.seq)).collect();
        let piece = list.first().zip(list.last()).filter(|_| list.len() >= MAX_IDS);
        let covered = |id: &NodeId| piece.is_none_or(|(first, last)| (first.id..=last.id).contains(id));
        let newer = |pair: &SummaryEntry| theirs.get(&pair.id).map_or_else(|| covered(&pair.id), |seq| *seq < pair.seq);
        self.pairs().filter(newer).collect()
    }
}
