//! Own messages: signed, sent, and watched until everybody has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use meshline_identity::Sequence;
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::{Broadcast as Message, BroadcastMessage, BroadcastTrail, RecordText, SignedBroadcast};
use meshline_protocol::{Bounded, Code, Frame, Message as Wire, NodeId, ServiceName, UnixMicros};

use super::compare::text_id;
use super::handed::send_ring;
use super::mesh::is_dense;
use super::rate::OWN_RATE;
use super::round::Round;
use super::{Broadcast, MAX_CLOCK_AHEAD, flood, is_plausible};
use crate::event::{Delivery, DeliveryState, Event, SignedText};
use crate::ring::RingPlace;
use crate::routing::MAX_AREA;
use crate::shared::Shared;

/// How long a message may be under way: a ring may stay open for a while.
pub(crate) const VALIDITY: i64 = 3_600_000_000;

/// Own messages whose delivery is watched. On a ring no more are taken while so many wait for it to close.
pub(crate) const MAX_PENDING: usize = 256;

/// Who knows of more members than this asks only those linked with it for receipts. Each receipt of the others passes half
/// a dozen links, all of them the author's, and of more than an area nobody knows all to count them.
const MAX_RECEIPTS: usize = MAX_AREA;

/// Bytes of own messages that a member is sent when it comes up: a quarter of what waits for a link at most.
const MAX_CATCH_UP: usize = 256 * 1024;

/// Attempts are numbered by the age of the message, so that one made after a restart is later than those before.
const ATTEMPT_MICROS: i64 = 100_000;

/// An own message on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) line: BroadcastMessage,
    pub(super) body: Bytes,
    /// Who is known to have it.
    pub(super) holders: BTreeSet<NodeId>,
    pub(super) way: Way,
    pub(super) expires: UnixMicros,
    /// What was last told of it.
    pub(super) told: Delivery,
}

/// How an own message reaches the others.
#[derive(Debug)]
pub(super) enum Way {
    /// Flooded to these linked members.
    Mesh(BTreeSet<NodeId>),
    /// Handed round.
    Ring(Round),
}

impl Broadcast {
    /// Signs a service's text, to be sent with [`Broadcast::spread`].
    pub(crate) fn sign(
        &mut self,
        (service, validity): (ServiceName, i64),
        text: String,
        on_ring: bool,
        shared: &mut Shared,
    ) -> Result<SignedText, (Code, String)> {
        if text.len() > MAX_TEXT {
            return Err((Code::BodyTooLong, format!("text longer than {MAX_TEXT} bytes")));
        }
        self.make_room(on_ring, shared)?;
        if !self.rates.take_own(shared.now.mono) {
            return Err((Code::RateLimited, format!("more than {} messages a second", OWN_RATE.per_second)));
        }
        let seq = next_seq(shared);
        shared.dirty = true;
        // A clock that was noted while it was not known to be ahead would have others refuse the message.
        let noted = if is_plausible(self.clock, shared) { self.clock } else { UnixMicros::new(0) };
        self.clock = shared.judged().max(noted.offset(1));
        let signed = SignedBroadcast {
            kind: SignedBroadcast::TYPE.to_owned(),
            network: shared.config.network.clone(),
            seq,
            expires: shared.latest().max(seq).offset(validity),
            time: shared.now.wall,
            clock: self.clock,
            service,
            text,
        };
        let body: Bytes =
            serde_json::to_vec(&signed).map_err(|error| (Code::InvalidMessage, error.to_string()))?.into();
        let sig = shared.key.sign_bytes(&body);
        Ok(SignedText { by: shared.id, seq, sig, body })
    }

    /// Sends a signed text to all, for the first time or, after a restart, again. `members` are those known.
    pub(crate) fn spread(
        &mut self,
        signed: &SignedText,
        expires: UnixMicros,
        (ring, members): (Option<RingPlace<'_>>, usize),
        shared: &mut Shared,
    ) -> Delivery {
        let (line, body) = self.release_own(signed, expires, (ring, members, !are_counted(members)), shared);
        let way = Way::Mesh(shared.up.keys().copied().collect());
        let told = Delivery { state: DeliveryState::Queued, delivered_to: 0, delivered_of: 0 };
        let mut pending = Pending { line, body, holders: BTreeSet::new(), way, expires, told };
        if let Some(place) = ring {
            pending.way = Way::Ring(Round::default());
            pending.hand_round(place, shared);
        }
        pending.told = pending.delivery(ring);
        let delivery = pending.told;
        while self.pending.len() >= MAX_PENDING && self.pending.pop_first().is_some() {}
        self.pending.insert(signed.seq, pending);
        delivery
    }

    /// Sends a signed text to all and leaves it at that: round a ring once, if it is closed.
    pub(crate) fn publish_own(
        &mut self,
        signed: &SignedText,
        expires: UnixMicros,
        (ring, members): (Option<RingPlace<'_>>, usize),
        shared: &mut Shared,
    ) {
        let (line, body) = self.release_own(signed, expires, (ring, members, true), shared);
        if let Some(successor) = ring.and_then(|place| place.successor) {
            send_ring(&successor, line, &body, shared);
        }
    }

    /// Sends a signed text along the tree; on a ring to those who look on. Of a silent one only who is linked with us
    /// sends receipts.
    fn release_own(
        &mut self,
        signed: &SignedText,
        expires: UnixMicros,
        (ring, members, silent): (Option<RingPlace<'_>>, usize, bool),
        shared: &mut Shared,
    ) -> (BroadcastMessage, Bytes) {
        let SignedText { by, seq, sig, body } = signed.clone();
        let (attempt, holders) = (attempt_at(seq, shared), Bounded::from_first([shared.id]));
        let (trail, announcement) = (BroadcastTrail::default(), None);
        let line = BroadcastMessage { by, seq, sig, attempt, holders, trail, silent, announcement };
        self.keep(&line, (&body, None), expires);
        if ring.is_some() {
            flood(&line, &body, |_, up| up.is_view, shared);
        } else {
            self.publish(text_id(by, seq), members, shared);
        }
        (line, body)
    }

    /// A ring keeps what waits; what is on its way to the last members only, or on a mesh, is watched no longer.
    fn make_room(&mut self, on_ring: bool, shared: &Shared) -> Result<(), (Code, String)> {
        let now = shared.judged();
        self.pending.retain(|_, pending| pending.expires > now);
        if self.pending.len() < MAX_PENDING {
            return Ok(());
        }
        let settled = self.pending.iter().find(|(_, pending)| !on_ring || pending.is_told_complete());
        let Some(seq) = settled.map(|(seq, _)| *seq) else {
            return Err((Code::RateLimited, format!("{MAX_PENDING} messages wait for the ring to close")));
        };
        self.pending.remove(&seq);
        Ok(())
    }

    /// Mesh: a member came up that has not got own messages which are still on their way. It is sent the newest of them;
    /// what is older it finds by comparing, and so it does if this node is linked with few.
    pub(crate) fn catch_up(&mut self, peer: NodeId, known: usize, shared: &mut Shared) {
        let (now, is_dense) = (shared.judged(), is_dense(known, shared));
        let mut bytes = 0;
        for pending in self.pending.values_mut().rev().filter(|pending| pending.expires > now) {
            bytes += pending.body.len();
            if bytes > MAX_CATCH_UP {
                return;
            }
            let Way::Mesh(members) = &mut pending.way else { continue };
            if pending.holders.contains(&peer) || (!members.is_empty() && pending.holders.len() >= members.len()) {
                continue;
            }
            if !is_dense && !members.is_empty() {
                continue;
            }
            // A link may come up in place of another one, on which the message was lost.
            members.insert(peer);
            let frame = Frame {
                message: Wire::Broadcast(Message::Flood(pending.line.clone())),
                body: Some(pending.body.clone()),
            };
            shared.send_frame(&peer, &Arc::new(frame));
            pending.tell(None, shared);
        }
    }

    /// A member is known to have an own message, by another way than a receipt. Says whether that is watched here.
    pub(crate) fn note_holder(&mut self, seq: UnixMicros, by: NodeId, shared: &mut Shared) -> bool {
        let Some(pending) = self.pending.get_mut(&seq) else { return false };
        pending.acknowledge(by, shared);
        true
    }

    /// Whether own messages are on their way.
    pub(crate) fn is_watching(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl Pending {
    /// A receipt. On a ring only those who look on send them; the message itself says which members have it.
    pub(super) fn acknowledge(&mut self, by: NodeId, shared: &mut Shared) {
        let is_new = matches!(self.way, Way::Mesh(_)) && self.holders.len() < crate::gossip::MAX_MEMBERS;
        if is_new && self.holders.insert(by) {
            self.tell(None, shared);
        }
    }

    /// Tells how far the message has come, if that has changed.
    pub(super) fn tell(&mut self, ring: Option<RingPlace<'_>>, shared: &mut Shared) {
        let delivery = self.delivery(ring);
        if delivery != self.told {
            self.told = delivery;
            shared.event(Event::Delivered { seq: self.line.seq, delivery });
        }
    }

    fn delivery(&self, ring: Option<RingPlace<'_>>) -> Delivery {
        let delivered_to = self.holders.len();
        match (&self.way, ring) {
            (Way::Ring(round), Some(place)) => round.delivery(&self.holders, place),
            (Way::Ring(_), None) => Delivery { delivered_to, ..self.told },
            (Way::Mesh(members), _) if members.is_empty() => {
                Delivery { state: DeliveryState::Queued, delivered_to, delivered_of: 0 }
            }
            (Way::Mesh(members), _) => {
                let complete = delivered_to >= members.len();
                let state = if complete { DeliveryState::Complete } else { DeliveryState::OnItsWay };
                Delivery { state, delivered_to, delivered_of: members.len().max(delivered_to) }
            }
        }
    }
}

/// Whether all who have a message say so, with so many members known.
fn are_counted(members: usize) -> bool {
    members <= MAX_RECEIPTS
}

/// The next sequence: by the own clock, unless the members say that it is ahead. What was written while a wrong clock was
/// not known to be wrong was taken by nobody, so the sequence may go back behind it.
fn next_seq(shared: &mut Shared) -> UnixMicros {
    if !is_plausible(shared.broadcast_seq.last(), shared) {
        shared.broadcast_seq = Sequence::default();
    }
    let now = shared.steady().min(shared.judged().offset(MAX_CLOCK_AHEAD));
    shared.broadcast_seq.next(now)
}

/// The number of an attempt that is made now.
pub(super) fn attempt_at(seq: UnixMicros, shared: &Shared) -> u32 {
    u32::try_from((shared.steady().since(seq) / ATTEMPT_MICROS).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_asked_of_all_up_to_an_area() {
        assert!(are_counted(MAX_RECEIPTS));
        assert!(!are_counted(MAX_RECEIPTS + 1));
    }
}
