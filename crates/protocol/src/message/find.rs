//! Members that are not known here are asked for: the texts signed for that. They travel in datagrams of the service
//! `find`, which look for their way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{RecordText, SignedRecord, record_text};
use crate::limits::{MAX_FOUND, MAX_PATH};
use crate::{Bounded, Name, NetworkId, NodeId, UnixMicros};

/// The body of a datagram of the service `find`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Goes to the member, or to the place on the ring where those of a name are known.
    Ask(FindAsk),
    /// Goes back to whoever asked.
    Answer(FindAnswer),
}

/// A question, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindAsk {
    /// Of type `find`, signed by whoever asks.
    pub ask: SignedRecord,
    /// Its announcement.
    pub record: SignedRecord,
}

/// An answer, and who was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindAnswer {
    /// Of type `found`, signed by whoever answers: the member itself that was asked for by id, whoever stands at the place
    /// that was asked for by name.
    pub answer: SignedRecord,
    /// The announcement of the member, or of those with that name.
    pub records: Bounded<SignedRecord, MAX_FOUND>,
}

/// Somebody looks for a member. Type `find`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Find {
    /// `find`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every question of the author.
    pub seq: UnixMicros,
    /// When it ends.
    pub expires: UnixMicros,
    /// The member, or the place of the name.
    pub to: NodeId,
    /// What is wanted there.
    pub what: FindWhat,
    /// The name, where one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// What is wanted of whoever is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindWhat {
    /// The member with that id, which answers itself.
    Member,
    /// Members with the name.
    Name,
    /// No answer: the author is to be known by its name there.
    Keep,
    /// The members nearest to that place.
    Near,
    /// Something this version does not know.
    #[serde(other)]
    Other,
}
record_text!(Find, "find");

/// The answer. Type `found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// `found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every answer of the author.
    pub seq: UnixMicros,
    /// When it ends.
    pub expires: UnixMicros,
    /// Who asked.
    pub to: NodeId,
    /// The sequence of the question.
    pub ask: UnixMicros,
    /// The members that the question passed, without both ends and without circles.
    pub way: Bounded<NodeId, MAX_PATH>,
}
record_text!(Found, "found");
