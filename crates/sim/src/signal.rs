//! A signal server as nodes see it: it keeps what is announced for a while and hands out what others announced.

use std::collections::BTreeMap;

use meshline_mesh::SignalRequest;
use meshline_protocol::message::{Announcement, RecordText, Revocation, Role};
use meshline_protocol::signal::{LIST_SCHEMA, ListedNode, NodeList};
use meshline_protocol::{Bounded, NodeId, SignedRecord, UnixMicros};

/// Seconds until an entry ends unless refreshed.
const EXPIRES_S: u32 = 90;

#[derive(Debug)]
struct Entry {
    record: SignedRecord,
    text: Announcement,
    expires: u64,
    secret: String,
}

/// A signal server.
#[derive(Debug, Default)]
pub(crate) struct SignalServer {
    pub(crate) down: bool,
    entries: BTreeMap<NodeId, Entry>,
    revocations: BTreeMap<NodeId, SignedRecord>,
    secrets: u64,
}

impl SignalServer {
    /// Answers a request at a time of the world.
    pub(crate) fn answer(&mut self, request: SignalRequest, now: u64) -> Result<Box<NodeList>, String> {
        if self.down {
            return Err("connection refused".to_owned());
        }
        self.entries.retain(|_, entry| entry.expires > now);
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

    fn announce(&mut self, record: SignedRecord, now: u64) -> Result<Box<NodeList>, String> {
        let text: Announcement = serde_json::from_str(&record.signed).map_err(|error| error.to_string())?;
        if text.expires() <= UnixMicros::new(crate::EPOCH.get() + now) {
            return Err("record_expired".to_owned());
        }
        self.secrets += 1;
        let secret = format!("secret {}", self.secrets);
        let id = record.by;
        let expires = now + u64::from(EXPIRES_S) * crate::SECOND;
        self.entries.insert(id, Entry { record, text, expires, secret });
        Ok(self.list(id))
    }

    /// Serves a revocation from now on.
    pub(crate) fn revoke(&mut self, node: NodeId, record: SignedRecord) {
        self.entries.remove(&node);
        self.revocations.insert(node, record);
    }

    fn list(&self, caller: NodeId) -> Box<NodeList> {
        let row = |entry: &Entry| ListedNode {
            id: Some(entry.record.by),
            name: Some(entry.text.name.clone()),
            roles: entry.text.roles.clone(),
            addresses: entry.text.addresses.clone(),
            record: Some(entry.record.clone()),
        };
        let others = || self.entries.values().filter(|entry| entry.record.by != caller);
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
