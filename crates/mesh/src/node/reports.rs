//! What the node says of itself.

use meshline_protocol::NodeId;
use meshline_protocol::message::Role;

use super::{ALONE_AFTER, Node};
use crate::config::Topology;
use crate::event::PeerName;
use crate::gossip::Known;
use crate::input::Transport;
use crate::link::Link;
use crate::report::{LimitsReport, LinkRow, PeerRow, Readiness, Status, TimeReport};
use crate::shared::role_name;
use crate::time::Estimate;

impl Node {
    /// This node's own name as others see it.
    #[must_use]
    pub fn own_name(&self) -> PeerName {
        self.shared.shown(&self.shared.id, self.shared.config.name.as_str())
    }

    pub(super) fn peer_name(&self, id: &NodeId) -> PeerName {
        let name = self.gossip.members.get(id).map_or("", |known| known.member.name.as_str());
        self.shared.shown(id, name)
    }

    pub(super) fn status(&self) -> Status {
        let shared = &self.shared;
        Status {
            schema: "meshline/status/1",
            id: shared.id,
            name: self.own_name().name,
            network: shared.config.network.clone(),
            version: env!("CARGO_PKG_VERSION"),
            state: self.state(),
            topology: match shared.config.topology {
                Topology::Mesh => "mesh",
                Topology::Ring => "ring",
            },
            roles: shared.config.roles.iter().map(|role| role_name(*role)).collect(),
            listen: self.listening.iter().cloned().collect(),
            uptime_ms: shared.now.mono.micros_since(self.started) / 1_000,
            ready: self.readiness(),
            links: self.links.iter().filter(|link| link.is_up()).map(|link| self.link_row(link)).collect(),
            ring: self.ring.is_enabled().then(|| self.ring.report()),
            nat: self.nat.report(&self.signal.observed, shared.now, &|id| self.peer_name(id).name),
            time: self.time_report(),
            limits: LimitsReport {
                max_links: shared.config.max_links,
                links: shared.up.len(),
                handshakes: self.links.handshakes(),
                members: self.gossip.members.len() + 1,
                link_set: self.peers.set.report(self.peers.book.counts(), shared),
            },
            routing: self.routing_report(),
            proxies: self.proxy_rows(),
            relay: shared.config.is_proxy().then(|| self.relay_server.report(|id| self.peer_name(id).name)),
            spread: shared.tree.report(),
            rebuild: self.rebuild.report(
                self.gossip.members.len() + 1,
                shared.config.rebuild_auto && self.holds_role(),
                shared,
            ),
            punch: self.punch.report(shared.config.punch),
            lan: self.lan.report(),
            refused: shared.refused.clone(),
        }
    }

    /// Listeners up and one link, or two seconds alone.
    fn readiness(&self) -> Readiness {
        let listening = self.listening.len() >= self.shared.config.listen.len();
        let alone = self.shared.now.mono.since(self.started) >= ALONE_AFTER;
        let (ready, reason) = match (listening, self.shared.up.len(), alone) {
            (false, _, _) => (false, "the listeners are not up yet".to_owned()),
            (true, 0, false) => (false, "no link yet".to_owned()),
            (true, 0, true) => (true, self.why_alone()),
            (true, 1, _) => (true, "1 link up".to_owned()),
            (true, count, _) => (true, format!("{count} links up")),
        };
        Readiness { ready: ready && !self.shared.leaving, reason }
    }

    fn why_alone(&self) -> String {
        match self.shared.refused_us {
            Some(code) => format!("alone: others refuse this member ({})", code.name()),
            None if self.shared.was_linked => "alone: no other member is linked at the moment".to_owned(),
            None => "alone: no other member could be linked so far".to_owned(),
        }
    }

    fn time_report(&self) -> TimeReport {
        let Estimate { offset_us, error_us, members } = self.shared.network_estimate();
        TimeReport { offset_us, error_us, members, network_us: self.shared.network_time().0 }
    }

    /// The clock of a link's peer less ours, with its bound: a link that is new knows what others with the same peer do.
    pub(super) fn clock_offset(&self, link: &Link) -> Option<(i64, u64)> {
        let known = link.peer().and_then(|peer| self.shared.network_time.offset_of(&peer, self.shared.now));
        let own = link.clock.offset(self.shared.now);
        known.into_iter().chain(own).min_by_key(|(_, error)| *error)
    }

    fn link_row(&self, link: &Link) -> LinkRow {
        let peer = link.peer().unwrap_or(self.shared.id);
        let offset = self.clock_offset(link);
        let (purposes, their_purposes) = self.peers.set.purposes(&peer);
        LinkRow {
            peer,
            name: self.peer_name(&peer).name,
            transport: link.transport.name(),
            direction: link.direction().name(),
            address: link.remote.clone(),
            purposes: purposes.names(),
            their_purposes: their_purposes.names(),
            via: link.through,
            via_name: link.through.map(|id| self.peer_name(&id).name),
            rtt_us: link.clock.rtt_us(),
            jitter_us: link.clock.jitter_us(),
            min_rtt_us: link.min_rtt_us(),
            loss: link.loss(),
            goodput_bps: link.goodput().map_or(0, |(bps, _)| bps),
            goodput_by: link.goodput().map(|(_, by)| by),
            goodput_in_bps: link.goodput_in().map_or(0, |(bps, _)| bps),
            goodput_in_by: link.goodput_in().map(|(_, by)| by),
            clock_offset_us: offset.map(|(offset, _)| offset),
            clock_error_us: offset.map(|(_, error)| error),
            sent_bytes: link.sent_bytes,
            received_bytes: link.received_bytes,
            up_ms: self.shared.now.mono.micros_since(link.since) / 1_000,
            bearers: self.bearers(peer).into_iter().chain(self.companions.bearer(link.id)).collect(),
        }
    }

    pub(super) fn peer_rows(&self) -> Vec<PeerRow> {
        self.gossip.members.iter().map(|known| self.peer_row(known)).collect()
    }

    pub(super) fn peer_row(&self, known: &Known) -> PeerRow {
        let member = &known.member;
        let path = self.path_to(&member.id);
        let up = self.shared.up.get(&member.id);
        let direct = up.is_some_and(|up| up.transport != Transport::Relay);
        let link = up.and_then(|up| self.links.get(up.link));
        let (goodput, goodput_in) = (link.and_then(Link::goodput), link.and_then(Link::goodput_in));
        PeerRow {
            id: member.id,
            name: self.shared.shown(&member.id, member.name.as_str()).name,
            roles: member.roles.iter().map(|role| role_name(*role)).collect(),
            reachable: !path.is_empty(),
            direct,
            via: path.first().copied().filter(|first| *first != member.id || !direct),
            hops: path.len(),
            cost: self.cost_of(&path),
            goodput_bps: goodput.map_or(0, |(bps, _)| bps),
            goodput_by: goodput.map(|(_, by)| by),
            goodput_in_bps: goodput_in.map_or(0, |(bps, _)| bps),
            goodput_in_by: goodput_in.map(|(_, by)| by),
            path,
            addresses: member.addresses.clone(),
            left: known.has_left(),
        }
    }

    /// The way to a member: what datagrams take, which may leave its link aside, the proxy that carries its link, or along
    /// the ring.
    pub(super) fn path_to(&self, id: &NodeId) -> Vec<NodeId> {
        let routed = self.routing.table().best(id, |hop| self.shared.up.contains_key(hop));
        if let Some(detour) = routed.filter(|best| best.hops.len() > 1) {
            return detour.hops.clone();
        }
        if let Some(up) = self.shared.up.get(id) {
            let proxy = (up.transport == Transport::Relay).then(|| self.proxy_of(up.link)).flatten();
            return proxy.into_iter().chain([*id]).collect();
        }
        let ring = self.ring.members();
        match ring.iter().position(|member| member == id) {
            Some(at) if self.ring.report().complete => ring.iter().take(at + 1).skip(1).copied().collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The member whose address a relayed link goes to.
    fn proxy_of(&self, link: crate::LinkId) -> Option<NodeId> {
        let remote = &self.links.get(link)?.remote;
        let at_remote = |known: &&Known| known.member.has_role(Role::Proxy) && known.member.addresses.contains(remote);
        let announced = self.gossip.members.iter().find(at_remote).map(|known| known.member.id);
        announced.or_else(|| {
            self.links.iter().find(|other| other.transport != Transport::Relay && other.remote == *remote)?.peer()
        })
    }

    /// The expected delivery time as it is advertised; before that, half the round trip of the first hop for each hop.
    pub(super) fn cost_of(&self, path: &[NodeId]) -> Option<u64> {
        let routed = path.last().and_then(|to| self.routing.table().best(to, |hop| self.shared.up.contains_key(hop)));
        if let Some(best) = routed.filter(|best| best.hops == path) {
            return Some(best.cost_us);
        }
        let last = path.last().filter(|last| self.shared.up.contains_key(last)).or_else(|| path.first())?;
        let link = self.links.get(self.shared.up.get(last)?.link)?;
        let hops = if self.shared.up.contains_key(path.last()?) { 1 } else { u64::try_from(path.len()).ok()? };
        Some(link.clock.delay_us.or_else(|| link.clock.rtt_us().map(|rtt| rtt / 2))?.saturating_mul(hops))
    }
}
