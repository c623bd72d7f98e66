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
                let last = self.orders.iter().rev().find(|(_, held)| held.membership_seq.is_some());
                if self.orders.len() >= MAX_HELD
                    && !give_way(last.map(|(key, _)| *key), membership_seq, &mut self.orders)
                {
                    return Taken::Full;
                }
                self.orders.insert(key, Held { order, record: record.clone(), membership_seq });
                Taken::News
            }
            RebuildWord::Abort(abort) => {
                if self.ends.contains_key(&key) {
                    return Taken::Known;
                }
                let last = self.ends.iter().rev().find(|(_, end)| end.membership_seq.is_some());
                if self.ends.len() >= MAX_HELD && !give_way(last.map(|(key, _)| *key), membership_seq, &mut self.ends) {
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

/// Makes room for what the network key signed.
fn give_way<T>(last: Option<Key>, membership_seq: Option<UnixMicros>, held: &mut BTreeMap<Key, T>) -> bool {
    membership_seq.is_none() && last.is_some_and(|last| held.remove(&last).is_some())
}

#[cfg(test)]
mod tests;
