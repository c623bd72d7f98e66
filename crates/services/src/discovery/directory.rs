//! The lists that are kept, and the services in them by name and by kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use meshline_mesh::{Mono, SignedText};
use meshline_protocol::limits::{MAX_SERVICES, MAX_TEXT};
use meshline_protocol::message::{OfferedService, ServicesName};
use meshline_protocol::{NodeId, ServiceKind, ServiceName, UnixMicros};
use sha2::{Digest, Sha256};

/// Lists kept: as many as members are known at most.
pub const MAX_LISTS: usize = 4_096;

/// Services of all members together: ten thousand, and room above.
pub const MAX_TOTAL: usize = 16_384;

/// Bytes of signed lists: sixteen thousand services with 500 bytes each.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Services that only members who are listed may add: of a hundred that are listed sixteen may offer one more.
pub const GROWTH: usize = 1_024;

/// Bytes that only members who are listed may add: 128 each, which a reading or a word in a text takes.
const GROWTH_BYTES: usize = 128 * MAX_LISTS;

/// What others leave to this member's own list, which is always kept: all that a member may offer, as long as a list may be.
const OWN: usize = MAX_SERVICES;
const OWN_BYTES: usize = 2 * MAX_TEXT;

/// Bytes of a digest that are compared: nobody can make two sets of lists of the same digest.
const DIGEST_BYTES: usize = 16;

/// All that one member offers.
#[derive(Debug)]
pub(super) struct List {
    /// As its owner signed it.
    pub(super) signed: Arc<SignedText>,
    /// When it is gone.
    pub(super) until: Mono,
    /// What it offers; nothing once its owner has left, though the list is kept, lest an older one comes back.
    pub(super) services: BTreeMap<ServiceName, OfferedService>,
}

/// What a new list changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added(NodeId, OfferedService),
    Changed { owner: NodeId, before: OfferedService, after: OfferedService },
    Removed(NodeId, OfferedService, Mono),
}

/// What of a list there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    All,
    /// What was listed of this member before.
    Listed,
    None,
}

/// The lists of all members.
#[derive(Debug, Default)]
pub(super) struct Directory {
    lists: BTreeMap<NodeId, List>,
    by_name: BTreeMap<ServiceName, BTreeSet<NodeId>>,
    by_kind: BTreeMap<ServiceKind, BTreeSet<(ServiceName, NodeId)>>,
    ends: BTreeSet<(Mono, NodeId)>,
    services: usize,
    bytes: usize,
}

impl Directory {
    pub(super) fn get(&self, owner: &NodeId) -> Option<&List> {
        self.lists.get(owner)
    }

    /// The sequence of the list that is kept of a member.
    pub(super) fn seq_of(&self, owner: &NodeId) -> Option<UnixMicros> {
        self.lists.get(owner).map(|list| list.signed.seq)
    }

    pub(super) fn lists(&self) -> usize {
        self.lists.len()
    }

    /// Members that offer something.
    pub(super) fn owners(&self) -> usize {
        self.lists.values().filter(|list| !list.services.is_empty()).count()
    }

    pub(super) fn services(&self) -> usize {
        self.services
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What there is room for of another member's list of so many services and bytes, in place of the one that is kept of it.
    /// What does not grow always fits; a list that grows has the reserve that newcomers leave.
    pub(super) fn room(&self, owner: &NodeId, services: usize, bytes: usize) -> Room {
        let Some(before) = self.lists.get(owner) else {
            let fits = self.lists.len() < MAX_LISTS - 1
                && self.services + services <= MAX_TOTAL - OWN - GROWTH
                && self.bytes + bytes <= MAX_BYTES - OWN_BYTES - GROWTH_BYTES;
            return if fits { Room::All } else { Room::None };
        };
        let (old_services, old_bytes) = (before.services.len(), before.signed.body.len());
        let fits = |old: usize, new: usize, all: usize, most: usize| new <= old || all - old + new <= most;
        if !fits(old_bytes, bytes, self.bytes, MAX_BYTES - OWN_BYTES) {
            return Room::None;
        }
        let all = fits(old_services, services, self.services, MAX_TOTAL - OWN);
        if all { Room::All } else { Room::Listed }
    }

    /// Whether there is no room for the list of anybody of whom none is kept.
    pub(super) fn is_full(&self) -> bool {
        self.lists.len() >= MAX_LISTS - 1
            || self.services >= MAX_TOTAL - OWN - GROWTH
            || self.bytes >= MAX_BYTES - OWN_BYTES - GROWTH_BYTES
    }

    /// Keeps a list in place of the one before.
    pub(super) fn put(&mut self, list: List) -> Vec<Change> {
        let owner = list.signed.by;
        let mut before = self.take(&owner).map(|list| (list.until, list.services)).unwrap_or_default();
        let mut changes = Vec::new();
        for (name, service) in &list.services {
            match before.1.remove(name) {
                Some(old) if old == *service => {}
                Some(old) => changes.push(Change::Changed { owner, before: old, after: service.clone() }),
                None => changes.push(Change::Added(owner, service.clone())),
            }
        }
        changes.extend(before.1.into_values().map(|service| Change::Removed(owner, service, before.0)));
        self.insert(list);
        changes
    }

    fn insert(&mut self, list: List) {
        let owner = list.signed.by;
        for service in list.services.values() {
            self.by_name.entry(service.name.clone()).or_default().insert(owner);
            self.by_kind.entry(service.kind.clone()).or_default().insert((service.name.clone(), owner));
        }
        self.services += list.services.len();
        self.bytes += list.signed.body.len();
        self.ends.insert((list.until, owner));
        self.lists.insert(owner, list);
    }

    fn take(&mut self, owner: &NodeId) -> Option<List> {
        let list = self.lists.remove(owner)?;
        self.ends.remove(&(list.until, *owner));
        self.bytes -= list.signed.body.len();
        self.services -= list.services.len();
        for service in list.services.values() {
            if let Some(owners) = self.by_name.get_mut(&service.name) {
                owners.remove(owner);
                if owners.is_empty() {
                    self.by_name.remove(&service.name);
                }
            }
            if let Some(places) = self.by_kind.get_mut(&service.kind) {
                places.remove(&(service.name.clone(), *owner));
                if places.is_empty() {
                    self.by_kind.remove(&service.kind);
                }
            }
        }
        Some(list)
    }

    /// A member offers nothing any more; what it signed before stays known, so that it does not come back.
    pub(super) fn withdraw(&mut self, owner: &NodeId) -> Vec<Change> {
        let Some(mut list) = self.take(owner) else { return Vec::new() };
        let services = std::mem::take(&mut list.services);
        let until = list.until;
        self.insert(list);
        services.into_values().map(|service| Change::Removed(*owner, service, until)).collect()
    }

    /// Takes out what nobody renewed.
    pub(super) fn expire(&mut self, now: Mono) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((until, owner)) = self.ends.first().copied().filter(|(until, _)| *until <= now) {
            let services = self.take(&owner).map(|list| list.services).unwrap_or_default();
            changes.extend(services.into_values().map(|service| Change::Removed(owner, service, until)));
        }
        changes
    }

    pub(super) fn next_end(&self) -> Option<Mono> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Services by name and kind, in the order of names. What is not asked for is not looked through.
    pub(super) fn find<'a>(
        &'a self,
        name: Option<&'a ServiceName>,
        kind: Option<&'a ServiceKind>,
    ) -> Box<dyn Iterator<Item = (&'a List, &'a OfferedService)> + 'a> {
        let of = move |owner: &NodeId, name: &ServiceName| {
            let list = self.lists.get(owner)?;
            Some((list, list.services.get(name)?))
        };
        match (name, kind) {
            (Some(name), _) => {
                let owners = self.by_name.get(name).into_iter().flatten();
                let found = owners.filter_map(move |owner| of(owner, name));
                Box::new(found.filter(move |(_, service)| kind.is_none_or(|kind| service.kind == *kind)))
            }
            (None, Some(kind)) => {
                let places = self.by_kind.get(kind).into_iter().flatten();
                Box::new(places.filter_map(move |(name, owner)| of(owner, name)))
            }
            (None, None) => {
                let all = self.by_name.iter();
                Box::new(all.flat_map(move |(name, owners)| owners.iter().filter_map(move |owner| of(owner, name))))
            }
        }
    }

    /// Digests over the names of lists, one a slice.
    pub(super) fn digests(&self, slices: usize) -> Vec<String> {
        let mut hashes = vec![Sha256::new(); slices];
        for (owner, list) in &self.lists {
            if let Some(hash) = hashes.get_mut(slice_of(owner, slices)) {
                hash.update(owner.as_bytes());
                hash.update(list.signed.seq.get().to_be_bytes());
            }
        }
        let text = |hash: Sha256| HEXLOWER.encode(hash.finalize().get(..DIGEST_BYTES).unwrap_or_default());
        hashes.into_iter().map(text).collect()
    }

    /// The names of lists in some of the slices.
    pub(super) fn names_in(&self, differs: &[bool]) -> Vec<ServicesName> {
        let is_in = |owner: &NodeId| differs.get(slice_of(owner, differs.len())).copied().unwrap_or(false);
        let names = self.lists.iter().filter(|(owner, _)| is_in(owner));
        names.map(|(owner, list)| ServicesName { by: *owner, seq: list.signed.seq }).collect()
    }
}

/// The beginning of an id decides its place in the map; its end is as good as random.
fn slice_of(owner: &NodeId, slices: usize) -> usize {
    let last = owner.as_bytes().last().copied().unwrap_or(0);
    usize::from(last).checked_rem(slices).unwrap_or(0)
}

#[cfg(test)]
mod tests;
