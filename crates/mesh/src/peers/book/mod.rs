//! The book of known addresses: members heard of, and members that this node itself found where they say they are.
//!
//! Each entry has one bucket, found by a hash with a secret key: those heard of by who told of them, those tried by
//! where they are. Whoever has few network prefixes therefore reaches few buckets, however many addresses it makes up. A
//! bucket that is full keeps what works: who would take a place in it waits until the one that has it was tried and did
//! not answer.

mod buckets;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use meshline_identity::Member;
use meshline_protocol::{Address, NodeId, UnixMicros};

use super::set::{Group, is_counted};
use crate::shared::Shared;
use buckets::{Buckets, Keyed};

/// Buckets and their places for those tried. Gossip knows 4,096 members at most, and of more addresses than that a node
/// with 64 links has no use; an entry shares its record with gossip, so a full book is some hundred kilobytes.
const TRIED_BUCKETS: u16 = 64;
const TRIED_PLACES: usize = 16;

/// The same for those heard of.
const NEW_BUCKETS: u16 = 128;
const NEW_PLACES: usize = 16;

/// Buckets that one prefix reaches among the tried, and one teller among those heard of: a sixteenth of all.
const TRIED_SPREAD: u64 = 4;
const NEW_SPREAD: u64 = 8;

/// Failures in a row after which an entry gives its place to another one.
const TERRIBLE: u8 = 3;

/// Places that somebody waits for, until who has them was tried.
const MAX_CHALLENGES: usize = 16;

/// One member.
#[derive(Debug)]
struct Entry {
    member: Arc<Member>,
    is_tried: bool,
    bucket: u16,
    /// Failures since it was found last.
    failures: u8,
    /// When it was found last, and where: that it is at its other addresses only it says.
    found: UnixMicros,
    found_at: Option<Address>,
    /// The peer that told of it first, until it was found.
    brought_by: Option<NodeId>,
}

/// The book.
#[derive(Debug)]
pub(crate) struct Book {
    key: Keyed,
    /// Whether this node itself is in a lab, where all members have the same prefix.
    in_lab: bool,
    entries: BTreeMap<NodeId, Entry>,
    tried: Buckets,
    heard: Buckets,
    /// Who waits for the place of whom.
    challenges: VecDeque<(NodeId, NodeId)>,
}

/// One that anybody can compute, for nodes without a secret.
impl Default for Book {
    fn default() -> Self {
        Self::new([0; 32], &[])
    }
}

impl Book {
    pub(crate) fn new(secret: [u8; 32], own: &[Address]) -> Self {
        Self {
            key: Keyed::new(secret),
            in_lab: !own.is_empty() && own.iter().all(|address| !is_counted(address)),
            entries: BTreeMap::new(),
            tried: Buckets::new(TRIED_BUCKETS, TRIED_PLACES),
            heard: Buckets::new(NEW_BUCKETS, NEW_PLACES),
            challenges: VecDeque::new(),
        }
    }

    /// Whether this node is where all members have the same prefix.
    pub(crate) fn is_in_lab(&self) -> bool {
        self.in_lab
    }

    /// Members tried and members only heard of.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.tried.len(), self.heard.len())
    }

    /// When a member was found last by dialling it.
    pub(crate) fn found(&self, id: &NodeId) -> Option<UnixMicros> {
        self.entries.get(id).map(|entry| entry.found).filter(|found| *found > UnixMicros::default())
    }

    /// Where a member was found last.
    pub(crate) fn found_at(&self, id: &NodeId) -> Option<&Address> {
        self.entries.get(id)?.found_at.as_ref()
    }

    pub(crate) fn is_tried(&self, id: &NodeId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.is_tried)
    }

    /// Somebody with this address told of a member; `None` if nobody did.
    pub(crate) fn note_heard(&mut self, member: &Arc<Member>, teller: Option<&Address>) {
        let Some(address) = member.addresses.first() else { return };
        if let Some(entry) = self.entries.get_mut(&member.id) {
            entry.member = Arc::clone(member);
            return;
        }
        let group = |address: &Address| self.group(address);
        let (source, own) = (teller.map(group), group(address));
        let part = self.key.hash(&(&source, &own)) % NEW_SPREAD;
        let bucket = self.heard.number(self.key.hash(&(&source, part)));
        if !self.heard.has_place(bucket) && !self.make_room(bucket) {
            return;
        }
        self.heard.insert(bucket, member.id);
        let entry = Entry {
            member: Arc::clone(member),
            is_tried: false,
            bucket,
            failures: 0,
            found: UnixMicros::default(),
            found_at: None,
            brought_by: None,
        };
        self.entries.insert(member.id, entry);
    }

    /// A peer told of a member. Who was found before, or told of by somebody else, is nobody's news.
    pub(crate) fn note_brought(&mut self, id: &NodeId, by: NodeId) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.found_at.is_none()) {
            entry.brought_by.get_or_insert(by);
        }
    }

    /// Drops somebody from a bucket of those heard of who was never found.
    fn make_room(&mut self, bucket: u16) -> bool {
        let is_terrible = |id: &NodeId| self.entries.get(id).is_none_or(|entry| entry.failures >= TERRIBLE);
        let Some(id) = self.heard.members(bucket).find(is_terrible) else { return false };
        self.remove(&id);
        true
    }

    /// A member answered at an address. Its place among the tried is that of this address, whatever others it tells of;
    /// if all places there are taken, one of those who have them must be tried before. Says who brought the news of it, if
    /// it has such a place now and had none.
    pub(crate) fn note_found(&mut self, id: NodeId, address: &Address, now: UnixMicros) -> Option<NodeId> {
        let entry = self.entries.get_mut(&id)?;
        (entry.failures, entry.found, entry.found_at) = (0, now, Some(address.clone()));
        let (is_tried, brought_by) = (entry.is_tried, entry.brought_by.take());
        self.challenges.retain(|(_, holder)| *holder != id);
        if !is_tried {
            self.promote(id);
        }
        brought_by.filter(|_| self.is_tried(&id))
    }

    /// A member that was found before is linked: it is still there.
    pub(crate) fn note_linked(&mut self, id: &NodeId, now: UnixMicros) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.is_tried) else { return };
        (entry.failures, entry.found) = (0, now);
        self.challenges.retain(|(_, holder)| holder != id);
    }

    fn promote(&mut self, id: NodeId) {
        let Some(address) = self.found_at(&id) else { return };
        let part = self.key.hash(address) % TRIED_SPREAD;
        let bucket = self.tried.number(self.key.hash(&(self.group(address), part)));
        if !self.tried.has_place(bucket) {
            let found = |id: &NodeId| self.entries.get(id).map(|entry| entry.found);
            let oldest = self.tried.members(bucket).min_by_key(found);
            let is_waiting = self.challenges.iter().any(|(one, _)| *one == id);
            if let Some(holder) = oldest.filter(|_| !is_waiting && self.challenges.len() < MAX_CHALLENGES) {
                self.challenges.push_back((id, holder));
            }
            return;
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            self.heard.remove(entry.bucket, &id);
            (entry.is_tried, entry.bucket) = (true, bucket);
            self.tried.insert(bucket, id);
        }
    }

    /// A member was not found. If somebody waits for its place, it is given up.
    pub(crate) fn note_missed(&mut self, id: &NodeId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.failures = entry.failures.saturating_add(1);
        let waiting = self.challenges.iter().position(|(_, holder)| holder == id);
        if let Some((challenger, _)) = waiting.and_then(|at| self.challenges.remove(at)) {
            self.remove(id);
            self.promote(challenger);
        }
    }

    /// A member left or was expelled.
    pub(crate) fn remove(&mut self, id: &NodeId) {
        let Some(entry) = self.entries.remove(id) else { return };
        let buckets = if entry.is_tried { &mut self.tried } else { &mut self.heard };
        buckets.remove(entry.bucket, id);
        self.challenges.retain(|(one, other)| one != id && other != id);
    }

    /// Whom to try next: whoever has a place that somebody waits for, else somebody only heard of.
    pub(crate) fn to_try(&self, shared: &mut Shared) -> Option<Arc<Member>> {
        let holder = self.challenges.front().map(|(_, holder)| *holder);
        let id = holder.or_else(|| self.heard.draw(shared))?;
        self.entries.get(&id).map(|entry| Arc::clone(&entry.member))
    }

    /// Somebody who was found before; all buckets with somebody in them are equally likely.
    pub(crate) fn draw_tried(&self, shared: &mut Shared) -> Option<Arc<Member>> {
        let id = self.tried.draw(shared)?;
        self.entries.get(&id).map(|entry| Arc::clone(&entry.member))
    }

    /// All, those first that were found; bucket by bucket in turns, so that of whatever is cut off no prefix loses more.
    pub(crate) fn in_turns(&self) -> impl Iterator<Item = NodeId> {
        self.tried.in_turns(&self.key).into_iter().chain(self.heard.in_turns(&self.key))
    }

    fn group(&self, address: &Address) -> Group {
        if self.in_lab && !is_counted(address) { Group::alone(address) } else { Group::of(address) }
    }
}

#[cfg(test)]
mod tests;
