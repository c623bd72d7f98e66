//! What is said at the beginning of every stream in a tunnel: one line of JSON each way, then bytes.
//!
//! Whoever opens a stream asks; the other end answers when it has what was asked for, or why not. The payloads of UDP
//! travel in the flow that belongs to the stream, and live as long as it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_DETAIL;
use crate::target::Target;
use crate::{Address, Code, ServiceName};

/// Longest line of a request or an answer, with its LF: a target, or a reason of 512 bytes all of which are quoted.
pub const MAX_OPENING: usize = 4 * 1024;

/// The first line of whoever opens a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamRequest {
    /// Connect this stream to something.
    Open(OpenStream),
    /// Listen there for me, as long as this stream lives; each connection comes back as an `incoming` stream.
    Listen(ListenStream),
    /// A connection to a listener you asked for.
    Incoming(IncomingStream),
}

/// What the stream is to be connected to. At least one member is there; with `service` and `target` the service must
/// be that target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenStream {
    /// A place. The other end resolves its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Something the other end exposes by this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Something the other end exposes that is a port of this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether `port` is one of UDP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp: bool,
    /// How many members have passed this request on: each connects through another one what it exposes so. At
    /// [`MAX_PASSED`] it is refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed: u8,
}

/// Members that may pass a request on, one to the next: enough for a device behind a member behind an exit, and the end
/// of those that name each other.
pub const MAX_PASSED: u8 = 3;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_zero(value: &u8) -> bool {
    *value == 0
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListenStream {
    /// Tells the asker's listeners apart; comes back in `incoming`.
    pub listener: u32,
    /// A TCP or UDP port at the other end.
    pub listen: Target,
}

/// Which listener a connection came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncomingStream {
    /// Chosen by whoever asked for it.
    pub listener: u32,
}

/// The first line of whoever was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamAnswer {
    /// The bytes that follow are those of what was asked for.
    Opened(StreamOpened),
    /// Nothing follows.
    Refused(StreamRefusal),
}

/// What the stream is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamOpened {
    /// The place, as it is exposed or was asked for. Of a listener: where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The address that was dialled, after its name was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamRefusal {
    /// The name of the refusal.
    pub code: Code,
    /// A sentence for people, at most 512 bytes.
    #[serde(default, deserialize_with = "detail")]
    #[schemars(length(max = "MAX_DETAIL"))]
    pub detail: String,
}

fn detail<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() <= MAX_DETAIL { Ok(text) } else { Err(serde::de::Error::custom("detail longer than 512 bytes")) }
}
