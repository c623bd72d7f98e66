//! A signal server as nodes see it: it keeps what is announced for a while and hands out what others announced.

use std::collections::{BTreeMap, BTreeSet};

use meshline_mesh::SignalRequest;
use meshline_protocol::message::{Announcement, RecordText, Revocation, Role};
use meshline_protocol::signal::{LIST_SCHEMA, ListedNode, NodeList};
use meshline_protocol::{Bounded, NodeId, SignedRecord, UnixMicros};

use crate::rng::Rng;
use crate::world::World;

/// Seconds until an entry ends unless refreshed.
const EXPIRES_S: u32 = 90;

/// Members in an answer: of more, so many by chance.
const LISTED: usize = 50;

/// Between two looks for entries that ended: with ten thousand members one at each request would be felt.
const SWEEP: u64 = crate::SECOND;

#[derive(Debug)]
struct Entry {
    record: SignedRecord,
    text: Announcement,
    expires: u64,
    secret: String,
}

/// A signal server.
#[derive(Debug)]
pub(crate) struct SignalServer {
    pub(crate) down: bool,
    entries: BTreeMap<NodeId, Entry>,
    revocations: BTreeMap<NodeId, SignedRecord>,
    secrets: u64,
    swept_at: u64,
    /// The ids of all entries, to choose from.
    ids: Vec<NodeId>,
    chance: Rng,
}

/// The signal servers of a world, by URL. Whoever is asked is there.
#[derive(Debug, Default)]
pub(crate) struct Signals(BTreeMap<String, SignalServer>);

impl Signals {
    pub(crate) fn at(&mut self, url: &str) -> &mut SignalServer {
        self.0.entry(url.to_owned()).or_default()
    }
}

impl World {
    /// One of several signal servers answers no more, or again.
    pub fn set_signal_down_at(&mut self, url: &str, down: bool) {
        self.signals.at(url).down = down;
    }
}

impl Default for SignalServer {
    fn default() -> Self {
        Self {
            down: false,
            entries: BTreeMap::new(),
            revocations: BTreeMap::new(),
            secrets: 0,
            swept_at: 0,
            ids: Vec::new(),
            chance: Rng::new(0),
        }
    }
}

impl SignalServer {
    /// Answers a request at a time of the world.
    pub(crate) fn answer(&mut self, request: SignalRequest, now: u64) -> Result<Box<NodeList>, String> {
        if self.down {
            return Err("connection refused".to_owned());
        }
        if self.entries.len() <= LISTED || now - self.swept_at >= SWEEP {
            self.entries.retain(|_, entry| entry.expires > now);
            self.swept_at = now;
            self.ids = self.entries.keys().copied().collect();
        }
        match request {
            SignalRequest::Announce(record) => self.announce(record, now),
            SignalRequest::Refresh { refresh, record } => {
                match self.entries.get_mut(&refresh.id).filter(|entry| entry.secret == refresh.secret) {
                    Some(entry) => {
                        entry.expires = now + u64::from(EXPIRES_S) * crate::SECOND;
                        Ok(self.list(refresh.id))
                    }
                    None => self.announce(record, now),
                }
            }
            SignalRequest::Revoke(record) => {
                if let Ok(text) = serde_json::from_str::<Revocation>(&record.signed) {
                    self.revoke(text.node, record);
                }
                Ok(Box::default())
            }
            SignalRequest::Leave(record) => {
                self.entries.remove(&record.by);
                Ok(Box::default())
            }
        }
    }

    /// The members of an answer: all, or some by chance.
    fn choose(&mut self) -> Vec<NodeId> {
        if self.entries.len() <= LISTED + 1 {
            return self.entries.keys().copied().collect();
        }
        let mut chosen = BTreeSet::new();
        // Some are drawn twice, or have left since the last look.
        for _ in 0..2 * LISTED {
            if chosen.len() < LISTED {
                chosen.extend(self.chance.pick(&self.ids).copied());
            }
        }
        chosen.into_iter().collect()
    }

    fn announce(&mut self, record: SignedRecord, now: u64) -> Result<Box<NodeList>, String> {
        let text: Announcement = serde_json::from_str(&record.signed).map_err(|error| error.to_string())?;
        if text.expires() <= UnixMicros::new(crate::EPOCH.get() + now) {
            return Err("record_expired".to_owned());
        }
        self.secrets += 1;
        let secret = format!("secret {}", self.secrets);
        let id = record.by;
        let expires = now + u64::from(EXPIRES_S) * crate::SECOND;
        if !self.entries.contains_key(&id) {
            self.ids.push(id);
        }
        self.entries.insert(id, Entry { record, text, expires, secret });
        Ok(self.list(id))
    }

    /// Serves a revocation from now on.
    pub(crate) fn revoke(&mut self, node: NodeId, record: SignedRecord) {
        self.entries.remove(&node);
        self.revocations.insert(node, record);
    }

    fn list(&mut self, caller: NodeId) -> Box<NodeList> {
        let listed = self.choose();
        let row = |entry: &Entry| ListedNode {
            id: Some(entry.record.by),
            name: Some(entry.text.name.clone()),
            roles: entry.text.roles.clone(),
            addresses: entry.text.addresses.clone(),
            record: None,
        };
        let listed: Vec<&Entry> = listed.iter().filter_map(|id| self.entries.get(id)).collect();
        let others = || listed.iter().copied().filter(|entry| entry.record.by != caller);
        let is_proxy = |entry: &&Entry| entry.text.roles.contains(&Role::Proxy);
        Box::new(NodeList {
            schema: LIST_SCHEMA.to_owned(),
            nodes: Bounded::from_first(others().map(row)),
            proxies: Bounded::from_first(others().filter(is_proxy).map(row)),
            revocations: Bounded::from_first(self.revocations.values().cloned()),
            observed: None,
            expires_s: Some(EXPIRES_S),
            refresh: self.entries.get(&caller).map(|entry| entry.secret.clone()),
        })
    }
}
