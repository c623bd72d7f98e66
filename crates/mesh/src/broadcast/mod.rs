//! Messages to all: along a tree over a mesh, handed round on a ring, delivered once.

mod compare;
mod handed;
mod judge;
mod mesh;
mod own;
mod parked;
pub(crate) mod rate;
mod recent;
mod round;
pub(crate) mod seen;
mod store;
pub(crate) mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::{
    Broadcast as Message, BroadcastAck, BroadcastMessage, ErrorMessage, Gossip, SignedBroadcast, Want,
};
use meshline_protocol::{Bounded, Code, Frame, Message as Wire, NodeId, UnixMicros};

use crate::event::{Event, SignedText};
use crate::gossip::Members;
use crate::ring::RingPlace;
use crate::routing::Routing;
use crate::shared::{Shared, UpPeer};
use compare::Compare;
pub(crate) use judge::{is_plausible, latest_plausible, read_signed};
use own::Pending;
pub(crate) use own::VALIDITY;
use parked::Parked;
use rate::Rates;
use recent::Recent;
use seen::Seen;
use store::Store;

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
    /// Messages kept for those who ask.
    store: Store,
    compare: Compare,
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
    /// This node had to be told who the author is.
    is_told: bool,
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

    /// Takes in a message of a peer. `is_told` says that it brought the word of who its author is.
    pub(crate) fn handle(
        &mut self,
        from: NodeId,
        (message, is_told): (Message, bool),
        body: Option<Bytes>,
        around: Around<'_>,
    ) -> Result<(), Code> {
        let body = body.unwrap_or_default();
        let Around { ring, members, routing, shared } = around;
        let around = Around { ring, members, routing, shared: &mut *shared };
        let done = match message {
            Message::Flood(line) => self.handle_flood(Arrival { from, line, body, is_told }, around),
            Message::Ring(line) => self.handle_ring(Arrival { from, line, body, is_told }, around),
            Message::Ack(ack) => {
                self.handle_ack(from, ack, members, shared);
                Ok(())
            }
            Message::Have(have) => {
                self.handle_have(from, &have, shared);
                Ok(())
            }
            Message::Want(want) => {
                self.handle_want(from, &want, shared);
                Ok(())
            }
            Message::Graft(_) => {
                self.handle_graft(&from, shared);
                Ok(())
            }
            Message::Prune(_) => {
                self.handle_prune(&from, shared);
                Ok(())
            }
            Message::Place(place) => {
                self.handle_place(&from, place, shared);
                Ok(())
            }
            Message::Compare(compare) => {
                self.handle_compare(from, &compare, shared);
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
        let released = self.parked.take(author);
        shared.awaited.remove(&author);
        for (on_ring, arrival) in released {
            let arrival = Arrival { is_told: true, ..arrival };
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
        shared.awaited = self.parked.authors().collect();
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
        let Arrival { from, line, body, .. } = arrival;
        self.seen.note((line.by, line.seq), line.attempt, *from, shared.judged());
        self.rates.count(line.by, shared.now.mono);
        self.note_clock(text.clock, shared);
        let name = members.get(&line.by).map_or("", |known| known.member.name.as_str());
        let author = shared.shown(&line.by, name);
        let signed = SignedText { by: line.by, seq: line.seq, sig: line.sig.clone(), body: body.clone() };
        shared.event(Event::Broadcast { author, message: Box::new(text), signed: Arc::new(signed), path });
    }
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
