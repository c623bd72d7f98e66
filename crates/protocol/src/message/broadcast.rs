//! A service's message to all members.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_RING;
use crate::{Bounded, NodeId, UnixMicros};

/// A service's signed message to every member. The signed text (see [`super::SignedBroadcast`]) travels as
/// the raw body behind the line, so that no text grows by being quoted twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Broadcast {
    /// Mesh: every receiver that sees it first passes it on to its other peers. Has a body.
    Flood(BroadcastMessage),
    /// Ring: each member appends itself to `holders` and hands it to its successor; back at its author it
    /// names all who have it. Has a body.
    Ring(BroadcastMessage),
    /// Mesh: `by` has the message; goes back the way the message came.
    Ack(BroadcastAck),
}

impl Broadcast {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Flood(_) => "broadcast.flood",
            Self::Ring(_) => "broadcast.ring",
            Self::Ack(_) => "broadcast.ack",
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
