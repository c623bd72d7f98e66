//! Who is linked with whom, and how far apart they are.

use std::collections::BTreeSet;

use crate::rng::Rng;

/// A ring with random links across, until each node has about `links`. No pair is linked twice.
pub(super) fn random(nodes: usize, links: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
    let mut near: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); nodes];
    for node in 0..nodes {
        link(&mut near, node, (node + 1) % nodes);
    }
    let wanted = links.min(nodes.saturating_sub(1));
    for node in 0..nodes {
        // Those that have enough are passed over: nearly all end with the same number.
        for _ in 0..8 * links {
            let other = rng.index(nodes);
            if degree(&near, node) < wanted && degree(&near, other) < wanted {
                link(&mut near, node, other);
            }
        }
    }
    near.into_iter().map(|peers| peers.into_iter().collect()).collect()
}

fn degree(near: &[BTreeSet<usize>], node: usize) -> usize {
    near.get(node).map_or(0, BTreeSet::len)
}

fn link(near: &mut [BTreeSet<usize>], one: usize, other: usize) {
    if one != other {
        near.get_mut(one).into_iter().for_each(|peers| peers.extend([other]));
        near.get_mut(other).into_iter().for_each(|peers| peers.extend([one]));
    }
}

/// The delays of links, computed rather than kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) seed: u64,
    pub(super) least: u64,
    pub(super) more: u64,
}

impl Delays {
    /// The one-way delay between two nodes in microseconds, the same both ways.
    pub(super) fn between(&self, one: usize, other: usize) -> u64 {
        let (low, high) = (one.min(other) as u64, one.max(other) as u64);
        self.least + Rng::new(self.seed ^ (low << 32) ^ high).below(self.more + 1)
    }
}
