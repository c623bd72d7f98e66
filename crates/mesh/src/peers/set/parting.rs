//! Links that end without anything being lost: nothing new is sent over them first, others hear that they end, and they go when
//! what was under way has arrived. One that was idle goes at once.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::shape::Shape;
use super::{Around, Choice, LinkSet, link_to};
use crate::now::Mono;
use crate::shared::Shared;

/// A link on which nothing is sent any more is open so long: others hear that it ends, of which an advertisement tells after
/// two seconds at the most, and what is under way arrives.
pub(super) const PARTED: Duration = Duration::from_secs(4);

/// Links that part at once, and stand above the limit meanwhile: a new neighbour on each side takes their place. Where more
/// are too many the next one waits; if another neighbour comes before, the one that has parted longest goes early.
pub(super) const MAX_PARTING: usize = 2;

/// The links that part, with the time since when.
#[derive(Debug, Default)]
pub(super) struct Parting(BTreeMap<NodeId, Mono>);

impl Parting {
    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn forget(&mut self, id: &NodeId) {
        self.0.remove(id);
    }

    /// One that parted elsewhere ends now: until it has, it bears nothing.
    pub(super) fn go_on(&mut self, id: NodeId, now: Mono) {
        self.0.insert(id, now);
    }

    pub(super) fn retain(&mut self, is_up: impl Fn(&NodeId) -> bool) {
        self.0.retain(|id, _| is_up(id));
    }

    /// The one that has parted longest, if no other may part beside them.
    pub(super) fn longest_if_full(&self) -> Option<NodeId> {
        let is_full = self.0.len() >= MAX_PARTING;
        self.0.iter().min_by_key(|(_, since)| **since).filter(|_| is_full).map(|(id, _)| *id)
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.0.values().map(|since| since.after(PARTED)).min()
    }
}

impl LinkSet {
    /// Links that part.
    pub(super) fn count_parting(&self, shared: &Shared) -> usize {
        self.parting.0.keys().filter(|id| shared.up.contains_key(id)).count()
    }

    /// Whether something may be under way on a link.
    pub(super) fn is_used(&self, id: &NodeId, around: Around<'_>, shared: &Shared) -> bool {
        link_to(id, around.links, shared).is_some_and(|link| link.is_active(shared.now.mono))
    }

    /// A link parts from now on, if not too many do.
    pub(super) fn begin_parting(&mut self, id: NodeId, now: Mono) -> bool {
        let has_room = self.parting.0.len() < MAX_PARTING;
        if has_room {
            self.parting.0.insert(id, now);
            self.far.give_up(&id);
            self.shortcuts.forget(&id, now);
            self.changed(now);
        }
        has_room
    }

    /// Links that parted long enough end; those that this node needs again, or as whose neighbour it is needed, stay.
    pub(super) fn end_parted(&mut self, shape: Shape, around: Around<'_>, (shared, choice): (&Shared, &mut Choice)) {
        let now = shared.now.mono;
        for (id, since) in std::mem::take(&mut self.parting.0) {
            if self.is_own(&id) || self.is_needed_there(shape, &id, around, shared) {
                choice.promoted.push(id);
            } else {
                // It parts until it has ended: others have heard of that.
                self.parting.0.insert(id, since);
                choice.ended.extend((now.since(since) >= PARTED).then_some(id));
            }
        }
    }
}
