//! The members known, each with its newest announcement.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::limits::MAX_IDS;
use meshline_protocol::message::{Role, SummaryEntry};
use meshline_protocol::{NodeId, SignedRecord, UnixMicros};

use super::kept::MAX_TALKED;
use crate::now::Mono;
use crate::shared::Shared;

/// Members known at most; a record is a kilobyte, so this is a few megabytes. Beyond it new ones are ignored.
pub(crate) const MAX_MEMBERS: usize = 4_096;

/// A member with what we know beside its announcement.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) member: Arc<Member>,
    /// Its goodbye, if it came after that announcement.
    pub(crate) departure: Option<Box<SignedRecord>>,
}

impl Known {
    pub(crate) fn has_left(&self) -> bool {
        self.departure.is_some()
    }

    /// The member, if this is the announcement it was admitted by, whose signatures need no second look. Its dates do.
    pub(crate) fn judged_before(&self, record: &SignedRecord) -> Option<Arc<Member>> {
        (!self.has_left() && self.member.record == *record).then(|| Arc::clone(&self.member))
    }

    /// Whether its announcement holds: it has not left and not been silent for longer than that.
    pub(crate) fn is_current(&self, now: UnixMicros) -> bool {
        !self.has_left() && self.member.expires > now
    }
}

/// The members known.
#[derive(Debug, Default)]
pub(crate) struct Members {
    known: BTreeMap<NodeId, Known>,
    /// Those of them that are proxies: few, and looked for whenever links change.
    proxies: BTreeSet<NodeId>,
    /// Members asked for, or that asked for us, and when.
    talked: BTreeMap<NodeId, Mono>,
}

impl Members {
    /// Takes in an announcement and says whether it is newer than what was known.
    pub(crate) fn insert(&mut self, member: Arc<Member>) -> bool {
        let known = self.known.get(&member.id).map(|known| known.member.seq);
        if known.is_some_and(|seq| seq >= member.seq) {
            return false;
        }
        if known.is_none() && self.known.len() >= MAX_MEMBERS && !self.make_room(member.seq) {
            return false;
        }
        if member.has_role(Role::Proxy) {
            self.proxies.insert(member.id);
        } else {
            self.proxies.remove(&member.id);
        }
        self.known.insert(member.id, Known { member, departure: None });
        true
    }

    /// Forgets whose announcement ended first, if it has ended by the time of a new one.
    fn make_room(&mut self, now: UnixMicros) -> bool {
        let oldest = self.known.values().min_by_key(|known| (!known.has_left(), known.member.expires));
        let over = oldest.filter(|known| !known.is_current(now)).map(|known| known.member.id);
        over.is_some_and(|id| self.remove(&id).is_some())
    }

    /// Takes in a departure and says whether it is news.
    pub(crate) fn leave(&mut self, record: &SignedRecord, seq: UnixMicros) -> bool {
        match self.known.get_mut(&record.by) {
            Some(known) if !known.has_left() && known.member.seq < seq => {
                known.departure = Some(Box::new(record.clone()));
                // What was announced before cannot come back through gossip.
                Arc::make_mut(&mut known.member).seq = seq;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Goodbyes that a peer's summary shows it has not heard.
    pub(crate) fn departures_for(&self, entries: &[SummaryEntry]) -> Vec<SignedRecord> {
        let unheard = |entry: &SummaryEntry| {
            let known = self.known.get(&entry.id).filter(|known| known.member.seq > entry.seq)?;
            known.departure.as_deref().cloned()
        };
        entries.iter().filter_map(unheard).collect()
    }

    /// A member was asked for, or asked for us.
    pub(super) fn talked(&mut self, id: NodeId, now: Mono) {
        self.talked.insert(id, now);
        if self.talked.len() > MAX_TALKED {
            let oldest = self.talked.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id);
            oldest.map(|id| self.talked.remove(&id));
        }
    }

    pub(super) fn was_talked(&self, id: &NodeId) -> bool {
        self.talked.contains_key(id)
    }

    pub(super) fn forget_talked(&mut self, now: Mono, after: Duration) {
        self.talked.retain(|_, at| now.since(*at) < after);
    }

    /// Whether fewer than so many members are known between two places on the ring of ids, on one side or the other.
    pub(super) fn is_ring_near(&self, id: &NodeId, own: &NodeId, most: usize) -> bool {
        let between = |from: &NodeId, to: &NodeId| {
            let (behind, wrapped) = if from < to { (to, None) } else { (&NodeId::from_bytes([255; 32]), Some(to)) };
            let ahead = self.known.range((Bound::Excluded(from), Bound::Excluded(behind)));
            let around = wrapped.into_iter().flat_map(|to| self.known.range(..to));
            ahead.chain(around).take(most).count() < most
        };
        id != own && (between(own, id) || between(id, own))
    }

    pub(crate) fn remove(&mut self, id: &NodeId) -> Option<Known> {
        self.proxies.remove(id);
        self.known.remove(id)
    }

    /// The proxies among them that have not left.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = &Known> {
        self.proxies.iter().filter_map(|id| self.known.get(id)).filter(|known| !known.has_left())
    }

    pub(crate) fn get(&self, id: &NodeId) -> Option<&Known> {
        self.known.get(id)
    }

    /// The member a record is about, if it was admitted by just this record.
    pub(crate) fn judged_before(&self, record: &SignedRecord) -> Option<Arc<Member>> {
        self.known.get(&record.by)?.judged_before(record)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// All in the order of ids, round the ring: from the one behind an id.
    pub(crate) fn clockwise(&self, from: &NodeId) -> impl Iterator<Item = &Known> {
        let behind = self.known.range((Bound::Excluded(*from), Bound::Unbounded));
        behind.chain(self.known.range(..=*from)).map(|(_, known)| known)
    }

    /// The other way round: from the one before an id.
    pub(crate) fn counterclockwise(&self, from: &NodeId) -> impl Iterator<Item = &Known> {
        self.known.range(..*from).rev().chain(self.known.range(*from..).rev()).map(|(_, known)| known)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn entries(&self, now: UnixMicros) -> impl Iterator<Item = SummaryEntry> {
        self.known
            .values()
            .filter(move |known| known.is_current(now))
            .map(|known| SummaryEntry { id: known.member.id, seq: known.member.seq })
    }

    pub(crate) fn records_of<'a>(&self, ids: impl Iterator<Item = &'a NodeId>, now: UnixMicros) -> Vec<SignedRecord> {
        ids.filter_map(|id| self.known.get(id))
            .filter(|known| known.is_current(now))
            .map(|known| known.member.record.clone())
            .collect()
    }

    /// Announcements, our own among them, that are newer here than in a peer's summary.
    pub(crate) fn newer_than(
        &self,
        entries: &[SummaryEntry],
        own: (NodeId, UnixMicros),
        shared: &Shared,
    ) -> Vec<SignedRecord> {
        let theirs: BTreeMap<NodeId, UnixMicros> = entries.iter().map(|entry| (entry.id, entry.seq)).collect();
        // A full summary is a piece of what the peer holds: of ids outside it nothing is known.
        let piece = entries.first().zip(entries.last()).filter(|_| entries.len() >= MAX_IDS);
        let covered = |id: &NodeId| piece.is_none_or(|(first, last)| (first.id..=last.id).contains(id));
        let newer = |id: &NodeId, seq: UnixMicros| theirs.get(id).map_or_else(|| covered(id), |known| *known < seq);
        let now = shared.judged();
        let others =
            self.known.values().filter(|known| known.is_current(now) && newer(&known.member.id, known.member.seq));
        let own = newer(&own.0, own.1).then(|| shared.announcement.clone());
        own.into_iter().chain(others.map(|known| known.member.record.clone())).collect()
    }

    /// Members of whom a peer's summary has something newer.
    pub(crate) fn older_than(&self, entries: &[SummaryEntry], own: NodeId) -> Vec<NodeId> {
        let older = |entry: &&SummaryEntry| {
            entry.id != own && self.known.get(&entry.id).is_none_or(|known| known.member.seq < entry.seq)
        };
        entries.iter().filter(older).map(|entry| entry.id).collect()
    }
}
