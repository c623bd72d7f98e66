//! What keeps a link: time frames, echo, refusals, goodbye; and what it carries, tried out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_DETAIL, MAX_ECHO};
use crate::{Address, Code, Mac, NetworkId, NodeId, Ping, UnixMicros};

/// One of the four steps of a clock measurement between two peers.
///
/// Step 0 asks (`ping` −1), step 1 answers with the sender's own `ping` −1 and the stamps of step 0,
/// step 2 carries the delay the asker measured and the stamps of step 1, step 3 the delay the answerer
/// measured. Both then know both delays and take the average. Offset and round trip follow RFC 5905 §8:
/// with t1 = `stamps.origin`, t2 = `stamps.receive`, t3 = `time` and t4 the arrival,
/// offset = ((t2 − t1) + (t3 − t4)) / 2 and round trip = (t4 − t1) − (t3 − t2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeFrame {
    /// The network of the sender.
    pub network: NetworkId,
    /// The version the sender speaks.
    pub version: u16,
    /// The sender.
    pub id: NodeId,
    /// The sender's clock when it sent this frame.
    pub time: UnixMicros,
    /// −1 in steps 0 and 1, the measured one-way delay in steps 2 and 3.
    pub ping: Ping,
    /// Chosen by the asker, repeated in every step.
    pub exchange: u32,
    /// 0 to 3; even steps come from the asker.
    #[serde(deserialize_with = "step")]
    #[schemars(range(min = 0, max = 3))]
    pub step: u8,
    /// The stamps of the step before, absent in step 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<TimeStamps>,
    /// On UDP: where the step before came from, as seen by the sender of this frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Address>,
    /// On UDP, between two members who agreed to try: the number of their attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// On UDP, with `attempt`: 16 bytes in base64, the HMAC-SHA-256 of the datagram up to this member under the key of
    /// the attempt. Always the last member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

/// When the step before left its sender and when it arrived here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeStamps {
    /// `time` of the step that is answered, by its sender's clock.
    pub origin: UnixMicros,
    /// When it arrived, by the clock of the sender of this frame.
    pub receive: UnixMicros,
}

/// A refusal: what happened, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorMessage {
    /// The name of the refusal.
    pub code: Code,
    /// A sentence for people, at most 512 bytes.
    #[serde(default, deserialize_with = "detail")]
    #[schemars(length(max = "MAX_DETAIL"))]
    pub detail: String,
    /// On UDP, where no hello told it: who refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Box<Header>>,
}

impl ErrorMessage {
    /// A refusal on a link, where both sides know each other.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), header: None }
    }
}

/// What every frame outside a link says of its sender, for whoever checks the network and the version, or compares clocks.
/// A [`TimeFrame`] has the same members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The network of the sender.
    pub network: NetworkId,
    /// The version the sender speaks.
    pub version: u16,
    /// The sender.
    pub id: NodeId,
    /// The sender's clock when it sent this frame.
    pub time: UnixMicros,
    /// −1: nothing was measured.
    pub ping: Ping,
}

/// The sender leaves. Receivers pass the departure on, so that all read who left; its address stays known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goodbye {
    /// A signed record of type `departure`.
    pub departure: SignedRecord,
}

/// The content of `ping` and `pong`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Echo {
    /// Chosen by the asker.
    pub nonce: u32,
    /// Anything, at most 1,024 bytes; comes back unchanged.
    #[serde(default, deserialize_with = "echo_text")]
    #[schemars(length(max = "MAX_ECHO"))]
    pub text: String,
}

/// How a side finds out what the link carries towards the other where no traffic tells: `ask`, `agree` or `decline`,
/// as many `filler` as make the bytes agreed on, and a `report`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The sender would like to send so much filler.
    Ask(ProbeSize),
    /// So much of it may come: at most what was asked for.
    Agree(ProbeSize),
    /// None of it.
    Decline(ProbeNumber),
    /// Filler. Has a body, which means nothing.
    Filler(ProbeNumber),
    /// All of it came.
    Report(ProbeReport),
}

impl Probe {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Ask(_) => "probe.ask",
            Self::Agree(_) => "probe.agree",
            Self::Decline(_) => "probe.decline",
            Self::Filler(_) => "probe.filler",
            Self::Report(_) => "probe.report",
        }
    }
}

/// The content of `ask` and `agree`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeSize {
    /// Chosen by the asker, repeated in all that follows.
    pub nonce: u32,
    /// Bytes of all bodies together.
    pub bytes: u32,
}

/// Names a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeNumber {
    /// As in the `ask`.
    pub nonce: u32,
}

/// How fast the filler came. Its first half is left out: a line may let a burst pass, and a sender begins slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    /// As in the `ask`.
    pub nonce: u32,
    /// Bytes of bodies that came after the first half.
    pub bytes: u32,
    /// In so many microseconds.
    pub micros: u32,
}

fn step<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let step = u8::deserialize(deserializer)?;
    if step <= 3 { Ok(step) } else { Err(serde::de::Error::custom("step must be 0 to 3")) }
}

fn detail<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    string_up_to(deserializer, MAX_DETAIL)
}

fn echo_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    string_up_to(deserializer, MAX_ECHO)
}

fn string_up_to<'de, D: serde::Deserializer<'de>>(deserializer: D, max: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() <= max { Ok(text) } else { Err(serde::de::Error::custom(format_args!("longer than {max} bytes"))) }
}
