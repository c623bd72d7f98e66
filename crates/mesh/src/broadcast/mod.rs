//! Messages to all: flooded over a mesh, handed round on a ring, delivered once.

mod own;
mod parked;
pub(crate) mod rate;
mod recent;
mod round;
pub(crate) mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::{
    Broadcast as Message, BroadcastAck, BroadcastMessage, ErrorMessage, Gossip, RecordText, SignedBroadcast, Want,
};
use meshline_protocol::{Bounded, Code, Frame, Message as Wire, NetworkId, NodeId, UnixMicros};

use crate::event::{Event, SignedText};
use crate::gossip::Members;
use crate::ring::RingPlace;
use crate::routing::Routing;
use crate::shared::{Shared, UpPeer};
use own::Pending;
use parked::Parked;
use rate::Rates;
use recent::Recent;
use seen::{Freshness, Seen};

/// Longest body of a broadcast: a text in which every character is escaped, and what stands around it.
const MAX_BROADCAST_BODY: usize = 2 * MAX_TEXT + 2_048;

/// Attempts at one message that are passed on: they are numbered by the tenths of a second for which a message may
/// be under way.
const MAX_ATTEMPTS: u32 = 36_000;

/// How far ahead of the members' time a message may be: five times what clocks may differ without being corrected.
/// Beyond it an author could fill everybody's history with what nothing ever comes after.
const MAX_AHEAD: i64 = 300_000_000;

/// How far ahead of the members' time a hybrid clock may be and still move ours: more than honest clocks differ, and
/// little enough that a liar's is overtaken soon.
const MAX_CLOCK_AHEAD: i64 = 60_000_000;

/// The state of broadcasts.
#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    seen: Seen,
    pending: BTreeMap<UnixMicros, Pending>,
    /// Messages whose authors are not known yet.
    parked: Parked,
    recent: Recent,
    rates: Rates,
    /// The greatest hybrid clock seen.
    clock: UnixMicros,
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
    /// Who is linked with whom.
    pub(crate) routing: &'a Routing,
    pub(crate) shared: &'a mut Shared,
}

impl Broadcast {
    /// A hybrid clock was seen.
    pub(crate) fn note_clock(&mut self, clock: UnixMicros, shared: &Shared) {
        if clock.since(shared.latest()) <= MAX_CLOCK_AHEAD {
            self.clock = self.clock.max(clock);
        }
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
        let Around { ring, members, routing, shared } = around;
        let around = Around { ring, members, routing, shared: &mut *shared };
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
            Err(code @ (Code::RecordExpired | Code::RecordEarly)) => {
                shared.count(code);
                Ok(())
            }
            other => other,
        }
    }

    /// A member is known now: what it wrote is taken in. Says what was wrong with it, if anything was.
    pub(crate) fn release(&mut self, author: NodeId, around: Around<'_>) -> Vec<Code> {
        let Around { ring, members, routing, shared } = around;
        let mut faults = Vec::new();
        for (on_ring, arrival) in self.parked.take(author) {
            let around = Around { ring, members, routing, shared };
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
        let Around { ring, members, routing, shared } = around;
        if arrival.line.by == shared.id {
            return Ok(());
        }
        if members.get(&arrival.line.by).is_none() {
            self.park(false, arrival, shared);
            return Ok(());
        }
        let Arrival { from, line, body } = &arrival;
        if self.seen.look(line.by, line.seq, 0) == Freshness::New {
            if !self.has_allowance(line.by, *from, shared) {
                return Ok(());
            }
            let text = verified(line, body, shared)?;
            let path = std::iter::once(line.by).chain((line.by != *from).then_some(*from)).collect();
            self.deliver(text, &arrival, path, (members, shared));
            if shared.config.carries() {
                self.pass_on(&arrival, ring, routing, shared);
            }
        } else if !self.is_receipt_due(&arrival, shared) {
            return Ok(());
        }
        let ack = BroadcastAck { author: line.by, seq: line.seq, by: shared.id };
        shared.send(from, Wire::Broadcast(Message::Ack(ack)));
        Ok(())
    }

    /// A copy of what is here already is acknowledged to its author, who sends again what it has no receipt for, and to
    /// anybody if the way that the first receipt took is gone.
    fn is_receipt_due(&self, arrival: &Arrival, shared: &Shared) -> bool {
        let Arrival { from, line, .. } = arrival;
        let first = self.seen.source(line.by, line.seq);
        *from == line.by || first.is_none_or(|first| first == *from || !shared.up.contains_key(&first))
    }

    /// Passes a message on to all but those who are linked with its author and have it from there: in a full mesh to
    /// nobody. They are remembered for a while, in case that link is lost with the message on it.
    fn pass_on(&mut self, arrival: &Arrival, ring: Option<RingPlace<'_>>, routing: &Routing, shared: &mut Shared) {
        let Arrival { from, line, body } = arrival;
        let Some(place) = ring else {
            let others = shared.up.keys().filter(|peer| *peer != from && **peer != line.by);
            let linked: BTreeSet<NodeId> = others.filter(|peer| routing.are_linked(&line.by, peer)).copied().collect();
            flood(line, body, |peer, _| peer != from && *peer != line.by && !linked.contains(peer), shared);
            self.recent.note(line, body, linked, shared.now.mono);
            return;
        };
        flood(line, body, |peer, up| peer != from && up.is_view, shared);
        if let Some(successor) = place.successor {
            let line = BroadcastMessage { holders: Bounded::from_first([shared.id]), ..line.clone() };
            send_ring(&successor, line, body, shared);
        }
    }

    /// Links were advertised anew or lost: whoever was left out as linked with an author and is not any more is sent what
    /// that author wrote a moment ago.
    pub(crate) fn links_changed(&mut self, routing: &Routing, shared: &mut Shared) {
        for late in self.recent.take_parted(|author, peer| routing.are_linked(author, peer), shared.now.mono) {
            flood(&late.line, &late.body, |peer, _| late.peers.contains(peer), shared);
        }
    }

    fn handle_ring(&mut self, arrival: Arrival, around: Around<'_>) -> Result<(), Code> {
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
                self.seen.note(line.by, line.seq, line.attempt, from);
            }
            Freshness::New if !self.has_allowance(line.by, from, shared) => return Ok(()),
            Freshness::New => {
                let text = verified(line, &arrival.body, shared)?;
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
        if ack.by != shared.id
            && let Some(pending) = self.pending.get_mut(&ack.seq)
        {
            pending.acknowledge(ack.by, shared);
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

    /// Whether a message may be taken in as new. An author who sends too much is told, if it is at the other end.
    fn has_allowance(&mut self, author: NodeId, from: NodeId, shared: &mut Shared) -> bool {
        let now = shared.now.mono;
        if self.rates.admits(author, now) {
            return true;
        }
        shared.count(Code::RateLimited);
        if author == from && self.rates.should_tell(author, now) {
            let detail = format!("more than {} messages a second", rate::AUTHOR_RATE.per_second);
            shared.send(&from, Wire::Error(ErrorMessage::new(Code::RateLimited, detail)));
        }
        false
    }

    /// Notes a message that is new here and tells it.
    fn deliver(
        &mut self,
        text: SignedBroadcast,
        arrival: &Arrival,
        path: Vec<NodeId>,
        around: (&Members, &mut Shared),
    ) {
        let (members, shared) = around;
        let Arrival { from, line, body } = arrival;
        self.seen.note(line.by, line.seq, line.attempt, *from);
        self.rates.count(line.by, shared.now.mono);
        self.note_clock(text.clock, shared);
        let name = members.get(&line.by).map_or("", |known| known.member.name.as_str());
        let author = shared.shown(&line.by, name);
        let signed = SignedText { by: line.by, seq: line.seq, sig: line.sig.clone(), body: body.clone() };
        shared.event(Event::Broadcast { author, message: Box::new(text), signed: Arc::new(signed), path });
    }
}

fn send_ring(to: &NodeId, line: BroadcastMessage, body: &Bytes, shared: &mut Shared) {
    let frame = Frame { message: Wire::Broadcast(Message::Ring(line)), body: Some(body.clone()) };
    shared.send_frame(to, &Arc::new(frame));
}

/// Sends to the linked peers that are wanted, and says to whom.
fn flood(
    line: &BroadcastMessage,
    body: &Bytes,
    is_wanted: impl Fn(&NodeId, &UpPeer) -> bool,
    shared: &mut Shared,
) -> Vec<NodeId> {
    let peers: Vec<NodeId> = shared.up.iter().filter(|(id, up)| is_wanted(id, up)).map(|(id, _)| *id).collect();
    if peers.is_empty() {
        return peers;
    }
    let line = BroadcastMessage { attempt: 0, holders: Bounded::default(), ..line.clone() };
    let frame = Arc::new(Frame { message: Wire::Broadcast(Message::Flood(line)), body: Some(body.clone()) });
    for peer in &peers {
        shared.send_frame(peer, &frame);
    }
    peers
}

/// Checks author, signature and dates of a message that is new here.
fn verified(line: &BroadcastMessage, body: &Bytes, shared: &Shared) -> Result<SignedBroadcast, Code> {
    let text = read(&line.by, line.seq, (&line.sig, body), &shared.config.network)?;
    if text.expires <= shared.judged() {
        Err(Code::RecordExpired)
    } else if !is_plausible(text.seq.max(text.clock), shared) {
        Err(Code::RecordEarly)
    } else {
        Ok(text)
    }
}

/// Whether something may have been written by now.
pub(crate) fn is_plausible(time: UnixMicros, shared: &Shared) -> bool {
    time <= latest_plausible(shared)
}

/// The latest time at which something may have been written by now.
pub(crate) fn latest_plausible(shared: &Shared) -> UnixMicros {
    shared.latest().offset(MAX_AHEAD)
}

/// Checks author and signature of a text, whenever it was written.
pub(crate) fn read_signed(signed: &SignedText, network: &NetworkId) -> Result<SignedBroadcast, Code> {
    read(&signed.by, signed.seq, (&signed.sig, &signed.body), network)
}

fn read(by: &NodeId, seq: UnixMicros, signed: (&str, &Bytes), network: &NetworkId) -> Result<SignedBroadcast, Code> {
    let (sig, body) = signed;
    if body.len() > MAX_BROADCAST_BODY {
        return Err(Code::BodyTooLong);
    }
    if !meshline_identity::verify_bytes(by, body, sig) {
        return Err(Code::BadSignature);
    }
    let text: SignedBroadcast = serde_json::from_slice(body).map_err(|_| Code::InvalidMessage)?;
    if text.kind != SignedBroadcast::TYPE || text.seq != seq || text.text.len() > MAX_TEXT {
        return Err(Code::InvalidMessage);
    }
    if text.network != *network {
        return Err(Code::RecordForeign);
    }
    Ok(text)
}
