//! Prefixes out of which many come by themselves.
//!
//! Whoever has few prefixes and many members can fill what is left to others only by coming with many out of each. A prefix
//! out of which many different members came is therefore not one of which this node needs links that it chose itself, and its
//! links go before others. Nobody can say so of somebody else: it counts who proved a key over a connection out of the prefix,
//! not what members tell of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::{Address, NodeId};

use super::group::Group;
use crate::now::Mono;

/// Different members out of a prefix that are many: more than a household has, and so few that an attacker who stays below
/// has three members a prefix at a node, and not enough for its places.
pub(super) const MANY: usize = 4;

/// Prefixes that are remembered: 256 of 4 ids are 32 KiB.
const MAX_PREFIXES: usize = 256;

/// From time to time all are forgotten: over days members of any large prefix come.
const FORGET: Duration = Duration::from_secs(3_600);

/// Who came out of which prefix.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    came: BTreeMap<Group, BTreeSet<NodeId>>,
    forget_at: Mono,
}

impl Knocks {
    /// A member came by itself.
    pub(super) fn note(&mut self, peer: NodeId, remote: &Address, now: Mono) {
        if now >= self.forget_at {
            *self = Self { came: BTreeMap::new(), forget_at: now.after(FORGET) };
        }
        let Some(group) = Group::counted(remote) else { return };
        if !self.came.contains_key(&group) && self.came.len() >= MAX_PREFIXES {
            let fewest = self.came.iter().min_by_key(|(_, members)| members.len()).map(|(group, _)| group.clone());
            fewest.map(|group| self.came.remove(&group));
        }
        let members = self.came.entry(group).or_default();
        if members.len() < MANY {
            members.insert(peer);
        }
    }

    /// Prefixes that are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.came.len()
    }

    /// Whether many came out of the prefix of an address.
    pub(super) fn are_many(&self, address: &Address) -> bool {
        if self.came.is_empty() {
            return false;
        }
        let members = Group::counted(address).and_then(|group| self.came.get(&group));
        members.is_some_and(|members| members.len() >= MANY)
    }
}
