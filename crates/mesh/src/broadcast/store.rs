//! Messages kept for those who ask: the newest, of all authors a share.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use meshline_identity::Member;
use meshline_protocol::limits::MAX_SLICES;
use meshline_protocol::message::{BroadcastKind, BroadcastMessage};
use meshline_protocol::{NodeId, UnixMicros};
use sha2::{Digest, Sha256};

use super::tree::MessageId;

/// Messages kept: what forty busy authors write in a minute, or a village in the hour for which a message is under way.
pub(super) const MAX_KEPT: usize = 2_048;

/// Bytes of bodies kept.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One author's part of both: it cannot push out what the others wrote.
pub(super) const MAX_PART: usize = 8;

/// Bytes of a digest that are compared: nobody can make two sets of messages of the same digest.
const DIGEST_BYTES: usize = 16;

/// A message as it can be handed on.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) line: BroadcastMessage,
    pub(super) body: Bytes,
    /// The author, if this node had to be told who that is.
    pub(super) told: Option<Arc<Member>>,
    expires: UnixMicros,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    messages: usize,
    bytes: usize,
}

/// The messages kept, by their sequences.
#[derive(Debug, Default)]
pub(super) struct Store {
    kept: BTreeMap<(UnixMicros, NodeId), Kept>,
    shares: BTreeMap<NodeId, Share>,
    bytes: usize,
    floor: UnixMicros,
}

impl Store {
    pub(super) fn put(
        &mut self,
        line: BroadcastMessage,
        (body, told): (Bytes, Option<Arc<Member>>),
        expires: UnixMicros,
    ) {
        let (key, author, length) = ((line.seq, line.by), line.by, body.len());
        if let Some(before) = self.kept.insert(key, Kept { line, body, told, expires }) {
            self.bytes -= before.body.len();
            let share = self.shares.entry(author).or_default();
            *share = Share { messages: share.messages - 1, bytes: share.bytes - before.body.len() };
        }
        self.bytes += length;
        let share = self.shares.entry(author).or_default();
        *share = Share { messages: share.messages + 1, bytes: share.bytes + length };
        let is_too_much = share.messages > MAX_KEPT / MAX_PART || share.bytes > MAX_BYTES / MAX_PART;
        if is_too_much && let Some(oldest) = self.kept.keys().find(|(_, by)| *by == author).copied() {
            self.remove(oldest);
        }
        while self.kept.len() > MAX_KEPT || self.bytes > MAX_BYTES {
            let Some(oldest) = self.kept.keys().next().copied() else { break };
            self.floor = self.floor.max(oldest.0);
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: (UnixMicros, NodeId)) {
        let Some(gone) = self.kept.remove(&key) else { return };
        self.bytes -= gone.body.len();
        let Some(share) = self.shares.get_mut(&key.1) else { return };
        *share = Share { messages: share.messages - 1, bytes: share.bytes - gone.body.len() };
        if share.messages == 0 {
            self.shares.remove(&key.1);
        }
    }

    /// Forgets what it is too late to hand on.
    pub(super) fn expire(&mut self, now: UnixMicros) {
        let over: Vec<_> = self.kept.iter().filter(|(_, kept)| kept.expires <= now).map(|(key, _)| *key).collect();
        for key in over {
            self.remove(key);
        }
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Kept> {
        (id.kind == BroadcastKind::Text).then(|| self.kept.get(&(id.seq, id.by))).flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What lies below gave way: nothing is said of it.
    pub(super) fn floor(&self) -> UnixMicros {
        self.floor
    }

    /// Names in some of the slices, the newest first.
    pub(super) fn names_in(&self, slices: &[usize], since: UnixMicros) -> impl Iterator<Item = MessageId> {
        let names = self.kept.keys().rev().take_while(move |(seq, _)| *seq > since);
        names.filter(move |(seq, _)| slices.contains(&slice_of(*seq))).map(|(seq, by)| MessageId {
            by: *by,
            seq: *seq,
            kind: BroadcastKind::Text,
        })
    }

    /// Digests over the names above a sequence, one a slice.
    pub(super) fn digests(&self, since: UnixMicros) -> Vec<String> {
        let mut hashes = vec![Sha256::new(); MAX_SLICES];
        for (seq, by) in self.kept.keys().rev().take_while(|(seq, _)| *seq > since) {
            if let Some(hash) = hashes.get_mut(slice_of(*seq)) {
                hash.update(seq.get().to_be_bytes());
                hash.update(by.as_bytes());
            }
        }
        hashes.into_iter().map(text_of).collect()
    }

    /// One digest over those.
    pub(super) fn digest(&self, since: UnixMicros) -> String {
        let mut whole = Sha256::new();
        self.digests(since).iter().for_each(|digest| whole.update(digest));
        text_of(whole)
    }
}

/// Microseconds are as good as random.
fn slice_of(seq: UnixMicros) -> usize {
    usize::try_from(seq.get()).unwrap_or(0) % MAX_SLICES
}

fn text_of(hash: Sha256) -> String {
    HEXLOWER.encode(hash.finalize().get(..DIGEST_BYTES).unwrap_or_default())
}
