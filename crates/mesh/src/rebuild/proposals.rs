//! What members think of the shape of the mesh: the newest word of each, as long as it counts.

use std::collections::BTreeMap;

use meshline_protocol::message::{RebuildCause, RebuildProposal};
use meshline_protocol::{NodeId, SignedRecord, UnixMicros};

use super::orders::Taken;

/// Proposals held. Whoever hears of [`ENOUGH`](super::shape::ENOUGH) says nothing itself, so there are hardly ever more than
/// a few; a crowd that all propose costs each member no more than these.
pub(crate) const MAX_PROPOSALS: usize = 32;

/// A member is heard again, in microseconds of what it says, after so long: an honest one repeats itself when its word counts no
/// more, and one that does so all the time would have everybody pass it on.
pub(crate) const LEAST_BETWEEN: i64 = 300_000_000;

/// A proposal that is held.
#[derive(Clone, Debug)]
struct Held {
    proposal: RebuildProposal,
    record: SignedRecord,
}

/// One proposal a member.
#[derive(Debug, Default)]
pub(crate) struct Proposals(BTreeMap<NodeId, Held>);

impl Proposals {
    pub(crate) fn put(&mut self, proposal: RebuildProposal, record: &SignedRecord) -> Taken {
        if self.has_newer(&record.by, proposal.seq) || self.named(&record.by, proposal.seq).is_some() {
            return Taken::Known;
        }
        if self.0.len() >= MAX_PROPOSALS && !self.0.contains_key(&record.by) {
            return Taken::Full;
        }
        self.0.insert(record.by, Held { proposal, record: record.clone() });
        Taken::News
    }

    pub(crate) fn named(&self, by: &NodeId, seq: UnixMicros) -> Option<&SignedRecord> {
        self.0.get(by).filter(|held| held.proposal.seq == seq).map(|held| &held.record)
    }

    /// Whether something newer of a member is held, or something hardly older, so that this is of no use.
    pub(crate) fn has_newer(&self, by: &NodeId, seq: UnixMicros) -> bool {
        let is_of_use = |held: &Held| held.proposal.seq == seq || seq.since(held.proposal.seq) >= LEAST_BETWEEN;
        self.0.get(by).is_some_and(|held| !is_of_use(held))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many others propose.
    pub(crate) fn others(&self, own: &NodeId) -> usize {
        self.0.len() - usize::from(self.0.contains_key(own))
    }

    /// How many say what.
    pub(crate) fn causes(&self) -> BTreeMap<&'static str, usize> {
        let mut causes = BTreeMap::new();
        for held in self.0.values() {
            *causes.entry(cause_name(held.proposal.cause)).or_default() += 1;
        }
        causes
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (UnixMicros, &SignedRecord)> {
        self.0.values().map(|held| (held.proposal.seq, &held.record))
    }

    /// Forgets what counts no more.
    pub(crate) fn expire(&mut self, now: UnixMicros) {
        self.0.retain(|_, held| held.proposal.expires > now);
    }

    /// The links were chosen anew since: what was said before is answered.
    pub(crate) fn answer(&mut self, at: UnixMicros) {
        self.0.retain(|_, held| held.proposal.seq > at);
    }

    pub(crate) fn forget(&mut self, by: &NodeId) {
        self.0.remove(by);
    }
}

/// The name in documents.
pub(crate) fn cause_name(cause: RebuildCause) -> &'static str {
    match cause {
        RebuildCause::LongWays => "long_ways",
        RebuildCause::UnevenLoad => "uneven_load",
        RebuildCause::IdleLinks => "idle_links",
        RebuildCause::Other => "other",
    }
}
