//! What is known of address translation between here and the others: addresses as others see them, and how the
//! translation behaves. Evidence, never a reason to give up.
//!
//! `questions` ask others where they see this node (`further`: those that are not linked), `picture` draws what the answers
//! say together, `calls` have members come back to an address, `rounds` says when and whom. `answers` and `served` do the
//! same for others.

mod answers;
mod calls;
mod further;
mod hairpin;
mod picture;
mod questions;
mod report;
mod rounds;
mod served;
mod servers;
mod spoken;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use meshline_protocol::message::{ErrorMessage, Nat as NatMessage, NatTransport, TimeFrame};
use meshline_protocol::stun::{Stun, decode_stun};
use meshline_protocol::{Code, NodeId};

pub(crate) use rounds::Linked;
pub(crate) use served::{Asker, host_of, is_global};
pub(crate) use spoken::Spoken;

use answers::Answers;
use calls::Calls;
use further::Further;
use hairpin::Hairpin;
#[cfg(not(test))]
use picture::{Picture, Sighting};
#[cfg(not(test))]
use questions::Questions;
use rounds::Rounds;
use served::ServedCalls;
use servers::Servers;

#[cfg(test)]
pub(crate) use {
    answers::{IN_ALL as ANSWERS_IN_ALL, MAX_SOURCES, PER_SOURCE as ANSWERS_PER_SOURCE},
    further::{MAX_FURTHER, MAX_SILENT},
    picture::{MAX_REFLEXIVE, MAX_SIGHTINGS, Picture, Sighting, Witness},
    questions::{MAX_QUESTIONS, QUESTION_BYTES, Questions},
    served::{MAX_SERVED, PER_MEMBER as CALLS_PER_MEMBER},
    spoken::MAX_SPOKEN,
};

use crate::bucket::{Bucket, Rate};
use crate::event::Event;
use crate::input::{DialId, LinkId, PortMapping, SocketId};
use crate::now::Mono;
use crate::shared::Shared;

/// The first byte of a STUN message is below this (RFC 9443 §2).
pub(crate) const STUN_BELOW: u8 = 4;

/// Ports that routers forward here, at most: UDP and TCP, by IPv4 and IPv6, and as many again.
pub(crate) const MAX_MAPPED: usize = 8;

/// Answers for one member about where others are seen: as many attempts as it may have under way ask two such questions
/// each.
pub(crate) const WHERE_PER_MEMBER: Rate = Rate { per_second: 8, burst: 64 };

/// How the port seen outside follows from the socket inside (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// Not enough has been seen.
    #[default]
    Unknown,
    /// One port outside for all destinations, or no translation.
    Independent,
    /// Another port for each destination.
    Dependent {
        /// From one destination to the next, if the ports are counted up.
        step: Option<i32>,
    },
}

/// Where this node may be reached by UDP, and what is known of the way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Addresses of this host.
    pub(crate) host: Vec<SocketAddr>,
    /// Addresses at which others saw it, the latest first.
    pub(crate) reflexive: Vec<SocketAddr>,
    /// Addresses that a router forwards here, verified from outside.
    pub(crate) mapped: Vec<SocketAddr>,
    /// How ports outside are chosen.
    pub(crate) mapping: Mapping,
    /// Nobody who was asked of late has answered: no datagram passes.
    pub(crate) silent: bool,
}

impl Candidates {
    /// Whether a peer would do anything else with the other ones. Which was seen last changes all the time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let set = |addresses: &[SocketAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
        self.mapping == other.mapping
            && set(&self.host) == set(&other.host)
            && set(&self.reflexive) == set(&other.reflexive)
            && set(&self.mapped) == set(&other.mapped)
    }
}

/// The evidence.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    candidates: Candidates,
    picture: Picture,
    questions: Questions,
    answers: Answers,
    calls: Calls,
    served: ServedCalls,
    rounds: Rounds,
    servers: Servers,
    further: Further,
    hairpin: Hairpin,
    mapped: Vec<PortMapping>,
    linked: BTreeMap<NodeId, Linked>,
    /// Members that asked where others are seen.
    asking: BTreeMap<NodeId, Bucket>,
    /// Of the datagram that is being handled: no answer is longer.
    packet_length: usize,
}

impl Nat {
    /// The addresses of this host with the port of its UDP socket. Whatever was seen from others is seen no more.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<SocketAddr>, shared: &mut Shared) {
        if addresses == self.candidates.host {
            return;
        }
        if !self.candidates.host.is_empty() {
            self.forget();
        }
        let candidates = Candidates { host: addresses, ..Candidates::default() };
        self.change(candidates, shared);
        self.rounds.hurry(shared.now.mono);
    }

    fn forget(&mut self) {
        self.picture.clear();
        self.questions.clear();
        self.calls.clear();
        self.hairpin = Hairpin::default();
    }

    /// Where this node may be reached, as far as it is known now.
    pub(crate) fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// Whether others are being asked where they see this node.
    pub(crate) fn has_questions(&self) -> bool {
        !self.questions.is_idle()
    }

    /// Whether the addresses seen from outside are to be kept fresh: while a peer is punched, or wants to be.
    pub(crate) fn keep_fresh(&mut self, fresh: bool, shared: &mut Shared) {
        self.rounds.keep_fresh(fresh, &self.linked, shared);
    }

    /// Routers forward these ports here.
    pub(crate) fn set_mapped(&mut self, mut mapped: Vec<PortMapping>, shared: &mut Shared) {
        mapped.truncate(MAX_MAPPED);
        for old in self.mapped.iter().filter(|old| !mapped.contains(old)) {
            self.calls.drop_address(old.transport, old.external);
        }
        self.mapped = mapped;
        self.refresh(shared);
        self.rounds.look_again();
    }

    /// The length of the datagram that is handled next.
    pub(crate) fn note_length(&mut self, length: usize) {
        self.packet_length = length;
    }

    /// A STUN message.
    pub(crate) fn handle_stun(&mut self, socket: SocketId, from: SocketAddr, bytes: &Bytes, shared: &mut Shared) {
        match decode_stun(bytes) {
            Ok(Stun::Request(asked)) => {
                self.note_stranger((socket, from), None, shared);
                self.answers.stun((socket, from), &asked, shared);
            }
            Ok(Stun::Mapped { id, mapped }) => {
                if let Some(sighting) = self.questions.stun(from, id, mapped, shared) {
                    self.saw(sighting, shared);
                }
            }
            // The question is given up in time.
            Ok(Stun::Refused { .. }) => {}
            Err(_) => shared.count(Code::InvalidFrame),
        }
    }

    /// A time frame without an attempt: a question is answered, an answer believed as far as it goes.
    pub(crate) fn handle_time(&mut self, socket: SocketId, from: SocketAddr, frame: &TimeFrame, shared: &mut Shared) {
        match frame.step {
            0 if frame.id == shared.id => {
                if self.hairpin.came_back(frame.exchange) {
                    self.refresh(shared);
                }
            }
            0 => {
                let named = (frame.id, frame.exchange);
                self.note_stranger((socket, from), Some(frame.id), shared);
                self.calls.arrive((socket, from), named, &shared.spoken, shared.now.mono);
                self.answers.time((socket, from), (frame, self.packet_length), shared);
            }
            1 if self.served.answered(from, frame, shared) => {}
            1 => {
                if let Some(sighting) = self.questions.time(from, frame, shared) {
                    self.saw(sighting, shared);
                }
            }
            _ => shared.count(Code::UnexpectedMessage),
        }
    }

    /// A refusal by UDP: whoever sent it was asked, or it means nothing. The question is given up in time.
    pub(crate) fn handle_refusal(&mut self, from: SocketAddr, error: &ErrorMessage, shared: &mut Shared) {
        if self.questions.is_asking(&from) {
            shared.count(error.code);
        }
    }

    /// A message of a linked member.
    pub(crate) fn handle_message(
        &mut self,
        asker: Asker,
        message: &NatMessage,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        match message {
            NatMessage::Call(call) => self.served.handle(asker, call, shared),
            NatMessage::Called(called) => self.calls.told(asker.id, *called, shared.now.mono),
            NatMessage::Back(_) | NatMessage::Where(_) | NatMessage::There(_) => return Err(Code::UnexpectedMessage),
        }
        Ok(())
    }

    /// Whether a member may be told where another one is seen.
    pub(crate) fn may_ask(&mut self, asker: NodeId, now: Mono) -> bool {
        self.asking.retain(|_, bucket| !bucket.is_full(now));
        self.asking.entry(asker).or_insert_with(|| Bucket::new(WHERE_PER_MEMBER, now)).take(now)
    }

    /// The nonce of a call, said by a member on a connection made for it: whether there is such a call.
    pub(crate) fn handle_back(&mut self, id: NodeId, nonce: u32) -> bool {
        self.calls.back(id, nonce)
    }

    /// A connection is there: whether it was made to call a member.
    pub(crate) fn connected(&mut self, dial: DialId, link: LinkId, shared: &mut Shared) -> bool {
        self.served.connected(dial, link, shared)
    }

    /// A connection did not come about: whether it was meant to call a member.
    pub(crate) fn not_connected(&mut self, dial: DialId, shared: &mut Shared) -> bool {
        self.served.not_connected(dial, shared)
    }

    /// A socket could not be opened, or broke.
    pub(crate) fn socket_failed(&mut self, socket: SocketId) {
        self.served.socket_failed(socket);
    }

    /// A name of a STUN server was looked up.
    pub(crate) fn resolved(&mut self, name: &meshline_protocol::Address, addresses: &[SocketAddr]) {
        if self.servers.resolved(name, addresses) {
            self.rounds.look_again();
        }
    }

    /// A member is linked.
    pub(crate) fn link_up(&mut self, id: NodeId, linked: Linked, shared: &mut Shared) {
        if let Some(host) = linked.quic_host() {
            shared.spoken.note(host, shared.now.mono);
        }
        self.linked.insert(id, linked);
        self.rounds.links_changed(&self.linked, shared);
    }

    /// A member is linked no more.
    pub(crate) fn link_down(&mut self, id: &NodeId, shared: &mut Shared) {
        if self.linked.remove(id).is_some_and(|linked| linked.quic_host().is_some()) {
            // Perhaps no datagram passes any more, or the router has begun anew.
            self.rounds.moved(shared.now.mono);
        }
        self.calls.forget(id, shared.now.mono);
        self.rounds.links_changed(&self.linked, shared);
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        if self.questions.next_timeout().is_some_and(|at| at <= now) {
            if self.questions.handle_timeout(shared) {
                self.note_silence(shared);
            }
            self.rounds.look_again();
        }
        self.served.handle_timeout(shared);
        let mut learned = self.calls.next_timeout().is_some_and(|at| at <= now) && self.calls.expire(now);
        learned |= self.hairpin.handle_timeout(shared);
        if learned {
            self.refresh(shared);
            self.rounds.look_again();
        }
        self.proceed(shared);
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let times = [
            self.questions.next_timeout(),
            self.calls.next_timeout(),
            self.served.next_timeout(),
            self.hairpin.next_timeout(),
            self.rounds.next_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// A question of somebody who was sent nothing got in by itself: strangers do. One from the same side of a router
    /// shows nothing.
    fn note_stranger(&mut self, (socket, from): (SocketId, SocketAddr), by: Option<NodeId>, shared: &mut Shared) {
        let now = shared.now.mono;
        if socket == SocketId::MAIN && is_global(from.ip()) && shared.spoken.is_stranger(from.ip(), now) {
            self.calls.note_stranger(by, from, now);
        }
    }

    fn saw(&mut self, sighting: Sighting, shared: &mut Shared) {
        self.candidates.silent = false;
        if self.picture.add(sighting) {
            // The same witness sees us elsewhere: what the others saw is old.
            self.rounds.moved(shared.now.mono);
        }
        self.refresh(shared);
        self.rounds.look_again();
    }

    /// Draws the candidates anew.
    fn refresh(&mut self, shared: &mut Shared) {
        let Candidates { host, silent, .. } = &self.candidates;
        let mut candidates = Candidates { host: host.clone(), silent: *silent, ..Candidates::default() };
        self.picture.draw(&mut candidates);
        candidates.reflexive.retain(|seen| !candidates.host.contains(seen));
        let is_mapped = |address: &SocketAddr| self.calls.is_verified(NatTransport::Udp, *address);
        let forwarded = self.offered(shared).into_iter().filter(|(transport, _)| *transport == NatTransport::Udp);
        let forwarded = forwarded.map(|(_, address)| address).filter(is_mapped);
        candidates.mapped = forwarded.filter(|address| !candidates.host.contains(address)).collect();
        self.change(candidates, shared);
    }

    fn change(&mut self, candidates: Candidates, shared: &mut Shared) {
        let is_same = self.candidates.is_same(&candidates);
        let host = |candidates: &Candidates| candidates.reflexive.first().map(SocketAddr::ip);
        if let (Some(before), Some(now)) = (host(&self.candidates), host(&candidates))
            && before.is_ipv4() == now.is_ipv4()
            && before != now
        {
            // Another router, or another line: what the old one let in says nothing of this one.
            self.calls.clear();
            self.rounds.look_again();
        }
        self.candidates = candidates;
        if !is_same {
            let seen = self.candidates.mapped.iter().chain(&self.candidates.reflexive).copied().collect();
            let (mapping, filtering) = (self.candidates.mapping.name(), self.calls.filtering().name());
            shared.event(Event::AddressesChanged { seen, mapping, filtering });
        }
    }
}
