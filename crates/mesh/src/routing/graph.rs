//! The network as the advertisements describe it, in small numbers instead of ids.

use std::collections::BTreeMap;

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
    ids: Vec<NodeId>,
    numbers: BTreeMap<NodeId, usize>,
    carries: Vec<bool>,
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// Builds the graph of advertisements. Whoever advertises a link that the other end does not is not believed.
    #[must_use]
    pub fn new<'a>(advertisements: impl Iterator<Item = (NodeId, &'a LinkState)>) -> Self {
        let known: BTreeMap<NodeId, &LinkState> = advertisements.collect();
        let ids: Vec<NodeId> = known.keys().copied().collect();
        let numbers: BTreeMap<NodeId, usize> = ids.iter().copied().enumerate().map(|(n, id)| (id, n)).collect();
        let carries = known.values().map(|state| state.carries).collect();
        let claimed: Vec<Vec<Edge>> = known
            .values()
            .map(|state| {
                let edge = |link: &AdvertisedLink| Some(Edge { to: *numbers.get(&link.peer)?, cost: cost_us(link) });
                state.links.iter().filter_map(edge).collect()
            })
            .collect();
        let claims =
            |from: usize, to: usize| claimed.get(from).is_some_and(|edges| edges.iter().any(|edge| edge.to == to));
        let edges = claimed
            .iter()
            .enumerate()
            .map(|(from, edges)| {
                edges.iter().filter(|edge| edge.to != from && claims(edge.to, from)).copied().collect()
            })
            .collect();
        Self { ids, numbers, carries, edges }
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
        self.numbers.get(id).copied()
    }

    pub(super) fn id(&self, number: usize) -> Option<NodeId> {
        self.ids.get(number).copied()
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
