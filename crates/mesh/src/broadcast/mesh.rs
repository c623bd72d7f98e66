//! Messages on a mesh: handed on along the tree, announced beside it, asked for when they do not come.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use meshline_identity::Member;
use meshline_protocol::message::{
    Broadcast as Message, BroadcastAck, BroadcastGraft, BroadcastHave, BroadcastKind, BroadcastMessage, BroadcastName,
    BroadcastPlace, BroadcastPrune, BroadcastTrail, BroadcastWant, Rebuild, Revocation,
};
use meshline_protocol::{Bounded, Code, Frame, Message as Wire, NodeId, SignedRecord, UnixMicros};

use super::compare::{name_of, text_id};
use super::handed::send_ring;
use super::judge::verified;
use super::seen::Freshness;
use super::tree::{MessageId, Step};
use super::{Around, Arrival, Broadcast, flood};
use crate::now::Mono;
use crate::ring::RingPlace;
use crate::routing::Routing;
use crate::shared::Shared;

impl Broadcast {
    pub(super) fn handle_flood(&mut self, arrival: Arrival, around: Around<'_>) -> Result<(), Code> {
        let Around { ring, members, routing, shared } = around;
        let (from, id, now) = (arrival.from, text_id(arrival.line.by, arrival.line.seq), shared.now.mono);
        if id.by == shared.id {
            return Ok(());
        }
        let known = members.get(&id.by);
        if known.is_none() {
            shared.tree.received(&id, from, now);
            self.park(false, arrival, shared);
            return Ok(());
        }
        if self.seen.look(id.by, id.seq, 0) == Freshness::New {
            if !self.has_allowance(id.by, from, shared) {
                shared.tree.received(&id, from, now);
                return Ok(());
            }
            let Arrival { line, body, .. } = &arrival;
            let text = verified(line, body, shared)?;
            let told = known.filter(|_| arrival.is_told).map(|known| Arc::clone(&known.member));
            let path = std::iter::once(id.by).chain((id.by != from).then_some(from)).collect();
            self.keep(line, (body, told), text.expires);
            self.deliver(text, &arrival, path, (members, shared));
            self.pass_on(&arrival, ring, routing, shared);
        } else {
            shared.tree.again(&id, from, arrival.line.trail, now);
            self.carry_out(shared);
            if !self.is_receipt_due(&arrival, shared) {
                return Ok(());
            }
        }
        acknowledge(&arrival, shared);
        Ok(())
    }

    /// Keeps a message for those who ask. `told` is its author, if this node had to be told who that is.
    pub(super) fn keep(
        &mut self,
        line: &BroadcastMessage,
        (body, told): (&Bytes, Option<Arc<Member>>),
        expires: UnixMicros,
    ) {
        let line = BroadcastMessage {
            attempt: 0,
            holders: Bounded::default(),
            trail: BroadcastTrail::default(),
            ..line.clone()
        };
        self.store.put(line, (body.clone(), told), expires);
    }

    /// A copy of what is here already is acknowledged to its author, who sends again what it has no receipt for, and to
    /// anybody if the way that the first receipt took is gone.
    fn is_receipt_due(&self, arrival: &Arrival, shared: &Shared) -> bool {
        let Arrival { from, line, .. } = arrival;
        let first = self.seen.source(line.by, line.seq);
        *from == line.by || first.is_none_or(|first| first == *from || !shared.up.contains_key(&first))
    }

    /// Passes a message on along the tree. If its author handed it over on all of its links, those who are linked with it
    /// have it from there: in a full mesh that is everybody. They are remembered for a while, in case that link is lost
    /// with the message on it.
    fn pass_on(&mut self, arrival: &Arrival, ring: Option<RingPlace<'_>>, routing: &Routing, shared: &mut Shared) {
        let Arrival { from, line, body, .. } = arrival;
        let id = text_id(line.by, line.seq);
        let carries = shared.config.carries();
        let mut linked: BTreeSet<NodeId> = BTreeSet::new();
        if carries && ring.is_none() && line.trail.direct {
            linked = shared.up.keys().filter(|peer| routing.are_linked(&line.by, peer)).copied().collect();
            linked.remove(from);
        }
        let wanted = |peer: &NodeId| carries && ring.is_none() && !linked.contains(peer);
        shared.tree.arrived((id, line.trail), *from, &wanted, shared.now.mono);
        self.carry_out(shared);
        self.recent.note(id, linked, shared.now.mono);
        let Some(place) = ring.filter(|_| carries) else { return };
        flood(line, body, |peer, up| peer != from && up.is_view, shared);
        if let Some(successor) = place.successor {
            let line = BroadcastMessage { holders: Bounded::from_first([shared.id]), ..line.clone() };
            send_ring(&successor, line, body, shared);
        }
    }

    /// Sends an own message to all. `members` are those known.
    pub(super) fn publish(&mut self, id: MessageId, members: usize, shared: &mut Shared) {
        let direct = is_dense(members, shared);
        shared.tree.publish(id, direct, shared.now.mono);
        self.carry_out(shared);
    }

    /// Passes a signed record on that was taken in.
    pub(crate) fn spread_record(&mut self, id: MessageId, from: Option<NodeId>, members: usize, shared: &mut Shared) {
        match from {
            Some(from) => shared.tree.arrived((id, BroadcastTrail::default()), from, &|_| true, shared.now.mono),
            None => return self.publish(id, members, shared),
        }
        self.carry_out(shared);
    }

    /// A revocation that is known came once more.
    pub(crate) fn note_copy(&mut self, record: &SignedRecord, from: NodeId, shared: &mut Shared) {
        let Ok(Revocation { seq, .. }) = serde_json::from_str(&record.signed) else { return };
        let id = MessageId { by: record.by, seq, kind: BroadcastKind::Revocation };
        shared.tree.again(&id, from, BroadcastTrail::default(), shared.now.mono);
        self.carry_out(shared);
    }

    /// A record about choosing links anew that is known came once more.
    pub(crate) fn note_rebuild_copy(&mut self, id: MessageId, from: NodeId, shared: &mut Shared) {
        shared.tree.again(&id, from, BroadcastTrail::default(), shared.now.mono);
        self.carry_out(shared);
    }

    /// Names the records about choosing links anew that are held.
    pub(crate) fn tell_records(&self, peer: NodeId, shared: &mut Shared) {
        let id = |(by, seq)| MessageId { by, seq, kind: BroadcastKind::Rebuild };
        let ids: Vec<MessageId> = shared.words.names().into_iter().map(id).collect();
        self.tell_past(peer, &ids, shared);
    }

    /// Links were advertised anew or lost: whoever was left out as linked with an author and is not any more is told what
    /// that author wrote a moment ago.
    pub(crate) fn links_changed(&mut self, routing: &Routing, shared: &mut Shared) {
        for (id, peers) in self.recent.take_parted(|author, peer| routing.are_linked(author, peer), shared.now.mono) {
            for peer in peers {
                self.tell_past(peer, &[id], shared);
            }
        }
    }

    /// A peer says what it has.
    pub(super) fn handle_have(&mut self, from: NodeId, have: &BroadcastHave, shared: &mut Shared) {
        let (own, now) = (shared.id, shared.now.mono);
        let (revoked, words, tree) = (&shared.revoked, &shared.words, &mut shared.tree);
        // Of an author who sends too much nothing is asked for that would not be taken.
        let is_here = |id: &MessageId| match id.kind {
            BroadcastKind::Revocation => revoked.named(&id.by, id.seq).is_some(),
            BroadcastKind::Rebuild => words.has(&id.by, id.seq),
            BroadcastKind::Text => {
                id.by == own
                    || self.seen.look(id.by, id.seq, 0) != Freshness::New
                    || self.parked.has(&id.by, id.seq)
                    || !self.rates.would_admit(&id.by, now)
            }
        };
        let refused = tree.announced(from, have, &is_here, now);
        for _ in 0..refused {
            shared.count(Code::RateLimited);
        }
        self.carry_out(shared);
    }

    /// A peer takes the link as eager.
    pub(super) fn handle_graft(&mut self, from: &NodeId, shared: &mut Shared) {
        if !shared.tree.grafted(from, shared.now.mono) {
            shared.count(Code::RateLimited);
        }
    }

    /// A peer asks for messages.
    pub(super) fn handle_want(&mut self, from: NodeId, want: &BroadcastWant, shared: &mut Shared) {
        for id in want.names.iter().map(MessageId::from) {
            let bytes = match id.kind {
                BroadcastKind::Text => self.store.get(&id).map(|kept| kept.body.len()),
                BroadcastKind::Revocation => shared.revoked.named(&id.by, id.seq).map(|record| record.signed.len()),
                BroadcastKind::Rebuild => shared.words.named(&id.by, id.seq).map(|record| record.signed.len()),
            };
            if bytes.is_some_and(|bytes| !shared.tree.serve(from, id, bytes, shared.now.mono)) {
                shared.count(Code::RateLimited);
            }
        }
        self.carry_out(shared);
    }

    pub(super) fn handle_prune(&mut self, from: &NodeId, shared: &mut Shared) {
        shared.tree.pruned(from, shared.now.mono);
    }

    /// A peer says where in the tree it is.
    pub(super) fn handle_place(&self, from: &NodeId, place: BroadcastPlace, shared: &mut Shared) {
        if !shared.tree.placed(from, place, shared.now.mono) {
            shared.count(Code::RateLimited);
        }
        self.carry_out(shared);
    }

    /// Does what the tree wants done.
    pub(super) fn carry_out(&self, shared: &mut Shared) {
        while let Some(step) = shared.tree.poll_step() {
            match step {
                Step::Push { to, id, trail } => {
                    let Some(frame) = self.frame_of(&id, trail, shared).map(Arc::new) else { continue };
                    for peer in to {
                        shared.send_frame(&peer, &frame);
                    }
                }
                Step::Have { to, names } => send_names(&to, &names, shared),
                Step::Want { to, ids } => {
                    let want = BroadcastWant { names: Bounded::from_first(ids.iter().map(name_of)) };
                    shared.send(&to, Wire::Broadcast(Message::Want(want)));
                }
                Step::Graft { to } => {
                    shared.send(&to, Wire::Broadcast(Message::Graft(BroadcastGraft {})));
                }
                Step::Prune { to } => {
                    shared.send(&to, Wire::Broadcast(Message::Prune(BroadcastPrune {})));
                }
                Step::Place { to, place } => {
                    shared.send(&to, Wire::Broadcast(Message::Place(place)));
                }
            }
        }
    }

    fn frame_of(&self, id: &MessageId, trail: BroadcastTrail, shared: &Shared) -> Option<Frame> {
        match id.kind {
            BroadcastKind::Text => {
                let kept = self.store.get(id)?;
                // Whom this node had to be told of, those after it have to be told of as well.
                let announcement = kept.told.as_ref().map(|author| Box::new(author.record.clone()));
                let line = BroadcastMessage { trail, announcement, ..kept.line.clone() };
                Some(Frame { message: Wire::Broadcast(Message::Flood(line)), body: Some(kept.body.clone()) })
            }
            BroadcastKind::Revocation => {
                let record: &SignedRecord = shared.revoked.named(&id.by, id.seq)?;
                Some(Wire::Revocation(record.clone()).into())
            }
            BroadcastKind::Rebuild => {
                let record: &SignedRecord = shared.words.named(&id.by, id.seq)?;
                Some(Wire::Rebuild(Rebuild::Record(record.clone())).into())
            }
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        shared.tree.handle_timeout(shared.now.mono);
        self.compare_when_due(shared);
        self.carry_out(shared);
    }

    pub(crate) fn next_timeout(&self, shared: &Shared) -> Option<Mono> {
        shared.tree.next_timeout().into_iter().chain(self.next_compare()).min()
    }
}

/// Whether this node is linked with so many of the others that it hands its messages over itself.
pub(super) fn is_dense(members: usize, shared: &Shared) -> bool {
    shared.up.len().saturating_mul(2) >= members
}

/// Sends the receipt: back the way the message came, or to the author alone.
fn acknowledge(arrival: &Arrival, shared: &mut Shared) {
    let Arrival { from, line, .. } = arrival;
    let to = if line.silent { line.by } else { *from };
    let ack = BroadcastAck { author: line.by, seq: line.seq, by: shared.id };
    shared.send(&to, Wire::Broadcast(Message::Ack(ack)));
}

fn send_names(to: &NodeId, names: &[BroadcastName], shared: &mut Shared) {
    for chunk in names.chunks(meshline_protocol::limits::MAX_ANNOUNCED) {
        let have = BroadcastHave { names: Bounded::from_first(chunk.iter().copied()), past: false };
        shared.send(to, Wire::Broadcast(Message::Have(have)));
    }
}
