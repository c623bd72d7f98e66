//! Long links that both ends agree on without a word: drawn from a number that all have been told.
//!
//! Each pair of members has a score from the number, both ids and their distance on the ring of ids, and each member wants
//! those with whom its score is least. So both ends know what a link is for, nobody can choose its place, for ids were there
//! before the number was, and as with other long links each power of two of distance is as likely as any other.

use meshline_protocol::NodeId;
use sha2::{Digest, Sha256};

use super::far::position;

/// What was drawn from one number among the members that are known.
#[derive(Debug)]
pub(super) struct Draw {
    nonce: String,
    /// In the order of ids, this node among them.
    order: Vec<NodeId>,
    /// So many on each side are neighbours, and linked for that.
    side: usize,
}

impl Draw {
    pub(super) fn new(nonce: &str, members: impl Iterator<Item = NodeId>, side: usize) -> Self {
        let mut order: Vec<NodeId> = members.collect();
        order.sort_unstable();
        order.dedup();
        Self { nonce: nonce.to_owned(), order, side }
    }

    /// With whom a member is to be linked, the best first.
    pub(super) fn partners(&self, id: &NodeId) -> Vec<NodeId> {
        let count = self.order.len();
        let at = self.order.binary_search(id).unwrap_or_else(|at| at);
        let is_far = |other: usize| {
            let ahead = (other + count - at) % count.max(1);
            ahead.min(count - ahead) > self.side
        };
        let others = self.order.iter().enumerate().filter(|(other, peer)| *peer != id && is_far(*other));
        let mut scored: Vec<(u64, NodeId)> = others.map(|(_, other)| (score(&self.nonce, id, other), *other)).collect();
        scored.sort_unstable();
        scored.into_iter().map(|(_, other)| other).collect()
    }

    /// Whether one of two members is to be linked with the other, for so many links of each.
    pub(super) fn agrees(&self, one: &NodeId, other: &NodeId, count: usize) -> bool {
        let wants = |from: &NodeId, to: &NodeId| self.partners(from).iter().take(count).any(|partner| partner == to);
        wants(one, other) || wants(other, one)
    }
}

/// The same for both ends. Multiplied with the distance, even numbers favour near members as much as there are more far ones.
fn score(nonce: &str, one: &NodeId, other: &NodeId) -> u64 {
    let (less, more) = (one.min(other), one.max(other));
    let hash = Sha256::new().chain_update(nonce).chain_update(less.as_bytes()).chain_update(more.as_bytes()).finalize();
    let even = hash.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
    let ahead = position(more).wrapping_sub(position(less));
    let distance = ahead.min(ahead.wrapping_neg());
    u64::try_from((u128::from(even) * u128::from(distance)) >> 64).unwrap_or(u64::MAX)
}
