//! The place of a node in the tree: which node is its root, how many links away, and over which link.
//!
//! The root is the least id that is heard of, as in a spanning tree of bridges (Perlman, 1985); each node takes the link
//! to the peer that is nearest to it. So the tree is there before the first message, has no loops, and is as shallow as
//! the links allow. A way that is lost must not be looked for among those who come after us, who have only heard of it
//! from here: for a while a peer is taken only if it was nearer than we were (the rule of DUAL, Garcia-Luna-Aceves, 1993).

use std::time::Duration;

use meshline_protocol::NodeId;
use meshline_protocol::message::BroadcastPlace;

use super::peer::Peer;
use super::{Step, Tree};
use crate::now::Mono;

/// A new place is told after this: most changes come together, and bad news is as quick as good.
const TELL_AFTER: Duration = Duration::from_millis(100);

/// After this all who come after us have heard of a change, ten links away and more.
pub(super) const HOLD: Duration = Duration::from_secs(3);

/// A root so far away is none: wrong news that goes round ends here.
pub(super) const MAX_HOPS: u8 = 250;

/// Roots whose ways were lost lately; the oldest give way.
const MAX_FLOORS: usize = 8;

/// Better places are taken so often in the long run: claims are easily made, and each change costs all who come after us.
pub(super) const GAIN_EVERY: Duration = Duration::from_secs(5);

/// And so many at once, while a network comes together.
pub(super) const GAINS_AT_ONCE: u32 = 32;

/// A peer that failed to hand over what others had is not taken for so long.
pub(super) const DISTRUST: Duration = Duration::from_secs(600);

/// How near to a root we were, until all have forgotten it.
#[derive(Clone, Copy, Debug)]
struct Floor {
    root: NodeId,
    hops: u8,
    until: Mono,
}

/// What a peer offers: the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    root: NodeId,
    hops: u8,
    is_change: bool,
    heard: Mono,
    peer: NodeId,
}

/// The place of this node.
#[derive(Debug)]
pub(super) struct Place {
    own: NodeId,
    /// Nothing is passed on here: nobody may come after us.
    is_leaf: bool,
    now: BroadcastPlace,
    parent: Option<NodeId>,
    floors: Vec<Floor>,
    tell_at: Option<Mono>,
    look_at: Option<Mono>,
    /// Until when better places are used up.
    gained_until: Mono,
}

impl Place {
    pub(super) fn new(own: NodeId, is_leaf: bool) -> Self {
        Self {
            own,
            is_leaf,
            now: BroadcastPlace { root: own, hops: 0 },
            parent: None,
            floors: Vec::new(),
            tell_at: None,
            look_at: None,
            gained_until: Mono(0),
        }
    }

    /// Over which link the root is reached.
    pub(super) fn parent(&self) -> Option<NodeId> {
        self.parent
    }

    /// The root and how many links away it is.
    pub(super) fn now(&self) -> BroadcastPlace {
        self.now
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.tell_at.into_iter().chain(self.look_at).min()
    }

    fn is_better(&self, place: BroadcastPlace) -> bool {
        (place.root, place.hops) < (self.now.root, self.now.hops)
    }

    fn may_gain(&mut self, now: Mono) -> bool {
        let used = self.gained_until.max(now);
        let may = used.since(now) <= GAIN_EVERY * (GAINS_AT_ONCE - 1);
        if may {
            self.gained_until = used.after(GAIN_EVERY);
        }
        may
    }

    /// What a peer offers, if it may be taken at all.
    fn offer(&self, id: &NodeId, peer: &Peer, now: Mono) -> Option<Offer> {
        let (BroadcastPlace { root, hops }, heard) = peer.place()?;
        let is_root = root < self.own || self.is_leaf;
        let may = is_root && root != self.own && hops < MAX_HOPS && !peer.is_distrusted(now);
        let is_change = self.parent != Some(*id);
        may.then_some(Offer { root, hops, is_change, heard, peer: *id })
    }

    /// Whether an offer cannot be news of ourselves that comes back.
    fn is_safe(&self, offer: &Offer) -> bool {
        let stays = !offer.is_change && offer.root == self.now.root;
        let floor = self.floors.iter().find(|floor| floor.root == offer.root);
        stays || floor.is_none_or(|floor| (offer.hops, offer.peer) < (floor.hops, self.own))
    }

    /// Those nearer than we were lately may be taken; how near that is rises when all have heard of it.
    fn forget_floors(&mut self, now: Mono) {
        let place = self.now;
        for floor in self.floors.iter_mut().filter(|floor| floor.until <= now && floor.root == place.root) {
            floor.hops = place.hops;
        }
        self.floors.retain(|floor| floor.until > now || floor.root == place.root);
    }

    fn note_floor(&mut self, place: BroadcastPlace, now: Mono) {
        let until = now.after(HOLD);
        if let Some(floor) = self.floors.iter_mut().find(|floor| floor.root == place.root) {
            *floor = Floor { hops: floor.hops.min(place.hops), until, ..*floor };
            return;
        }
        if self.floors.len() >= MAX_FLOORS {
            self.floors.remove(0);
        }
        self.floors.push(Floor { root: place.root, hops: place.hops, until });
    }
}

impl Tree {
    /// A peer says where it is. Says whether it may.
    pub fn placed(&mut self, from: &NodeId, place: BroadcastPlace, now: Mono) -> bool {
        let Some(peer) = self.peers.get_mut(from) else { return true };
        let may = peer.set_place(place, now);
        self.choose(now);
        may
    }

    /// Looks for the best place.
    pub(super) fn choose(&mut self, now: Mono) {
        let best = self.best_offer(now);
        let own = BroadcastPlace { root: self.place.own, hops: 0 };
        let place = best.map_or(own, |offer| BroadcastPlace { root: offer.root, hops: offer.hops.saturating_add(1) });
        let is_lost = self.place.parent.is_some_and(|parent| !self.is_parent_still(&parent, now));
        if !is_lost && self.place.is_better(place) && !self.place.may_gain(now) {
            self.place.look_at = Some(now.after(GAIN_EVERY));
            return;
        }
        let before = std::mem::replace(&mut self.place.now, place);
        if place != before {
            self.place.note_floor(before, now);
            self.place.note_floor(place, now);
            self.tell_soon(now);
        }
        self.take_parent(best.map(|offer| offer.peer));
    }

    /// The best of what may be taken. If something better may not be taken yet, it is looked at again.
    fn best_offer(&mut self, now: Mono) -> Option<Offer> {
        self.place.forget_floors(now);
        let offers = self.peers.iter().filter_map(|(id, peer)| self.place.offer(id, peer, now));
        let (safe, early): (Vec<Offer>, Vec<Offer>) = offers.partition(|offer| self.place.is_safe(offer));
        let best = safe.into_iter().min();
        let is_early =
            best.is_none_or(|best| early.iter().any(|offer| (offer.root, offer.hops) < (best.root, best.hops)));
        let ends = self.place.floors.iter().map(|floor| floor.until).filter(|until| *until > now);
        self.place.look_at = if is_early && !early.is_empty() { ends.min() } else { None };
        best
    }

    /// Whether the parent still offers the root that it was taken for.
    fn is_parent_still(&self, parent: &NodeId, now: Mono) -> bool {
        let offer = self.peers.get(parent).and_then(|peer| self.place.offer(parent, peer, now));
        offer.is_some_and(|offer| offer.root == self.place.now.root)
    }

    fn take_parent(&mut self, parent: Option<NodeId>) {
        if parent == self.place.parent {
            return;
        }
        if let Some(old) = std::mem::replace(&mut self.place.parent, parent) {
            self.leave(old);
        }
        let Some(parent) = parent else { return };
        self.graft(parent);
        self.peers.entry(parent).and_modify(|peer| peer.is_stopgap = false);
        // What was taken for want of it is not needed any more.
        let stopgaps: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| peer.is_stopgap).map(|(id, _)| *id).collect();
        stopgaps.into_iter().for_each(|peer| self.leave(peer));
    }

    /// Whether a link is of the tree as it should be: the way to the root, or that of a peer which is one link further.
    #[must_use]
    pub fn is_of_tree(&self, peer: &NodeId) -> bool {
        let Some(state) = self.peers.get(peer).filter(|state| state.eager && !state.is_stopgap) else { return false };
        let BroadcastPlace { root, hops } = self.place.now;
        let below = BroadcastPlace { root, hops: hops.saturating_add(1) };
        self.place.parent.as_ref() == Some(peer) || state.place().is_some_and(|(place, _)| place == below)
    }

    fn leave(&mut self, peer: NodeId) {
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.eager) else { return };
        (state.eager, state.is_stopgap) = (false, false);
        self.counts.prunes_sent += 1;
        self.out.push_back(Step::Prune { to: peer });
    }

    pub(super) fn tell_soon(&mut self, now: Mono) {
        if !self.place.is_leaf {
            self.place.tell_at.get_or_insert_with(|| now.after(TELL_AFTER));
        }
    }

    /// Tells those who do not know it, and looks again at what had to wait.
    pub(super) fn settle_place(&mut self, now: Mono) {
        if self.place.look_at.is_some_and(|at| at <= now) {
            self.choose(now);
        }
        if self.place.tell_at.is_none_or(|at| at > now) {
            return;
        }
        self.place.tell_at = None;
        let place = self.place.now;
        for (peer, state) in &mut self.peers {
            if state.told_place != Some(place) {
                state.told_place = Some(place);
                self.out.push_back(Step::Place { to: *peer, place });
            }
        }
    }

    /// A peer failed us. If it is the parent another one is taken.
    pub(super) fn distrust(&mut self, peer: &NodeId, now: Mono) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.distrust_until(now.after(DISTRUST));
            self.choose(now);
        }
    }
}
