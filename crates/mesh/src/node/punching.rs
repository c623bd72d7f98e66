//! Direct ways through address translation: whom they are wanted to, and what attempts want of other areas.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use meshline_protocol::message::{Datagram, Punch as PunchMessage, PunchReason};
use meshline_protocol::{Code, Message, NodeId, ServiceName};

use super::Node;
use crate::event::Event;
use crate::input::Transport;
use crate::output::Output;
use crate::punch::{Wanted, Wish};
use crate::routing::datagram_line;

/// The service whose datagrams hold the messages of attempts.
const SERVICE: &str = "punch";

/// The states of a node.
pub(super) const IDLE: &str = "idle";
const PUNCHING: &str = "punching";
const CONNECTED: &str = "connected";

/// A record, its signature and the line around them.
const MAX_BODY: usize = 4 * 1024;

impl Node {
    /// Does what is due for attempts.
    pub(super) fn punch(&mut self) {
        let known = self.nat.candidates();
        let has_udp = !(known.host.is_empty() && known.reflexive.is_empty() && known.mapped.is_empty());
        if has_udp && self.shared.config.punch && !self.shared.leaving && self.punch.takes_look(self.shared.now.mono) {
            let seen: Vec<IpAddr> =
                self.signal.observed.iter().filter_map(|address| address.host().parse().ok()).collect();
            self.punch.set_own(known, (self.listening.first(), &seen), &mut self.shared);
            self.punch.set_asking(self.nat.has_questions());
            if self.punch.is_ready(&self.shared) {
                self.punch.answer_held(&mut self.shared);
                let wanted = self.wanted_directly();
                self.punch.pursue(&wanted, &mut self.shared);
                let has_hole = self.shared.up.values().any(|up| up.transport == Transport::Quic);
                self.nat.keep_fresh(has_hole || !wanted.is_empty(), &mut self.shared);
            } else {
                self.punch.look_again();
            }
        }
        self.punch.handle_timeout(&mut self.shared);
        self.grant_wishes();
    }

    /// The members that are reached, and not directly.
    fn wanted_directly(&self) -> Vec<Wanted> {
        let now = self.shared.now.mono;
        let unreached = self.peers.unreached(&self.links, now);
        let unreached: BTreeSet<NodeId> =
            unreached.into_iter().filter(|(_, from)| *from <= now).map(|(id, _)| id).collect();
        let has_room = self.links.accepted() < self.shared.config.max_links;
        let is_wanted = |id: &NodeId| match self.shared.up.get(id) {
            Some(up) => up.transport == Transport::Relay,
            None => has_room && unreached.contains(id),
        };
        let members = self.gossip.members.iter().filter(|known| !known.has_left()).map(|known| known.member.id);
        let wanted = members.filter(|id| self.peers.is_wanted(id) && is_wanted(id));
        wanted.filter_map(|id| self.reached(id)).collect()
    }

    /// A member that can be told something, with the round trip to it.
    fn reached(&self, peer: NodeId) -> Option<Wanted> {
        if let Some(up) = self.shared.up.get(&peer) {
            let rtt_us = self.links.get(up.link).and_then(|link| link.clock.rtt_us());
            return Some(Wanted { peer, rtt_us });
        }
        let best = self.routing.table().best(&peer, |hop| self.shared.up.contains_key(hop))?;
        Some(Wanted { peer, rtt_us: Some(best.cost_us.saturating_mul(2)) })
    }

    /// A message of an attempt, over a link with its author or over others.
    pub(super) fn on_punch(&mut self, peer: NodeId, message: &PunchMessage) -> Result<(), Code> {
        if self.gossip.members.get(&peer).is_none_or(crate::gossip::Known::has_left) {
            return Err(Code::NotMember);
        }
        let from = self.reached(peer).unwrap_or(Wanted { peer, rtt_us: None });
        let direct = self.shared.up.get(&peer).is_some_and(|up| up.transport != Transport::Relay);
        let refusal = if self.shared.leaving {
            Some(PunchReason::Leaving)
        } else if !self.shared.config.punch {
            Some(PunchReason::Off)
        } else {
            direct.then_some(PunchReason::Linked)
        };
        let done = self.punch.handle(from, message, refusal, &mut self.shared);
        self.grant_wishes();
        match done {
            // Late, repeated or called too often: no fault of the link it came over.
            Err(Code::RecordExpired | Code::RecordOutdated | Code::RateLimited) => Ok(()),
            other => other,
        }
    }

    /// Whether a datagram is for this area; then it is taken.
    pub(super) fn takes_punch(&mut self, datagram: &Datagram, body: Option<&Bytes>) -> bool {
        if datagram.dst != self.shared.id || datagram.service.as_str() != SERVICE {
            return false;
        }
        let body = body.filter(|body| body.len() <= MAX_BODY);
        if let Some(Message::Punch(message)) = body.and_then(|body| serde_json::from_slice(body).ok()) {
            // Who passed it on is not to blame for what it holds; the area counts what it refuses.
            let _ = self.on_punch(datagram.src, &message);
        } else {
            self.shared.count(Code::InvalidMessage);
        }
        true
    }

    pub(super) fn grant_wishes(&mut self) {
        for wish in self.punch.take_wishes() {
            match wish {
                Wish::Tell(peer, message) => self.tell_punch(peer, message),
                Wish::Dial(peer, target) => {
                    if let Some((dial, by)) = self.peers.dial_punched(&mut self.shared, peer, target) {
                        self.punch.dialled(&peer, dial, by);
                    }
                }
                Wish::Confirm(peer, host) => self.ask_witnesses(peer, host),
                Wish::Cancel(dial) => {
                    if self.peers.cancel(dial) {
                        self.shared.push(Output::CancelDial { dial });
                    }
                }
            }
        }
    }

    fn tell_punch(&mut self, peer: NodeId, message: PunchMessage) {
        let message = Message::Punch(message);
        if self.shared.up.contains_key(&peer) {
            self.shared.send(&peer, message);
            return;
        }
        let (Ok(body), Ok(service)) = (serde_json::to_vec(&message), SERVICE.parse::<ServiceName>()) else { return };
        let line = datagram_line(self.shared.id, peer, self.shared.random_u32(), service);
        // Without a way nobody hears it, and the call counts as unanswered.
        let _ = self.datagrams.send(line, body.into(), self.routing.table(), &mut self.shared);
    }

    /// The states of the seed: nobody linked and nothing tried, something tried, somebody linked.
    pub(super) fn state(&self) -> &'static str {
        if !self.shared.up.is_empty() {
            CONNECTED
        } else if self.punch.is_punching() || self.peers.is_dialling() {
            PUNCHING
        } else {
            IDLE
        }
    }

    pub(super) fn tell_state(&mut self) {
        let state = self.state();
        if self.told_state != state {
            let before = std::mem::replace(&mut self.told_state, state);
            self.shared.event(Event::StateChanged { before, state });
        }
    }
}
