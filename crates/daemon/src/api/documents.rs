//! The documents that are not the core's own.

use meshline_mesh::{PeerRow, Readiness, Status};
use meshline_protocol::{NodeId, UnixMicros};
use meshline_services::chat::Message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The document of `status`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusDocument {
    /// Of the mesh.
    #[serde(flatten)]
    pub(crate) mesh: Status,
}

/// The document of `readyz`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ready {
    /// `meshline/ready/1`.
    schema: &'static str,
    /// Whether, and why or why not.
    #[serde(flatten)]
    readiness: Readiness,
}

impl Ready {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { schema: "meshline/ready/1", readiness }
    }
}

/// The answer to a record.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Applied {
    /// `meshline/applied/1`.
    schema: &'static str,
    /// What came of it, in words.
    result: String,
}

impl Applied {
    pub(crate) fn new(result: String) -> Self {
        Self { schema: "meshline/applied/1", result }
    }
}

/// The document of `peers`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Peers {
    /// `meshline/peers/1`.
    schema: &'static str,
    /// One row a member.
    peers: Vec<PeerRow>,
}

impl Peers {
    pub(crate) fn new(peers: Vec<PeerRow>) -> Self {
        Self { schema: "meshline/peers/1", peers }
    }
}

/// One message of the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageRow {
    /// Its place in this member's history: give it to `after` to read on from here.
    pub cursor: String,
    /// Who wrote it.
    pub author: NodeId,
    /// The author's name.
    pub name: String,
    /// What.
    pub text: String,
    /// When, by the author's clock: RFC 3339 in UTC with microseconds.
    pub time: String,
    /// Own messages: how many other members are known to have it.
    pub delivered_to: usize,
}

impl From<Message> for MessageRow {
    fn from(message: Message) -> Self {
        Self {
            cursor: message.cursor.to_string(),
            author: message.author,
            name: message.name,
            text: message.text,
            time: rfc3339(message.time),
            delivered_to: message.delivered_to,
        }
    }
}

/// The answer to a message: as it stands in the history.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sent {
    /// `meshline/message/1`.
    schema: &'static str,
    /// The message.
    #[serde(flatten)]
    message: MessageRow,
}

impl Sent {
    pub(crate) fn new(message: Message) -> Self {
        Self { schema: "meshline/message/1", message: message.into() }
    }
}

/// The document of `chat history`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Messages {
    /// `meshline/messages/1`.
    pub schema: String,
    /// Oldest first.
    pub messages: Vec<MessageRow>,
}

impl Messages {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self {
            schema: "meshline/messages/1".to_owned(),
            messages: messages.into_iter().map(MessageRow::from).collect(),
        }
    }
}

/// A time as documents show it.
pub(crate) fn rfc3339(time: UnixMicros) -> String {
    let time = i64::try_from(time.get()).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.map_or_else(String::new, |time| format!("{time:.6}"))
}
