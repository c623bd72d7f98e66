//! Which link goes when room is needed: none that an outsider could aim at.
//!
//! Only links that others made and this node does not need may go. Of those the longest lived, the quickest and the most
//! useful stay, a quarter each, because a newcomer cannot buy any of it; of the rest those of the most crowded prefix are
//! drawn from by chance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;

use super::group::{Group, is_counted};
use crate::now::Mono;

/// A link that may go.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) peer: NodeId,
    pub(super) since: Mono,
    pub(super) rtt_us: Option<u64>,
    /// News it brought first.
    pub(super) brought: u32,
    pub(super) address: meshline_protocol::Address,
}

/// The one to go, or `None` if there is none; `draw` gives a number below its argument.
pub(super) fn evicted(mut candidates: Vec<Candidate>, draw: impl FnOnce(usize) -> usize) -> Option<NodeId> {
    let kept = candidates.len() / 4;
    protect(&mut candidates, kept, |candidate| (candidate.since, candidate.peer));
    protect(&mut candidates, kept, |candidate| (candidate.rtt_us.unwrap_or(u64::MAX), candidate.peer));
    protect(&mut candidates, kept, |candidate| (Reverse(candidate.brought), candidate.peer));
    let crowd = most_crowded(&candidates);
    let at = draw(crowd.len());
    crowd.into_iter().nth(at)
}

/// Takes those out that come first by a key.
fn protect<K: Ord>(candidates: &mut Vec<Candidate>, kept: usize, key: impl Fn(&Candidate) -> K) {
    candidates.sort_by_key(key);
    candidates.drain(..kept.min(candidates.len()));
}

/// The members of the prefix that has most links, or of all that have as many: which of them is the lowest says nothing.
/// All of them where prefixes mean nothing.
fn most_crowded(candidates: &[Candidate]) -> BTreeSet<NodeId> {
    let mut groups: BTreeMap<Option<Group>, BTreeSet<NodeId>> = BTreeMap::new();
    for candidate in candidates {
        let group = is_counted(&candidate.address).then(|| Group::of(&candidate.address));
        groups.entry(group).or_default().insert(candidate.peer);
    }
    let most = groups.values().map(BTreeSet::len).max().unwrap_or(0);
    groups.into_values().filter(|members| members.len() == most).flatten().collect()
}
