//! The ways: what this node measures of its links, what it says of them, and what it sends over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::limits::MAX_BODY;
use meshline_protocol::message::{AdvertisedLink, Datagram, Over};
use meshline_protocol::{Code, NodeId, ServiceName};

use super::Node;
use crate::config::RoutingPolicy;
use crate::event::Event;
use crate::input::LinkId;
use crate::link::Link;
use crate::output::Reply;
use crate::report::{RouteRow, RoutingReport};
use crate::routing::{Graph, Path, Route, Table, datagram_line, loss_ppm};

/// A link that was not measured yet: a millisecond, as in one building.
const ASSUMED_RTT_US: u64 = 1_000;

/// What a way costs that came with a question, and was never measured.
pub(super) const UNKNOWN_COST_US: u64 = 100_000;

/// What `prefer` and `avoid` make of the cost of a link, in per cent.
const PREFERRED: u16 = 50;
const AVOIDED: u16 = 1_000;

/// Why a way changed that `routing.via` asks for.
const CONFIGURED: &str = "the configuration wants this way";

impl Node {
    /// Advertises, floods and computes where it is due, and tells which ways changed.
    pub(super) fn route(&mut self) {
        let before = Arc::clone(self.routing.table());
        let (links, names, set) = (&self.links, &self.gossip.members, &self.peers.set);
        let policy = self.shared.config.routing.clone();
        let name_of = |id: &NodeId| names.get(id).map(|known| known.member.name.to_string());
        let via = || steering(&policy, names.iter().map(|known| (known.member.id, known.member.name.as_str())));
        // Who is here for a moment, or no more for long, is no way to anybody.
        let lasting = || links.iter().filter(|link| link.peer().is_some_and(|peer| set.bears(&peer)));
        let links = || advertised(lasting(), |id| weight(&policy, id, name_of(id).as_deref()));
        let changed = self.routing.handle_timeout(&mut self.shared, links, via);
        self.datagrams.handle_timeout(&mut self.shared);
        if changed {
            self.tell_changes(&before);
        }
    }

    /// A link was measured, or asked in vain: what it costs may be worth telling.
    pub(super) fn note_cost(&mut self, id: LinkId) {
        let Some((peer, link)) =
            self.links.get(id).filter(|link| link.is_up()).and_then(|link| Some((link.peer()?, link)))
        else {
            return;
        };
        let name = self.gossip.members.get(&peer).map(|known| known.member.name.as_str());
        let row = advertised_link(peer, link, weight(&self.shared.config.routing, &peer, name));
        if self.routing.measured(&row, self.shared.now.mono) {
            self.hasten_now();
        }
    }

    fn tell_changes(&mut self, before: &Table) {
        let after = Arc::clone(self.routing.table());
        for id in changed(before, &after) {
            self.tell_change(id, best(before, &id), best(&after, &id));
        }
    }

    fn tell_change(&mut self, id: NodeId, old: Option<&Path>, new: Option<&Path>) {
        self.routing.changes += 1;
        let wanted = self.steered_through(&id);
        let cause = match new {
            Some(new) if wanted.is_some() && new.hops.first() == wanted.as_ref() => CONFIGURED,
            new => cause_of(old, new, |hop| self.shared.up.contains_key(hop)),
        };
        let peer = self.peer_name(&id);
        let path = new.map(|path| path.hops.clone()).unwrap_or_default();
        self.shared.event(Event::RouteChanged { peer, path, cost_us: new.map(|path| path.cost_us), cause });
    }

    pub(super) fn send_datagram(
        &mut self,
        to: NodeId,
        (service, flow, over): (ServiceName, u32, Over),
        body: Bytes,
    ) -> Reply {
        if body.len() > MAX_BODY {
            let detail = format!("more than {MAX_BODY} bytes");
            return Reply::Refused { code: Code::BodyTooLong, detail };
        }
        self.routing.note_use(to, &self.shared);
        let line = Datagram { over, ..datagram_line(self.shared.id, to, flow, service) };
        match self.datagrams.send(line, body, self.routing.table(), &mut self.shared) {
            Ok(()) => Reply::Sent,
            Err(reason) => Reply::Refused { code: Code::NoRoute, detail: reason.name().to_owned() },
        }
    }

    pub(super) fn route_rows(&self) -> Vec<RouteRow> {
        let graph = self.routing.graph();
        self.routing.table().routes.keys().flat_map(|id| self.ways_to(id, &graph)).collect()
    }

    /// The ways to one member, the best first.
    pub(super) fn ways_to(&self, id: &NodeId, graph: &Graph) -> Vec<RouteRow> {
        let paths = self.routing.table().routes.get(id).into_iter().flat_map(|route| &route.paths);
        let row = |(at, path): (usize, &Path)| {
            let from = std::iter::once(&self.shared.id).chain(path.hops.iter());
            RouteRow {
                peer: *id,
                name: self.peer_name(id).name,
                rank: at + 1,
                path: path.hops.clone(),
                hops: path.hops.len(),
                cost: path.cost_us,
                costs: from.zip(path.hops.iter()).filter_map(|(from, to)| graph.cost(from, to)).collect(),
                share: path.share,
            }
        };
        paths.enumerate().map(row).collect()
    }

    /// The member through whom the configuration wants another reached.
    pub(super) fn steered_through(&self, id: &NodeId) -> Option<NodeId> {
        let policy = &self.shared.config.routing;
        if policy.via.is_empty() {
            return None;
        }
        let known = self.gossip.members.iter().map(|known| (known.member.id, known.member.name.as_str()));
        steering(policy, known).get(id).copied()
    }

    pub(super) fn routing_report(&self) -> RoutingReport {
        RoutingReport {
            forwarded: self.datagrams.forwarded,
            dropped: self.datagrams.dropped.clone(),
            round_trips: self.round_trips.report(),
            ..self.routing.report(self.shared.config.carries_for_others())
        }
    }
}

fn best<'a>(table: &'a Table, id: &NodeId) -> Option<&'a Path> {
    table.routes.get(id)?.paths.first()
}

/// Members to whom the best way is another one, in the order of ids.
fn changed(before: &Table, after: &Table) -> Vec<NodeId> {
    let is_other = |(id, route): &(&NodeId, &Route)| {
        let old = before.routes.get(*id).and_then(|old| old.paths.first());
        old.map(|path| &path.hops) != route.paths.first().map(|path| &path.hops)
    };
    let gone = before.routes.iter().filter(|(id, route)| !after.routes.contains_key(*id) && !route.paths.is_empty());
    let mut changed: Vec<NodeId> = after.routes.iter().filter(is_other).chain(gone).map(|(id, _)| *id).collect();
    changed.sort_unstable();
    changed
}

/// Whom the configuration wants reached through whom, as far as both are known.
fn steering<'a>(policy: &RoutingPolicy, known: impl Iterator<Item = (NodeId, &'a str)>) -> BTreeMap<NodeId, NodeId> {
    if policy.via.is_empty() {
        return BTreeMap::new();
    }
    let by_name: BTreeMap<&str, NodeId> = known.map(|(id, name)| (name, id)).collect();
    let find = |word: &String| word.parse().ok().or_else(|| by_name.get(word.as_str()).copied());
    policy.via.iter().filter_map(|(to, through)| Some((find(to)?, find(through)?))).collect()
}

/// Why the best way to a member is another one.
fn cause_of(old: Option<&Path>, new: Option<&Path>, is_linked: impl Fn(&NodeId) -> bool) -> &'static str {
    match (old, new) {
        (None, _) => "a way was found",
        (Some(_), None) => "there is no way any more",
        (Some(old), Some(_)) if old.hops.first().is_some_and(|hop| !is_linked(hop)) => {
            "the link to its first hop is gone"
        }
        (Some(old), Some(new)) if new.cost_us < old.cost_us => "a better way appeared",
        (Some(_), Some(_)) => "the way used so far got worse or broke",
    }
}

/// What the links that are up cost, as measured at this end.
fn advertised<'a>(links: impl Iterator<Item = &'a Link>, weight: impl Fn(&NodeId) -> u16) -> Vec<AdvertisedLink> {
    let mut rows: BTreeMap<NodeId, AdvertisedLink> = BTreeMap::new();
    for link in links.filter(|link| link.is_up()) {
        if let Some(peer) = link.peer() {
            rows.insert(peer, advertised_link(peer, link, weight(&peer)));
        }
    }
    rows.into_values().collect()
}

fn advertised_link(peer: NodeId, link: &Link, weight: u16) -> AdvertisedLink {
    let micros = |micros: Option<u64>, otherwise| u32::try_from(micros.unwrap_or(otherwise)).unwrap_or(u32::MAX);
    AdvertisedLink {
        peer,
        rtt_us: micros(link.clock.rtt_us().or(link.measured.min_rtt_us), ASSUMED_RTT_US),
        jitter_us: micros(link.clock.jitter_us(), 0),
        loss_ppm: loss_ppm(link.loss()),
        goodput_kbps: link.goodput().map_or(0, |(bps, _)| kilobits(bps)),
        weight,
    }
}

/// Thousands of bits a second; a link that was measured carries at least one, because 0 means unknown.
fn kilobits(bps: u64) -> u32 {
    u32::try_from(bps / 1_000).unwrap_or(u32::MAX).max(1)
}

/// What the operator says about a link.
fn weight(policy: &RoutingPolicy, id: &NodeId, name: Option<&str>) -> u16 {
    let is_named = |list: &[String]| list.iter().any(|word| *word == id.to_string() || name == Some(word.as_str()));
    if policy.avoid.is_empty() && policy.prefer.is_empty() {
        100
    } else if is_named(&policy.avoid) {
        AVOIDED
    } else if is_named(&policy.prefer) {
        PREFERRED
    } else {
        100
    }
}
