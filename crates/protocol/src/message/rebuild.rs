//! Links chosen anew by all members at one instant of network time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use super::record::{RecordText, record_text};
use crate::limits::MAX_REBUILD_TOKENS;
use crate::{Bounded, NetworkId, NodeId, UnixMicros};

/// How members agree on an instant at which all choose their links anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rebuild {
    /// A signed record of type `rebuild`, `rebuild_abort` or `rebuild_proposal`. Spread to all as messages are.
    Record(SignedRecord),
    /// Who has a `rebuild`, as far as the sender knows.
    Known(RebuildKnown),
    /// When the sender means to do a `rebuild`.
    Instant(RebuildInstant),
}

impl Rebuild {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Record(_) => "rebuild.record",
            Self::Known(_) => "rebuild.known",
            Self::Instant(_) => "rebuild.instant",
        }
    }
}

/// At this instant every member chooses its links anew. Type `rebuild`; signed by the network key, or by a member that
/// has the role `rebuild`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildOrder {
    /// `rebuild`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every record of this type, `rebuild_abort` and `rebuild_proposal` of its author.
    pub seq: UnixMicros,
    /// Whoever hears of it after `at` does it at once until then, and not at all later: at most an hour after `at`.
    pub expires: UnixMicros,
    /// The instant, in network time: after `seq`, at most a day.
    pub at: UnixMicros,
    /// Chosen at random: from it, and from two ids, both members know whether they want a link. 32 hex digits.
    pub nonce: String,
    /// Every member tells what it would change, and changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Why, for people; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The membership of its author, unless that is the network key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SignedRecord>,
}
record_text!(RebuildOrder, "rebuild");

/// A `rebuild` is not to be. Type `rebuild_abort`; signed like it. Says nothing to whoever has done it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildAbort {
    /// `rebuild_abort`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// As in `rebuild`.
    pub seq: UnixMicros,
    /// When it need not be known any longer: as long as the `rebuild` holds.
    pub expires: UnixMicros,
    /// Who signed the `rebuild`. One by the network key is ended by the network key alone.
    pub by: NodeId,
    /// Its `seq`.
    pub rebuild: UnixMicros,
    /// As in `rebuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SignedRecord>,
}
record_text!(RebuildAbort, "rebuild_abort");

/// A member finds the mesh badly shaped. Type `rebuild_proposal`; any member's. Nothing follows from it but that it is
/// counted, and that a member that may sign a `rebuild` may do so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildProposal {
    /// `rebuild_proposal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// As in `rebuild`.
    pub seq: UnixMicros,
    /// Until then it counts, at most an hour.
    pub expires: UnixMicros,
    /// What is wrong.
    pub cause: RebuildCause,
    /// The membership of its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SignedRecord>,
}
record_text!(RebuildProposal, "rebuild_proposal");

/// What is wrong with the shape of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebuildCause {
    /// Members are much further away than so many members with so many links have to be.
    LongWays,
    /// Some members have far more links than most.
    UnevenLoad,
    /// Most links are needed by neither end.
    IdleLinks,
    /// One this version does not know.
    #[serde(other)]
    Other,
}

/// Members that have a `rebuild`. The smallest numbers of all that are known: as long as there are fewer than fit, they
/// are all; of more the greatest of them says how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildKnown {
    /// Who signed it.
    pub by: NodeId,
    /// Its `seq`.
    pub seq: UnixMicros,
    /// For each member the first 4 bytes of SHA-256 over the bytes of its id and the text of `nonce`, as a number.
    pub tokens: Bounded<u32, MAX_REBUILD_TOKENS>,
}

/// How long it is until the sender does a `rebuild`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildInstant {
    /// Who signed it.
    pub by: NodeId,
    /// Its `seq`.
    pub seq: UnixMicros,
    /// Microseconds from when this was sent until then; negative if it is past.
    pub in_us: i64,
}
