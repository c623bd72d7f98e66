//! A proxy's errands: two members that cannot reach each other meet on two connections that it joins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_DETAIL;
use crate::{Code, NodeId, Ticket};

/// How a relayed link comes about: `request` to the proxy, `offer` to the other member, its `accept`, and a
/// `grant` to both. Each then opens a TCP connection to the proxy, sends `{"relay":{"ticket":"…"}}` as its
/// only line, and what follows is TLS 1.3 between the two, which the proxy copies and cannot read. The
/// member that requested acts as TLS client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relay {
    /// To the proxy: join me with this member.
    Request(RelayPeer),
    /// From the proxy: this member asks to be joined with you.
    Offer(RelayTicket),
    /// To the proxy: agreed.
    Accept(RelayTicket),
    /// From the proxy, to both: open your connection now.
    Grant(RelayTicket),
    /// Either way: it will not be.
    Refuse(RelayRefusal),
    /// The first and only line of a relay connection.
    Ticket(Ticket),
}

impl Relay {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "relay.request",
            Self::Offer(_) => "relay.offer",
            Self::Accept(_) => "relay.accept",
            Self::Grant(_) => "relay.grant",
            Self::Refuse(_) => "relay.refuse",
            Self::Ticket(_) => "relay.ticket",
        }
    }
}

/// Names the other member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayPeer {
    /// The member to be joined with.
    pub peer: NodeId,
}

/// A ticket with the other member it is for. Valid once for each of the two, for ten seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayTicket {
    /// The ticket; in an `offer` and `accept` it only names the errand.
    pub ticket: Ticket,
    /// The other member.
    pub peer: NodeId,
}

/// A refused errand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayRefusal {
    /// The other member.
    pub peer: NodeId,
    /// Why.
    pub code: Code,
    /// A sentence for people.
    #[serde(default)]
    #[schemars(length(max = "MAX_DETAIL"))]
    pub detail: String,
}
