//! The network as the advertisements describe it, in small numbers instead of ids.

use std::collections::BTreeSet;

use meshline_protocol::NodeId;
use meshline_protocol::message::{AdvertisedLink, LinkState};

use super::cost::cost_us;

/// A directed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) cost: u64,
}

/// The members and the links that both of their ends advertise.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    ids: Ids,
    carries: Vec<bool>,
    edges: Edges,
    /// Links to members of whom nothing is known, in the order of who advertises them.
    beyond: Vec<(usize, NodeId)>,
}

/// Members in order: a member's number is its place here.
#[derive(Clone, Debug, Default)]
struct Ids {
    all: Vec<NodeId>,
    /// The first eight bytes of each: what a search compares.
    heads: Vec<u64>,
}

impl Ids {
    fn new(all: Vec<NodeId>) -> Self {
        let heads = all.iter().map(head).collect();
        Self { all, heads }
    }

    fn number(&self, id: &NodeId) -> Option<usize> {
        let head = head(id);
        let first = self.heads.partition_point(|other| *other < head);
        let same = self.heads.iter().skip(first).take_while(|other| **other == head).count();
        self.all.iter().skip(first).take(same).position(|other| other == id).map(|at| first + at)
    }
}

fn head(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// Links, those of one member behind those of another: a network's in one piece of memory.
#[derive(Clone, Debug, Default)]
struct Edges {
    all: Vec<Edge>,
    /// Where those of each member end.
    ends: Vec<usize>,
}

impl Edges {
    fn add(&mut self, edges: impl Iterator<Item = Edge>) {
        self.all.extend(edges);
        self.ends.push(self.all.len());
    }

    fn of(&self, number: usize) -> &[Edge] {
        let first = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(number).and_then(|end| self.all.get(first..*end)).unwrap_or_default()
    }
}

impl Graph {
    /// Builds the graph of advertisements. Whoever advertises a link that the other end does not is not believed.
    #[must_use]
    pub fn new<'a>(advertisements: impl Iterator<Item = (NodeId, &'a LinkState)>) -> Self {
        let mut known: Vec<(NodeId, &LinkState)> = advertisements.collect();
        known.sort_by_key(|(id, _)| *id);
        known.dedup_by_key(|(id, _)| *id);
        let ids = Ids::new(known.iter().map(|(id, _)| *id).collect());
        let (mut claimed, mut beyond) = (Edges::default(), Vec::new());
        for (from, (_, state)) in known.iter().enumerate() {
            let edge = |link: &AdvertisedLink| {
                let to = ids.number(&link.peer);
                if to.is_none() {
                    beyond.push((from, link.peer));
                }
                to.map(|to| Edge { to, cost: cost_us(link) })
            };
            claimed.add(state.links.iter().filter_map(edge));
        }
        let carries = known.iter().map(|(_, state)| state.carries).collect();
        Self { edges: believed(&claimed, ids.all.len()), ids, carries, beyond }
    }

    /// The same without some members, whose links are links beyond from now on.
    pub(super) fn without(&self, out: &BTreeSet<NodeId>) -> Self {
        let is_in = |id: &NodeId| !out.contains(id);
        let mut left = Self::default();
        let mut numbers = vec![None; self.len()];
        let (mut ids, mut count) = (Vec::with_capacity(self.len()), 0_usize);
        for (number, id) in numbers.iter_mut().zip(&self.ids.all).filter(|(_, id)| is_in(id)) {
            *number = Some(count);
            count += 1;
            ids.push(*id);
        }
        left.ids = Ids::new(ids);
        for (before, now) in numbers.iter().enumerate().filter_map(|(before, now)| Some((before, (*now)?))) {
            left.carries.push(self.carries(before));
            let to = |edge: &Edge| numbers.get(edge.to).copied().flatten();
            let (inside, outside): (Vec<&Edge>, Vec<&Edge>) =
                self.edges(before).iter().partition(|edge| to(edge).is_some());
            left.edges.add(inside.iter().filter_map(|edge| Some(Edge { to: to(edge)?, ..**edge })));
            let gone = outside.iter().filter_map(|edge| self.id(edge.to));
            left.beyond.extend(gone.chain(self.beyond(before)).map(|id| (now, id)));
        }
        left
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.all.is_empty()
    }

    /// How many directed links count.
    #[must_use]
    pub fn links(&self) -> usize {
        self.edges.all.len()
    }

    pub(super) fn number(&self, id: &NodeId) -> Option<usize> {
        self.ids.number(id)
    }

    pub(super) fn id(&self, number: usize) -> Option<NodeId> {
        self.ids.all.get(number).copied()
    }

    /// Members of whom nothing is known that this one advertises.
    pub(super) fn beyond(&self, number: usize) -> impl Iterator<Item = NodeId> {
        let first = self.beyond.partition_point(|(from, _)| *from < number);
        self.beyond.iter().skip(first).take_while(move |(from, _)| *from == number).map(|(_, id)| *id)
    }

    pub(super) fn carries(&self, number: usize) -> bool {
        self.carries.get(number).copied().unwrap_or(false)
    }

    pub(super) fn edges(&self, number: usize) -> &[Edge] {
        self.edges.of(number)
    }

    /// The cost of the link from one member to another.
    #[must_use]
    pub fn cost(&self, from: &NodeId, to: &NodeId) -> Option<u64> {
        let (from, to) = (self.number(from)?, self.number(to)?);
        self.edges(from).iter().filter(|edge| edge.to == to).map(|edge| edge.cost).min()
    }
}

impl Graph {
    /// The same with one member carrying nothing for others.
    pub(super) fn not_over(&self, number: usize) -> Self {
        let mut graph = self.clone();
        if let Some(carries) = graph.carries.get_mut(number) {
            *carries = false;
        }
        graph
    }
}

/// The links that both ends claim.
fn believed(claimed: &Edges, members: usize) -> Edges {
    let mut edges = Edges { all: Vec::with_capacity(claimed.all.len()), ends: Vec::with_capacity(members) };
    for from in 0..members {
        let both = |edge: &&Edge| edge.to != from && claimed.of(edge.to).iter().any(|back| back.to == from);
        edges.add(claimed.of(from).iter().filter(both).copied());
    }
    edges
}

#[cfg(test)]
mod tests;
