//! Messages that arrive, taken to their areas.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::{Companion, ErrorMessage, Hello, Nat, Peers, Relay, Routing, TimeFrame};
use meshline_protocol::{Code, Fault, Frame, Message, NodeId, SignedRecord};

use super::Node;
use crate::input::LinkId;
use crate::link::{Stage, Verdict, check_header, is_carried, is_traffic, judge};
use crate::nat::{Asker, host_of};
use crate::relay::Known;
use crate::time::StepContext;

impl Node {
    pub(super) fn on_frame(&mut self, id: LinkId, frame: Frame) {
        let Some(link) = self.links.get(id) else { return };
        match &link.stage {
            Stage::Opened | Stage::Hello(..) => self.on_early(id, frame.message),
            Stage::Accepted(_) => {
                if let Message::Error(error) = &frame.message {
                    self.on_error(id, error);
                    return;
                }
                if let Message::Peers(Peers::Others(others)) = frame.message {
                    self.on_others_from(id, others);
                    return;
                }
                self.bring_up(id);
                self.on_message(id, frame);
            }
            Stage::Up(_) => self.on_message(id, frame),
        }
    }

    /// Before the hello is accepted: only it, the revocations it announced, and a refusal.
    fn on_early(&mut self, id: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(id) else { return };
        let proved = link.proved;
        match (&mut link.stage, message) {
            (Stage::Opened, Message::Hello(hello)) => match check_header(&self.shared, &hello, proved) {
                Err(fault) => self.refuse(id, &fault),
                Ok(()) => {
                    let left = hello.revocations;
                    link.stage = Stage::Hello(hello, left);
                    self.judge_when_whole(id);
                }
            },
            (Stage::Hello(_, left), Message::Revocation(record)) => {
                *left = left.saturating_sub(1);
                if let Err(code) = self.revoke(&record, None) {
                    self.shared.count(code);
                }
                self.judge_when_whole(id);
            }
            (Stage::Opened, Message::Nat(Nat::Back(back)))
                if link.dial.is_none() && proved.is_some_and(|peer| self.nat.handle_back(peer, back.nonce)) =>
            {
                self.links.remove(id);
                self.shared.push(crate::Output::Close { link: id, error: None });
            }
            (_, Message::Error(error)) => self.on_error(id, &error),
            (_, other) => {
                let detail = format!("{} before the hello was accepted", other.kind());
                self.refuse(id, &Fault::new(Code::UnexpectedMessage, detail));
            }
        }
    }

    fn judge_when_whole(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        let Stage::Hello(hello, 0) = &link.stage else { return };
        let (hello, inbound): (Box<Hello>, bool) = (hello.clone(), link.dial.is_none());
        let known = self.gossip.members.get(&hello.id);
        match judge(&mut self.shared, &hello, known) {
            Verdict::Accept(member) => {
                if inbound {
                    self.introduce(id);
                }
                self.accept(id, member);
            }
            Verdict::Refuse(fault) => {
                // A member all the same: one of the two clocks is wrong, and it must hear ours.
                if inbound && matches!(fault.code, Code::RecordExpired | Code::RecordOutdated) {
                    self.introduce(id);
                }
                self.refuse(id, &fault);
                // If it is our clock that is wrong, the votes have just put it right: introduce ourselves anew.
                if fault.code == Code::RecordExpired {
                    self.shared.announce();
                }
            }
        }
    }

    /// The peer refused us, or ended the link with a reason.
    fn on_error(&mut self, id: LinkId, error: &ErrorMessage) {
        let up = self.links.get(id).is_some_and(crate::link::Link::is_complete);
        if up && !ends_link(error.code) {
            if let Some(peer) = self.links.get(id).and_then(crate::link::Link::peer) {
                let peer = self.peer_name(&peer);
                self.shared.event(crate::Event::Misbehaved {
                    peer,
                    code: error.code,
                    detail: format!("told us: {}", error.detail),
                });
            }
            return;
        }
        if error.code == Code::RecordExpired && !up {
            self.shared.announce();
        }
        if error.code == Code::DuplicateLink && up {
            self.take_over(id);
        }
        self.shared.push(crate::Output::Close { link: id, error: None });
        self.on_link_closed(id, error.code, &error.detail);
    }

    /// The peer keeps another link: if we accepted one already, it is up.
    fn take_over(&mut self, id: LinkId) {
        let Some(peer) = self.links.get(id).and_then(crate::link::Link::peer) else { return };
        let other = self.links.others_to(peer, id).find(|other| !other.is_complete()).map(|other| other.id);
        if let Some(other) = other {
            self.bring_up(other);
        }
    }

    fn on_message(&mut self, id: LinkId, frame: Frame) {
        let now = self.shared.now.mono;
        let Some(link) = self.links.get_mut(id) else { return };
        let Some(peer) = link.member().map(|member| member.id) else { return };
        link.liveness.heard(is_traffic(&frame.message), now);
        if is_carried(&frame.message) {
            link.carry(now);
        }
        let done = match frame.message {
            Message::Time(step) => self.on_time(id, peer, &step),
            Message::Ping(echo) => {
                self.shared.send_on(id, &Arc::new(Message::Pong(echo).into()));
                Ok(())
            }
            Message::Pong(echo) => {
                self.echoes.handle(peer, &echo, &mut self.shared);
                Ok(())
            }
            Message::Companion(message) => self.on_companion(id, &message),
            Message::Probe(probe) => {
                let done = self.probes.handle(link, &probe, frame.body, &mut self.shared);
                self.note_cost(id);
                done
            }
            Message::Error(error) => {
                self.on_error(id, &error);
                Ok(())
            }
            Message::Hello(_) => Err(Code::UnexpectedMessage),
            Message::Goodbye(goodbye) => self.on_goodbye(id, peer, &goodbye.departure),
            Message::Revocation(record) => self.on_revocation(peer, &record),
            Message::Gossip(message) => {
                let (news, done) = self.gossip.handle(peer, message, (&mut self.shared, &self.routing));
                self.on_news(news);
                done
            }
            Message::Peers(message) => self.on_peers(peer, message),
            Message::Rebuild(message) => self.on_rebuild(peer, &message),
            Message::Ring(message) => {
                if self.ring.handle(peer, message, &mut self.shared) {
                    self.reselect_ring();
                }
                Ok(())
            }
            Message::Broadcast(message) => self.on_broadcast(peer, message, frame.body),
            Message::Relay(message) => self.on_relay(peer, message),
            Message::Nat(message) => {
                let asker = Asker { id: peer, host: host_of(link.transport, &link.remote) };
                self.on_nat(asker, &message)
            }
            Message::Routing(message) => self.on_routing(peer, message, frame.body),
            Message::Punch(message) => self.on_punch(peer, &message),
            Message::Datagram(datagram) if self.takes_punch(&datagram, frame.body.as_ref()) => Ok(()),
            Message::Datagram(datagram) if self.takes_find(peer, &datagram, frame.body.as_ref()) => Ok(()),
            Message::Datagram(datagram) => {
                let around = (self.routing.table(), &mut self.shared);
                self.datagrams.handle(peer, *datagram, frame.body.unwrap_or_default(), around);
                Ok(())
            }
            Message::Chat(_) | Message::Services(_) | Message::Ledger(_) => {
                self.shared.push(crate::Output::Service { peer, frame });
                Ok(())
            }
        };
        if let Err(code) = done {
            self.on_invalid(id, &Fault::new(code, "refused"));
        }
    }

    fn on_revocation(&mut self, peer: NodeId, record: &SignedRecord) -> Result<(), Code> {
        match self.revoke(record, Some(peer)) {
            Ok(false) => {
                self.broadcast.note_copy(record, peer, &mut self.shared);
                Ok(())
            }
            // Passed on late, or more than fit: no fault of whoever passes it on.
            Err(code @ (Code::RecordExpired | Code::RateLimited)) => {
                self.shared.count(code);
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    fn on_nat(&mut self, asker: Asker, message: &Nat) -> Result<(), Code> {
        match message {
            Nat::Where(asked) => self.on_where(asker.id, *asked),
            Nat::There(there) => {
                self.punch.told(asker.id, *there, &mut self.shared);
                self.grant_wishes();
            }
            Nat::Call(_) | Nat::Called(_) | Nat::Back(_) => {
                return self.nat.handle_message(asker, message, &mut self.shared);
            }
        }
        Ok(())
    }

    fn on_routing(&mut self, peer: NodeId, message: Routing, body: Option<Bytes>) -> Result<(), Code> {
        let version = self.routing.version();
        let done = self.routing.handle(peer, message, body, &mut self.shared);
        if self.routing.version() != version {
            self.broadcast.links_changed(&self.routing, &mut self.shared);
        }
        done
    }

    fn on_companion(&mut self, id: LinkId, message: &Companion) -> Result<(), Code> {
        match (message, self.links.get(id)) {
            (Companion::Offer(offer), Some(link)) => {
                self.companions.handle_offer(link.into(), offer, &mut self.shared);
                Ok(())
            }
            (Companion::Offer(_), None) => Ok(()),
            // On a link nothing is sealed twice.
            (Companion::Sealed(_), _) => Err(Code::UnexpectedMessage),
        }
    }

    /// What came over UDP beside a link. Datagrams have gone their way before.
    pub(super) fn on_frame_beside(&mut self, id: LinkId, frame: &Frame) {
        let peer = self.links.get(id).filter(|link| link.is_up()).and_then(|link| link.peer());
        if let (Some(peer), Message::Time(step)) = (peer, &frame.message) {
            self.companions.handle_time(id, peer, step, &mut self.shared);
        }
    }

    /// The host has other addresses: links that came up before it had any get UDP beside them now.
    pub(super) fn on_udp_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.companions.set_addresses(&addresses);
        for link in self.links.iter() {
            self.companions.offer(link.into(), &mut self.shared);
        }
        self.nat.set_addresses(addresses, &mut self.shared);
    }

    fn on_time(&mut self, id: LinkId, peer: NodeId, step: &TimeFrame) -> Result<(), Code> {
        if step.network != self.shared.config.network {
            return Err(Code::WrongNetwork);
        }
        if step.id != peer {
            return Err(Code::IdentityMismatch);
        }
        let Some(link) = self.links.get_mut(id) else { return Ok(()) };
        if step.step == 1 {
            link.liveness.answered();
        }
        let context = StepContext { network: &self.shared.config.network, id: self.shared.id, now: self.shared.now };
        if let Some(answer) = link.clock.handle(step, context) {
            // These two steps of the four end a measurement each.
            if let Some(rtt) = link.clock.last_rtt_us().filter(|_| matches!(step.step, 1 | 2)) {
                if step.step == 1 {
                    link.liveness.measured(rtt, self.shared.now.mono);
                } else {
                    link.liveness.asked(rtt, self.shared.now.mono);
                }
                self.round_trips.add(rtt);
                if let Some(reading) = link.clock.latest() {
                    self.shared.network_time.read(peer, reading, self.shared.now.mono);
                }
            }
            self.shared.send_on(id, &Arc::new(Message::Time(Box::new(answer)).into()));
            self.note_cost(id);
        }
        Ok(())
    }

    fn on_goodbye(&mut self, id: LinkId, peer: NodeId, departure: &SignedRecord) -> Result<(), Code> {
        if departure.by != peer {
            return Err(Code::RecordForeign);
        }
        let news = self.gossip.handle_departure(Some(peer), departure, &mut self.shared)?;
        self.on_news(news.into_iter().collect());
        self.shared.push(crate::Output::Close { link: id, error: None });
        self.on_link_closed(id, Code::ShuttingDown, "the peer said goodbye");
        Ok(())
    }

    fn on_relay(&mut self, peer: NodeId, message: Relay) -> Result<(), Code> {
        let known = Known { links: &self.links, members: &self.gossip.members, peers: &self.peers };
        let shared = &mut self.shared;
        match message {
            Relay::Request(request) => {
                let asker = self.gossip.members.get(&peer).map(|known| known.member.record.clone());
                self.relay_server.handle_request((peer, asker), request.peer, shared);
            }
            Relay::Accept(accept) => self.relay_server.handle_accept(peer, &accept, shared),
            Relay::Refuse(refusal) => {
                let now = shared.now.mono;
                if self.relay_client.handle_refuse(peer, &refusal, now) {
                    self.peers.relay_refused(now, peer.to_string(), refusal);
                } else {
                    self.relay_server.handle_refuse(peer, &refusal, shared);
                }
            }
            Relay::Offer(offer) => self.relay_client.handle_offer(peer, offer, shared, known),
            Relay::Grant(grant) => {
                let member = grant.peer;
                let granted = self.relay_client.handle_grant(peer, grant, shared, known);
                if let Some((address, target)) = granted {
                    self.peers.dial_relay(shared, member, (peer, address), target);
                }
            }
            Relay::Ticket(_) => return Err(Code::UnexpectedMessage),
        }
        Ok(())
    }
}

/// Refusals that a peer sends as its last words.
fn ends_link(code: Code) -> bool {
    matches!(
        code,
        Code::DuplicateLink
            | Code::ShuttingDown
            | Code::NotNeeded
            | Code::Revoked
            | Code::TooManyLinks
            | Code::TooManyFaults
            | Code::LinkTimeout
            | Code::SlowReader
            | Code::FrameTimeout
            | Code::FrameTooLong
            | Code::BodyTooLong
            | Code::InvalidFrame
            | Code::InvalidUtf8
            | Code::TooDeep
    )
}
