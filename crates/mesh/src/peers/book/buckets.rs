//! Buckets with few places each, and the keyed hash that finds them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use meshline_protocol::NodeId;

use crate::shared::Shared;

/// A hash that nobody can compute without the key.
#[derive(Clone)]
pub(super) struct Keyed(DefaultHasher);

impl Keyed {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Self(hasher)
    }

    pub(super) fn hash(&self, value: &impl Hash) -> u64 {
        let mut hasher = self.0.clone();
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keyed")
    }
}

/// Buckets with members in them.
#[derive(Debug)]
pub(super) struct Buckets {
    count: u16,
    places: usize,
    /// None is empty. Each is in order and takes no more than it has: most have one member, and a node has hundreds.
    filled: BTreeMap<u16, Vec<NodeId>>,
    len: usize,
}

impl Buckets {
    pub(super) fn new(count: u16, places: usize) -> Self {
        Self { count, places, filled: BTreeMap::new(), len: 0 }
    }

    /// The bucket that a hash names.
    pub(super) fn number(&self, hash: u64) -> u16 {
        u16::try_from(hash % u64::from(self.count)).unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn has_place(&self, bucket: u16) -> bool {
        self.filled.get(&bucket).is_none_or(|members| members.len() < self.places)
    }

    pub(super) fn members(&self, bucket: u16) -> impl Iterator<Item = NodeId> {
        self.filled.get(&bucket).into_iter().flatten().copied()
    }

    pub(super) fn insert(&mut self, bucket: u16, id: NodeId) {
        let members = self.filled.entry(bucket).or_default();
        if let Err(place) = members.binary_search(&id) {
            members.reserve_exact(1);
            members.insert(place, id);
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, bucket: u16, id: &NodeId) {
        if let Some(members) = self.filled.get_mut(&bucket) {
            if let Ok(place) = members.binary_search(id) {
                members.remove(place);
                self.len -= 1;
            }
            if members.is_empty() {
                self.filled.remove(&bucket);
            }
        }
    }

    /// One member of one bucket, each by chance.
    pub(super) fn draw(&self, shared: &mut Shared) -> Option<NodeId> {
        let members = self.filled.values().nth(shared.below(self.filled.len()))?;
        members.get(shared.below(members.len())).copied()
    }

    /// The first of each bucket, then the second of each, and so on. Who is first in a bucket follows from the key: ids
    /// can be searched for until they are small.
    pub(super) fn in_turns(&self, key: &Keyed) -> Vec<NodeId> {
        let shuffled = |members: &Vec<NodeId>| {
            let mut members = members.clone();
            members.sort_by_key(|id| (key.hash(id), *id));
            members
        };
        let buckets: Vec<Vec<NodeId>> = self.filled.values().map(shuffled).collect();
        (0..self.places).flat_map(|turn| buckets.iter().filter_map(move |members| members.get(turn).copied())).collect()
    }
}
