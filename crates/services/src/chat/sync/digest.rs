//! What two histories have in common, without showing them.

use data_encoding::HEXLOWER;
use meshline_protocol::message::ChatKey;
use sha2::{Digest, Sha256};

use crate::chat::history::History;
use crate::chat::message::Key;

/// Bytes of the hash that are compared: nobody can make two histories of the same digest.
const DIGEST_BYTES: usize = 16;

/// The messages from one key (inclusive) to another (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Option<Key>,
    pub(super) to: Option<Key>,
}

/// How many messages a history keeps in a range, and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) count: u32,
    pub(super) digest: String,
}

/// Summarises what a history keeps in a range.
pub(super) fn summarise(history: &History, range: Range) -> Summary {
    let mut hash = Sha256::new();
    let mut count = 0_u32;
    for key in history.keys(range.from, range.to) {
        hash.update(key.seq.get().to_be_bytes());
        hash.update(key.author.as_bytes());
        count = count.saturating_add(1);
    }
    let hash = hash.finalize();
    Summary { count, digest: HEXLOWER.encode(hash.get(..DIGEST_BYTES).unwrap_or_default()) }
}

/// A key as it travels.
pub(super) fn wire(key: Key) -> ChatKey {
    ChatKey { seq: key.seq, author: key.author }
}

/// A key as it came.
pub(super) fn key(wire: ChatKey) -> Key {
    Key { seq: wire.seq, author: wire.author }
}

impl Range {
    /// Whether a key lies in it.
    pub(super) fn holds(self, key: Key) -> bool {
        self.from.is_none_or(|from| key >= from) && self.to.is_none_or(|to| key < to)
    }
}
