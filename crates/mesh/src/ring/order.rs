//! The order of the ring, which every member computes for itself from what members announce.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::{Address, NodeId};

/// What a member announces that bears on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingMember {
    /// Who.
    pub id: NodeId,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// The address of its configured successor.
    pub next: Option<Address>,
}

/// The order in which members follow each other; the last is followed by the first.
///
/// A member stands behind the one whose configured successor it is. Where several name the same successor the
/// smallest id has it; chains that nothing joins follow each other by their smallest id. All who know the same
/// members compute the same order, whatever the order in which they heard of them.
#[must_use]
pub fn ring_order(members: &[RingMember]) -> Vec<NodeId> {
    let successor = successors(members);
    let followed: BTreeSet<NodeId> = successor.values().copied().collect();
    let ids: BTreeSet<NodeId> = members.iter().map(|member| member.id).collect();
    let mut placed = BTreeSet::new();
    let mut chains: Vec<Vec<NodeId>> = Vec::new();
    // Chains with a head first; what is left then are closed circles, begun at their smallest id.
    let heads = ids.iter().filter(|id| !followed.contains(id));
    for head in heads.chain(ids.iter()) {
        let chain = chain_from(*head, &successor, &mut placed);
        if !chain.is_empty() {
            chains.push(chain);
        }
    }
    chains.sort_by_key(|chain| chain.iter().min().copied());
    chains.concat()
}

/// Each member's successor as configured, where that address is a member's and no smaller id claims it.
fn successors(members: &[RingMember]) -> BTreeMap<NodeId, NodeId> {
    let mut at: BTreeMap<&Address, NodeId> = BTreeMap::new();
    for member in members {
        for address in &member.addresses {
            let holder = at.entry(address).or_insert(member.id);
            *holder = (*holder).min(member.id);
        }
    }
    let mut claimed: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for member in members {
        let next = member.next.as_ref().and_then(|next| at.get(next)).filter(|next| **next != member.id);
        if let Some(next) = next {
            let claimant = claimed.entry(*next).or_insert(member.id);
            *claimant = (*claimant).min(member.id);
        }
    }
    claimed.into_iter().map(|(next, claimant)| (claimant, next)).collect()
}

fn chain_from(head: NodeId, successor: &BTreeMap<NodeId, NodeId>, placed: &mut BTreeSet<NodeId>) -> Vec<NodeId> {
    let mut chain = Vec::new();
    let mut current = Some(head);
    while let Some(id) = current.filter(|id| placed.insert(*id)) {
        chain.push(id);
        current = successor.get(&id).copied();
    }
    chain
}
