//! Finding what one of two peers has and the other has not: when they are linked, and now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::limits::MAX_ANNOUNCED;
use meshline_protocol::message::{Broadcast as Message, BroadcastCompare, BroadcastHave, BroadcastKind, BroadcastName};
use meshline_protocol::{Bounded, Message as Wire, NodeId, UnixMicros};

use super::Broadcast;
use super::store::MAX_KEPT;
use super::tree::MessageId;
use crate::bucket::{Bucket, Rate};
use crate::now::Mono;
use crate::shared::Shared;

/// Between two looks at what one peer has, for the few messages that neither came nor were announced.
const INTERVAL: Duration = Duration::from_secs(30);

/// Comparisons answered to one peer: each costs the hashes of all names.
pub(super) const ANSWERED: Rate = Rate { per_second: 1, burst: 16 };

/// Names told in one answer; what is beyond is told in the next comparison.
const MAX_TOLD: usize = MAX_KEPT / 2;

/// When to compare, and how often others may.
#[derive(Debug, Default)]
pub(super) struct Compare {
    next_at: Option<Mono>,
    answered: BTreeMap<NodeId, Bucket>,
}

impl Broadcast {
    /// A link came up: what was said while there was none is found.
    pub(crate) fn link_up(&mut self, peer: NodeId, shared: &mut Shared) {
        let now = shared.now.mono;
        shared.tree.link_up(peer, now);
        self.compare.answered.insert(peer, Bucket::new(ANSWERED, now));
        self.compare.next_at.get_or_insert_with(|| now.after(INTERVAL));
        self.compare_with(peer, shared);
        self.carry_out(shared);
    }

    /// A link is gone.
    pub(crate) fn link_down(&mut self, peer: &NodeId, shared: &mut Shared) {
        shared.tree.link_down(peer, shared.now.mono);
        self.compare.answered.remove(peer);
        self.carry_out(shared);
    }

    /// Whoever has nothing is asked by the other.
    fn compare_with(&mut self, peer: NodeId, shared: &mut Shared) {
        self.store.expire(shared.judged());
        if self.store.len() == 0 {
            return;
        }
        let since = self.store.floor();
        let digests = Bounded::from_first([self.store.digest(since)]);
        let compare = BroadcastCompare { since, digests, last: false };
        shared.send(&peer, Wire::Broadcast(Message::Compare(compare)));
    }

    /// Compares with one peer, when it is time.
    pub(super) fn compare_when_due(&mut self, shared: &mut Shared) {
        if self.compare.next_at.is_none_or(|at| at > shared.now.mono) {
            return;
        }
        let peers: Vec<NodeId> = self.compare.answered.keys().copied().collect();
        let chosen = shared.below(peers.len());
        self.compare.next_at = (!peers.is_empty()).then(|| shared.jittered(INTERVAL));
        if let Some(peer) = peers.get(chosen) {
            self.compare_with(*peer, shared);
            self.tell_records(*peer, shared);
        }
    }

    pub(super) fn next_compare(&self) -> Option<Mono> {
        self.compare.next_at
    }

    /// A peer says what it keeps. One digest that differs is answered with one for each slice, these with names.
    pub(super) fn handle_compare(&mut self, from: NodeId, theirs: &BroadcastCompare, shared: &mut Shared) {
        let now = shared.now.mono;
        if !self.compare.answered.get_mut(&from).is_some_and(|bucket| bucket.take(now)) {
            return;
        }
        self.store.expire(shared.judged());
        let since = theirs.since.max(self.store.floor());
        if let [whole] = &*theirs.digests {
            if since == theirs.since && *whole == self.store.digest(since) {
                return;
            }
            self.send_slices(from, since, theirs.last, shared);
            return;
        }
        let own = self.store.digests(theirs.since);
        let differing: Vec<usize> = own
            .iter()
            .zip(theirs.digests.iter())
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(nth, _)| nth)
            .collect();
        let names: Vec<MessageId> = self.store.names_in(&differing, theirs.since).take(MAX_TOLD).collect();
        self.tell_past(from, &names, shared);
        if !theirs.last && !differing.is_empty() {
            self.send_slices(from, theirs.since, true, shared);
        }
    }

    fn send_slices(&self, to: NodeId, since: UnixMicros, last: bool, shared: &mut Shared) {
        let digests = Bounded::from_first(self.store.digests(since));
        let compare = BroadcastCompare { since, digests, last };
        shared.send(&to, Wire::Broadcast(Message::Compare(compare)));
    }

    /// Tells a peer what has been here for a while.
    pub(super) fn tell_past(&self, to: NodeId, ids: &[MessageId], shared: &mut Shared) {
        for chunk in ids.chunks(MAX_ANNOUNCED) {
            let names = Bounded::from_first(chunk.iter().map(name_of));
            shared.send(&to, Wire::Broadcast(Message::Have(BroadcastHave { names, past: true })));
        }
    }
}

/// A name as it travels.
pub(super) fn name_of(id: &MessageId) -> BroadcastName {
    BroadcastName { by: id.by, seq: id.seq, kind: id.kind, hops: None }
}

/// The name of a service's text.
pub(super) fn text_id(by: NodeId, seq: UnixMicros) -> MessageId {
    MessageId { by, seq, kind: BroadcastKind::Text }
}
