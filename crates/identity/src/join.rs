//! The request to become a member: made where the key lives, answered where the network key lives.

use meshline_protocol::message::{RecordText, Role};
use meshline_protocol::{Bounded, Name, NetworkId, NodeId, SignedRecord, UnixMicros};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::keys::KeyPair;
use crate::record::{RecordError, sign, verify};

/// What `node join` writes and `config-tool invite` reads: a record signed by the key that asks, so that
/// nobody can have a membership made out to a key that is not theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinRequestText {
    /// `join_request`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network it asks to join.
    pub network: NetworkId,
    /// When it was made.
    pub seq: UnixMicros,
    /// When it ends.
    pub expires: UnixMicros,
    /// The name asked for.
    pub name: Name,
    /// The roles asked for.
    pub roles: Bounded<Role, 8>,
}

impl RecordText for JoinRequestText {
    const TYPE: &'static str = "join_request";

    fn network(&self) -> &NetworkId {
        &self.network
    }

    fn seq(&self) -> UnixMicros {
        self.seq
    }

    fn expires(&self) -> UnixMicros {
        self.expires
    }

    fn kind(&self) -> &str {
        &self.kind
    }
}

/// A checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The key that asks.
    pub node: NodeId,
    /// What it asks for.
    pub text: JoinRequestText,
}

impl JoinRequest {
    /// How long a request may wait for its answer: a week.
    pub const VALIDITY_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

    /// Writes a request.
    ///
    /// # Errors
    /// Only if the text cannot be written as JSON, which it always can.
    pub fn sign(
        network: NetworkId,
        name: Name,
        roles: &[Role],
        key: &KeyPair,
        now: UnixMicros,
    ) -> Result<SignedRecord, serde_json::Error> {
        let text = JoinRequestText {
            kind: JoinRequestText::TYPE.to_owned(),
            network,
            seq: now,
            expires: now.offset(Self::VALIDITY_MICROS),
            name,
            roles: Bounded::from_first(roles.iter().copied()),
        };
        sign(&text, key)
    }

    /// Reads and checks a request.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(record: &SignedRecord, network: &NetworkId, now: UnixMicros) -> Result<Self, RecordError> {
        let text = verify(record, network, now)?;
        Ok(Self { node: record.by, text })
    }
}
