//! The orders that are held, and which of them stands.
//!
//! Which one stands follows from the records alone, so that all who hold the same agree, in whatever order they came: of two
//! that are in each other's way the one that was signed first, unless it was ended.

use std::collections::BTreeMap;

use meshline_identity::{RebuildRecord, RebuildWord};
use meshline_protocol::message::{RebuildAbort, RebuildOrder};
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

/// Least time between the instants of two orders, in microseconds: what one takes to be done and over, three times.
pub(crate) const LEAST_INTERVAL: i64 = 60_000_000;

/// Orders held, and as many ends of orders: there is one at a time, and some that lost against it.
pub(crate) const MAX_HELD: usize = 8;

/// Of these so many of one member: one that is planned, one that was ended for it, and one that was done before. With a day
/// between an order and its instant a single member could keep everybody else from ordering anything.
pub(crate) const MAX_HELD_EACH: usize = 3;

/// The name of an order: its sequence, then its author.
pub(crate) type Key = (UnixMicros, NodeId);

/// An order that is held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) order: RebuildOrder,
    pub(crate) record: SignedRecord,
    membership_seq: Option<UnixMicros>,
}

impl Held {
    pub(crate) fn key(&self) -> Key {
        (self.order.seq, self.record.by)
    }
}

/// The end of an order.
#[derive(Clone, Debug)]
struct End {
    abort: RebuildAbort,
    record: SignedRecord,
    membership_seq: Option<UnixMicros>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is held now.
    News,
    /// It was.
    Known,
    /// There is no room.
    Full,
}

/// Orders and their ends.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    orders: BTreeMap<Key, Held>,
    ends: BTreeMap<Key, End>,
}

impl Orders {
    /// Takes in an order or the end of one. With no room left those of the network key take the place of a member's.
    pub(crate) fn put(&mut self, judged: RebuildRecord, record: &SignedRecord) -> Taken {
        let (key, membership_seq) = ((judged.seq(), record.by), judged.membership_seq);
        match judged.word {
            RebuildWord::Order(order) => {
                if self.orders.contains_key(&key) {
                    return Taken::Known;
                }
                let is_members = |held: &Held| held.membership_seq.is_some();
                if !make_room(&key, membership_seq.is_some(), &mut self.orders, is_members) {
                    return Taken::Full;
                }
                self.orders.insert(key, Held { order, record: record.clone(), membership_seq });
                Taken::News
            }
            RebuildWord::Abort(abort) => {
                if self.ends.contains_key(&key) {
                    return Taken::Known;
                }
                let is_members = |end: &End| end.membership_seq.is_some();
                if !make_room(&key, membership_seq.is_some(), &mut self.ends, is_members) {
                    return Taken::Full;
                }
                self.ends.insert(key, End { abort, record: record.clone(), membership_seq });
                Taken::News
            }
            RebuildWord::Proposal(_) => Taken::Known,
        }
    }

    /// Whether an order was ended before its instant.
    pub(crate) fn ended_by(&self, key: &Key, network: &NetworkId) -> Option<NodeId> {
        let held = self.orders.get(key)?;
        let ends = |end: &&End| {
            (end.abort.rebuild, end.abort.by) == *key
                && end.abort.seq < held.order.at
                && RebuildWord::may_end(network, &end.record.by, &key.1)
        };
        self.ends.values().find(ends).map(|end| end.record.by)
    }

    /// The orders that stand, by when they were signed.
    pub(crate) fn standing(&self, network: &NetworkId) -> Vec<&Held> {
        let mut standing: Vec<&Held> = Vec::new();
        for held in self.orders.values().filter(|held| self.ended_by(&held.key(), network).is_none()) {
            if !standing.iter().any(|other| are_in_the_way(&other.order, &held.order)) {
                standing.push(held);
            }
        }
        standing
    }

    /// The order that would be in the way of a new one.
    pub(crate) fn rival_of(&self, key: Key, order: &RebuildOrder, network: &NetworkId) -> Option<&RebuildOrder> {
        let standing = self.standing(network).into_iter().filter(|held| held.key() != key);
        standing.map(|held| &held.order).find(|other| are_in_the_way(other, order))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Held> {
        self.orders.get(key)
    }

    /// The record that was signed with this key and sequence.
    pub(crate) fn named(&self, by: &NodeId, seq: UnixMicros) -> Option<&SignedRecord> {
        let key = (seq, *by);
        self.orders.get(&key).map(|held| &held.record).or_else(|| self.ends.get(&key).map(|end| &end.record))
    }

    /// All of them, to be kept on disk and told to peers.
    pub(crate) fn records(&self) -> impl Iterator<Item = (UnixMicros, &SignedRecord)> {
        let orders = self.orders.iter().map(|(key, held)| (key.0, &held.record));
        orders.chain(self.ends.iter().map(|(key, end)| (key.0, &end.record)))
    }

    /// Forgets what has ended. Says whether that was anything.
    pub(crate) fn expire(&mut self, now: UnixMicros) -> bool {
        let before = self.orders.len() + self.ends.len();
        self.orders.retain(|_, held| held.order.expires > now);
        self.ends.retain(|_, end| end.abort.expires > now);
        self.orders.len() + self.ends.len() < before
    }

    /// A member was expelled: what it signed is nobody's word.
    pub(crate) fn forget(&mut self, by: &NodeId) {
        self.orders.retain(|(_, author), _| author != by);
        self.ends.retain(|(_, author), _| author != by);
    }
}

/// Of two orders one at most can be done: the later was signed before the earlier one's instant, or their instants are
/// too near.
fn are_in_the_way(one: &RebuildOrder, other: &RebuildOrder) -> bool {
    one.seq.max(other.seq) < one.at.min(other.at) || one.at.since(other.at).abs() < LEAST_INTERVAL
}

/// Makes room for one more. Of one member those stay that were signed first, whatever order they came in; where there is no
/// room for all, the last one of a member gives way to the network key.
fn make_room<T>(key: &Key, is_members: bool, held: &mut BTreeMap<Key, T>, is_by_member: impl Fn(&T) -> bool) -> bool {
    let of_signer = || held.keys().filter(|(_, by)| *by == key.1);
    let last = of_signer().next_back().copied();
    if is_members && of_signer().count() >= MAX_HELD_EACH {
        return last.is_some_and(|last| last > *key && held.remove(&last).is_some());
    }
    if held.len() < MAX_HELD {
        return true;
    }
    let last = held.iter().rev().find(|(_, held)| is_by_member(held)).map(|(key, _)| *key);
    !is_members && last.is_some_and(|last| held.remove(&last).is_some())
}

#[cfg(test)]
mod tests;
