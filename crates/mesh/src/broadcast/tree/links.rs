//! Which links are of the tree: they join it, leave it and take each other's place.

use std::time::Duration;

use meshline_protocol::NodeId;

use super::doubts::Doubt;
use super::firsts::First;
use super::peer::Peer;
use super::{Step, Tree};
use crate::now::Mono;

/// A node that was pruned by all, or by its parent, takes a link again after this: the pruning may be half of a change.
const REGRAFT_AFTER: Duration = Duration::from_secs(1);

impl Tree {
    /// A link came up. It stays lazy unless it is the way to the root, or a message shows that it is needed.
    pub fn link_up(&mut self, peer: NodeId, now: Mono) {
        // Another link to the same peer takes the place of the one before.
        self.peers.entry(peer).or_insert_with(|| Peer::new(now));
        self.tell_soon(now);
    }

    /// A link is gone. A node at the end of a branch is without the others then, and takes another link at once.
    pub fn link_down(&mut self, peer: &NodeId, now: Mono) {
        self.peers.remove(peer);
        self.missing.forget_peer(peer);
        self.choose(now);
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

    /// Whether a link was taken for want of a better one.
    pub(super) fn is_stopgap(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.is_stopgap)
    }

    /// Whether messages are handed to a peer rather than announced.
    #[must_use]
    pub fn is_eager(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.eager)
    }

    pub(super) fn prune(&mut self, peer: NodeId, now: Mono) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        (state.eager, state.is_stopgap) = (false, false);
        if state.may_prune(now) {
            self.counts.prunes_sent += 1;
            self.out.push_back(Step::Prune { to: peer });
        }
    }

    /// Two copies met: one of the two links goes, what was taken as a stopgap first. If both are of the tree, what closes
    /// the loop is a stopgap elsewhere, which whoever took it prunes as soon as the tree brings something there.
    pub(super) fn end_loop(&mut self, (first, from): (First, NodeId), is_late: bool, now: Mono) {
        if is_late {
            self.prune(from, now);
            self.distrust(&from, now);
            return;
        }
        let links = [Some(from), first.from.filter(|first| self.is_eager(first))];
        let stopgap = links.into_iter().flatten().find(|peer| self.is_stopgap(peer));
        let other = links.into_iter().flatten().find(|peer| !self.is_of_tree(peer));
        if let Some(peer) = stopgap.or(other) {
            self.prune(peer, now);
        }
    }

    /// A message came over two links. If one of them is that to the root, the other one is not needed as a stopgap, wherever
    /// the copies entered the tree. Says whether that was so.
    pub(super) fn give_up_stopgap(&mut self, links: [Option<NodeId>; 2], now: Mono) -> bool {
        let parent = self.place.parent().filter(|parent| self.is_eager(parent));
        if parent.is_none() || !links.contains(&parent) {
            return false;
        }
        let stopgap = links.into_iter().flatten().find(|peer| self.is_stopgap(peer));
        stopgap.into_iter().for_each(|peer| self.prune(peer, now));
        stopgap.is_some()
    }

    /// A peer wants announcements only.
    pub fn pruned(&mut self, from: &NodeId, now: Mono) {
        self.counts.prunes_received += 1;
        if let Some(peer) = self.peers.get_mut(from) {
            (peer.eager, peer.is_stopgap) = (false, false);
        }
        if (self.eager() == 0 || self.place.parent().as_ref() == Some(from)) && self.regraft_at.is_none() {
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

    /// Takes another link as eager, if there is one: the one to the root, or else one that kept its word best.
    pub(super) fn regraft(&mut self) {
        self.regraft_at = None;
        if let Some(parent) = self.place.parent() {
            self.graft(parent);
            return;
        }
        let least = self.peers.values().map(Peer::broken).min();
        let best: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| Some(peer.broken()) == least).map(|(id, _)| *id).collect();
        let chosen = self.below(best.len());
        if let Some(peer) = best.get(chosen).copied() {
            self.graft_for_now(peer);
        }
    }

    /// Takes a link as eager until a place is found or a loop is.
    fn graft_for_now(&mut self, peer: NodeId) {
        self.graft(peer);
        self.peers.entry(peer).and_modify(|peer| peer.is_stopgap = true);
    }

    /// A peer takes the link as eager. Says whether it may.
    pub fn grafted(&mut self, from: &NodeId, now: Mono) -> bool {
        self.counts.grafts_received += 1;
        let Some(peer) = self.peers.get_mut(from) else { return false };
        let may = peer.may_graft(now);
        peer.eager |= may;
        may
    }

    /// What came because it was asked for came along the tree neither before nor soon after: whoever handed it over is of
    /// the tree from now on. One at a time, as the others may be behind the same gap.
    pub(super) fn mend(&mut self, now: Mono) {
        let Some(Doubt { from, .. }) = self.doubts.take_due(now) else { return };
        if self.peers.get(&from).is_some_and(|peer| !peer.eager) {
            self.graft_for_now(from);
        }
    }
}
