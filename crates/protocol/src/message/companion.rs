//! UDP beside a link over TCP, under keys that the link vouches for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Ticket;

/// How UDP beside a link begins and what it carries: an `offer` over the link from either side, and then `sealed` datagrams
/// between the two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Companion {
    /// Over the link, once from each side: how to reach the sender over UDP.
    Offer(CompanionOffer),
    /// Over UDP: one frame that only the other end can read. Has a body.
    Sealed(CompanionSealed),
}

impl Companion {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Offer(_) => "companion.offer",
            Self::Sealed(_) => "companion.sealed",
        }
    }
}

/// Where the sender takes `sealed` datagrams of this link, and under which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompanionOffer {
    /// Its UDP port, at the address the link leads to.
    pub port: u16,
    /// What it knows them by: chosen at random, for this link alone.
    pub id: u32,
    /// The secret they are sealed under, made for this link alone.
    pub secret: Ticket,
}

/// What stands before the sealed bytes. They are sealed with AES-256-GCM: the key is the SHA-256 of the 43 characters of
/// the receiver's `secret`; the nonce is four zero bytes and `number` as eight bytes, the highest first; `id` and `number`,
/// as four and eight such bytes, are authenticated with them. Inside is one frame as in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompanionSealed {
    /// As in the receiver's `offer`.
    pub id: u32,
    /// Counts the datagrams of its sender from 0. What came before, or is more than 1,024 behind, is dropped.
    pub number: u64,
}
