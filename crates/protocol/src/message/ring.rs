//! Who follows whom on the ring, and the token that proves it closed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_RING;
use crate::{Bounded, NodeId};

/// The ring is made of links used in one direction: from each member to its successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    /// The sender takes the receiver for its successor from now on.
    Attach(RingAttach),
    /// The sender has another successor now.
    Detach(RingAttach),
    /// Travels from successor to successor until it is back at its author.
    Token(RingToken),
}

impl Ring {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Attach(_) => "ring.attach",
            Self::Detach(_) => "ring.detach",
            Self::Token(_) => "ring.token",
        }
    }
}

/// The content of `attach` and `detach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingAttach {
    /// Counts the sender's changes of successor; an older one than the last is ignored.
    pub epoch: u32,
}

/// A token: each member appends itself and hands it on. Back at its author it names the whole ring in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingToken {
    /// Who sent it out.
    pub author: NodeId,
    /// Counts the author's tokens.
    pub round: u32,
    /// Everyone it passed, the author first.
    pub members: Bounded<NodeId, MAX_RING>,
}
