//! Which links are of the tree: they join it, leave it and take each other's place.

use std::time::Duration;

use meshline_protocol::NodeId;

use super::doubts::Doubt;
use super::firsts::First;
use super::peer::Peer;
use super::{MessageId, Step, Tree};
use crate::now::Mono;

/// Eager links a node begins with. Two for each node are four on average, which connects all; what is too much the first
/// message prunes.
const FIRST_EAGER: usize = 2;

/// A node that was pruned by all looks for another eager link after this: the pruning may be half of a change.
const REGRAFT_AFTER: Duration = Duration::from_secs(1);

/// A lazy link takes the place of an eager one if messages would have passed so many fewer links. Less, and messages of
/// different authors pull the tree to and fro.
const SHORTER_BY: u8 = 4;

/// Between two such changes: each costs the peers a little, and claims of few hops are easily made.
const RESHAPE_EVERY: Duration = Duration::from_secs(5);

impl Tree {
    /// A link came up. One that is not needed stays lazy until a message shows that it is.
    pub fn link_up(&mut self, peer: NodeId, now: Mono) {
        // Another link to the same peer takes the place of the one before.
        self.peers.entry(peer).or_insert_with(|| Peer::new(now));
        if self.eager() < FIRST_EAGER {
            self.graft(peer);
        }
    }

    /// A link is gone. A node at the end of a branch is without the others then, and takes another link at once.
    pub fn link_down(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
        self.missing.forget_peer(peer);
        if self.eager() == 0 {
            self.regraft();
        }
    }

    pub(super) fn eager(&self) -> usize {
        self.peers.values().filter(|peer| peer.eager).count()
    }

    /// The peers to whom messages are handed.
    pub fn eager_peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.eager).map(|(id, _)| *id)
    }

    /// Whether messages are handed to a peer rather than announced.
    #[must_use]
    pub fn is_eager(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.eager)
    }

    pub(super) fn prune(&mut self, peer: NodeId, now: Mono) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.eager = false;
        if state.may_prune(now) {
            self.counts.prunes_sent += 1;
            self.out.push_back(Step::Prune { to: peer });
        }
    }

    /// A peer wants announcements only.
    pub fn pruned(&mut self, from: &NodeId, now: Mono) {
        self.counts.prunes_received += 1;
        if let Some(peer) = self.peers.get_mut(from) {
            peer.eager = false;
        }
        if self.eager() == 0 && self.regraft_at.is_none() {
            self.regraft_at = Some(now.after(REGRAFT_AFTER));
        }
    }

    pub(super) fn graft(&mut self, peer: NodeId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.eager = true;
            self.counts.grafts_sent += 1;
            self.out.push_back(Step::Graft { to: peer });
        }
    }

    /// Takes another link as eager, if there is one: the one that kept its word best.
    pub(super) fn regraft(&mut self) {
        self.regraft_at = None;
        let least = self.peers.values().map(Peer::broken).min();
        let best: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| Some(peer.broken()) == least).map(|(id, _)| *id).collect();
        let chosen = self.below(best.len());
        if let Some(peer) = best.get(chosen).copied() {
            self.graft(peer);
        }
    }

    /// A peer takes the link as eager. Says whether it may.
    pub fn grafted(&mut self, from: &NodeId, now: Mono) -> bool {
        self.counts.grafts_received += 1;
        let Some(peer) = self.peers.get_mut(from) else { return false };
        let may = peer.may_graft(now);
        peer.eager |= may;
        may
    }

    /// An announcer had a message over far fewer links than it took here: its link is the better one.
    pub(super) fn reshape(&mut self, from: NodeId, id: &MessageId, hops: Option<u8>, now: Mono) {
        let Some(First { from: Some(parent), trail, .. }) = self.firsts.get(id).copied() else { return };
        let is_shorter = hops.is_some_and(|hops| u16::from(hops) + 1 + u16::from(SHORTER_BY) <= u16::from(trail.hops));
        let is_time = self.reshaped_at.is_none_or(|at| now.since(at) >= RESHAPE_EVERY);
        if trail.entry != 0 || !is_shorter || !is_time || self.is_eager(&from) || !self.is_eager(&parent) {
            return;
        }
        self.reshaped_at = Some(now);
        self.graft(from);
        self.prune(parent, now);
    }

    /// What came because it was asked for came along the tree neither before nor soon after: whoever handed it over is of
    /// the tree from now on. One at a time, as the others may be behind the same gap.
    pub(super) fn mend(&mut self, now: Mono) {
        let Some(Doubt { from, .. }) = self.doubts.take_due(now) else { return };
        if self.peers.get(&from).is_some_and(|peer| !peer.eager) {
            self.graft(from);
        }
    }
}
