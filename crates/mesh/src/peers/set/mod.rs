//! The links of a node that knows more members than it can link: a bounded, mixed set.
//!
//! Neighbours in the order of ids are a must: they make the mesh one, whoever dies, and a message that goes nearer to its
//! destination with each hop arrives. A few links lead to those nearest by round trip, the others far, to members this
//! node chose itself. Each end tells the other what it keeps a link for; what an end needs as neighbour stays.
//! Up to `max_links` members all of this rests, and every member is linked.

mod admission;
mod anchors;
mod around;
mod crowds;
mod draw;
mod eviction;
mod far;
mod group;
mod knocks;
mod nearest;
mod parting;
mod picks;
mod purposes;
mod redraw;
mod shape;
mod shortcut;
mod shuffle;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::message::{LinkPurpose, Peers as Message, Role};
use meshline_protocol::{Code, Message as Wire, NodeId};

pub(crate) use admission::{Admission, Newcomer};
pub(crate) use group::{Group, is_counted};
pub(crate) use purposes::Purposes;
use redraw::Redraw;
pub(crate) use redraw::{RedrawPlan, Redrawn};

use super::book::Book;
use crate::config::Topology;
use crate::gossip::{Known, Members};
use crate::link::{Link, Links};
use crate::now::Mono;
use crate::report::LinkSetReport;
use crate::shared::Shared;
use around::{Answered, Side};
use parting::Parting;
use picks::Picks;
use shape::Shape;
use shortcut::Shortcuts;
use trial::Trials;

/// Least time between two choices: members and links come in bursts.
const PACE: Duration = Duration::from_millis(100);

/// Between choices when nothing happens, for round trips change too; and while there are guests to be judged.
const REVIEW: Duration = Duration::from_secs(30);
const JUDGE: Duration = Duration::from_secs(1);

/// What the choice is made from.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) links: &'a Links,
    pub(crate) members: &'a Members,
    pub(crate) book: &'a Book,
}

/// What follows from a choice.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Members that should be linked from now on; `None` if all of them should.
    pub(crate) wanted: Option<BTreeSet<NodeId>>,
    /// Links that are to be ended.
    pub(crate) ended: Vec<NodeId>,
    /// Links that bear traffic again: guests that stay, and others that were to go.
    pub(crate) promoted: Vec<NodeId>,
    /// Links that end soon and bear nothing new.
    pub(crate) parted: Vec<NodeId>,
    /// All links have been chosen anew.
    pub(crate) redrawn: Option<Redrawn>,
}

/// The choice of links.
#[derive(Debug, Default)]
pub(crate) struct LinkSet {
    /// What is kept for what; `None` while every member is linked.
    shape: Option<Shape>,
    sides: [Side; 2],
    answered: Answered,
    ring: BTreeSet<NodeId>,
    near: BTreeSet<NodeId>,
    far: Picks,
    /// Named by the configuration, and the proxies that are kept.
    kept: BTreeSet<NodeId>,
    /// What peers told of their ends, and what they were told of ours.
    theirs: BTreeMap<NodeId, Purposes>,
    told: BTreeMap<NodeId, Purposes>,
    /// Peers that are linked for a moment only, with the time they came.
    guests: BTreeMap<NodeId, Mono>,
    /// Links that this node tries.
    trials: Trials,
    shortcuts: Shortcuts,
    /// Members found of which peers told first.
    brought: BTreeMap<NodeId, u32>,
    /// Links that end soon.
    parting: Parting,
    /// While all are chosen anew.
    redraw: Option<Redraw>,
    choose_at: Option<Mono>,
    chosen_at: Mono,
    /// From then on another newcomer may take the place of somebody else.
    let_in_at: Mono,
    /// From then on another young link may go for a neighbour.
    young_at: Mono,
    /// The next exchange of members found of late, with whom the last one was, and when others wanted theirs.
    shuffle_at: Mono,
    shuffled_with: Option<NodeId>,
    shuffled: BTreeMap<NodeId, Mono>,
}

impl LinkSet {
    /// Whether there are more members than links.
    pub(crate) fn is_bounded(&self) -> bool {
        self.shape.is_some()
    }

    /// Links below which more are looked for; 0 while every member is linked.
    pub(crate) fn fill(&self) -> usize {
        self.shape.map_or(0, |shape| shape.fill)
    }

    /// Something bears on the choice.
    pub(crate) fn changed(&mut self, now: Mono) {
        let at = now.max(self.chosen_at.after(PACE));
        self.choose_at = Some(self.choose_at.map_or(at, |planned| planned.min(at)));
    }

    /// The choice waits for nothing.
    pub(crate) fn choose_now(&mut self, now: Mono) {
        self.choose_at = Some(now);
    }

    /// Whether not all are linked where there are more members than links.
    pub(crate) fn may_be_bounded(&self, shared: &Shared) -> bool {
        shape_of(shared).is_some()
    }

    pub(crate) fn is_due(&self, now: Mono) -> bool {
        self.choose_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.choose_at
    }

    /// Chooses anew.
    pub(crate) fn choose(&mut self, kept: BTreeSet<NodeId>, around: Around<'_>, shared: &mut Shared) -> Choice {
        (self.chosen_at, self.choose_at) = (shared.now.mono, None);
        self.forget(shared);
        let Some(shape) = self.reshape(around.members, shared) else {
            return self.unbound(shared);
        };
        self.kept = kept;
        let mut wanted = self.choose_ring(shape, around.members, shared);
        self.choose_near(shape, around.links, shared);
        let mut choice = Choice::default();
        self.end_parted(shape, around, (&*shared, &mut choice));
        self.judge_guests(shape, around, (&mut *shared, &mut choice));
        self.judge_trials(shape, &*shared, &mut choice);
        self.review_shortcuts(shape, around, (&mut *shared, &mut choice));
        let regular = self.regular(shared) + self.count_unparted(shared);
        let search_at = self.far.review(shape, regular, (around, &mut *shared));
        wanted.extend(self.far.ids().chain(self.kept.iter().copied()).chain(self.shortcuts.own()));
        choice.wanted = Some(wanted);
        self.part(shape, (&mut *shared, &mut choice));
        if self.is_redrawing() {
            self.mark_surplus(shape, around, shared);
        } else {
            self.trim(shape, around, (&mut *shared, &mut choice));
            self.end_needless(shape, around, (&mut *shared, &mut choice));
        }
        self.tell(&choice.ended, shared);
        self.plan(search_at, shared);
        choice
    }

    /// Which members count depends on how many there are, with some slack so that one that comes and goes changes nothing.
    fn reshape(&mut self, members: &Members, shared: &Shared) -> Option<Shape> {
        let config = &shared.config;
        let shape = shape_of(shared);
        let most = if self.shape.is_some() { config.max_links - config.max_links / 8 } else { config.max_links };
        // Most of the time that is all there is to it.
        let may_exceed = members.len() > most;
        let now = shared.judged();
        let exceeds = || members.iter().filter(|known| known.is_current(now)).take(most + 1).count() > most;
        // What parts is to end, or to bear traffic again, before every member is linked.
        self.shape = shape.filter(|_| (may_exceed && exceeds()) || !self.parting.is_empty());
        self.shape
    }

    /// Every member is linked from now on, and whoever is linked stays.
    fn unbound(&mut self, shared: &mut Shared) -> Choice {
        let all = Purposes::from_iter([LinkPurpose::All]);
        for (peer, before) in std::mem::take(&mut self.told) {
            if before != all {
                shared.send(&peer, Wire::Peers(Message::Purpose(all.told())));
            }
        }
        (self.ring, self.near, self.kept) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let is_up = |id: &NodeId| shared.up.contains_key(id);
        let guests = std::mem::take(&mut self.guests).into_keys().filter(is_up);
        let promoted = guests.chain(self.trials.end(shared)).collect();
        (self.redraw, self.shortcuts) = (None, Shortcuts::default());
        self.far.rest();
        Choice { promoted, ..Choice::default() }
    }

    /// Nothing is kept of who is not linked any more.
    fn forget(&mut self, shared: &Shared) {
        let is_up = |id: &NodeId| shared.up.contains_key(id);
        self.theirs.retain(|id, _| is_up(id));
        self.told.retain(|id, _| is_up(id));
        self.brought.retain(|id, _| is_up(id));
        self.shuffled.retain(|id, _| is_up(id));
        self.near.retain(is_up);
        self.parting.retain(is_up);
    }

    /// What this node keeps a link for.
    fn own_purposes(&self, id: &NodeId, shared: &Shared) -> Purposes {
        let mut purposes = Purposes::default();
        let sets = [
            (LinkPurpose::Ring, self.ring.contains(id)),
            (LinkPurpose::Near, self.near.contains(id)),
            (LinkPurpose::Far, self.far.has(id)),
            (LinkPurpose::Configured, self.kept.contains(id)),
            (LinkPurpose::Shortcut, self.shortcuts.is_own(id)),
            (LinkPurpose::Entry, self.shape.is_some_and(|shape| shape.is_poor(shared.up.len()))),
        ];
        sets.into_iter().filter(|(_, is_so)| *is_so).for_each(|(purpose, _)| purposes.add(purpose));
        purposes
    }

    /// Tells peers what changed.
    fn tell(&mut self, ended: &[NodeId], shared: &mut Shared) {
        let peers: Vec<NodeId> = shared.up.keys().filter(|id| !ended.contains(id)).copied().collect();
        for peer in peers {
            let purposes = self.own_purposes(&peer, shared);
            if self.told.insert(peer, purposes) != Some(purposes) {
                shared.send(&peer, Wire::Peers(Message::Purpose(purposes.told())));
            }
        }
    }

    /// When to choose again if nothing happens.
    fn plan(&mut self, search_at: Option<Mono>, shared: &Shared) {
        let now = shared.now.mono;
        let judge_at = (!self.guests.is_empty()).then(|| now.after(JUDGE));
        let review = [Some(now.after(REVIEW)), search_at, judge_at].into_iter().flatten();
        self.choose_at =
            self.sides.iter().filter_map(Side::next_timeout).chain(review).chain(self.redraw_timeout()).min();
        let ends = [self.parting.next_timeout(), self.trials.next_timeout(), self.shortcuts.next_timeout(now)];
        self.choose_at = self.choose_at.into_iter().chain(ends.into_iter().flatten()).min();
    }

    /// Links that are meant to stay.
    fn regular(&self, shared: &Shared) -> usize {
        self.regular_but(&[], shared)
    }

    /// The same without those that are about to end.
    fn regular_but(&self, ended: &[NodeId], shared: &Shared) -> usize {
        let is_regular = |id: &&NodeId| {
            !self.guests.contains_key(id)
                && !self.shortcuts.has(id)
                && !self.is_old(id)
                && !self.parting.has(id)
                && !ended.contains(id)
        };
        shared.up.keys().filter(is_regular).count()
    }

    /// A peer told what it keeps the link for.
    pub(crate) fn handle_purpose(&mut self, from: NodeId, purposes: Purposes, now: Mono) {
        self.theirs.insert(from, purposes);
        self.changed(now);
    }

    /// A member was found of which a peer told first. Of peers that are not linked any more it is forgotten.
    pub(crate) fn note_brought(&mut self, by: NodeId) {
        let brought = self.brought.entry(by).or_default();
        *brought = brought.saturating_add(1);
    }

    /// Whether more links are badly needed.
    pub(crate) fn is_poor(&self, shared: &Shared) -> bool {
        self.shape.is_some_and(|shape| shape.is_poor(shared.up.len()))
    }

    /// Somebody named these members as worth a try.
    pub(crate) fn hint(&mut self, ids: impl Iterator<Item = NodeId>, now: Mono) {
        if self.is_bounded() {
            self.far.hint(ids);
            self.changed(now);
        }
    }

    /// An attempt at a member failed, or its link ended.
    pub(crate) fn failed(&mut self, id: NodeId, code: Code, now: Mono) {
        self.guests.remove(&id);
        self.parting.forget(&id);
        self.trials.forget(&id);
        self.shortcuts.forget(&id, now);
        self.answered.note(id, code, now);
        if self.is_bounded() {
            self.far.failed(id, code, now);
        }
        self.changed(now);
    }

    /// Whether a link that came up is there for a moment only.
    pub(crate) fn is_guest(&self, id: &NodeId) -> bool {
        self.guests.contains_key(id)
    }

    /// Whether a link bears traffic: it is there for more than a moment, and not about to end.
    pub(crate) fn bears(&self, id: &NodeId) -> bool {
        !self.guests.contains_key(id) && !self.trials.has(id) && !self.is_parting(id)
    }

    /// What the two ends of a link keep it for: ours, and theirs as they told.
    pub(crate) fn purposes(&self, id: &NodeId) -> (Purposes, Purposes) {
        let all = Purposes::from_iter([LinkPurpose::All]);
        let ours = if self.is_bounded() { self.told.get(id).copied().unwrap_or_default() } else { all };
        (ours, self.theirs.get(id).copied().unwrap_or(all))
    }

    pub(crate) fn report(&self, (tried, heard): (usize, usize), shared: &Shared) -> LinkSetReport {
        let regular = self.regular(shared);
        LinkSetReport {
            bounded: self.is_bounded(),
            ring: self.ring.len(),
            near: self.near.len(),
            far: self.far.ids().filter(|id| shared.up.contains_key(id)).count(),
            guests: self.guests.len(),
            shortcuts: self.count_shortcuts(shared),
            others: regular.saturating_sub(shared.up.keys().filter(|id| self.is_own(id)).count()),
            room: self.shape.map_or(shared.config.max_links, |shape| shape.room),
            tried,
            heard,
        }
    }

    /// Whether a link leads to a prefix from which many come by themselves.
    fn is_of_many(&self, id: &NodeId, links: &Links, shared: &Shared) -> bool {
        link_to(id, links, shared).is_some_and(|link| self.far.knocks.are_many(&link.remote))
    }

    /// Whether this node needs a link itself.
    fn is_own(&self, id: &NodeId) -> bool {
        self.ring.contains(id) || self.near.contains(id) || self.far.has(id) || self.kept.contains(id)
    }
}

/// The shape for the configuration. On a ring the order decides who is linked, and a proxy is there for whoever comes.
fn shape_of(shared: &Shared) -> Option<Shape> {
    let config = &shared.config;
    Shape::of(config.max_links).filter(|_| config.topology == Topology::Mesh && !config.is_proxy())
}

/// Whether a member can be a neighbour or the end of a long link.
pub(crate) fn is_linkable(known: &Known, judged: meshline_protocol::UnixMicros) -> bool {
    known.is_current(judged) && !known.member.has_role(Role::View)
}

/// The link in use to a peer.
fn link_to<'a>(id: &NodeId, links: &'a Links, shared: &Shared) -> Option<&'a Link> {
    links.get(shared.up.get(id)?.link)
}

#[cfg(test)]
mod tests;
