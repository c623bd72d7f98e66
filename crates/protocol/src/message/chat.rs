//! Comparing chat histories, so that whoever was away catches up.
//!
//! Whoever wants to know what it missed asks, and the other side answers from what it keeps, without remembering
//! who asked what: digests of ranges first, then the names in the ranges that differ, then the messages
//! themselves (range-based set reconciliation, A. Meyer, "Range-Based Set Reconciliation", SRDS 2023).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_CHAT_AUTHORS, MAX_CHAT_ENTRIES, MAX_CHAT_RANGES, MAX_IDS};
use crate::{Bounded, NodeId, UnixMicros};

/// Comparing chat histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chat {
    /// What the sender keeps of a range; asks for what differs here. Answered by `ranges` or `keys`.
    Compare(ChatCompare),
    /// The range in smaller pieces; no piece means that nothing differs.
    Ranges(ChatRanges),
    /// The names of all messages kept in a range.
    Keys(ChatKeys),
    /// Asks for messages. Answered by `messages`.
    Want(ChatWant),
    /// The first of the messages that were asked for, as many as fit. Has a body.
    Messages(ChatMessages),
}

impl Chat {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Compare(_) => "chat.compare",
            Self::Ranges(_) => "chat.ranges",
            Self::Keys(_) => "chat.keys",
            Self::Want(_) => "chat.want",
            Self::Messages(_) => "chat.messages",
        }
    }
}

/// The name of a message. Names are ordered by `seq`, then `author`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatKey {
    /// The author's sequence.
    pub seq: UnixMicros,
    /// Who wrote it.
    pub author: NodeId,
}

/// What the sender keeps from `from` (inclusive) to `to` (exclusive).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatCompare {
    /// The first name; `null` for the beginning.
    pub from: Option<ChatKey>,
    /// The name behind the last; `null` for no end.
    pub to: Option<ChatKey>,
    /// How many messages.
    pub count: u32,
    /// The first 16 bytes of SHA-256 over their names in order, each as `seq` (8 bytes, big endian) and `author`
    /// (32 bytes), as 32 hex digits.
    pub digest: String,
}

/// The pieces of a range that was compared, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRanges {
    /// As in `compare`.
    pub from: Option<ChatKey>,
    /// As in `compare`.
    pub to: Option<ChatKey>,
    /// The pieces: each begins where the one before it ends.
    pub ranges: Bounded<ChatRange, MAX_CHAT_RANGES>,
}

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRange {
    /// The name behind its last; `null` for no end.
    pub to: Option<ChatKey>,
    /// How many messages the sender keeps in it.
    pub count: u32,
    /// As in `compare`.
    pub digest: String,
}

/// The names of all messages that the sender keeps in a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatKeys {
    /// As in `compare`.
    pub from: Option<ChatKey>,
    /// As in `compare`.
    pub to: Option<ChatKey>,
    /// The names in order.
    pub keys: Bounded<ChatKey, MAX_IDS>,
}

/// Asks for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatWant {
    /// Their names.
    pub keys: Bounded<ChatKey, MAX_IDS>,
}

/// Messages. The body holds their signed texts (see [`super::SignedBroadcast`]) one behind the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessages {
    /// Where one text ends and the next begins, and who signed it.
    pub messages: Bounded<ChatEntry, MAX_CHAT_ENTRIES>,
    /// Announcements of the authors, by which a receiver sees that they are members. They may have ended.
    pub authors: Bounded<SignedRecord, MAX_CHAT_AUTHORS>,
}

/// One message of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatEntry {
    /// The author, whose key signed it.
    pub by: NodeId,
    /// The author's sequence, as in the text.
    pub seq: UnixMicros,
    /// The signature over the exact bytes of the text, base64.
    pub sig: String,
    /// Bytes of the text.
    pub len: u32,
}
