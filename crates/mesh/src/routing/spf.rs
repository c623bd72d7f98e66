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
        Self::search(graph, from, None)
    }

    /// The same for the way to one member only, with members to be avoided where it can be done; `is_direct` says whether
    /// the link to it counts. What is further away than it is not looked at.
    fn find_avoiding(graph: &Graph, from: usize, to: usize, (avoided, is_direct): (&[bool], bool)) -> Self {
        Self::search(graph, from, Some(Further { to, avoided, is_direct }))
    }

    fn search(graph: &Graph, from: usize, further: Option<Further<'_>>) -> Self {
        let mut tree = Self { from, cost: vec![None; graph.len()], before: vec![None; graph.len()] };
        let mut heap = BinaryHeap::from([Reverse((0_u64, from))]);
        if let Some(cost) = tree.cost.get_mut(from) {
            *cost = Some(0);
        }
        while let Some(Reverse((cost, at))) = heap.pop() {
            if further.is_some_and(|further| further.to == at) {
                break;
            }
            let is_old = tree.cost.get(at).copied().flatten() != Some(cost);
            if is_old || (at != from && !graph.carries(at)) {
                continue;
            }
            let counts = |to: usize| at != from || further.is_none_or(|further| further.is_direct || further.to != to);
            for edge in graph.edges(at).iter().filter(|edge| counts(edge.to)) {
                let shared = further.map_or(0, |further| further.cost_of(edge.to));
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

/// What another way to a member has to keep clear of.
#[derive(Clone, Copy)]
struct Further<'a> {
    to: usize,
    avoided: &'a [bool],
    is_direct: bool,
}

impl Further<'_> {
    fn cost_of(&self, member: usize) -> u64 {
        if self.avoided.get(member).copied().unwrap_or(false) { SHARED } else { 0 }
    }
}

/// Up to `count` ways to a member, the best first, each as different as possible from those before it; `tree` has the best
/// ways to all. A way that uses the same links as an earlier one is none.
pub(super) fn paths(graph: &Graph, tree: &Tree, to: usize, count: usize) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut avoided = vec![false; graph.len()];
    let mut next = tree.path(to);
    while let Some(path) = next.filter(|path| found.len() < count && !path.is_empty() && !found.contains(path)) {
        for at in path.iter().filter(|at| **at != to) {
            if let Some(avoided) = avoided.get_mut(*at) {
                *avoided = true;
            }
        }
        found.push(path);
        // A direct link has nobody in between who could be avoided: it is left out instead.
        let is_direct = found.iter().all(|path| path.len() > 1);
        let wants_more = found.len() < count;
        next = wants_more.then(|| Tree::find_avoiding(graph, tree.from, to, (&avoided, is_direct)).path(to)).flatten();
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

#[cfg(test)]
mod tests;
