//! The first message of each side of a link.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::frame::Encoding;
use crate::{NetworkId, NodeId, Ping, UnixMicros};

/// What each side says first. The first five members are the header of every time frame as well.
///
/// A link is up when both hellos were accepted. Between its hello and anything else a side sends the
/// `revocations` it announced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The network the sender belongs to.
    pub network: NetworkId,
    /// The version of the protocol the sender speaks.
    pub version: u16,
    /// The sender. On a TLS link it must be the key the sender proved.
    pub id: NodeId,
    /// The sender's clock when it sent this.
    pub time: UnixMicros,
    /// −1 in a hello.
    pub ping: Ping,
    /// The sender's own announcement: name, roles, addresses and, on a closed network, its membership.
    pub announcement: SignedRecord,
    /// How both sides write after both hellos. The dialling side chooses; the other's value means nothing.
    #[serde(default)]
    pub encoding: Encoding,
    /// How many `revocation` messages follow before anything else, at most 256.
    #[serde(default)]
    pub revocations: u16,
    /// The program and its version, for people.
    #[serde(default)]
    pub agent: String,
}

/// What a member is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A full peer: listens, links to all it can, passes others' broadcasts on.
    Node,
    /// A peer that only connects out and carries nothing for others.
    View,
    /// A node that relays links for members that cannot reach each other.
    Proxy,
    /// A member through which connections may leave the network.
    Exit,
    /// A member that may have all choose their links anew: it may sign a `rebuild`.
    Rebuild,
    /// A role this version does not know.
    #[serde(other)]
    Other,
}
