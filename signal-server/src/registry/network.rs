//! The entries of one network.

use std::collections::{BTreeSet, HashMap};

use bytes::{BufMut, Bytes, BytesMut};
use meshline_identity::RevocationList;
use meshline_protocol::signal::LIST_SCHEMA;
use meshline_protocol::{Address, NodeId, UnixMicros};

use super::entry::Entry;
use super::sample::{Chance, Sample};
use super::secret::{Secret, Selector};

#[derive(Debug, Default)]
pub(super) struct Network {
    /// Without gaps, so that a random choice is an index.
    entries: Vec<Entry>,
    index: HashMap<NodeId, usize>,
    proxies: BTreeSet<NodeId>,
    by_selector: HashMap<Selector, NodeId>,
    pub(super) revoked: RevocationList,
    sample: Option<Sample>,
}

impl Network {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is left to be kept.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.revoked.is_empty()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn get(&self, id: &NodeId) -> Option<&Entry> {
        self.entries.get(*self.index.get(id)?)
    }

    fn get_mut(&mut self, id: &NodeId) -> Option<&mut Entry> {
        self.entries.get_mut(*self.index.get(id)?)
    }

    /// Puts an entry in, in the place of an older one of the same member.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.remove(&entry.id);
        if entry.is_proxy() {
            self.proxies.insert(entry.id);
        }
        self.by_selector.insert(entry.secret.selector(), entry.id);
        self.index.insert(entry.id, self.entries.len());
        self.entries.push(entry);
        if self.sample.as_ref().is_some_and(|sample| sample.whole) {
            self.sample = None;
        }
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<Entry> {
        let at = self.index.remove(id)?;
        let entry = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.index.insert(moved.id, at);
        }
        self.proxies.remove(id);
        self.by_selector.remove(&entry.secret.selector());
        self.on_changed(id);
        Some(entry)
    }

    /// Changes when an entry ends.
    pub(super) fn set_end(&mut self, id: &NodeId, ends: UnixMicros, due: UnixMicros) {
        if let Some(entry) = self.get_mut(id) {
            (entry.ends, entry.due) = (ends, due);
        }
    }

    /// The member was seen at an address again.
    pub(super) fn see(&mut self, id: &NodeId, observed: std::net::IpAddr) {
        if self.get_mut(id).is_some_and(|entry| entry.see(observed)) {
            self.on_changed(id);
        }
    }

    /// The outcome of a dial-back of the announcement with this sequence.
    pub(super) fn settle(&mut self, id: &NodeId, seq: UnixMicros, address: &Address, answered: bool) {
        let entry = self.get_mut(id).filter(|entry| entry.seq == seq);
        if entry.is_some_and(|entry| entry.settle(address, answered)) {
            self.on_changed(id);
        }
    }

    /// Whose entry has this secret.
    pub(super) fn holder(&self, secret: &Secret) -> Option<NodeId> {
        let entry = self.get(self.by_selector.get(&secret.selector())?)?;
        entry.secret.is_same(secret).then_some(entry.id)
    }

    /// Forgets the ready list, because what stands in it beside the members changed.
    pub(super) fn on_revocations_changed(&mut self) {
        self.sample = None;
    }

    /// The list with up to `limit` members and as many proxies, as a JSON object without its closing brace.
    pub(super) fn list(&mut self, limit: usize, chance: &mut Chance, now: UnixMicros) -> Bytes {
        if let Some(sample) = self.sample.as_ref().filter(|sample| sample.serves(limit, now)) {
            return sample.head.clone();
        }
        let sample = self.choose(limit, chance, now);
        let head = sample.head.clone();
        self.sample = Some(sample);
        head
    }

    fn choose(&self, limit: usize, chance: &mut Chance, now: UnixMicros) -> Sample {
        let picked = chance.pick(self.entries.len(), limit);
        let nodes: Vec<&Entry> = picked.into_iter().filter_map(|at| self.entries.get(at)).collect();
        let proxies = self.choose_proxies(limit, chance);
        let revocations: Vec<String> =
            self.revoked.records().filter_map(|record| serde_json::to_string(record).ok()).collect();
        let mut head = BytesMut::with_capacity(64 + 256 * (nodes.len() + proxies.len()) + 1_024 * revocations.len());
        head.put_slice(format!("{{\"schema\":\"{LIST_SCHEMA}\"").as_bytes());
        put_list(&mut head, "nodes", nodes.iter().map(|entry| &*entry.json));
        put_list(&mut head, "proxies", proxies.iter().map(|entry| &*entry.json));
        if !revocations.is_empty() {
            put_list(&mut head, "revocations", revocations.iter().map(String::as_str));
        }
        let mut members: Vec<NodeId> = nodes.iter().chain(&proxies).map(|entry| entry.id).collect();
        members.sort_unstable();
        Sample { limit, made: now, whole: self.entries.len() <= limit, members, head: head.freeze() }
    }

    /// A run of the proxies in the order of their ids, from a random place on: they are few and equal.
    fn choose_proxies(&self, limit: usize, chance: &mut Chance) -> Vec<&Entry> {
        let mut from = [0; 32];
        from.iter_mut().take(4).for_each(|byte| *byte = u8::try_from(chance.below(256)).unwrap_or(0));
        let from = NodeId::from_bytes(from);
        let ids = self.proxies.range(from..).chain(self.proxies.range(..from));
        ids.take(limit).filter_map(|id| self.get(id)).collect()
    }

    fn on_changed(&mut self, id: &NodeId) {
        if self.sample.as_ref().is_some_and(|sample| sample.holds(id)) {
            self.sample = None;
        }
    }
}

fn put_list<'a>(to: &mut BytesMut, name: &str, rows: impl Iterator<Item = &'a str>) {
    to.put_slice(format!(",\"{name}\":[").as_bytes());
    for (at, row) in rows.enumerate() {
        if at > 0 {
            to.put_u8(b',');
        }
        to.put_slice(row.as_bytes());
    }
    to.put_u8(b']');
}

/// The list of a network that is not there.
pub(super) fn empty_list() -> Bytes {
    Bytes::from(format!("{{\"schema\":\"{LIST_SCHEMA}\",\"nodes\":[],\"proxies\":[]"))
}
