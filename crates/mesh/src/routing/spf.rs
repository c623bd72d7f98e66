//! Shortest paths first (Dijkstra), and further paths that share as little as possible with those found before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::graph::Graph;

/// What using a member that an earlier path uses adds to the cost of a link, as a multiple of all that is known of the
/// network: such a path is taken only if there is no other.
const SHARED: u64 = 1 << 40;

/// The best ways from one member to all others.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    from: usize,
    cost: Vec<Option<u64>>,
    before: Vec<Option<usize>>,
}

impl Tree {
    /// Finds the best ways. Members that do not carry for others are ends only.
    pub(super) fn find(graph: &Graph, from: usize) -> Self {
        Self::find_avoiding(graph, from, &vec![false; graph.len()], None)
    }

    /// The same, with members to be avoided where it can be done, and without the link to one of them.
    fn find_avoiding(graph: &Graph, from: usize, avoided: &[bool], not_direct: Option<usize>) -> Self {
        let mut tree = Self { from, cost: vec![None; graph.len()], before: vec![None; graph.len()] };
        let mut heap = BinaryHeap::from([Reverse((0_u64, from))]);
        if let Some(cost) = tree.cost.get_mut(from) {
            *cost = Some(0);
        }
        while let Some(Reverse((cost, at))) = heap.pop() {
            let is_old = tree.cost.get(at).copied().flatten() != Some(cost);
            if is_old || (at != from && !graph.carries(at)) {
                continue;
            }
            for edge in graph.edges(at).iter().filter(|edge| at != from || Some(edge.to) != not_direct) {
                let shared = if avoided.get(edge.to).copied().unwrap_or(false) { SHARED } else { 0 };
                let offered = cost.saturating_add(edge.cost).saturating_add(shared);
                let (Some(known), Some(before)) = (tree.cost.get_mut(edge.to), tree.before.get_mut(edge.to)) else {
                    continue;
                };
                if known.is_none_or(|known| offered < known) {
                    (*known, *before) = (Some(offered), Some(at));
                    heap.push(Reverse((offered, edge.to)));
                }
            }
        }
        tree
    }

    /// The way to a member: what it passes, without the beginning, the member itself at the end. `None` if there is none.
    pub(super) fn path(&self, to: usize) -> Option<Vec<usize>> {
        self.cost.get(to).copied().flatten()?;
        let mut path = Vec::new();
        let mut at = to;
        while at != self.from {
            path.push(at);
            at = self.before.get(at).copied().flatten()?;
        }
        path.reverse();
        Some(path)
    }
}

/// Up to `count` ways from one member to another, the best first, each as different as possible from those before it.
/// A way that uses the same links as an earlier one is none.
pub(super) fn paths(graph: &Graph, from: usize, to: usize, count: usize) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut avoided = vec![false; graph.len()];
    while found.len() < count {
        // A direct link has nobody in between who could be avoided: it is left out instead.
        let not_direct = found.iter().any(|path| path.len() == 1).then_some(to);
        let tree = Tree::find_avoiding(graph, from, &avoided, not_direct);
        let Some(path) = tree.path(to).filter(|path| !path.is_empty() && !found.contains(path)) else { break };
        for at in path.iter().filter(|at| **at != to) {
            if let Some(avoided) = avoided.get_mut(*at) {
                *avoided = true;
            }
        }
        found.push(path);
    }
    found
}

/// The cost of a way.
pub(super) fn cost(graph: &Graph, from: usize, path: &[usize]) -> u64 {
    let mut at = from;
    let mut sum = 0_u64;
    for next in path {
        let edge = graph.edges(at).iter().filter(|edge| edge.to == *next).map(|edge| edge.cost).min();
        sum = sum.saturating_add(edge.unwrap_or(u64::MAX));
        at = *next;
    }
    sum
}
