//! Frames: one message each, on a byte stream or in a datagram.
//!
//! On a stream a JSON frame is one object on one line, a BSON frame is one document, whose own length
//! prefix replaces the LF. A frame with bytes has `len` as its first member and exactly that many raw
//! bytes behind the line; a receiver takes them off the stream whether it knows the message or not.

mod bson_outline;
mod datagram;
mod decode;
mod encode;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use datagram::{decode_datagram, encode_datagram};
pub use decode::Decoder;
pub use encode::{EncodeError, encode, encode_head};

use crate::limits::MAX_DETAIL;
use crate::{Code, Message};

/// How messages are written on a link after both hellos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// One object a line.
    #[default]
    Json,
    /// One document a frame.
    Bson,
    /// One this version does not know; JSON is used.
    #[serde(other)]
    Other,
}

/// A message and, for those that take one, its raw body.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The message.
    pub message: Message,
    /// The raw bytes behind the line.
    pub body: Option<Bytes>,
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        Self { message, body: None }
    }
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A message this version knows.
    Frame(Frame),
    /// A message of a type this version does not know; its bytes are off the stream.
    Unknown {
        /// The type, cut to 64 characters.
        tag: String,
    },
    /// A known message that is not valid; its bytes are off the stream and the next frame can be read.
    Invalid(Fault),
}

/// What is wrong with the bytes of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.name())]
pub struct Fault {
    /// The name of the refusal.
    pub code: Code,
    /// What was found, for people; at most 512 bytes.
    pub detail: String,
}

impl Fault {
    /// A fault with its detail cut to what an `error` message may carry.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        while detail.len() > MAX_DETAIL {
            detail.pop();
        }
        Self { code, detail }
    }
}
