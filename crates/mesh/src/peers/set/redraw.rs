//! All links chosen anew: new ones come up before old ones go.
//!
//! Of the long links half are drawn from the order's number and agreed on by that; the others, and the nearest, are chosen as
//! ever. What was linked before and is needed by neither end bears nothing new from a while later, and ends when what was
//! under way has arrived. At no time are there more links than so many above the limit, nor fewer than a node looks for
//! more with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::NodeId;

use super::draw::Draw;
use super::parting::PARTED;
use super::shape::Shape;
use super::shortcut::{MAX_BESIDE, Shortcuts};
use super::{Around, Choice, LinkSet, is_linkable};
use crate::gossip::Members;
use crate::now::Mono;
use crate::shared::Shared;

/// From the instant on, before the first old link goes: until then both ends have told what they keep links for, though
/// their clocks differ, and new links are up.
const SETTLE: Duration = Duration::from_secs(2);

/// Between two links that go: each change of links is told to all who keep them.
const PART_PACE: Duration = Duration::from_millis(250);

/// By then all is over. What is left of old links stays.
const HOLD: Duration = Duration::from_secs(30);

/// Links above the limit while it lasts: at least, and at most.
const LEAST_EXTRA: usize = 2;
const MAX_EXTRA: usize = 16;

/// What choosing anew would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RedrawPlan {
    /// Members to be linked that are not.
    pub(crate) fresh: BTreeSet<NodeId>,
    /// Links that this node does not need then. They stay if the other end needs them.
    pub(crate) idle: BTreeSet<NodeId>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redrawn {
    /// Links that came up since.
    pub(crate) linked: usize,
    /// Links let go from here.
    pub(crate) let_go: usize,
    /// Links from before that stay.
    pub(crate) stayed: usize,
    /// Most links there were at once.
    pub(crate) most: usize,
}

/// A link that may go.
#[derive(Clone, Copy, Debug, Default)]
struct Old {
    /// Since when it bears nothing new.
    parted: Option<Mono>,
    /// It goes though the other end needs it: there are too many.
    is_surplus: bool,
}

impl Old {
    /// Whether what was under way has arrived, and nobody sends anything over it.
    fn is_over(self, now: Mono) -> bool {
        self.parted.is_some_and(|since| now.since(since) >= PARTED)
    }
}

/// While links are chosen anew.
#[derive(Debug)]
pub(super) struct Redraw {
    draw: Draw,
    before: BTreeSet<NodeId>,
    /// Links that may go, most of them from before.
    old: BTreeMap<NodeId, Old>,
    agreed: BTreeSet<NodeId>,
    settle_at: Mono,
    part_at: Mono,
    until: Mono,
    redrawn: Redrawn,
}

impl Redraw {
    fn next_timeout(&self) -> Mono {
        let parting = self.old.values().filter_map(|old| old.parted).map(|since| since.after(PARTED)).min();
        let next = if self.old.values().any(|old| old.parted.is_none()) { self.part_at } else { self.until };
        next.min(parting.unwrap_or(self.until)).min(self.until)
    }
}

impl LinkSet {
    /// What choosing anew by a number would change now.
    pub(crate) fn plan_redraw(&self, nonce: &str, around: Around<'_>, shared: &Shared) -> RedrawPlan {
        let Some(shape) = self.shape else { return RedrawPlan::default() };
        let agreed = self.agreed(&draw(nonce, shape, around.members, shared), shape, around, shared);
        let stays = |id: &NodeId| {
            self.ring.contains(id) || self.near.contains(id) || self.kept.contains(id) || agreed.contains(id)
        };
        let regular = shared.up.keys().filter(|id| !self.guests.contains_key(id) && !self.parting.has(id));
        RedrawPlan {
            idle: regular.filter(|id| !stays(id)).copied().collect(),
            fresh: agreed.iter().filter(|id| !shared.up.contains_key(id)).copied().collect(),
        }
    }

    /// Chooses all links anew by a number. What follows comes with the choices from now on.
    pub(crate) fn redraw(&mut self, nonce: &str, around: Around<'_>, shared: &Shared) -> RedrawPlan {
        let now = shared.now.mono;
        self.choose_now(now);
        self.near.clear();
        self.shortcuts = Shortcuts::default();
        let plan = self.plan_redraw(nonce, around, shared);
        let Some(shape) = self.shape else { return plan };
        let draw = draw(nonce, shape, around.members, shared);
        let agreed = self.agreed(&draw, shape, around, shared);
        self.far.redraw(agreed.iter().copied(), now);
        self.redraw = Some(Redraw {
            draw,
            before: shared
                .up
                .keys()
                .filter(|id| !self.guests.contains_key(id) && !self.parting.has(id))
                .copied()
                .collect(),
            old: plan.idle.iter().map(|id| (*id, Old::default())).collect(),
            agreed,
            settle_at: now.after(SETTLE),
            part_at: now.after(SETTLE),
            until: now.after(HOLD),
            redrawn: Redrawn::default(),
        });
        plan
    }

    fn agreed(&self, draw: &Draw, shape: Shape, around: Around<'_>, shared: &Shared) -> BTreeSet<NodeId> {
        let is_good = |id: &NodeId| {
            let known = around.members.get(id);
            known.is_some_and(|known| self.far.could_be_drawn(shape, known, (around, shared)))
        };
        draw.partners(&shared.id).into_iter().filter(is_good).take(shape.drawn()).collect()
    }

    /// Whether links are being chosen anew.
    pub(crate) fn is_redrawing(&self) -> bool {
        self.redraw.is_some()
    }

    /// Links above the limit for now.
    pub(super) fn extra(&self, shared: &Shared) -> usize {
        let extra = (shared.config.max_links / 4).clamp(LEAST_EXTRA, MAX_EXTRA);
        let beside = self.count_shortcuts(shared).min(MAX_BESIDE);
        if self.is_redrawing() { extra } else { self.count_parting(shared) + beside }
    }

    /// Whether a link is from before and may go.
    pub(super) fn is_old(&self, id: &NodeId) -> bool {
        self.redraw.as_ref().is_some_and(|redraw| redraw.old.contains_key(id))
    }

    /// Links that may go and still bear what they did: as long as there are too few others they stay.
    pub(super) fn count_unparted(&self, shared: &Shared) -> usize {
        let old = self.redraw.iter().flat_map(|redraw| &redraw.old);
        old.filter(|(id, old)| old.parted.is_none() && shared.up.contains_key(id)).count()
    }

    /// Links that may go and have not.
    pub(super) fn count_old(&self, shared: &Shared) -> usize {
        let old = self.redraw.as_ref().map(|redraw| &redraw.old);
        old.map_or(0, |old| old.keys().filter(|id| shared.up.contains_key(id)).count())
    }

    /// Whether nothing new is sent over a link: it ends soon.
    pub(super) fn is_parting(&self, id: &NodeId) -> bool {
        self.parting.has(id)
            || self.redraw.as_ref().is_some_and(|redraw| redraw.old.get(id).is_some_and(|old| old.parted.is_some()))
    }

    /// Whether a newcomer is one of those that the number says.
    pub(super) fn is_agreed(&self, shape: Shape, peer: &NodeId, shared: &Shared) -> bool {
        self.redraw.as_ref().is_some_and(|redraw| redraw.draw.agrees(&shared.id, peer, shape.drawn()))
    }

    /// The old link that makes room for another one: one that bears nothing any more. For a neighbour any goes that nobody
    /// needs.
    pub(super) fn old_to_go(&self, is_neighbour: bool, shared: &Shared) -> Option<NodeId> {
        let redraw = self.redraw.as_ref()?;
        let up = || redraw.old.iter().filter(|(id, _)| shared.up.contains_key(id));
        let over = up().find(|(_, old)| old.is_over(shared.now.mono));
        let idle = || up().filter(|_| is_neighbour).find(|(id, _)| !self.is_needed_by(id));
        over.or_else(idle).map(|(id, _)| *id)
    }

    /// Marks as many links as there are too many: they go like those from before, and not at once.
    pub(super) fn mark_surplus(&mut self, shape: Shape, around: Around<'_>, shared: &mut Shared) {
        for _ in shape.room..self.regular(shared) {
            let Some(victim) = self.victim(shape, around, shared).map(|victim| victim.peer) else { return };
            if let Some(redraw) = &mut self.redraw {
                redraw.old.insert(victim, Old { parted: None, is_surplus: true });
            }
        }
    }

    fn is_needed_by(&self, id: &NodeId) -> bool {
        self.theirs.get(id).is_some_and(|purposes| purposes.is_needed())
    }

    /// Lets old links go one by one, as far as enough others are up.
    pub(super) fn part(&mut self, shape: Shape, (shared, choice): (&mut Shared, &mut Choice)) {
        let Some(mut redraw) = self.redraw.take() else { return };
        let now = shared.now.mono;
        redraw.redrawn.most = redraw.redrawn.most.max(shared.up.len());
        let is_settled = now >= redraw.settle_at;
        redraw.old.retain(|id, old| {
            let stays = self.is_own(id) || (is_settled && !old.is_surplus && self.is_needed_by(id));
            if stays && old.parted.is_some() {
                choice.promoted.push(*id);
            }
            !stays && shared.up.contains_key(id)
        });
        let over: Vec<NodeId> = redraw.old.iter().filter(|(_, old)| old.is_over(now)).map(|(id, _)| *id).collect();
        redraw.redrawn.let_go += over.len();
        for id in over {
            redraw.old.remove(&id);
            self.parting.go_on(id, now);
            choice.ended.push(id);
        }
        self.part_one(shape, &mut redraw, (shared, choice));
        let pending = redraw.agreed.iter().any(|id| self.far.has(id) && !shared.up.contains_key(id));
        if now >= redraw.until || (is_settled && redraw.old.is_empty() && !pending) {
            choice.promoted.extend(redraw.old.iter().filter(|(_, old)| old.parted.is_some()).map(|(id, _)| *id));
            choice.redrawn = Some(redraw.outcome(shared, &choice.ended));
            return;
        }
        self.redraw = Some(redraw);
    }

    fn part_one(&self, shape: Shape, redraw: &mut Redraw, (shared, choice): (&mut Shared, &mut Choice)) {
        let now = shared.now.mono;
        if now < redraw.part_at {
            return;
        }
        redraw.part_at = shared.jittered(PART_PACE);
        let is_pending = redraw.agreed.iter().any(|id| self.far.has(id) && !shared.up.contains_key(id));
        let waiting: Vec<NodeId> =
            redraw.old.iter().filter(|(_, old)| old.parted.is_none()).map(|(id, _)| *id).collect();
        let gone = redraw.old.len() - waiting.len() + choice.ended.len();
        let lasting = shared.up.keys().filter(|id| !self.guests.contains_key(id) && !self.parting.has(id)).count();
        let lasting = lasting.saturating_sub(gone);
        if is_pending || lasting <= shape.fill {
            return;
        }
        if let Some(id) = waiting.get(shared.below(waiting.len())) {
            redraw.old.entry(*id).or_default().parted = Some(now);
            choice.parted.push(*id);
        }
    }

    pub(super) fn redraw_timeout(&self) -> Option<Mono> {
        self.redraw.as_ref().map(Redraw::next_timeout)
    }
}

impl Redraw {
    fn outcome(&self, shared: &Shared, ended: &[NodeId]) -> Redrawn {
        let up = || shared.up.keys().filter(|id| !ended.contains(id));
        let stayed = up().filter(|id| self.before.contains(id)).count();
        Redrawn { linked: up().count() - stayed, stayed, ..self.redrawn }
    }
}

fn draw(nonce: &str, shape: Shape, members: &Members, shared: &Shared) -> Draw {
    let judged = shared.judged();
    let known = members.iter().filter(|known| is_linkable(known, judged) && !known.member.addresses.is_empty());
    Draw::new(nonce, known.map(|known| known.member.id).chain([shared.id]), shape.side)
}
