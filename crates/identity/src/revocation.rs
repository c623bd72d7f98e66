//! Ended memberships.

use std::collections::BTreeMap;

use meshline_protocol::limits::MAX_REVOCATIONS;
use meshline_protocol::message::Revocation;
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use crate::record::{RecordError, verify};

/// What a new revocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The expelled node.
    pub node: NodeId,
    /// Memberships with a sequence below this are ended.
    pub seq: UnixMicros,
}

/// The revocations a node holds: one a node, the newest, until what it ends has expired.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    by_node: BTreeMap<NodeId, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    seq: UnixMicros,
    expires: UnixMicros,
    record: SignedRecord,
}

impl RevocationList {
    /// Takes in a revocation; `None` means that it, or a newer one of the same node, was held already.
    ///
    /// # Errors
    /// If it is not signed by the network's key, is of another network, has ended, or there is no room.
    pub fn insert(
        &mut self,
        record: &SignedRecord,
        network: &NetworkId,
        now: UnixMicros,
    ) -> Result<Option<Revoked>, RecordError> {
        if network.key() != Some(record.by) {
            return Err(RecordError::Foreign);
        }
        let revocation: Revocation = verify(record, network, now)?;
        if self.by_node.get(&revocation.node).is_some_and(|held| held.seq >= revocation.seq) {
            return Ok(None);
        }
        if self.by_node.len() >= MAX_REVOCATIONS && !self.by_node.contains_key(&revocation.node) {
            return Err(RecordError::Full);
        }
        let entry = Entry { seq: revocation.seq, expires: revocation.expires, record: record.clone() };
        self.by_node.insert(revocation.node, entry);
        Ok(Some(Revoked { node: revocation.node, seq: revocation.seq }))
    }

    /// Whether a membership of `node` with this sequence is ended. One made after the revocation is not.
    #[must_use]
    pub fn ends(&self, node: &NodeId, membership_seq: UnixMicros) -> bool {
        self.by_node.get(node).is_some_and(|entry| membership_seq < entry.seq)
    }

    /// Forgets what has ended by itself.
    pub fn expire(&mut self, now: UnixMicros) {
        self.by_node.retain(|_, entry| entry.expires > now);
    }

    /// All records held, to be sent before `hello` is accepted and kept on disk.
    pub fn records(&self) -> impl Iterator<Item = &SignedRecord> {
        self.by_node.values().map(|entry| &entry.record)
    }

    /// The one that was signed with this key and sequence, if it is held.
    #[must_use]
    pub fn named(&self, by: &NodeId, seq: UnixMicros) -> Option<&SignedRecord> {
        self.by_node
            .values()
            .map(|entry| (entry, &entry.record))
            .find_map(|(entry, record)| (entry.seq == seq && record.by == *by).then_some(record))
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_node.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }
}
