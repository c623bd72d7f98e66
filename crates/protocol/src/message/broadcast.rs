//! A service's message to all members.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_ANNOUNCED, MAX_RING, MAX_SLICES};
use crate::{Bounded, NodeId, UnixMicros};

/// A service's signed message to every member. The signed text (see [`super::SignedBroadcast`]) travels as
/// the raw body behind the line, so that no text grows by being quoted twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Broadcast {
    /// Mesh: every receiver that sees it first passes it on along its eager links. Has a body.
    Flood(BroadcastMessage),
    /// Ring: each member appends itself to `holders` and hands it to its successor; back at its author it
    /// names all who have it. Has a body.
    Ring(BroadcastMessage),
    /// Mesh: `by` has the message; goes back the way the message came.
    Ack(BroadcastAck),
    /// Mesh: what the sender has. Sent on lazy links, and where two differ.
    Have(BroadcastHave),
    /// Mesh: asks for messages that were announced and did not come.
    Want(BroadcastWant),
    /// Mesh: the link is eager from now on.
    Graft(BroadcastGraft),
    /// Mesh: the link is lazy from now on.
    Prune(BroadcastPrune),
    /// Mesh: where in the tree the sender is.
    Place(BroadcastPlace),
    /// Mesh: what the sender keeps, in digests.
    Compare(BroadcastCompare),
}

impl Broadcast {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Flood(_) => "broadcast.flood",
            Self::Ring(_) => "broadcast.ring",
            Self::Ack(_) => "broadcast.ack",
            Self::Have(_) => "broadcast.have",
            Self::Want(_) => "broadcast.want",
            Self::Graft(_) => "broadcast.graft",
            Self::Prune(_) => "broadcast.prune",
            Self::Place(_) => "broadcast.place",
            Self::Compare(_) => "broadcast.compare",
        }
    }
}

/// The line of a broadcast; its body is the signed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastMessage {
    /// The author, whose key signed the body.
    pub by: NodeId,
    /// The author's sequence, as in the body: receivers drop what they have by these two without a look inside.
    pub seq: UnixMicros,
    /// The signature over the exact bytes of the body, base64.
    pub sig: String,
    /// Ring: the author's attempt. A later attempt travels on through members that have the message already.
    #[serde(default)]
    pub attempt: u32,
    /// Ring: who has it, the author first.
    #[serde(default)]
    pub holders: Bounded<NodeId, MAX_RING>,
    /// Mesh: how it came here. Not signed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trail: BroadcastTrail,
    /// Mesh: the author wants no receipts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub silent: bool,
    /// Mesh: who the author is, a signed record of type `announcement`, from whoever had to be told of it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Box<SignedRecord>>,
}

/// How a copy of a message came here. Whoever passes it on may write what it likes: nothing but the shape of the tree
/// depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastTrail {
    /// Links it passed before this one.
    #[serde(default)]
    pub hops: u8,
    /// Where it entered the tree: 0 for the place of its author, otherwise a random number of whoever handed it over on a
    /// lazy link. Two copies of the same entry show a loop, others do not.
    #[serde(default)]
    pub entry: u32,
    /// To how many more places earlier versions may bring it on lazy links; 0 since there are places in the tree.
    #[serde(default)]
    pub shortcuts: u8,
    /// Its author handed it over on all of its links.
    #[serde(default)]
    pub direct: bool,
}

/// What a message is that is spread to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastKind {
    /// A service's text: `broadcast.flood`.
    #[default]
    Text,
    /// A `revocation`.
    Revocation,
    /// A `rebuild.record`.
    Rebuild,
}

/// The name of a message that somebody has, or wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastName {
    /// The author.
    pub by: NodeId,
    /// Its sequence.
    pub seq: UnixMicros,
    /// What it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: BroadcastKind,
    /// Links it passed to whoever has it, if it came from its author's place in the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
}

/// What the sender has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastHave {
    /// The messages.
    pub names: Bounded<BroadcastName, MAX_ANNOUNCED>,
    /// They have been there for a while: nothing else is to be waited for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub past: bool,
}

/// Asks for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastWant {
    /// Their names.
    pub names: Bounded<BroadcastName, MAX_ANNOUNCED>,
}

/// Takes the link as eager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastGraft {}

/// Takes the link as lazy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastPrune {}

/// Where in the tree the sender is. Whoever is its own root has not heard of a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastPlace {
    /// The node from which the tree is measured: the least id that was heard of.
    pub root: NodeId,
    /// Links to it along the tree.
    pub hops: u8,
}

/// What the sender keeps of messages to all: whoever keeps the same has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastCompare {
    /// Of messages with a sequence above this; what is below gave way.
    pub since: UnixMicros,
    /// One digest over all of them, or 64 over slices of them, 16 hex digits each.
    pub digests: Bounded<String, MAX_SLICES>,
    /// Whether the receiver should answer with what it has in the slices that differ, and nothing more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastAck {
    /// The author of the message.
    pub author: NodeId,
    /// Its sequence.
    pub seq: UnixMicros,
    /// Who has it now.
    pub by: NodeId,
}
