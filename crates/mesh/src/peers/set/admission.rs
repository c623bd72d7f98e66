//! Who gets in where there is no room, and who has to go for it.
//!
//! A neighbour always gets in. Anybody else is a guest for seconds, long enough to learn of others and to be made known;
//! one with hardly any links takes the place of a link that two others can spare, and these are told of each other. How
//! often that happens is limited, and what this node chose itself is never given up, so that a crowd of newcomers
//! changes little.

use std::time::Duration;

use meshline_protocol::message::LinkPurpose;
use meshline_protocol::{Address, NodeId};

use super::eviction::{Candidate, evicted};
use super::far::position;
use super::group::is_counted;
use super::shape::Shape;
use super::{Around, Choice, LinkSet, Purposes, link_to};
use crate::now::Mono;
use crate::shared::Shared;

/// A guest stays so long at most, and at least if others want its place: gossip tells it of all members within two
/// seconds.
const GUEST_TIME: Duration = Duration::from_secs(10);
const GUEST_LEAST: Duration = Duration::from_secs(2);

/// Between two newcomers that take the place of others.
const LET_IN_PAUSE: Duration = Duration::from_secs(5);

/// A link that is younger does not go, as its ends have hardly told each other what it is for; but out of a prefix from which
/// many come there is always a young one at every place.
const SETTLED: Duration = Duration::from_secs(5);

/// Between two young links that go for neighbours: whoever makes up neighbours moves one link in this time.
const YOUNG_PAUSE: Duration = Duration::from_secs(5);

/// Peers on a side that may say that we are their neighbour, for each neighbour there is: between an honest one and us
/// there may be some that it has not found yet.
const CLAIMS: usize = 2;

/// Somebody whose hello is good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) peer: NodeId,
    /// Where it is.
    pub(crate) remote: &'a Address,
    /// It came by itself, and straight.
    pub(crate) came: bool,
    /// We dialled it.
    pub(crate) is_ours: bool,
}

/// What becomes of somebody whose hello is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is linked.
    In,
    /// It is linked, and this one goes.
    InPlaceOf(NodeId),
    /// It is linked, and this one parts and goes then.
    Beside(NodeId),
    /// The same, and this other one, which has parted longest, goes now.
    BesideInPlaceOf(NodeId, NodeId),
    /// There is no room.
    Full,
}

impl LinkSet {
    /// Judges a newcomer; `accepted` members are linked or about to be.
    pub(crate) fn admit(
        &mut self,
        newcomer: Newcomer<'_>,
        accepted: usize,
        around: Around<'_>,
        shared: &mut Shared,
    ) -> Admission {
        let Newcomer { peer, remote, is_ours, .. } = newcomer;
        if newcomer.came {
            self.far.knocks.note(peer, remote, shared.now.mono);
        }
        let Some(shape) = self.shape else {
            return if accepted < shared.config.max_links { Admission::In } else { Admission::Full };
        };
        let is_neighbour = self.would_be_neighbour(shape, &peer, shared);
        let is_wanted = (is_ours && self.is_own(&peer)) || is_neighbour || self.is_agreed(shape, &peer, shared);
        if is_ours {
            self.try_out(shape, peer, shared);
        }
        let leaving = self.count_old(shared) + self.count_parting(shared) + self.count_shortcuts(shared);
        let lasting = accepted.saturating_sub(leaving);
        let is_due = !is_wanted && lasting >= shape.room && self.is_due_place(shape, (remote, 1), around, shared);
        if !is_wanted && !is_due && lasting >= shape.room {
            if lasting >= shared.config.max_links && self.oldest_guest(shared).is_none() {
                return Admission::Full;
            }
            self.guests.insert(peer, shared.now.mono);
        }
        if accepted < shared.config.max_links + self.extra(shared) {
            return Admission::In;
        }
        let gone = self.oldest_guest(shared).filter(|guest| *guest != peer);
        let gone = gone.or_else(|| self.old_to_go(is_neighbour, shared));
        // While links are chosen anew none goes at once: something may be under way on it.
        let may_evict = is_neighbour || ((is_wanted || is_due) && !self.is_redrawing());
        if let Some(gone) = gone {
            return Admission::InPlaceOf(gone);
        }
        let victim = self.victim(shape, around, shared).filter(|_| may_evict);
        let Some(victim) = victim.map(|victim| victim.peer) else {
            let young = if is_neighbour { self.young_to_go(shape, around, shared) } else { None };
            return young.map_or(Admission::Full, Admission::InPlaceOf);
        };
        if self.is_redrawing() || !self.is_used(&victim, around, shared) {
            return Admission::InPlaceOf(victim);
        }
        // Nothing new was sent over it for longest.
        let longest = self.parting.longest_if_full();
        longest.iter().for_each(|id| self.parting.forget(id));
        let has_parted = self.begin_parting(victim, shared.now.mono);
        match longest {
            Some(longest) => Admission::BesideInPlaceOf(victim, longest),
            None if has_parted => Admission::Beside(victim),
            None => Admission::InPlaceOf(victim),
        }
    }

    /// Whether somebody has a place before those out of prefixes from which many come, `more` than are linked already: where
    /// there is no room whoever came first would keep all places otherwise.
    fn is_due_place(
        &self,
        shape: Shape,
        (remote, more): (&Address, usize),
        around: Around<'_>,
        shared: &mut Shared,
    ) -> bool {
        is_counted(remote)
            && !self.far.is_pressing(shape, remote, more, (around, &*shared))
            && self.candidates(shape, around, &*shared).iter().any(|candidate| candidate.is_pressing)
            && self.victim(shape, around, shared).is_some_and(|victim| victim.is_pressing)
    }

    /// The guest that has been linked longest. Of those that are not linked yet nobody would go.
    fn oldest_guest(&self, shared: &Shared) -> Option<NodeId> {
        let now = shared.now.mono;
        let is_settled = |id: &NodeId, since: Mono| shared.up.contains_key(id) && now.since(since) >= GUEST_LEAST;
        let settled = self.guests.iter().filter(|(id, since)| is_settled(id, **since));
        settled.min_by_key(|(_, since)| **since).map(|(id, _)| *id)
    }

    /// Whether fewer peers than there are neighbours stand between us and a member, on either side.
    fn would_be_neighbour(&self, shape: Shape, peer: &NodeId, shared: &Shared) -> bool {
        self.between(peer, shared, |id| shared.up.get(id).is_some_and(|up| !up.is_view)) < shape.side
    }

    /// The peers that stand between us and a member on the side where they are fewer.
    fn between(&self, peer: &NodeId, shared: &Shared, counts: impl Fn(&NodeId) -> bool) -> usize {
        let own = position(&shared.id);
        let (mut after, mut before) = (0, 0);
        let ahead = position(peer).wrapping_sub(own);
        for id in shared.up.keys().filter(|id| *id != peer && counts(id)) {
            if position(id).wrapping_sub(own) < ahead {
                after += 1;
            } else {
                before += 1;
            }
        }
        after.min(before)
    }

    /// Whether a peer says that we are its neighbour, and we may well be. Out of a prefix from which many come any number can
    /// say so and have an id for it: of those the neighbours stay that this node finds itself.
    pub(super) fn is_needed_there(&self, shape: Shape, peer: &NodeId, around: Around<'_>, shared: &Shared) -> bool {
        let claims = |id: &NodeId| self.theirs.get(id).is_some_and(|purposes| purposes.has(LinkPurpose::Ring));
        claims(peer)
            && !self.is_of_many(peer, around.links, shared)
            && self.between(peer, shared, claims) < shape.side * CLAIMS
    }

    /// Guests that turn out to be more stay, others go when their time is over.
    pub(super) fn judge_guests(
        &mut self,
        shape: Shape,
        around: Around<'_>,
        (shared, choice): (&mut Shared, &mut Choice),
    ) {
        let now = shared.now.mono;
        let mut guests: Vec<(Mono, NodeId)> = self.guests.iter().map(|(id, since)| (*since, *id)).collect();
        guests.sort_unstable();
        for (since, id) in guests {
            let is_up = shared.up.contains_key(&id);
            let shortcut = if is_up { self.judge_shortcut(shape, (&id, since), around, shared) } else { None };
            if let Some(stays) = shortcut {
                if stays {
                    self.guests.remove(&id);
                    choice.promoted.push(id);
                }
            } else if is_up && self.may_stay(shape, &id, around, &mut *shared) {
                self.guests.remove(&id);
                choice.promoted.push(id);
            } else if is_up && (now.since(since) >= GUEST_TIME || self.is_content(&id)) {
                // It is a guest until its link has ended: of that nobody is told either.
                choice.ended.push(id);
            } else if now.since(since) >= GUEST_TIME {
                self.guests.remove(&id);
            }
        }
    }

    fn may_stay(&mut self, shape: Shape, id: &NodeId, around: Around<'_>, shared: &mut Shared) -> bool {
        if self.is_own(id) || self.is_needed_there(shape, id, around, shared) || self.regular(shared) < shape.room {
            return true;
        }
        let asks = self.theirs.get(id).is_some_and(|purposes| purposes.has(LinkPurpose::Entry));
        let address = link_to(id, around.links, shared).map(|link| &link.remote);
        if address.is_some_and(|address| self.is_due_place(shape, (address, 0), around, &mut *shared)) {
            return true;
        }
        // It is one of those that are counted.
        let has_share = address.is_some_and(|address| self.far.has_share(shape, (address, 0), (around, &*shared)));
        let is_let_in = asks && has_share && self.let_in_at <= shared.now.mono;
        if is_let_in {
            self.let_in_at = shared.now.mono.after(LET_IN_PAUSE);
        }
        is_let_in
    }

    /// Whether a guest told what it wants, and it is not to be let in at any price.
    fn is_content(&self, id: &NodeId) -> bool {
        let wishes = |purposes: &Purposes| purposes.has(LinkPurpose::Entry) || purposes.has(LinkPurpose::All);
        self.theirs.get(id).is_some_and(|purposes| !wishes(purposes))
    }

    /// Ends as many links as there are too many, or lets them part.
    pub(super) fn trim(&mut self, shape: Shape, around: Around<'_>, (shared, choice): (&mut Shared, &mut Choice)) {
        let surplus = self.regular_but(&choice.ended, shared).saturating_sub(shape.room);
        for _ in 0..surplus {
            let Some(victim) = self.victim_but(shape, around, (&mut *shared, &choice.ended)) else { return };
            let victim = victim.peer;
            if !self.is_used(&victim, around, shared) {
                choice.ended.push(victim);
            } else if self.begin_parting(victim, shared.now.mono) {
                choice.parted.push(victim);
            } else {
                return;
            }
        }
    }

    /// Ends a link that neither end keeps for anything, if there are enough without it: whoever looks for one it needs finds
    /// a place then, and nobody else has to go for it.
    pub(super) fn end_needless(
        &mut self,
        shape: Shape,
        around: Around<'_>,
        (shared, choice): (&mut Shared, &mut Choice),
    ) {
        if self.regular_but(&choice.ended, shared) <= shape.fill {
            return;
        }
        let mut needless = self.candidates(shape, around, &*shared);
        needless.retain(|one| !one.is_needed && !choice.ended.contains(&one.peer));
        needless.retain(|one| !self.is_used(&one.peer, around, &*shared));
        let at = shared.below(needless.len());
        choice.ended.extend(needless.get(at).map(|one| one.peer));
    }

    pub(super) fn victim(&self, shape: Shape, around: Around<'_>, shared: &mut Shared) -> Option<Candidate> {
        self.victim_but(shape, around, (shared, &[]))
    }

    fn victim_but(
        &self,
        shape: Shape,
        around: Around<'_>,
        (shared, gone): (&mut Shared, &[NodeId]),
    ) -> Option<Candidate> {
        let mut candidates = self.candidates(shape, around, &*shared);
        candidates.retain(|candidate| !gone.contains(&candidate.peer));
        if candidates.is_empty() {
            candidates = self.surplus_choices(shape, around, (&*shared, gone));
        }
        evicted(candidates, |bound| shared.below(bound))
    }

    /// Choices beyond those that are never given up, made while links were few: all places may be taken by them, and a
    /// neighbour would find none for ever.
    fn surplus_choices(
        &self,
        shape: Shape,
        around: Around<'_>,
        (shared, gone): (&Shared, &[NodeId]),
    ) -> Vec<Candidate> {
        let stays = |id: &NodeId| shared.up.contains_key(id) && !gone.contains(id);
        let choices: Vec<NodeId> = self.far.ids().filter(stays).collect();
        if choices.len() <= shape.far {
            return Vec::new();
        }
        let may_go = |id: &NodeId| choices.contains(id) && !self.is_more_than_chosen(id);
        self.candidates_of(may_go, SETTLED, shape, (around, shared))
    }

    /// The link that goes for a neighbour where none is settled: a few that have just taken all places among each other would
    /// keep a newcomer out. If this node needs all of them, one that is only near goes.
    fn young_to_go(&mut self, shape: Shape, around: Around<'_>, shared: &mut Shared) -> Option<NodeId> {
        let now = shared.now.mono;
        if now < self.young_at || self.is_redrawing() {
            return None;
        }
        let mut young = self.candidates_since(Duration::ZERO, shape, around, &*shared);
        if young.is_empty() {
            let near = std::mem::take(&mut self.near);
            young = self.candidates_since(Duration::ZERO, shape, around, &*shared);
            self.near = near;
        }
        // What has lasted stays, or goes by the rules for all.
        let is_young =
            |id: &NodeId| link_to(id, around.links, shared).is_some_and(|link| now.since(link.since) < SETTLED);
        young.retain(|candidate| is_young(&candidate.peer));
        let at = shared.below(young.len());
        let peer = young.get(at)?.peer;
        self.young_at = now.after(YOUNG_PAUSE);
        Some(peer)
    }

    /// Links that may go for others.
    fn candidates(&self, shape: Shape, around: Around<'_>, shared: &Shared) -> Vec<Candidate> {
        self.candidates_since(SETTLED, shape, around, shared)
    }

    /// Links that may go for others and have been up for so long.
    fn candidates_since(&self, settled: Duration, shape: Shape, around: Around<'_>, shared: &Shared) -> Vec<Candidate> {
        self.candidates_of(|id| !self.is_own(id), settled, shape, (around, shared))
    }

    /// Those of some links that may go for others and have been up for so long.
    fn candidates_of(
        &self,
        is_one: impl Fn(&NodeId) -> bool,
        settled: Duration,
        shape: Shape,
        (around, shared): (Around<'_>, &Shared),
    ) -> Vec<Candidate> {
        let now = shared.now.mono;
        let may_go = |id: &&NodeId| {
            is_one(id)
                && !self.guests.contains_key(*id)
                && !self.shortcuts.has(id)
                && !self.is_old(id)
                && !self.parting.has(id)
                && !self.is_needed_there(shape, id, around, shared)
        };
        let candidate = |id: &NodeId| {
            let link = link_to(id, around.links, shared)?;
            let is_pressing = self.far.is_pressing(shape, &link.remote, 0, (around, shared));
            if !is_pressing && now.since(link.since) < settled {
                return None;
            }
            let brought = self.brought.get(id).copied().unwrap_or(0);
            let (since, rtt_us) = (link.since, link.rtt_us());
            let is_needed = self.purposes(id).1.is_needed();
            Some(Candidate { peer: *id, since, rtt_us, brought, address: link.remote.clone(), is_needed, is_pressing })
        };
        shared.up.keys().filter(may_go).filter_map(candidate).collect()
    }
}
