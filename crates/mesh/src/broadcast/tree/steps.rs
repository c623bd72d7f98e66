//! What is to be done for the tree.

use meshline_protocol::NodeId;
use meshline_protocol::message::{BroadcastName, BroadcastPlace, BroadcastTrail};

use super::MessageId;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand a message to peers.
    Push {
        /// To whom.
        to: Vec<NodeId>,
        /// Which.
        id: MessageId,
        /// How it came here.
        trail: BroadcastTrail,
    },
    /// Tell a peer what is here.
    Have {
        /// Whom.
        to: NodeId,
        /// What.
        names: Vec<BroadcastName>,
    },
    /// Ask a peer for messages.
    Want {
        /// Whom.
        to: NodeId,
        /// For what.
        ids: Vec<MessageId>,
    },
    /// Take the link to a peer as eager.
    Graft {
        /// Whose.
        to: NodeId,
    },
    /// Take the link to a peer as lazy.
    Prune {
        /// Whose.
        to: NodeId,
    },
    /// Tell a peer where in the tree this node is.
    Place {
        /// Whom.
        to: NodeId,
        /// Where.
        place: BroadcastPlace,
    },
}
