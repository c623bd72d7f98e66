//! The network as the advertisements describe it, in small numbers instead of ids.

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
    /// In order: a member's number is its place here.
    ids: Vec<NodeId>,
    carries: Vec<bool>,
    edges: Vec<Vec<Edge>>,
    /// Links to members of whom nothing is known, in the order of who advertises them.
    beyond: Vec<(usize, NodeId)>,
}

impl Graph {
    /// Builds the graph of advertisements. Whoever advertises a link that the other end does not is not believed.
    #[must_use]
    pub fn new<'a>(advertisements: impl Iterator<Item = (NodeId, &'a LinkState)>) -> Self {
        let mut known: Vec<(NodeId, &LinkState)> = advertisements.collect();
        known.sort_by_key(|(id, _)| *id);
        known.dedup_by_key(|(id, _)| *id);
        let ids: Vec<NodeId> = known.iter().map(|(id, _)| *id).collect();
        let mut beyond = Vec::new();
        let mut claims = |(from, (_, state)): (usize, &(NodeId, &LinkState))| -> Vec<Edge> {
            let edge = |link: &AdvertisedLink| match ids.binary_search(&link.peer) {
                Ok(to) => Some(Edge { to, cost: cost_us(link) }),
                Err(_) => {
                    beyond.push((from, link.peer));
                    None
                }
            };
            state.links.iter().filter_map(edge).collect()
        };
        let claimed: Vec<Vec<Edge>> = known.iter().enumerate().map(&mut claims).collect();
        let claims =
            |from: usize, to: usize| claimed.get(from).is_some_and(|edges| edges.iter().any(|edge| edge.to == to));
        let edges = claimed
            .iter()
            .enumerate()
            .map(|(from, edges)| {
                edges.iter().filter(|edge| edge.to != from && claims(edge.to, from)).copied().collect()
            })
            .collect();
        let carries = known.iter().map(|(_, state)| state.carries).collect();
        Self { ids, carries, edges, beyond }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many directed links count.
    #[must_use]
    pub fn links(&self) -> usize {
        self.edges.iter().map(Vec::len).sum()
    }

    pub(super) fn number(&self, id: &NodeId) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    pub(super) fn id(&self, number: usize) -> Option<NodeId> {
        self.ids.get(number).copied()
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
        self.edges.get(number).map_or(&[], Vec::as_slice)
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
