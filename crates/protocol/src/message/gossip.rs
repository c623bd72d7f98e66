//! News about members: who is there, where, and who left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_IDS, MAX_RECORDS};
use crate::{Bounded, NodeId, UnixMicros};

/// News about members. Fresh records are pushed to a few peers at once; summaries compared with one peer
/// at a time repair whatever the pushes missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gossip {
    /// What the sender holds.
    Summary(Summary),
    /// Asks for the announcements of these members.
    Want(Want),
    /// Announcements, each signed by the member it is about.
    Records(Records),
    /// A member left; signed by it.
    Departure(SignedRecord),
}

impl Gossip {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Summary(_) => "gossip.summary",
            Self::Want(_) => "gossip.want",
            Self::Records(_) => "gossip.records",
            Self::Departure(_) => "gossip.departure",
        }
    }
}

/// What the sender holds. If `digest` equals the receiver's own there is nothing to do; otherwise the
/// receiver asks for what is newer there and sends what is newer here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// A hash over all (id, seq) pairs held, as 16 hex digits.
    pub digest: String,
    /// The pairs themselves; empty in the first summary, which only compares digests.
    #[serde(default)]
    pub entries: Bounded<SummaryEntry, MAX_IDS>,
    /// Whether the receiver should answer with its own entries.
    #[serde(default)]
    pub reply: bool,
}

/// The newest announcement of one member that the sender holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryEntry {
    /// The member.
    pub id: NodeId,
    /// The sequence of its announcement.
    pub seq: UnixMicros,
}

/// Asks for announcements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Want {
    /// The members whose announcements are asked for.
    pub ids: Bounded<NodeId, MAX_IDS>,
}

/// Announcements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Records {
    /// Signed records of type `announcement`.
    pub records: Bounded<SignedRecord, MAX_RECORDS>,
}
