//! Whose advertisements are kept. In a network of up to [`MAX_AREA`] members those of all; in a larger one those of the
//! nearest by links, so that neither what is held nor what is told grows with the network.
//!
//! How far away a member is follows from the advertisements themselves, by links that both ends claim: nobody's word for a
//! distance is needed, and a member that lies about its links alone comes no nearer.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;
use meshline_protocol::message::LinkState;

use super::graph::Graph;
use super::lsdb::Lsdb;

/// Members of whom the links are known. What it costs to start and to compute the ways is a few milliseconds; a company's
/// network fits whole.
pub(crate) const MAX_AREA: usize = 256;

/// In a larger network it is all members up to as many links away as fit into this much of it, in per cent. Two links away
/// is worth more of it than further: with eight links each, and with twelve, these fit. With six and a half three links
/// would fit as well, but those are three times as many members that tell each change of their links, at twice the cost of
/// a start; and those one link beyond the area are reached by what its own members list.
const NEAR_PERCENT: usize = 62;
const FURTHER_PERCENT: usize = 40;

/// Links away up to which members are near.
const NEAR: u8 = 2;

/// So many more are held for a moment, until it is looked at who is near: a quarter of the area.
const SURPLUS_PART: usize = 4;

/// It grows by a link when all members that far away would take no more than this much of that, in per cent: so it does not
/// grow and shrink with each member that comes and goes.
const GROWS_UP_TO: usize = 75;

/// Of a full area the members behind one link take no more than half: however many a peer invents, others keep theirs.
const BRANCH_PART: usize = 2;

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Links between it and this node.
    pub(super) level: u8,
    /// The linked member over which it was found.
    pub(super) branch: NodeId,
}

/// What a look at the area leads to.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// Members too far away.
    pub(super) outside: BTreeSet<NodeId>,
    /// Members near enough of whom nothing is here, by the linked member that is asked.
    pub(super) missing: BTreeMap<NodeId, Vec<NodeId>>,
    /// The radius became another one.
    pub(super) moved: bool,
}

/// The members near this node.
#[derive(Debug)]
pub(super) struct Area {
    max: usize,
    /// Links within which all members are kept; `None` while everybody is.
    radius: Option<u8>,
    places: BTreeMap<NodeId, Place>,
    /// How many of them are behind each link.
    behind: BTreeMap<NodeId, usize>,
    /// Members of whom nothing is held that one in the area lists, with that one.
    fringe: BTreeMap<NodeId, NodeId>,
}

/// Members in the order in which they are found, and who is listed beyond them.
struct Found {
    order: Vec<(NodeId, Place)>,
    fringe: BTreeMap<NodeId, NodeId>,
    /// Members up to so many links away, of each branch no more than its part, by that number.
    sizes: Vec<usize>,
}

impl Found {
    fn size(&self, radius: u8) -> usize {
        self.sizes.get(usize::from(radius)).or_else(|| self.sizes.last()).copied().unwrap_or(0)
    }
}

impl Area {
    pub(super) fn new(max: usize) -> Self {
        Self { max, radius: None, places: BTreeMap::new(), behind: BTreeMap::new(), fringe: BTreeMap::new() }
    }

    /// Links within which members are kept; `None` if all are.
    pub(super) fn radius(&self) -> Option<u8> {
        self.radius
    }

    /// Whether so many advertisements are held that it must be looked at who is near.
    pub(super) fn is_overfull(&self, held: usize) -> bool {
        held > self.max + self.max / SURPLUS_PART
    }

    /// How many links a member is away.
    pub(super) fn level(&self, id: &NodeId) -> Option<u8> {
        self.places.get(id).map(|place| place.level)
    }

    /// Whether an advertisement of a member, of whom nothing is held, is wanted as far as is known.
    pub(super) fn lacks(&self, id: &NodeId) -> bool {
        let Some(radius) = self.radius else { return true };
        self.fringe.get(id).and_then(|by| self.level(by)).is_some_and(|level| level < radius)
    }

    /// Takes in a member of whom nothing was held, if it is near enough.
    pub(super) fn admit(&mut self, author: NodeId, state: &LinkState, lsdb: &Lsdb, is_linked: bool) -> bool {
        let Some(radius) = self.radius else { return true };
        let by_link = |peer: &NodeId| {
            let place = self.places.get(peer).copied()?;
            lsdb.get(peer)?.state.lists(&author).then(|| Place { level: place.level.saturating_add(1), ..place })
        };
        let direct = is_linked.then_some(Place { level: 1, branch: author });
        let nearest = state.links.iter().filter_map(|link| by_link(&link.peer)).chain(direct);
        let Some(place) = nearest.min_by_key(|place| place.level).filter(|place| place.level <= radius) else {
            return false;
        };
        let behind = self.behind.get(&place.branch).copied().unwrap_or(0);
        let has_room = place.level == 1 || behind < self.max / BRANCH_PART;
        if has_room {
            self.fringe.remove(&author);
            let before = self.places.insert(author, place);
            if let Some(count) = before.and_then(|before| self.behind.get_mut(&before.branch)) {
                *count = count.saturating_sub(1);
            }
            *self.behind.entry(place.branch).or_default() += 1;
        }
        has_room
    }

    /// How many members it may hold up to so many links away where there are more than fit.
    fn most(&self, radius: u8) -> usize {
        self.max * if radius <= NEAR { NEAR_PERCENT } else { FURTHER_PERCENT } / 100
    }

    /// Looks at who is near and who is not.
    ///
    /// `is_part` says whether a peer keeps a part only: then there are more members than are held, however few these are.
    pub(super) fn fit(
        &mut self,
        (lsdb, graph): (&Lsdb, &Graph),
        own: NodeId,
        (linked, is_part): (impl Iterator<Item = NodeId>, bool),
    ) -> Fit {
        if self.radius.is_none() && !is_part && lsdb.len() <= self.max {
            return Fit::default();
        }
        let found = find(graph, own, linked, self.max / BRANCH_PART);
        let radius = self.choose(&found);
        let moved = std::mem::replace(&mut self.radius, radius) != radius;
        let kept: Vec<&(NodeId, Place)> = match radius {
            Some(radius) => within(&found.order, radius, self.max / BRANCH_PART).collect(),
            None => found.order.iter().collect(),
        };
        self.behind.clear();
        for (_, place) in &kept {
            *self.behind.entry(place.branch).or_default() += 1;
        }
        self.places = kept.into_iter().copied().collect();
        self.fringe = found.fringe;
        self.fringe.retain(|_, by| self.places.contains_key(by));
        if radius.is_none() {
            return Fit { moved, ..Fit::default() };
        }
        let is_outside = |id: &NodeId| *id != own && !self.places.contains_key(id);
        let outside = lsdb.iter().map(|(id, _)| id).filter(is_outside).collect();
        Fit { outside, missing: self.missing(lsdb), moved }
    }

    /// Who is near enough and not held: those linked, and those that members inside list.
    fn missing(&self, lsdb: &Lsdb) -> BTreeMap<NodeId, Vec<NodeId>> {
        let mut missing: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let room = self.max.saturating_sub(self.places.len());
        let lacking = self.fringe.iter().filter(|(id, _)| self.lacks(id));
        for (id, by) in lacking.take(room) {
            if let Some(place) = self.places.get(by).filter(|_| lsdb.get(id).is_none()) {
                missing.entry(place.branch).or_default().push(*id);
            }
        }
        missing
    }

    fn choose(&self, found: &Found) -> Option<u8> {
        let size = |radius: u8| found.size(radius);
        let furthest = found.order.last().map_or(1, |(_, place)| place.level);
        let largest =
            |below: u8| (1..below).take_while(|radius| size(*radius) <= self.most(*radius)).last().unwrap_or(1);
        let Some(radius) = self.radius else {
            // Nobody lists a member that is not held: these are all there are. Of a branch all count here, for none would
            // be left out.
            let is_all = found.order.len() <= self.max && found.fringe.is_empty();
            return (!is_all).then(|| largest(furthest.saturating_add(1)));
        };
        if size(radius) > self.most(radius) {
            return Some(largest(radius));
        }
        let next = found.order.iter().filter(|(_, place)| place.level > radius).count() + found.fringe.len();
        if next == 0 {
            let is_all = found.order.len() * 100 <= self.max * GROWS_UP_TO;
            return (!is_all).then_some(radius);
        }
        let further = radius.saturating_add(1);
        let grows = (size(radius) + next) * 100 <= self.most(further) * GROWS_UP_TO;
        Some(if grows { further } else { radius })
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.places.iter().map(|(id, place)| (*id, place.branch))
    }

    /// Whom to send a datagram towards beside the members of the area: those one of it lists, with that one. Nobody lists
    /// more of them than its share.
    pub(super) fn fringe(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.fringe.iter().map(|(id, by)| (*id, *by))
    }
}

/// Members up to so many links away; behind each link no more than so many.
fn within(order: &[(NodeId, Place)], radius: u8, of_branch: usize) -> impl Iterator<Item = &(NodeId, Place)> {
    let mut behind: BTreeMap<NodeId, usize> = BTreeMap::new();
    order.iter().take_while(move |(_, place)| place.level <= radius).filter(move |(_, place)| {
        let count = behind.entry(place.branch).or_default();
        *count += 1;
        place.level == 1 || *count <= of_branch
    })
}

/// Finds members link by link, the nearest first.
fn find(graph: &Graph, own: NodeId, linked: impl Iterator<Item = NodeId>, of_branch: usize) -> Found {
    let mut seen = vec![false; graph.len()];
    let mut see = |number: usize| seen.get_mut(number).is_some_and(|seen| !std::mem::replace(seen, true));
    graph.number(&own).map(&mut see);
    let mut order: Vec<(NodeId, Place)> = Vec::with_capacity(graph.len());
    for peer in linked.filter(|peer| *peer != own) {
        graph.number(&peer).map(&mut see);
        order.push((peer, Place { level: 1, branch: peer }));
    }
    let (mut fringe, mut at) = (BTreeMap::new(), 0);
    while let Some((id, place)) = order.get(at).copied() {
        at += 1;
        let Some(number) = graph.number(&id) else { continue };
        let further = Place { level: place.level.saturating_add(1), ..place };
        for edge in graph.edges(number).iter().filter(|edge| see(edge.to)) {
            order.extend(graph.id(edge.to).map(|peer| (peer, further)));
        }
        for peer in graph.beyond(number) {
            fringe.entry(peer).or_insert(id);
        }
    }
    for (peer, _) in order.iter().take_while(|(_, place)| place.level == 1) {
        fringe.remove(peer);
    }
    fringe.remove(&own);
    let sizes = sizes(&order, of_branch);
    Found { order, fringe, sizes }
}

/// How many members there are within so many links.
fn sizes(order: &[(NodeId, Place)], of_branch: usize) -> Vec<usize> {
    let furthest = order.last().map_or(0, |(_, place)| place.level);
    let mut sizes = vec![0; usize::from(furthest) + 1];
    for (_, place) in within(order, furthest, of_branch) {
        if let Some(size) = sizes.get_mut(usize::from(place.level)) {
            *size += 1;
        }
    }
    let mut sum = 0;
    for size in &mut sizes {
        sum += *size;
        *size = sum;
    }
    sizes
}

#[cfg(test)]
mod tests;
