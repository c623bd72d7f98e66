//! Messages to all: flooded over a mesh, handed round on a ring, delivered once.

mod parked;
mod round;
pub(crate) mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::{
    Broadcast as Message, BroadcastAck, BroadcastMessage, Gossip, RecordText, SignedBroadcast, Want,
};
use meshline_protocol::{Bounded, Code, Frame, Message as Wire, NodeId, ServiceName, UnixMicros};

use crate::event::Event;
use crate::gossip::Members;
use crate::ring::RingPlace;
use crate::shared::Shared;
use parked::Parked;
use round::Round;
use seen::{Freshness, Seen};

/// How long a message may be under way: a ring may stay open for a while.
const VALIDITY: i64 = 3_600_000_000;

/// Own messages whose delivery is watched. On a ring no more are taken while so many wait for it to close.
pub(crate) const MAX_PENDING: usize = 256;

/// Longest body of a broadcast: a text in which every character is escaped, and what stands around it.
const MAX_BROADCAST_BODY: usize = 2 * MAX_TEXT + 2_048;

/// Attempts at one message that are passed on. An author makes one each time its ring has changed.
const MAX_ATTEMPTS: u32 = 10_000;

/// An own message on its way.
#[derive(Debug)]
struct Pending {
    line: BroadcastMessage,
    body: Bytes,
    /// Who is known to have it.
    holders: BTreeSet<NodeId>,
    way: Way,
    expires: UnixMicros,
}

/// How an own message reaches the others.
#[derive(Debug)]
enum Way {
    /// Flooded to so many links.
    Mesh(usize),
    /// Handed round.
    Ring(Round),
}

/// The state of broadcasts.
#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    seen: Seen,
    pending: BTreeMap<UnixMicros, Pending>,
    /// Messages whose authors are not known yet.
    parked: Parked,
}

/// A message as it came.
#[derive(Debug)]
struct Arrival {
    from: NodeId,
    line: BroadcastMessage,
    body: Bytes,
}

/// What is around when a message comes.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    /// The place on the ring, if messages travel a ring here.
    pub(crate) ring: Option<RingPlace<'a>>,
    pub(crate) members: &'a Members,
    pub(crate) shared: &'a mut Shared,
}

impl Broadcast {
    /// Sends a service's text to all.
    pub(crate) fn send(
        &mut self,
        service: ServiceName,
        text: String,
        ring: Option<RingPlace<'_>>,
        shared: &mut Shared,
    ) -> Result<UnixMicros, (Code, String)> {
        if text.len() > MAX_TEXT {
            return Err((Code::BodyTooLong, format!("text longer than {MAX_TEXT} bytes")));
        }
        self.make_room(ring.is_some(), shared)?;
        let seq = shared.broadcast_seq.next(shared.steady());
        shared.dirty = true;
        let signed = SignedBroadcast {
            kind: SignedBroadcast::TYPE.to_owned(),
            network: shared.config.network.clone(),
            seq,
            expires: shared.judged().max(seq).offset(VALIDITY),
            time: shared.now.wall,
            service,
            text,
        };
        let body: Bytes =
            serde_json::to_vec(&signed).map_err(|error| (Code::InvalidMessage, error.to_string()))?.into();
        let sig = shared.key.sign_bytes(&body);
        let line = BroadcastMessage { by: shared.id, seq, sig, attempt: 0, holders: Bounded::from_first([shared.id]) };
        let way = Way::Mesh(flood(&line, &body, None, ring.is_some(), shared));
        let mut pending = Pending { line, body, holders: BTreeSet::new(), way, expires: signed.expires };
        if let Some(place) = ring {
            pending.way = Way::Ring(Round::default());
            pending.hand_round(place, shared);
        }
        self.pending.insert(seq, pending);
        Ok(seq)
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

    /// Takes in a message of a peer.
    pub(crate) fn handle(
        &mut self,
        from: NodeId,
        message: Message,
        body: Option<Bytes>,
        around: Around<'_>,
    ) -> Result<(), Code> {
        let body = body.unwrap_or_default();
        let Around { ring, members, shared } = around;
        let around = Around { ring, members, shared: &mut *shared };
        let done = match message {
            Message::Flood(line) => self.handle_flood(Arrival { from, line, body }, around),
            Message::Ring(line) => self.handle_ring(Arrival { from, line, body }, around),
            Message::Ack(ack) => {
                self.handle_ack(from, ack, members, shared);
                Ok(())
            }
        };
        match done {
            // It may have ended on its way: no fault of whoever passes it on.
            Err(code @ Code::RecordExpired) => {
                shared.count(code);
                Ok(())
            }
            other => other,
        }
    }

    /// A member is known now: what it wrote is taken in. Says what was wrong with it, if anything was.
    pub(crate) fn release(&mut self, author: NodeId, around: Around<'_>) -> Vec<Code> {
        let Around { ring, members, shared } = around;
        let mut faults = Vec::new();
        for (on_ring, arrival) in self.parked.take(author) {
            let around = Around { ring, members, shared };
            let done = if on_ring { self.handle_ring(arrival, around) } else { self.handle_flood(arrival, around) };
            faults.extend(done.err());
        }
        faults
    }

    /// Keeps a message until its author is known, and asks who that is.
    fn park(&mut self, on_ring: bool, arrival: Arrival, shared: &mut Shared) {
        let want = Want { ids: Bounded::from_first([arrival.line.by]) };
        shared.send(&arrival.from, Wire::Gossip(Gossip::Want(want)));
        self.parked.put(on_ring, arrival);
    }

    fn handle_flood(&mut self, arrival: Arrival, around: Around<'_>) -> Result<(), Code> {
        let Around { ring, members, shared } = around;
        if arrival.line.by == shared.id {
            return Ok(());
        }
        if members.get(&arrival.line.by).is_none() {
            self.park(false, arrival, shared);
            return Ok(());
        }
        let Arrival { from, line, body } = &arrival;
        if self.seen.look(line.by, line.seq, 0) == Freshness::New {
            let text = verified(line, body, shared)?;
            self.seen.note(line.by, line.seq, 0, *from);
            deliver(text, line, members, shared);
            if shared.config.carries() {
                flood(line, body, Some(*from), ring.is_some(), shared);
                if let Some(successor) = ring.and_then(|place| place.successor) {
                    let line = BroadcastMessage { holders: Bounded::from_first([shared.id]), ..line.clone() };
                    send_ring(&successor, line, body, shared);
                }
            }
        }
        let ack = BroadcastAck { author: line.by, seq: line.seq, by: shared.id };
        shared.send(from, Wire::Broadcast(Message::Ack(ack)));
        Ok(())
    }

    fn handle_ring(&mut self, arrival: Arrival, around: Around<'_>) -> Result<(), Code> {
        let Around { ring, members, shared } = around;
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
        let Arrival { from, mut line, body } = arrival;
        match self.seen.look(line.by, line.seq, line.attempt) {
            Freshness::Old => return Ok(()),
            // The attempt is not signed: what is passed on is checked again, lest the next one blames us.
            Freshness::LaterAttempt if line.attempt > MAX_ATTEMPTS => return Ok(()),
            Freshness::LaterAttempt => {
                verified(&line, &body, shared)?;
                self.seen.note(line.by, line.seq, line.attempt, from);
            }
            Freshness::New => {
                let text = verified(&line, &body, shared)?;
                self.seen.note(line.by, line.seq, line.attempt, from);
                deliver(text, &line, members, shared);
                flood(&line, &body, Some(from), true, shared);
            }
        }
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

    fn handle_ack(&mut self, from: NodeId, ack: BroadcastAck, members: &Members, shared: &mut Shared) {
        // A linked member speaks for itself.
        if members.get(&ack.by).is_none() || (shared.up.contains_key(&ack.by) && from != ack.by) {
            return;
        }
        if ack.author != shared.id {
            if let Some(source) = self.seen.source(ack.author, ack.seq).filter(|_| shared.config.carries()) {
                shared.send(&source, Wire::Broadcast(Message::Ack(ack)));
            }
            return;
        }
        let Some(pending) = self.pending.get_mut(&ack.seq) else { return };
        // On a ring only those who look on send receipts; the message itself says which members have it.
        let Way::Mesh(expected) = pending.way else { return };
        if ack.by != shared.id && pending.holders.len() < crate::gossip::MAX_MEMBERS && pending.holders.insert(ack.by) {
            let delivered_to = pending.holders.len();
            let complete = delivered_to >= expected;
            shared.event(Event::Delivered { seq: ack.seq, delivered_to, complete });
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

    /// Mesh: a member came up that has not got an own message which is still on its way.
    pub(crate) fn catch_up(&mut self, peer: NodeId, shared: &mut Shared) {
        let now = shared.judged();
        for pending in self.pending.values_mut().filter(|pending| pending.expires > now) {
            let Way::Mesh(expected) = &mut pending.way else { continue };
            if pending.holders.contains(&peer) || (*expected > 0 && pending.holders.len() >= *expected) {
                continue;
            }
            *expected += 1;
            let frame = Frame {
                message: Wire::Broadcast(Message::Flood(pending.line.clone())),
                body: Some(pending.body.clone()),
            };
            shared.send_frame(&peer, &Arc::new(frame));
        }
    }

    /// Whether own messages are on their way.
    pub(crate) fn is_watching(&self) -> bool {
        !self.pending.is_empty()
    }
}

fn send_ring(to: &NodeId, line: BroadcastMessage, body: &Bytes, shared: &mut Shared) {
    let frame = Frame { message: Wire::Broadcast(Message::Ring(line)), body: Some(body.clone()) };
    shared.send_frame(to, &Arc::new(frame));
}

/// Sends to all linked peers but one (or only to those that merely look on), and says to how many.
fn flood(
    line: &BroadcastMessage,
    body: &Bytes,
    except: Option<NodeId>,
    only_views: bool,
    shared: &mut Shared,
) -> usize {
    let line = BroadcastMessage { attempt: 0, holders: Bounded::default(), ..line.clone() };
    let frame = Arc::new(Frame { message: Wire::Broadcast(Message::Flood(line)), body: Some(body.clone()) });
    let wanted = |(id, up): &(&NodeId, &crate::shared::UpPeer)| Some(**id) != except && (up.is_view || !only_views);
    let peers: Vec<NodeId> = shared.up.iter().filter(wanted).map(|(id, _)| *id).collect();
    for peer in &peers {
        shared.send_frame(peer, &frame);
    }
    peers.len()
}

/// Checks author, signature and dates of a message that is new here.
fn verified(line: &BroadcastMessage, body: &Bytes, shared: &Shared) -> Result<SignedBroadcast, Code> {
    if body.len() > MAX_BROADCAST_BODY {
        return Err(Code::BodyTooLong);
    }
    if !meshline_identity::verify_bytes(&line.by, body, &line.sig) {
        return Err(Code::BadSignature);
    }
    let text: SignedBroadcast = serde_json::from_slice(body).map_err(|_| Code::InvalidMessage)?;
    if text.kind != SignedBroadcast::TYPE || text.seq != line.seq || text.text.len() > MAX_TEXT {
        return Err(Code::InvalidMessage);
    }
    if text.network != shared.config.network {
        return Err(Code::RecordForeign);
    }
    if text.expires <= shared.judged() {
        return Err(Code::RecordExpired);
    }
    Ok(text)
}

fn deliver(message: SignedBroadcast, line: &BroadcastMessage, members: &Members, shared: &mut Shared) {
    let name = members.get(&line.by).map_or("", |known| known.member.name.as_str());
    let author = shared.shown(&line.by, name);
    shared.event(Event::Broadcast { author, message: Box::new(message) });
}
