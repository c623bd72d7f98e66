//! Two members agree to open a direct way through address translation, each from its own side, at the same instant.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use super::record::{RecordText, record_text};
use crate::limits::{MAX_CANDIDATES, MAX_HOST_CANDIDATES};
use crate::{AttemptKey, Bounded, NetworkId, NodeId, UnixMicros};

/// Travels on a link of the two, or as the body of a datagram of service `punch`. Every record is signed by one of the two
/// and made for the other: whoever passes it on can neither alter it nor learn the key of the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Punch {
    /// I would like a direct way to you (see [`PunchOffer`], without `answer`).
    Call(SignedRecord),
    /// So would I (see [`PunchOffer`], with `answer`).
    Answer(SignedRecord),
    /// Nothing comes of the attempt (see [`PunchEnd`]).
    Withdraw(SignedRecord),
}

impl Punch {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) => "punch.call",
            Self::Answer(_) => "punch.answer",
            Self::Withdraw(_) => "punch.withdraw",
        }
    }

    /// The record inside.
    #[must_use]
    pub fn record(&self) -> &SignedRecord {
        match self {
            Self::Call(record) | Self::Answer(record) | Self::Withdraw(record) => record,
        }
    }
}

/// What a member brings to an attempt. Type `punch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PunchOffer {
    /// `punch`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every record of the author to the same member while one of them holds.
    pub seq: UnixMicros,
    /// When it is too late to act on it.
    pub expires: UnixMicros,
    /// Whom it is for.
    pub to: NodeId,
    /// Chosen at random by the asker, repeated in the answer and in every packet of the attempt.
    pub attempt: u32,
    /// The author's clock when it was written.
    pub time: UnixMicros,
    /// The author's X25519 public key, of this attempt alone.
    pub key: AttemptKey,
    /// Where the author may be reached.
    pub candidates: PunchCandidates,
    /// How its address translation chooses ports, as far as it knows.
    #[serde(default, skip_serializing_if = "PunchMapping::is_unknown")]
    pub mapping: PunchMapping,
    /// In an answer: when to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<PunchInstant>,
}
record_text!(PunchOffer, "punch");

/// When both begin, by the clock of the author of the answer. The asker needs nobody's clock for it: it waits for `at` less
/// `time` of the answer, and less half of the round trip that call and answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PunchInstant {
    /// When the call arrived.
    pub receive: UnixMicros,
    /// When to begin, at most 10 s after `time` of the answer.
    pub at: UnixMicros,
}

/// Addresses of a member, the likeliest first in each list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PunchCandidates {
    /// Its own IPv4 addresses.
    #[serde(skip_serializing_if = "none")]
    pub host: Bounded<SocketAddr, MAX_HOST_CANDIDATES>,
    /// Its own IPv6 addresses.
    #[serde(skip_serializing_if = "none")]
    pub v6: Bounded<SocketAddr, MAX_CANDIDATES>,
    /// Addresses that a router forwards to it.
    #[serde(skip_serializing_if = "none")]
    pub mapped: Bounded<SocketAddr, MAX_CANDIDATES>,
    /// Addresses at which others saw it, the latest first.
    #[serde(skip_serializing_if = "none")]
    pub reflexive: Bounded<SocketAddr, MAX_CANDIDATES>,
    /// Where a TCP connection may meet one of its own.
    #[serde(skip_serializing_if = "none")]
    pub tcp: Bounded<SocketAddr, MAX_CANDIDATES>,
}

fn none<const MAX: usize>(list: &Bounded<SocketAddr, MAX>) -> bool {
    list.is_empty()
}

/// How the port seen outside follows from the socket inside (RFC 4787 §4.1). Evidence, never a reason to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PunchMapping {
    /// Not enough has been seen.
    #[default]
    Unknown,
    /// One port outside for all destinations, or no translation.
    Independent,
    /// Another port for each destination, without a rule.
    Random,
    /// Another port for each destination, so many above the one before.
    Counting(i16),
}

impl PunchMapping {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// A member takes no part in an attempt, or no part any more. Type `punch_end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PunchEnd {
    /// `punch_end`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every record of the author to the same member while one of them holds.
    pub seq: UnixMicros,
    /// When it is too late to act on it.
    pub expires: UnixMicros,
    /// Whom it is for.
    pub to: NodeId,
    /// As in the call.
    pub attempt: u32,
    /// Why.
    pub reason: PunchReason,
}
record_text!(PunchEnd, "punch_end");

/// Why nothing comes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PunchReason {
    /// Its operator wants none.
    Off,
    /// The two are linked directly already, as it sees it.
    Linked,
    /// It has too much of this under way.
    Busy,
    /// It leaves.
    Leaving,
    /// A newer version's word.
    #[serde(other)]
    Other,
}
