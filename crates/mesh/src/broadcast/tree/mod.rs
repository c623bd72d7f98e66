//! A tree along which messages reach all, each node about once, and what repairs it.
//!
//! Links are eager or lazy, the same at both ends. A message is handed on along the eager ones; on the lazy ones it is
//! announced by its name, a little later and many in one frame. Which links are eager follows from `place`: the tree is
//! there before the first message, and as shallow as the links allow.
//!
//! What repairs it is after "Epidemic Broadcast Trees" (Leitão, Pereira and Rodrigues, 2007). Whoever gets a message twice
//! prunes the link of the second copy; whoever hears of a message that does not come asks an announcer for it, and takes
//! that link as eager if the tree does not bring it soon after either. That pause is beyond the paper: without it many
//! messages at once graft and prune without end. So is that peers that announce what they do not hand over are asked last.
//!
//! Everything here works with names of messages. Who keeps, checks and sends them stands around it.

mod doubts;
mod firsts;
mod lazy;
mod links;
mod missing;
mod pace;
mod peer;
mod place;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use meshline_protocol::NodeId;
use meshline_protocol::message::{BroadcastKind, BroadcastName, BroadcastPlace, BroadcastTrail};

use crate::now::Mono;
use crate::report::SpreadReport;
use doubts::{Doubt, Doubts};
use firsts::{First, Firsts};
use missing::{Missing, Wanted};
use pace::Pace;
use peer::Peer;
use place::Place;
pub use steps::Step;

/// A copy that comes so long after the first one prunes its link wherever it came in: no two ways differ so much.
const LATE: Duration = Duration::from_secs(2);

/// The name of a message: what it is, who made it, and the author's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// The author.
    pub by: NodeId,
    /// Its sequence.
    pub seq: meshline_protocol::UnixMicros,
    /// What it is.
    pub kind: BroadcastKind,
}

impl From<&BroadcastName> for MessageId {
    fn from(name: &BroadcastName) -> Self {
        Self { by: name.by, seq: name.seq, kind: name.kind }
    }
}

/// Where messages go from here.
#[derive(Debug)]
pub struct Tree {
    peers: BTreeMap<NodeId, Peer>,
    firsts: Firsts,
    missing: Missing,
    doubts: Doubts,
    pace: Pace,
    flush_at: Option<Mono>,
    regraft_at: Option<Mono>,
    place: Place,
    random: u64,
    /// With which lazy link announcements begin.
    turn: usize,
    out: VecDeque<Step>,
    counts: SpreadReport,
}

impl Tree {
    /// Of node `own`, without links. At a leaf nothing is passed on. `seed` decides between what is equally good.
    #[must_use]
    pub fn new(own: NodeId, is_leaf: bool, seed: u64) -> Self {
        Self {
            peers: BTreeMap::new(),
            firsts: Firsts::default(),
            missing: Missing::default(),
            doubts: Doubts::default(),
            pace: Pace::default(),
            flush_at: None,
            regraft_at: None,
            place: Place::new(own, is_leaf),
            random: seed,
            turn: 0,
            out: VecDeque::new(),
            counts: SpreadReport::default(),
        }
    }

    /// The next thing to do.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.out.pop_front()
    }

    /// A message of this node. With `direct` it is handed over on every link.
    pub fn publish(&mut self, id: MessageId, direct: bool, now: Mono) {
        let trail = BroadcastTrail { direct, ..BroadcastTrail::default() };
        self.firsts.put(id, First { from: None, trail, at: now });
        let lonely = self.eager() == 0;
        let all = direct || lonely;
        self.hand_on((id, trail), all, &|_| true, now);
    }

    /// A new message came, was found to be good, and is handed on to those who are `wanted`; the others have it, or get it
    /// from its author.
    pub fn arrived(
        &mut self,
        (id, trail): (MessageId, BroadcastTrail),
        from: NodeId,
        wanted: &dyn Fn(&NodeId) -> bool,
        now: Mono,
    ) {
        self.counts.copies_received += 1;
        let was_asked_for = self.received(&id, from, now);
        // Shortcuts are of earlier versions.
        let mut trail = BroadcastTrail { hops: trail.hops.saturating_add(1), shortcuts: 0, ..trail };
        self.counts.hops = self.counts.hops.max(u64::from(trail.hops));
        self.firsts.put(id, First { from: Some(from), trail, at: now });
        let is_beside = was_asked_for || self.is_stopgap(&from);
        let upward = self.place.parent().filter(|parent| is_beside && self.is_eager(parent) && wanted(parent));
        if was_asked_for {
            // A copy that comes back to us, or to another who asked, shows nothing of the tree.
            trail.entry = self.next_entry();
        }
        // Those before us ask for themselves if they have to: against the tree such a copy would go far about, and what they
        // hand down shows that a stopgap is not needed.
        self.hand_on((id, trail), false, &|peer| Some(*peer) != upward && wanted(peer), now);
        self.announce(upward.into_iter().collect(), id, now);
    }

    /// A message is here, good or not to be judged yet: nobody is asked for it any more. Says whether it came beside the
    /// tree, because it was asked for.
    pub fn received(&mut self, id: &MessageId, from: NodeId, now: Mono) -> bool {
        let wanted = self.missing.take(id);
        let was_asked = wanted.as_ref().and_then(Wanted::asked).is_some_and(|(peer, _)| peer == from);
        let beside = was_asked && !self.is_eager(&from);
        if let Some(wanted) = wanted.as_ref().filter(|_| beside) {
            let due = now.after(self.pace.patience());
            self.doubts.put(Doubt { id: *id, from, since: wanted.since(), due });
        }
        self.pace.arrived(wanted.as_ref(), from, now);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.kept_word();
        }
        for announcer in wanted.iter().flat_map(Wanted::announcers) {
            if let Some(peer) = self.peers.get_mut(announcer) {
                peer.has(*id);
            }
        }
        beside
    }

    /// Hands a message on along the tree, or on all links, and announces it on the rest.
    fn hand_on(
        &mut self,
        (id, trail): (MessageId, BroadcastTrail),
        all: bool,
        wanted: &dyn Fn(&NodeId) -> bool,
        now: Mono,
    ) {
        let from = self.firsts.get(&id).and_then(|first| first.from);
        let others = self.peers.iter().filter(|(peer, _)| Some(**peer) != from && **peer != id.by && wanted(peer));
        let (eager, lazy): (Vec<_>, Vec<_>) = others.partition(|(_, peer)| peer.eager);
        let eager: Vec<NodeId> = eager.into_iter().map(|(peer, _)| *peer).collect();
        let mut lazy: Vec<NodeId> =
            lazy.into_iter().filter(|(_, peer)| !peer.knows(&id)).map(|(peer, _)| *peer).collect();
        self.push(eager, id, trail);
        if all {
            std::mem::take(&mut lazy).into_iter().for_each(|peer| self.enter_elsewhere(peer, id, trail));
        }
        self.announce(lazy, id, now);
    }

    /// Hands a message over on a lazy link. Such a copy goes on with a name of its own, so that nobody takes two ways in for
    /// a loop of the tree.
    fn enter_elsewhere(&mut self, peer: NodeId, id: MessageId, trail: BroadcastTrail) {
        let entry = self.next_entry();
        self.push(vec![peer], id, BroadcastTrail { entry, ..trail });
    }

    fn next_entry(&mut self) -> u32 {
        u32::try_from(self.next_random() >> 32).unwrap_or(1).max(1)
    }

    fn push(&mut self, to: Vec<NodeId>, id: MessageId, trail: BroadcastTrail) {
        if !to.is_empty() {
            self.counts.copies_sent += u64::try_from(to.len()).unwrap_or(u64::MAX);
            self.out.push_back(Step::Push { to, id, trail });
        }
    }

    /// A message that is here came once more. Two copies that went in at the same place show a loop, which ends here.
    pub fn again(&mut self, id: &MessageId, from: NodeId, trail: BroadcastTrail, now: Mono) {
        self.counts.copies_received += 1;
        self.counts.copies_again += 1;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.has(*id);
        }
        let Some(first) = self.firsts.get(id).copied() else { return };
        let is_same = first.trail.entry == trail.entry;
        // If the way to the root has it from elsewhere, the gap is not ours to mend.
        let is_tree = self.is_eager(&from) && (is_same || self.place.parent() == Some(from));
        if is_tree && let Some(since) = self.doubts.settle(id) {
            if is_same {
                // The tree is whole, and slower than we waited.
                self.pace.was_slow(now.since(since));
            }
            return;
        }
        if self.give_up_stopgap([first.from, Some(from)], now) {
            return;
        }
        // A first copy that was asked for says nothing of the second one's link.
        let is_loop = first.from.is_none_or(|peer| self.is_eager(&peer));
        let is_late = now.since(first.at) >= LATE;
        if first.from != Some(from) && from != id.by && is_loop && (is_same || is_late) {
            self.end_loop((first, from), is_late, now);
        }
    }

    /// Hands a message to a peer that asked for it, if it does not ask for more than a link carries.
    pub fn serve(&mut self, to: NodeId, id: MessageId, bytes: usize, now: Mono) -> bool {
        let Some(peer) = self.peers.get_mut(&to) else { return false };
        if !peer.may_take(bytes, now) {
            return false;
        }
        peer.has(id);
        // Of what came long ago nobody knows the way any more.
        let trail = self.firsts.get(&id).map_or_else(BroadcastTrail::default, |first| first.trail);
        self.push(vec![to], id, BroadcastTrail { direct: false, ..trail });
        true
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush();
        }
        if self.regraft_at.is_some_and(|at| at <= now) {
            self.regraft_at = None;
            let is_cut_off = self.place.parent().is_some_and(|parent| !self.is_eager(&parent));
            if is_cut_off || self.eager() == 0 {
                self.regraft();
            }
        }
        self.settle_place(now);
        self.ask(now);
        self.mend(now);
    }

    /// When to call [`Tree::handle_timeout`] at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Mono> {
        let links = [self.regraft_at, self.place.next_due()];
        let messages = [self.flush_at, self.missing.next_due(), self.doubts.next_due()];
        links.into_iter().chain(messages).flatten().min()
    }

    /// The root and how many links away it is.
    #[must_use]
    pub fn place(&self) -> BroadcastPlace {
        self.place.now()
    }

    /// Over which link the root is reached.
    #[must_use]
    pub fn parent(&self) -> Option<NodeId> {
        self.place.parent()
    }

    /// What was sent and received.
    #[must_use]
    pub fn report(&self) -> SpreadReport {
        let broken = self.peers.values().map(|peer| u64::from(peer.broken())).sum();
        SpreadReport {
            eager_links: self.eager(),
            missing: self.missing.len(),
            broken_promises: broken,
            root: Some(self.place.now().root),
            root_links: self.place.now().hops,
            parent: self.place.parent(),
            ..self.counts.clone()
        }
    }

    fn next_random(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014): for choices that nobody gains by guessing.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let random = usize::try_from(self.next_random() >> 33).unwrap_or(0);
        random.checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
