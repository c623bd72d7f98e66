//! Relayed links: which is in use, which stands by, and what follows when one breaks.

use std::sync::Arc;
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::message::Role;
use meshline_protocol::{Code, NodeId};

use super::Node;
use crate::event::Event;
use crate::input::{DialId, LinkId, Transport};
use crate::link::{Link, Stage, is_upgrade};
use crate::relay::{Known, Surplus};
use crate::report::{Bearer, ProxyRow};
use crate::shared::UpPeer;

/// How long a link stays when a better one has taken its place: what the other side sent before it knew takes a round
/// trip, and waits behind what was queued, so that nothing is lost; and a better link that breaks at once is no loss either.
const RETIREMENT: Duration = Duration::from_secs(5);

impl Node {
    /// Asks for relayed links, and sees to those that stand by.
    pub(super) fn relay(&mut self) {
        for link in self.links.retired(self.shared.now.mono) {
            self.end_link(link, Code::DuplicateLink, "another link to this member stays");
        }
        for surplus in self.relay_client.surplus(&self.shared, &self.links) {
            match surplus {
                Surplus::Idle(link) => self.end_link(link, Code::NotNeeded, "nothing was sent to the member for long"),
                Surplus::Quicker { link, from_us, to_us } => self.leave_slow(link, (from_us, to_us)),
            }
        }
        let known = Known { links: &self.links, members: &self.gossip.members, peers: &self.peers };
        if self.relay_client.handle_timeout(&mut self.shared, known) {
            self.reselect_ring();
        }
    }

    /// What is sent to a member goes over this link from now on.
    pub(super) fn take_into_use(&mut self, id: LinkId, member: &Member) {
        let Some(link) = self.links.get_mut(id) else { return };
        (link.standby, link.retires_at) = (false, None);
        let (is_view, is_proxy) = (member.has_role(Role::View), member.has_role(Role::Proxy));
        let up = UpPeer { link: id, transport: link.transport, is_view, is_proxy };
        self.shared.up.insert(member.id, up);
        // On a ring messages are handed round, and given to those who only look on.
        if !self.ring.is_enabled() || is_view {
            self.broadcast.link_up(member.id, &mut self.shared);
        }
    }

    /// Whether a link that has just come up only stands by for the one in use.
    pub(super) fn stands_by(&mut self, id: LinkId, peer: NodeId) -> bool {
        let used = self.shared.up.get(&peer).and_then(|up| self.links.get(up.link));
        let Some((link, used)) = self.links.get(id).zip(used) else { return false };
        if !used.is_complete() || !link.stands_beside(used) {
            return false;
        }
        let proxy = link.via.map(|proxy| self.peer_name(&proxy));
        if let Some(link) = self.links.get_mut(id) {
            link.standby = true;
        }
        if let Some(proxy) = proxy {
            let peer = self.peer_name(&peer);
            self.shared.event(Event::StandsBy { link: id, peer, proxy });
        }
        true
    }

    /// Another link took the place of this one. What is under way on one of a lesser kind still arrives, because it stays
    /// for a while; the other side sends nothing on it either as soon as the new one is up there.
    pub(super) fn replace(&mut self, id: LinkId, by: Transport) {
        let retires_at = self.shared.now.mono.after(RETIREMENT);
        match self.links.get_mut(id) {
            Some(link) if link.is_complete() && is_upgrade(link.transport, by) => {
                (link.standby, link.retires_at) = (true, Some(retires_at));
            }
            Some(_) | None => self.end_link(id, Code::DuplicateLink, "another link to this member stays"),
        }
    }

    /// The link in use is gone: what stands by takes its place at once, or goes with it if the end was wanted.
    pub(super) fn fall_back(&mut self, peer: NodeId, is_wanted: bool) -> bool {
        let Some(standby) = self.links.standby_to(peer).map(|link| link.id) else { return false };
        if is_wanted {
            self.end_link(standby, Code::NotNeeded, "the link in use was ended");
            return false;
        }
        self.change_to(standby);
        true
    }

    /// Uses a link that stood by. The one used before, if it is still there, stands by in turn.
    fn change_to(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        let Stage::Up(member) = &link.stage else { return };
        let (member, transport, direction) = (Arc::clone(member), link.transport, link.direction());
        let (local, remote) = (link.local.clone(), link.remote.clone());
        let before = self.shared.up.get(&member.id).map(|up| up.link);
        if let Some(before) = before.and_then(|before| self.links.get_mut(before)) {
            before.standby = true;
        }
        self.take_into_use(id, &member);
        let peer = self.peer_name(&member.id);
        self.shared.event(Event::LinkUp { link: id, peer, transport, direction, local, remote });
        self.ring.relink(&member.id, &mut self.shared);
        self.routing.link_up(member.id, &mut self.shared);
        self.broadcast.catch_up(member.id, self.gossip.members.len(), &mut self.shared);
    }

    /// Uses the quicker of two relayed links.
    fn leave_slow(&mut self, id: LinkId, (from_us, to_us): (u64, u64)) {
        let peer = self.links.get(id).and_then(Link::peer);
        let used = peer.and_then(|peer| self.links.get(self.shared.up.get(&peer)?.link));
        if let Some((peer, proxy)) = peer.zip(used.and_then(|used| used.via)) {
            let detail = format!("{} ms there and back, {} ms through another proxy", from_us / 1_000, to_us / 1_000);
            self.tell_proxy_failed((peer, proxy), "slower", detail);
        }
        self.change_to(id);
    }

    /// One of two relayed links to a member is gone and the other works: it was the proxy that failed. While the one in use
    /// carries something another is asked for, elsewhere.
    pub(super) fn proxy_failed(&mut self, link: &Link, code: Code, detail: &str) {
        let wanted = matches!(code, Code::ShuttingDown | Code::NotNeeded | Code::Revoked | Code::DuplicateLink);
        let Some((peer, proxy)) = link.peer().zip(link.via).filter(|_| !wanted) else { return };
        let now = self.shared.now.mono;
        self.relay_client.broke(peer, proxy, now);
        self.peers.link_ended(peer, link, (code, detail), now);
        self.tell_proxy_failed((peer, proxy), code.name(), detail.to_owned());
    }

    fn tell_proxy_failed(&mut self, (peer, proxy): (NodeId, NodeId), reason: &'static str, detail: String) {
        let (peer, proxy) = (self.peer_name(&peer), self.peer_name(&proxy));
        self.shared.event(Event::ProxyFailed { peer, proxy, reason, detail });
    }

    /// A relayed connection came to nothing: another proxy is asked, or this one at another address.
    pub(super) fn blame_proxy(&mut self, dial: DialId, code: Code) {
        let Some((proxy, peer)) = self.peers.relayed_by(dial) else { return };
        self.relay_client.blame(peer, proxy, self.shared.now.mono);
        let Some(address) = self.peers.address_of(dial) else { return };
        let known = Known { links: &self.links, members: &self.gossip.members, peers: &self.peers };
        self.relay_client.failed_at((proxy, address), code, &mut self.shared, known);
    }

    pub(super) fn proxy_rows(&self) -> Vec<ProxyRow> {
        self.relay_client.report(|id, rtt_us, warm| {
            let (name, linked) = (self.peer_name(id).name, self.shared.up.contains_key(id));
            ProxyRow { peer: *id, name, linked, rtt_us, warm }
        })
    }

    /// Further connections to a linked peer.
    pub(super) fn bearers(&self, peer: NodeId) -> Vec<Bearer> {
        let standing = self.links.iter().filter(|link| link.standby && link.peer() == Some(peer));
        let row = |link: &Link| Bearer {
            transport: link.transport.name(),
            address: link.remote.clone(),
            works: link.is_complete(),
            rtt_us: link.clock.rtt_us(),
        };
        standing.map(row).collect()
    }
}
