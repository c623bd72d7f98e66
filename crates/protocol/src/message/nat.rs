//! Whether an address is reachable from outside: a linked member is asked to come back to it with a nonce. And whether it
//! is whose it is said to be: members that are linked with both are asked.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, Code, NodeId};

/// How a member finds out which of its addresses others can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// The sender would like to be called at an address of its own.
    Call(NatCall),
    /// What became of a call.
    Called(NatCalled),
    /// The only message on a connection that was made for a call over TCP.
    Back(NatBack),
    /// Whether the receiver sees a third member at a host.
    Where(NatWhere),
    /// Where a third member is seen, or not.
    There(NatThere),
}

impl Nat {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) => "nat.call",
            Self::Called(_) => "nat.called",
            Self::Back(_) => "nat.back",
            Self::Where(_) => "nat.where",
            Self::There(_) => "nat.there",
        }
    }
}

/// Asks to be called: over UDP by a time frame of step 0 whose `exchange` is the nonce, which the sender answers; over
/// TCP by a connection with the member's certificate on which `back` is said instead of a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatCall {
    /// Chosen by the asker. Whoever shows it was called by the one that was asked.
    pub nonce: u32,
    /// Over what.
    pub transport: NatTransport,
    /// Where to; no name, an address and a port. Over UDP at most three datagrams go there; over TCP it must be the host
    /// this link comes from.
    pub address: Address,
    /// UDP: from another port than the one the asked member listens on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub another_port: bool,
}

/// What a call goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NatTransport {
    /// Time frames.
    Udp,
    /// TLS over TCP.
    Tcp,
    /// One this version does not know; such a call is refused.
    #[serde(other)]
    Other,
}

/// What became of a call, once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatCalled {
    /// As in the `call`.
    pub nonce: u32,
    /// Why the address was not reached; absent if it was. `unreachable`: nothing answered. `forbidden`: not called
    /// there. `rate_limited`: not now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Shows the nonce of a call over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatBack {
    /// As in the `call`.
    pub nonce: u32,
}

/// Asks whether a member is seen at a host that it named as its own. Before that is confirmed nobody sends more there than a
/// few packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatWhere {
    /// Who named the host.
    pub peer: NodeId,
    /// The host.
    #[serde(with = "as_text")]
    #[schemars(with = "IpAddr")]
    pub host: IpAddr,
}

/// Answers a `where`, from the links of its author alone: nothing else of the member is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatThere {
    /// As in the `where`.
    pub peer: NodeId,
    /// As in the `where`.
    #[serde(with = "as_text")]
    #[schemars(with = "IpAddr")]
    pub host: IpAddr,
    /// Whether a link of the author with the member comes from there; absent if no link of theirs tells, because there is
    /// none, or a proxy or an exit stands in between, or it is of the other family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
}

/// An address in its usual form, whatever the encoding.
mod as_text {
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(host: &IpAddr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(host)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("no IP address"))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
