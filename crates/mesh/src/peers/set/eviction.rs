//! Which link goes when room is needed: none that an outsider could aim at.
//!
//! Only links that others made and this node does not need may go. Of those the longest lived, the quickest and the most
//! useful stay, a quarter each, because a newcomer cannot buy any of it; of the rest the most crowded prefix loses one by
//! chance, those first out of which many come by themselves, and there one that the other end does not need. That counts
//! only inside a prefix: it costs nothing to say that a link is needed, and those who say so would all stay.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use meshline_protocol::NodeId;

use super::group::Group;
use crate::now::Mono;

/// A link that may go.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) peer: NodeId,
    pub(super) since: Mono,
    pub(super) rtt_us: Option<u64>,
    /// Members found of which it told first.
    pub(super) brought: u32,
    pub(super) address: meshline_protocol::Address,
    /// The other end says that it needs the link.
    pub(super) is_needed: bool,
    /// Its prefix has more than its share of all links, or many come out of it by themselves.
    pub(super) is_pressing: bool,
}

/// The one to go, or `None` if there is none; `draw` gives a number below its argument.
pub(super) fn evicted(mut candidates: Vec<Candidate>, mut draw: impl FnMut(usize) -> usize) -> Option<Candidate> {
    let kept = candidates.len() / 4;
    protect(&mut candidates, kept, |candidate| (candidate.since, candidate.peer));
    protect(&mut candidates, kept, |candidate| (candidate.rtt_us.unwrap_or(u64::MAX), candidate.peer));
    protect(&mut candidates, kept, |candidate| (Reverse(candidate.brought), candidate.peer));
    let mut crowds = most_crowded(&candidates);
    let at = draw(crowds.len());
    let crowd = (at < crowds.len()).then(|| crowds.swap_remove(at))?;
    let idle: Vec<&Candidate> = crowd.iter().filter(|one| !one.is_needed).copied().collect();
    let goes = if idle.is_empty() { crowd } else { idle };
    let at = draw(goes.len());
    goes.into_iter().nth(at).cloned()
}

/// Takes those out that come first by a key.
fn protect<K: Ord>(candidates: &mut Vec<Candidate>, kept: usize, key: impl Fn(&Candidate) -> K) {
    candidates.sort_by_key(key);
    candidates.drain(..kept.min(candidates.len()));
}

/// The links of the prefix that has most, or of each that has as many: which of them is the lowest says nothing. Prefixes
/// that press come before others. All are one where prefixes mean nothing.
fn most_crowded(candidates: &[Candidate]) -> Vec<Vec<&Candidate>> {
    let mut groups: BTreeMap<Option<Group>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let group = Group::counted(&candidate.address);
        groups.entry(group).or_default().push(candidate);
    }
    let crowding = |group: &Vec<&Candidate>| (group.iter().any(|one| one.is_pressing), group.len());
    let most = groups.values().map(crowding).max();
    groups.into_values().filter(|group| Some(crowding(group)) == most).collect()
}
