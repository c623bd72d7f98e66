//! What datagrams are forwarded by: for each member the ways to it. Published whole and never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_protocol::limits::MAX_PATH;
use meshline_protocol::message::Datagram;
use meshline_protocol::{Bounded, NodeId};

use super::graph::Graph;
use super::greedy::{Landmarks, seek};
use super::spf::{Tree, cost, paths};

/// Ways to one member.
pub(super) const MAX_PATHS: usize = 3;

/// Members to which more than one way is found beforehand. In a larger network that is done only for those in use.
pub(super) const ALL_PATHS_UP_TO: usize = 64;

/// A way to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The members on it: the first is linked with us, the last is the destination.
    pub hops: Vec<NodeId>,
    /// Expected delivery time in microseconds.
    pub cost_us: u64,
    /// Which part of the traffic it would get if all paths were used at once, in thousandths.
    pub share: u32,
}

/// The ways to one member, the best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The ways.
    pub paths: Vec<Path>,
}

/// The ways to all members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// This node.
    pub own: Option<NodeId>,
    /// Whether this node carries what others send to others.
    pub carries: bool,
    /// By destination.
    pub routes: BTreeMap<NodeId, Route>,
    /// Links within which there is a way to all members; `None` if there is to all there are.
    pub radius: Option<u8>,
    /// Towards whom a datagram may be sent whose destination is beyond.
    pub landmarks: Landmarks,
}

impl Table {
    /// Computes the ways from `own` to all, and further ones to those of which `has_spares` says so.
    #[must_use]
    pub fn compute(graph: &Graph, own: NodeId, carries: bool, has_spares: impl Fn(&NodeId) -> bool) -> Self {
        let mut table = Self { own: Some(own), carries, ..Self::default() };
        let Some(from) = graph.number(&own) else { return table };
        let tree = Tree::find(graph, from);
        for to in (0..graph.len()).filter(|to| *to != from) {
            let Some(id) = graph.id(to) else { continue };
            let found =
                if has_spares(&id) { paths(graph, &tree, to, MAX_PATHS) } else { tree.path(to).into_iter().collect() };
            let found: Vec<Path> = found.iter().filter_map(|path| path_of(graph, from, path)).collect();
            if !found.is_empty() {
                table.routes.insert(id, Route { paths: shared(found) });
            }
        }
        table
    }

    /// Puts the best way that begins with a given member first, for the destinations that have one: the others are
    /// spares. A destination to which no way begins so keeps its ways.
    #[must_use]
    pub fn steered(mut self, graph: &Graph, via: &BTreeMap<NodeId, NodeId>) -> Self {
        let Some(from) = self.own.and_then(|own| graph.number(&own)) else { return self };
        for (to, through) in via {
            let (Some(first), Some(to_number)) = (graph.number(through), graph.number(to)) else { continue };
            let Some(hops) = through_first(graph, from, first, to_number) else { continue };
            let Some(path) = path_of(graph, from, &hops) else { continue };
            let route = self.routes.entry(*to).or_default();
            route.paths.retain(|other| other.hops != path.hops);
            route.paths.iter_mut().for_each(|other| other.share = 0);
            route.paths.insert(0, Path { share: 1_000, ..path });
            route.paths.truncate(MAX_PATHS);
        }
        self
    }

    /// Whether there are members to whom no way is known beforehand.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.radius.is_some()
    }

    /// Adds the way to a member beyond the area: over whom it is listed with, or as it was found.
    pub(super) fn reach(&mut self, to: &NodeId, found: Option<&Path>) {
        if self.routes.contains_key(to) {
            return;
        }
        let over = self.landmarks.over(to).and_then(|over| self.routes.get(&over)?.paths.first());
        let listed = over.filter(|path| path.hops.len() < MAX_PATH).map(|path| {
            let hops = path.hops.iter().copied().chain([*to]).collect();
            // What the last link costs nobody has said; as much as those before it.
            let last = path.cost_us / u64::try_from(path.hops.len()).unwrap_or(1).max(1);
            Path { hops, cost_us: path.cost_us.saturating_add(last), share: 0 }
        });
        // One that was found has been proved.
        let mut paths: Vec<Path> = found.cloned().into_iter().collect();
        paths.extend(listed.filter(|listed| found.is_none_or(|found| found.hops != listed.hops)));
        if !paths.is_empty() {
            self.routes.insert(*to, Route { paths: shared(paths) });
        }
    }

    /// The best way to a member whose first hop satisfies a condition.
    #[must_use]
    pub fn best(&self, to: &NodeId, is_linked: impl Fn(&NodeId) -> bool) -> Option<&Path> {
        let paths = &self.routes.get(to)?.paths;
        paths.iter().find(|path| path.hops.first().is_some_and(&is_linked))
    }
}

/// The best way from one member to another whose first hop is a third, and which does not come back.
fn through_first(graph: &Graph, from: usize, first: usize, to: usize) -> Option<Vec<usize>> {
    let is_linked = graph.edges(from).iter().any(|edge| edge.to == first);
    if !is_linked || (first != to && !graph.carries(first)) {
        return None;
    }
    let rest = Tree::find(&graph.not_over(from), first).path(to)?;
    Some(std::iter::once(first).chain(rest).collect())
}

fn path_of(graph: &Graph, from: usize, path: &[usize]) -> Option<Path> {
    // A longer way than a datagram can name is none.
    if path.len() > MAX_PATH {
        return None;
    }
    let hops: Option<Vec<NodeId>> = path.iter().map(|at| graph.id(*at)).collect();
    Some(Path { hops: hops?, cost_us: cost(graph, from, path), share: 0 })
}

/// Each way gets the more the less it costs.
fn shared(mut paths: Vec<Path>) -> Vec<Path> {
    let worth = |path: &Path| 1_000_000_000 / path.cost_us.clamp(1, 1_000_000_000);
    let sum: u64 = paths.iter().map(worth).sum();
    for path in &mut paths {
        path.share = u32::try_from(worth(path) * 1_000 / sum.max(1)).unwrap_or(1_000);
    }
    paths
}

/// Why a datagram goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// It has crossed as many links as it may.
    TtlExceeded,
    /// There is no way, or the way broke a second time.
    NoRoute,
    /// This node carries nothing for others.
    NotCarried,
    /// Nobody nearer to the destination is known here.
    DeadEnd,
}

impl Drop {
    /// The name in reports and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TtlExceeded => "ttl_exceeded",
            Self::NoRoute => "no_route",
            Self::NotCarried => "not_carried",
            Self::DeadEnd => "dead_end",
        }
    }
}

/// What becomes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It is for this node.
    Deliver,
    /// It goes on to a linked member, with this line.
    To(NodeId, Box<Datagram>),
    /// It goes no further.
    Drop(Drop),
}

/// Decides what becomes of a datagram that came from a linked member, or (`from` is `None`) is sent here.
///
/// It follows the path in its line. If the next link is gone it takes a detour: the best path from here, once.
#[must_use]
pub fn forward(
    table: &Arc<Table>,
    datagram: &Datagram,
    from: Option<&NodeId>,
    is_linked: impl Fn(&NodeId) -> bool,
) -> Forward {
    if Some(datagram.dst) == table.own {
        return Forward::Deliver;
    }
    if from.is_some() && !table.carries {
        return Forward::Drop(Drop::NotCarried);
    }
    let Some(ttl) = datagram.ttl.checked_sub(1) else { return Forward::Drop(Drop::TtlExceeded) };
    if datagram.seek.is_some() {
        return seek(table, datagram, ttl, from, is_linked);
    }
    // A path that comes back here is no path: with this no source can send anything round in circles.
    if datagram.path.iter().any(|hop| Some(*hop) == table.own) {
        return Forward::Drop(Drop::NoRoute);
    }
    let next = if from.is_none() && datagram.path.is_empty() {
        None
    } else {
        Some(datagram.path.first().copied().unwrap_or(datagram.dst)).filter(|next| is_linked(next))
    };
    if let Some(next) = next {
        let path = Bounded::from_first(datagram.path.iter().copied().skip(1));
        return Forward::To(next, Box::new(Datagram { ttl, path, ..datagram.clone() }));
    }
    detour(table, datagram, ttl, from, is_linked)
}

fn detour(
    table: &Table,
    datagram: &Datagram,
    ttl: u8,
    from: Option<&NodeId>,
    is_linked: impl Fn(&NodeId) -> bool,
) -> Forward {
    let detours = datagram.detours + u8::from(from.is_some());
    if detours > 1 {
        return Forward::Drop(Drop::NoRoute);
    }
    let Some(hops) = table.best(&datagram.dst, &is_linked).map(|path| path.hops.clone()).or_else(|| {
        // Beyond the area, but some of those it was to pass may be known.
        splice(table, datagram, &is_linked)
    }) else {
        return Forward::Drop(Drop::NoRoute);
    };
    let Some(next) = hops.first().copied() else { return Forward::Drop(Drop::NoRoute) };
    let between = hops.len().saturating_sub(1);
    let rest = Bounded::from_first(hops.iter().copied().take(between).skip(1));
    Forward::To(next, Box::new(Datagram { ttl, path: rest, detours, ..datagram.clone() }))
}

/// A way around a break to a member that the datagram was to pass, the latest that is known here, and on from there.
fn splice(table: &Table, datagram: &Datagram, is_linked: &impl Fn(&NodeId) -> bool) -> Option<Vec<NodeId>> {
    let known = |(at, hop): (usize, &NodeId)| Some((at, table.best(hop, is_linked)?));
    let (at, path) = datagram.path.iter().enumerate().rev().find_map(known)?;
    let rest: Vec<NodeId> = datagram.path.iter().copied().skip(at + 1).chain([datagram.dst]).collect();
    // Where the way around meets the rest of the old one it goes on there.
    let meets = path.hops.iter().enumerate().find_map(|(to, hop)| Some((to, rest.iter().position(|on| on == hop)?)));
    let (around, on) = meets.unwrap_or((path.hops.len(), 0));
    let hops: Vec<NodeId> = path.hops.iter().take(around).chain(rest.iter().skip(on)).copied().collect();
    (hops.len() <= MAX_PATH + 1).then_some(hops)
}
