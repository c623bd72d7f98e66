//! Others' messages on a ring: taken in, and handed to the successor.

use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::{Broadcast as Message, BroadcastAck, BroadcastMessage};
use meshline_protocol::{Code, Frame, Message as Wire, NodeId};

use super::judge::verified;
use super::seen::Freshness;
use super::{Around, Arrival, Broadcast, flood};
use crate::gossip::Members;
use crate::ring::RingPlace;
use crate::shared::Shared;

/// Attempts at one message that are passed on: they are numbered by the tenths of a second for which a message may
/// be under way.
const MAX_ATTEMPTS: u32 = 36_000;

impl Broadcast {
    pub(super) fn handle_ring(&mut self, arrival: Arrival, around: Around<'_>) -> Result<(), Code> {
        let Around { ring, members, shared, .. } = around;
        if arrival.line.holders.first() == Some(&shared.id) {
            self.handle_round_done(&arrival.line, ring, members, shared);
            return Ok(());
        }
        if arrival.line.by == shared.id {
            return Ok(());
        }
        if members.get(&arrival.line.by).is_none() {
            self.park(true, arrival, shared);
            return Ok(());
        }
        let (from, line) = (arrival.from, &arrival.line);
        match self.seen.look(line.by, line.seq, line.attempt) {
            Freshness::Old => return Ok(()),
            // The attempt is not signed: what is passed on is checked again, lest the next one blames us.
            Freshness::LaterAttempt if line.attempt > MAX_ATTEMPTS => return Ok(()),
            Freshness::LaterAttempt => {
                verified(line, &arrival.body, shared)?;
                self.seen.note((line.by, line.seq), line.attempt, from, shared.judged());
            }
            Freshness::New if !self.has_allowance(line.by, from, shared) => return Ok(()),
            Freshness::New => {
                let text = verified(line, &arrival.body, shared)?;
                self.keep(line, (&arrival.body, None), text.expires);
                self.deliver(text, &arrival, line.holders.to_vec(), (members, shared));
                flood(line, &arrival.body, |peer, up| *peer != from && up.is_view, shared);
            }
        }
        let Arrival { mut line, body, .. } = arrival;
        if let Some(successor) = ring.and_then(|place| place.successor).filter(|_| line.holders.push(shared.id)) {
            send_ring(&successor, line, &body, shared);
        }
        Ok(())
    }

    /// A message we put on the ring is back: all holders have it.
    fn handle_round_done(
        &mut self,
        line: &BroadcastMessage,
        ring: Option<RingPlace<'_>>,
        members: &Members,
        shared: &mut Shared,
    ) {
        if line.by == shared.id {
            if let (Some(pending), Some(place)) = (self.pending.get_mut(&line.seq), ring) {
                // Whoever the own token met is on the ring, known by name or not.
                let is_real = |id: &NodeId| members.get(id).is_some() || place.members.contains(id);
                let holders: Vec<NodeId> = line.holders.iter().copied().filter(is_real).collect();
                pending.come_back(&holders, place, shared);
            }
        } else if let Some(author_side) = self.seen.source(line.by, line.seq) {
            for by in line.holders.iter().skip(1).filter(|by| ring.is_some() && members.get(by).is_some()) {
                let ack = BroadcastAck { author: line.by, seq: line.seq, by: *by };
                shared.send(&author_side, Wire::Broadcast(Message::Ack(ack)));
            }
        }
    }

    /// Ring: sends what waited for a successor, and again what was lost or has not reached everybody.
    pub(crate) fn retry(&mut self, place: RingPlace<'_>, shared: &mut Shared) {
        let now = shared.judged();
        self.pending.retain(|_, pending| pending.expires > now && !pending.is_over(shared.now.mono));
        for pending in self.pending.values_mut() {
            pending.look_again(place, shared);
        }
    }
}

pub(super) fn send_ring(to: &NodeId, line: BroadcastMessage, body: &Bytes, shared: &mut Shared) {
    let frame = Frame { message: Wire::Broadcast(Message::Ring(line)), body: Some(body.clone()) };
    shared.send_frame(to, &Arc::new(frame));
}
