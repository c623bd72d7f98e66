//! Long links that this node chose: looked for until there are enough, and anew when one ends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use super::anchors::MAX_ANCHORS;
use super::crowds::Counted;
use super::far::far_place;
use super::group::{Group, is_counted};
use super::knocks::Knocks;
use super::shape::Shape;
use super::{Around, is_linkable, link_to};
use crate::gossip::Known;
use crate::input::Transport;
use crate::now::Mono;
use crate::shared::Shared;

/// A choice that is not linked by then was none: a direct dial takes four seconds at most, a relayed one as many more.
pub(super) const PICK_LIMIT: Duration = Duration::from_secs(9);

/// Whoever could not be linked is not chosen again for so long.
const AVOID_FOR: Duration = Duration::from_secs(20);

/// So many are remembered. Of more the first to be forgotten are those whose time ends first.
const MAX_AVOIDED: usize = 256;

/// Between looks for more while links are missing.
const SEARCH: Duration = Duration::from_secs(1);

/// Members others named, the latest.
const MAX_HINTS: usize = 16;

/// Choices under way at once.
const MAX_PENDING: usize = 4;

/// Members looked at from a place on the ring.
const MAX_LOOK: usize = 64;

/// Draws from the book for a choice: most of what is drawn may be linked already.
const DRAWS: usize = 8;

/// The pause after everybody asked was full: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Between looks for others in place of choices that lead where there are many.
const REPLACE: Duration = Duration::from_secs(5);

/// A choice.
#[derive(Clone, Copy, Debug)]
struct Pick {
    since: Mono,
    /// It came up, and where it leads was looked at.
    is_judged: bool,
}

impl Pick {
    fn new(since: Mono) -> Self {
        Self { since, is_judged: false }
    }
}

/// The choices.
#[derive(Debug, Default)]
pub(super) struct Picks {
    picks: BTreeMap<NodeId, Pick>,
    avoided: BTreeMap<NodeId, Mono>,
    hints: VecDeque<NodeId>,
    /// Linked for long before a restart, and not tried since.
    anchors: VecDeque<NodeId>,
    /// Every other choice is of somebody found before.
    turn: bool,
    pick_at: Mono,
    pause: Duration,
    /// From then on others are looked for in place of choices that lead where there are many.
    replace_at: Mono,
    /// Who came by itself.
    pub(super) knocks: Knocks,
}

impl Picks {
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.picks.keys().copied()
    }

    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.picks.contains_key(id)
    }

    /// This one has to go: it is no choice any more, or it would be kept.
    pub(super) fn give_up(&mut self, id: &NodeId) {
        self.picks.remove(id);
    }

    /// All choices are these from now on; the others are made anew.
    pub(super) fn redraw(&mut self, agreed: impl Iterator<Item = NodeId>, now: Mono) {
        self.picks = agreed.map(|id| (id, Pick::new(now))).collect();
        (self.pick_at, self.pause) = (now, Duration::ZERO);
    }

    /// These were linked for long; they are tried before others.
    pub(super) fn restore(&mut self, anchors: impl Iterator<Item = NodeId>) {
        for id in anchors {
            if self.anchors.len() < MAX_ANCHORS && !self.anchors.contains(&id) {
                self.anchors.push_back(id);
            }
        }
    }

    /// Those that are still to be tried.
    pub(super) fn anchors(&self) -> impl Iterator<Item = NodeId> {
        self.anchors.iter().copied()
    }

    /// There is nothing to choose. Whom this node chose before it tries first when there is again: it may know of nobody
    /// for an hour and be among strangers then.
    pub(super) fn rest(&mut self) {
        let mut lasting: Vec<(Mono, NodeId)> = self.picks.iter().map(|(id, pick)| (pick.since, *id)).collect();
        lasting.sort_unstable();
        let (anchors, knocks) = (std::mem::take(&mut self.anchors), std::mem::take(&mut self.knocks));
        *self = Self { anchors, knocks, ..Self::default() };
        self.restore(lasting.into_iter().map(|(_, id)| id));
    }

    pub(super) fn hint(&mut self, ids: impl Iterator<Item = NodeId>) {
        self.hints.extend(ids);
        self.hints.drain(..self.hints.len().saturating_sub(MAX_HINTS));
    }

    /// A choice came to nothing. If it was because there is no room, others will be full as well: the next one waits.
    pub(super) fn failed(&mut self, id: NodeId, code: Code, now: Mono) {
        self.avoided.insert(id, now.after(AVOID_FOR));
        self.avoided.retain(|_, until| *until > now);
        while self.avoided.len() > MAX_AVOIDED {
            let first = self.avoided.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            first.map(|id| self.avoided.remove(&id));
        }
        if self.picks.remove(&id).is_some() && matches!(code, Code::TooManyLinks | Code::NotNeeded) {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
            self.pick_at = now.after(self.pause);
        }
    }

    /// Drops what came to nothing and makes as many choices as links are missing. Says when to do so again, if some still
    /// are.
    pub(super) fn review(
        &mut self,
        shape: Shape,
        regular: usize,
        (around, shared): (Around<'_>, &mut Shared),
    ) -> Option<Mono> {
        let now = shared.now.mono;
        self.picks.retain(|id, pick| shared.up.contains_key(id) || now.since(pick.since) < PICK_LIMIT);
        self.judge_linked(shape, regular, (around, &*shared));
        let pending = self.picks.keys().filter(|id| !shared.up.contains_key(id)).count();
        if pending < self.picks.len() && regular >= shape.fill {
            self.pause = Duration::ZERO;
        }
        let missing = shape.far.saturating_sub(self.picks.len()).max(shape.fill.saturating_sub(regular + pending));
        let crowded = self.crowded(shape, regular, (around, &*shared));
        let crowds = Counted::new(around.members);
        if self.pick_at <= now {
            for _ in 0..missing.min(MAX_PENDING.saturating_sub(pending)) {
                let Some(id) = self.pick(shape, regular, &crowds, (around, &mut *shared)) else { break };
                self.picks.insert(id, Pick::new(now));
            }
            if missing == 0 && pending == 0 {
                self.replace(shape, (&crowded, &crowds), (around, &mut *shared));
            }
        }
        let again = now.after(SEARCH);
        // Choices under way may come to nothing before others may be made.
        let paused = if pending > 0 { again } else { again.max(self.pick_at) };
        (missing + pending > 0).then_some(paused)
    }

    fn pick(
        &mut self,
        shape: Shape,
        regular: usize,
        crowds: &Counted<'_>,
        (around, shared): (Around<'_>, &mut Shared),
    ) -> Option<NodeId> {
        if let Some(id) = self.next_anchor(shape, (around, &*shared)) {
            return Some(id);
        }
        // Others' words are taken where there is hardly anything else: who has links chooses itself.
        while let Some(id) = self.hints.pop_front().filter(|_| shape.is_poor(regular)) {
            let known = around.members.get(&id);
            if known.is_some_and(|known| self.is_good(shape, known, (around, &*shared))) {
                return Some(id);
            }
        }
        if let Some(id) = self.pick_sound(shape, crowds, (around, &mut *shared)) {
            return Some(id);
        }
        let place = far_place(shared, around.members.len());
        let shared = &*shared;
        let mut near_place = around.members.clockwise(&place).take(MAX_LOOK);
        let good = near_place.find(|known| self.is_good(shape, known, (around, shared)));
        // In a network that is all in one place there is nobody else.
        let any = || around.members.clockwise(&place).take(MAX_LOOK).find(|known| self.is_open(known, shared));
        good.or_else(|| shape.is_poor(regular).then(any).flatten()).map(|known| known.member.id)
    }

    /// Somebody out of a prefix like any other, each of which is as likely: of an attacker's there are few, however many
    /// members it makes up. Every other choice is of somebody found before, for addresses can be made up too.
    fn pick_sound(
        &mut self,
        shape: Shape,
        crowds: &Counted<'_>,
        (around, shared): (Around<'_>, &mut Shared),
    ) -> Option<NodeId> {
        self.turn = !self.turn;
        for _ in 0..if self.turn { DRAWS } else { 0 } {
            let Some(known) = around.book.draw_tried(shared).and_then(|member| around.members.get(&member.id)) else {
                break;
            };
            if crowds.takes(&known.member, shared) && self.is_sound(shape, known, (around, &*shared)) {
                return Some(known.member.id);
            }
        }
        let place = far_place(shared, around.members.len());
        let mut from_place = around.members.clockwise(&place);
        let sound = from_place.find(|known| {
            self.is_open(known, shared)
                && crowds.takes(&known.member, shared)
                && self.is_sound(shape, known, (around, &*shared))
        });
        sound.map(|known| known.member.id)
    }

    /// Whether a member can be chosen that is not where many come from by themselves.
    fn is_sound(&self, shape: Shape, known: &Known, around: (Around<'_>, &Shared)) -> bool {
        !known.member.addresses.iter().any(|address| self.knocks.are_many(address))
            && self.is_good(shape, known, around)
    }

    /// Choices that came up and lead to a prefix with more than its share of links, or from which many come by themselves.
    fn crowded(&self, shape: Shape, regular: usize, (around, shared): (Around<'_>, &Shared)) -> Vec<NodeId> {
        if shape.is_poor(regular) {
            return Vec::new();
        }
        let leads_to_many = |id: &&NodeId| {
            link_to(id, around.links, shared)
                .is_some_and(|link| self.is_pressing(shape, &link.remote, 0, (around, shared)))
        };
        self.picks.keys().filter(leads_to_many).copied().collect()
    }

    /// Whether an address is in a prefix that has more than its share with so many links more, or from which many come.
    pub(super) fn is_pressing(
        &self,
        shape: Shape,
        address: &Address,
        more: usize,
        (around, shared): (Around<'_>, &Shared),
    ) -> bool {
        let exceeds = || count_in(address, linked(around, shared)) + more > shape.share();
        is_counted(address) && (self.knocks.are_many(address) || exceeds())
    }

    /// Looks for others in place of choices that lead where there are many. These are given up when others are up.
    fn replace(
        &mut self,
        shape: Shape,
        (crowded, crowds): (&[NodeId], &Counted<'_>),
        (around, shared): (Around<'_>, &mut Shared),
    ) {
        let now = shared.now.mono;
        if self.picks.len() - crowded.len() >= shape.far {
            self.picks.retain(|id, _| !crowded.contains(id));
        } else if self.replace_at <= now {
            self.replace_at = now.after(REPLACE);
            let sound = self.pick_sound(shape, crowds, (around, shared));
            self.picks.extend(sound.map(|id| (id, Pick::new(now))));
        }
    }

    /// Somebody who was linked for long. Whoever is linked again is chosen, and whoever is not known to be there yet waits.
    fn next_anchor(&mut self, shape: Shape, (around, shared): (Around<'_>, &Shared)) -> Option<NodeId> {
        for _ in 0..self.anchors.len() {
            let id = self.anchors.pop_front()?;
            let known = around.members.get(&id).filter(|known| is_linkable(known, shared.judged()));
            let Some(known) = known else {
                self.anchors.push_back(id);
                continue;
            };
            let is_linked = shared.up.contains_key(&id) && !self.picks.contains_key(&id);
            if is_linked || self.is_good(shape, known, (around, shared)) {
                return Some(id);
            }
        }
        None
    }

    /// Looks where choices lead that came up. One that leads to a prefix that has its share, and that the member did not
    /// tell of, is none.
    fn judge_linked(&mut self, shape: Shape, regular: usize, (around, shared): (Around<'_>, &Shared)) {
        if shape.is_poor(regular) {
            return;
        }
        for (id, pick) in std::mem::take(&mut self.picks) {
            let link = link_to(&id, around.links, shared);
            let new = link.filter(|link| !pick.is_judged && link.transport != Transport::Relay);
            let goes = new.is_some_and(|link| {
                is_elsewhere(&link.remote, around.members.get(&id))
                    && count_in(&link.remote, linked(around, shared)) > shape.share()
            });
            if goes {
                self.avoided.insert(id, shared.now.mono.after(AVOID_FOR));
            } else {
                self.picks.insert(id, Pick { is_judged: pick.is_judged || new.is_some(), ..pick });
            }
        }
    }

    pub(super) fn is_good(&self, shape: Shape, known: &Known, around: (Around<'_>, &Shared)) -> bool {
        self.is_open(known, around.1) && self.has_shares(shape, known, around)
    }

    /// Whether a member that was drawn can be linked, or is.
    pub(super) fn could_be_drawn(&self, shape: Shape, known: &Known, around: (Around<'_>, &Shared)) -> bool {
        let (id, now) = (known.member.id, around.1.now.mono);
        let is_avoided = self.avoided.get(&id).is_some_and(|until| *until > now);
        let has_address = !known.member.addresses.is_empty();
        around.1.up.contains_key(&id) || (!is_avoided && has_address && self.has_shares(shape, known, around))
    }

    /// Whether one link more may lead to a member, wherever it is of the places it tells of: all but one may be made up.
    fn has_shares(&self, shape: Shape, known: &Known, (around, shared): (Around<'_>, &Shared)) -> bool {
        if !tells_place(known) {
            return around.book.is_in_lab() || self.hidden(around) < shape.most_hidden();
        }
        known.member.addresses.iter().all(|address| self.has_share(shape, (address, 1), (around, shared)))
    }

    /// Choices of members that tell of no place that counts. Outside a lab they are anywhere.
    fn hidden(&self, around: Around<'_>) -> usize {
        self.picks.keys().filter_map(|id| around.members.get(id)).filter(|known| !tells_place(known)).count()
    }

    /// Whether a member could be linked at all.
    fn is_open(&self, known: &Known, shared: &Shared) -> bool {
        let (member, now) = (&known.member, shared.now.mono);
        let is_avoided = self.avoided.get(&member.id).is_some_and(|until| *until > now);
        is_linkable(known, shared.judged())
            && !is_avoided
            && !shared.up.contains_key(&member.id)
            && !self.picks.contains_key(&member.id)
            && !member.addresses.is_empty()
    }

    /// Whether so many links `more` may lead to this prefix: no prefix has more than a quarter of all.
    pub(super) fn has_share(
        &self,
        shape: Shape,
        (address, more): (&Address, usize),
        (around, shared): (Around<'_>, &Shared),
    ) -> bool {
        if !is_counted(address) {
            return true;
        }
        let pending = self.picks.keys().filter(|id| !shared.up.contains_key(id));
        let pending = pending.filter_map(|id| around.members.get(id));
        let pending = pending.filter(|known| count_in(address, known.member.addresses.iter()) > 0).count();
        count_in(address, linked(around, shared)) + pending + more <= shape.share()
    }
}

/// The far ends of all links.
fn linked<'a>(around: Around<'a>, shared: &'a Shared) -> impl Iterator<Item = &'a Address> {
    shared.up.keys().filter_map(move |id| link_to(id, around.links, shared)).map(|link| &link.remote)
}

/// How many of these addresses are in the prefix of one that counts.
fn count_in<'a>(address: &Address, others: impl Iterator<Item = &'a Address>) -> usize {
    let group = Group::of(address);
    others.filter(|other| Group::counted(other).as_ref() == Some(&group)).count()
}

/// Whether a link's far end is in a prefix that counts and of which the member has not told.
fn is_elsewhere(remote: &Address, known: Option<&Known>) -> bool {
    let told = known.map(|known| count_in(remote, known.member.addresses.iter()));
    is_counted(remote) && told.unwrap_or(0) == 0
}

fn tells_place(known: &Known) -> bool {
    known.member.addresses.iter().any(is_counted)
}
