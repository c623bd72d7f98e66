//! Connections come and go.

use std::sync::Arc;

use meshline_protocol::message::ErrorMessage;
use meshline_protocol::{Code, Fault, Message, NodeId};

use super::Node;
use crate::event::{Direction, Event};
use crate::input::{LinkId, LinkMeasured, LinkOpened, Transport};
use crate::link::{Contender, FAULTS_WITHIN, Link, LinkDue, MAX_FAULTS, Stage, hello, newer_wins};
use crate::nat::Linked;
use crate::output::Output;
use crate::peers::Failure;
use crate::time::StepContext;

impl Node {
    pub(super) fn on_link_opened(&mut self, opened: LinkOpened) {
        let (id, ours) = (opened.link, opened.dial.is_some());
        if opened.dial.is_some_and(|dial| self.nat.connected(dial, id, &mut self.shared)) {
            return;
        }
        if self.shared.leaving {
            self.shared.close(id, Code::ShuttingDown, "this node leaves");
            return;
        }
        let via = opened.dial.and_then(|dial| self.peers.relayed_by(dial)).map(|(proxy, _)| proxy);
        let met = opened.dial.is_some_and(|dial| self.peers.is_meeting(dial));
        let Some(link) = self.links.open(opened, self.shared.now.mono) else {
            self.shared.count(Code::TooManyHandshakes);
            self.shared.close(id, Code::TooManyHandshakes, "too many connections without a hello");
            return;
        };
        link.via = via;
        link.met = met;
        if ours {
            self.introduce(id);
        }
    }

    /// Says our hello. Whoever dials speaks first; whoever is dialled answers members only, because a hello holds
    /// the records by which a member is known.
    pub(super) fn introduce(&mut self, id: LinkId) {
        let frame = Arc::new(Message::Hello(Box::new(hello(&self.shared))).into());
        self.shared.send_on(id, &frame);
        for record in self.shared.revoked.records().cloned().collect::<Vec<_>>() {
            self.shared.send_on(id, &Arc::new(Message::Revocation(record).into()));
        }
    }

    pub(super) fn on_link_closed(&mut self, id: LinkId, code: Code, detail: &str) {
        self.companions.remove(id);
        if let Some(link) = self.links.remove(id) {
            self.after_end(&link, code, detail, true);
        }
    }

    pub(super) fn on_counters(&mut self, id: LinkId, sent_bytes: u64, received_bytes: u64) {
        if let Some(link) = self.links.get_mut(id) {
            (link.sent_bytes, link.received_bytes) = (sent_bytes, received_bytes);
        }
    }

    pub(super) fn on_measured(&mut self, id: LinkId, measured: LinkMeasured) {
        let Some(link) = self.links.get_mut(id) else { return };
        let now = self.shared.now.mono;
        link.measure(measured, now);
        self.note_cost(id);
    }

    /// Ends a connection from our side with a named reason.
    pub(super) fn end_link(&mut self, id: LinkId, code: Code, detail: &str) {
        self.shared.close(id, code, detail);
        self.companions.remove(id);
        if let Some(link) = self.links.remove(id) {
            self.after_end(&link, code, detail, false);
        }
    }

    /// What follows from the end of a connection, whoever ended it.
    fn after_end(&mut self, link: &Link, code: Code, detail: &str, by_them: bool) {
        self.disturb();
        let peer = link.peer();
        if let Some(dial) = link.dial.filter(|_| !link.is_complete() && code != Code::DuplicateLink) {
            self.blame_proxy(dial, code);
        }
        if link.is_up() || self.is_current(link) {
            self.on_down(link, code, detail);
        } else if link.standby {
            self.proxy_failed(link, code, detail);
        } else if matches!(link.stage, Stage::Opened) && link.dial.is_none() && code == Code::ConnectionLost {
            // A stranger who hangs up without a word, such as a signal server that only checks the address.
            self.shared.count(code);
        } else if !matches!(code, Code::DuplicateLink | Code::NotNeeded) {
            self.shared.count(code);
            if by_them && !matches!(code, Code::ConnectionLost | Code::Unreachable) {
                self.shared.refused_us = Some(code);
            }
            let event = Event::Refused { remote: link.remote.clone(), peer, code, detail: detail.to_owned(), by_them };
            self.shared.event(event);
        }
        if let Some(dial) = link.dial {
            let failure = Failure { code, detail, proved: link.introduced() };
            self.peers.fail(&mut self.shared, dial, failure);
        }
    }

    fn is_current(&self, link: &Link) -> bool {
        link.peer().and_then(|peer| self.shared.up.get(&peer)).is_some_and(|up| up.link == link.id)
    }

    /// A link that was up is gone. If another link to the member took its place nothing is lost.
    fn on_down(&mut self, link: &Link, code: Code, detail: &str) {
        let Some(peer) = link.peer() else { return };
        self.note_host(link);
        if !self.is_current(link) {
            return;
        }
        let is_wanted = matches!(code, Code::ShuttingDown | Code::NotNeeded | Code::Revoked);
        if self.fall_back(peer, is_wanted) {
            self.proxy_failed(link, code, detail);
            return;
        }
        let ring = self.ring.side_of(&peer);
        let name = self.peer_name(&peer);
        self.shared.up.remove(&peer);
        self.broadcast.link_down(&peer, &mut self.shared);
        self.nat.link_down(&peer, &mut self.shared);
        let event = Event::LinkDown { link: link.id, peer: name, code, detail: detail.to_owned(), ring };
        self.shared.event(event);
        self.peers.link_ended(peer, link, (code, detail), self.shared.now.mono);
        self.peers.lost(&mut self.shared, peer);
        let bore = self.peers.set.bears(&peer);
        self.peers.ended(&mut self.shared, peer, code);
        if link.transport == Transport::Relay && !is_wanted {
            self.relay_client.lost(peer, link.via, &self.shared);
        }
        if link.transport == Transport::Quic {
            self.punch.lost(&peer, self.shared.now.mono.since(link.since), &mut self.shared);
        }
        if bore {
            self.routing.link_down(&peer, code, &self.shared);
        }
        self.shared.known_changed = true;
        if self.shared.up.is_empty() {
            // The addresses known may be old.
            self.signal.hurry(self.shared.now.mono);
        }
        self.reselect_ring();
    }

    /// Refuses a connection that is not up, telling the peer why.
    pub(super) fn refuse(&mut self, id: LinkId, fault: &Fault) {
        self.end_link(id, fault.code, &fault.detail);
    }

    /// We accepted the hello: settles duplicates. The first question for the time is due at once and shows the peer
    /// that it is accepted.
    pub(super) fn accept(&mut self, id: LinkId, member: Arc<meshline_identity::Member>) {
        let peer = member.id;
        if self.peers.felt(self.links.get(id).and_then(|link| link.dial), peer, &self.shared) {
            self.end_link(id, Code::NotNeeded, "this was to see whether somebody is there");
            return;
        }
        if !self.settle_duplicate(id, peer) || !self.make_room_for(id, &member) {
            return;
        }
        let own = self.shared.id;
        let Some(link) = self.links.get_mut(id) else { return };
        link.liveness.lead(link.direction_of(own, peer) == Direction::Outbound);
        let asked = match &link.stage {
            Stage::Hello(hello, _) => hello.encoding,
            Stage::Opened | Stage::Accepted(_) | Stage::Up(_) => return,
        };
        let encoding = if link.dial.is_some() { self.shared.config.encoding } else { asked };
        link.stage = Stage::Accepted(member);
        self.shared.push(Output::Accepted { link: id, encoding, peer });
    }

    /// Keeps one of two links to a member; says whether it is the new one. The other one hands its place over
    /// when the new one comes up, and not before: it may be up at the far end already.
    fn settle_duplicate(&mut self, id: LinkId, peer: NodeId) -> bool {
        let stays = self.rivals_of(id, peer).into_iter().all(|other| self.is_preferred(id, other, peer));
        if !stays {
            self.end_link(id, Code::DuplicateLink, "another link to this member stays");
        }
        stays
    }

    /// The accepted links to a member that cannot stay beside this one.
    fn rivals_of(&self, id: LinkId, peer: NodeId) -> Vec<LinkId> {
        let Some(link) = self.links.get(id) else { return Vec::new() };
        self.links.others_to(peer, id).filter(|other| !link.stands_beside(other)).map(|other| other.id).collect()
    }

    /// Whether the first of two links to a member is the one to keep. Ids of links grow with time.
    fn is_preferred(&self, one: LinkId, other: LinkId, peer: NodeId) -> bool {
        let contender = |id: LinkId| {
            let link = self.links.get(id)?;
            Some(Contender { transport: link.transport, direction: link.direction_of(self.shared.id, peer) })
        };
        let (Some(older), Some(newer)) = (contender(one.min(other)), contender(one.max(other))) else { return false };
        newer_wins(self.shared.id, peer, older, newer) == (one > other)
    }

    /// The peer's first message after its hello: it accepted ours too, the link is up.
    pub(super) fn bring_up(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        let Stage::Accepted(member) = std::mem::replace(&mut link.stage, Stage::Opened) else { return };
        link.stage = Stage::Up(Arc::clone(&member));
        link.since = self.shared.now.mono;
        let (dial, transport, direction) = (link.dial, link.transport, link.direction());
        let (local, remote) = (link.local.clone(), link.remote.clone());
        let (peer, host) = (member.id, Self::host_behind(link));
        if let Some(proxy) = link.via {
            self.relay_client.came_up(proxy, &remote);
        }
        if let Some(host) = host {
            self.punch.note_link(peer, host, self.shared.now.mono);
        }
        if self.stands_by(id, peer) {
            self.peers.succeed(dial, peer, (transport, &remote), &self.shared);
            return;
        }
        (self.shared.refused_us, self.shared.was_linked) = (None, true);
        self.take_into_use(id, &member);
        let linked = Linked::new(transport, direction, &remote, &member.addresses);
        self.nat.link_up(peer, linked, &mut self.shared);
        let news = self.gossip.learn(Some(peer), Arc::clone(&member), (&mut self.shared, &self.routing));
        self.peers.add_member(&mut self.shared, peer, &member.addresses, crate::peers::Heard::Told);
        self.peers.book.note_heard(&member, Some(&remote));
        self.peers.succeed(dial, peer, (transport, &remote), &self.shared);
        self.punch.linked(peer, (transport, &remote), &mut self.shared);
        for other in self.rivals_of(id, peer) {
            if !self.is_preferred(id, other, peer) {
                continue;
            }
            self.replace(other, transport);
        }
        let name = self.shared.shown(&peer, member.name.as_str());
        self.shared.event(Event::LinkUp { link: id, peer: name, transport, direction, local, remote });
        self.shared.known_changed = true;
        if let Some(link) = self.links.get(id) {
            self.companions.offer(link.into(), &mut self.shared);
        }
        self.ring.relink(&peer, &mut self.shared);
        if self.peers.set.bears(&peer) {
            self.routing.link_up(peer, &mut self.shared);
        }
        self.peers.set.changed(self.shared.now.mono);
        self.broadcast.catch_up(peer, self.gossip.members.len(), &mut self.shared);
        self.tell_rebuilds(peer);
        self.on_news(news.into_iter().collect());
        self.reselect_ring();
    }

    /// Ends what came too late or fell silent, and asks for the time where it is due.
    pub(super) fn expire_links(&mut self) {
        let now = self.shared.now.mono;
        if self.links.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        for id in self.links.overdue(now) {
            self.end_link(id, Code::HandshakeTimeout, "no hello in time");
        }
        for (id, due) in self.links.due(now) {
            match due {
                LinkDue::Ask => self.ask_time(id),
                LinkDue::Dead => self.end_link(id, Code::LinkTimeout, "the peer does not answer"),
            }
        }
    }

    /// Tells links what was sent on them.
    pub(super) fn note_traffic(&mut self) {
        let now = self.shared.now.mono;
        for id in std::mem::take(&mut self.shared.busy) {
            if let Some(link) = self.links.get_mut(id) {
                link.liveness.spoke(now);
                self.hasten_link(id);
            }
        }
        for id in std::mem::take(&mut self.shared.carrying) {
            if let Some(link) = self.links.get_mut(id) {
                link.carry(now);
                self.hasten_link(id);
            }
        }
    }

    fn ask_time(&mut self, id: LinkId) {
        let exchange = self.shared.random_u32();
        let Some(link) = self.links.get_mut(id) else { return };
        let context = StepContext { network: &self.shared.config.network, id: self.shared.id, now: self.shared.now };
        let step = link.clock.ask(exchange, context);
        self.shared.send_on(id, &Arc::new(Message::Time(Box::new(step)).into()));
        // Whatever was not answered before is lost.
        self.note_cost(id);
    }

    pub(super) fn on_unknown(&mut self, id: LinkId) {
        self.shared.count(Code::Other);
        if self.links.get(id).is_some_and(|link| link.member().is_none()) {
            self.refuse(id, &Fault::new(Code::UnexpectedMessage, "the first message must be hello"));
        }
    }

    /// An invalid message: named to the peer, and once too many, the end of the link.
    pub(super) fn on_invalid(&mut self, id: LinkId, fault: &Fault) {
        self.disturb();
        self.shared.count(fault.code);
        let Some(link) = self.links.get_mut(id) else { return };
        let now = self.shared.now.mono;
        if now.since(link.faults_since) > FAULTS_WITHIN {
            (link.faults, link.faults_since) = (0, now);
        }
        link.faults += 1;
        let faults = link.faults;
        let Some(peer) = link.member().map(|member| member.id) else {
            self.refuse(id, fault);
            return;
        };
        let name = self.peer_name(&peer);
        self.shared.event(Event::Misbehaved { peer: name, code: fault.code, detail: fault.detail.clone() });
        if faults > MAX_FAULTS {
            self.end_link(id, Code::TooManyFaults, "too many invalid messages");
            return;
        }
        let error = ErrorMessage::new(fault.code, fault.detail.clone());
        self.shared.send_on(id, &Arc::new(Message::Error(error).into()));
    }
}
