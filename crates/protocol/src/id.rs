//! Who and where: node ids and network ids.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::LazyLock;

use crate::text::{ServiceName, ValueError};

/// Characters of an id: 256 bits in base32.
pub const ID_CHARS: usize = 52;

/// RFC 4648 base32 in lower case without padding; upper case is refused, so one id has one spelling.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut alphabet = Specification::new();
    alphabet.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    alphabet.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

/// A node's name for itself everywhere: its ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// The id that is this public key.
    #[must_use]
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight characters, enough to tell nodes apart by eye.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// The first eight bytes as a number of the same order.
    const fn head(&self) -> u64 {
        match self.0.first_chunk() {
            Some(head) => u64::from_be_bytes(*head),
            None => 0,
        }
    }
}

/// By the bytes. The first eight nearly always decide, in one step: every map of members compares ids all the time.
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head().cmp(&other.head()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for NodeId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut key = [0; 32];
        if text.len() != ID_CHARS {
            return Err(ValueError::NotAnId);
        }
        BASE32.decode_mut(text.as_bytes(), &mut key).map_err(|_| ValueError::NotAnId)?;
        Ok(Self(key))
    }
}

/// Read in place: an advertisement names a dozen ids.
impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = NodeId;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NodeId, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE32.encode(&self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeId({})", self.short())
    }
}

impl JsonSchema for NodeId {
    fn schema_name() -> Cow<'static, str> {
        "NodeId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^[a-z2-7]{52}$",
            "description": "ed25519 public key in lower-case base32 without padding"
        })
    }
}

/// Which network: a closed one is an ed25519 public key, an open one just a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NetworkId {
    /// A network whose members hold records signed by this key.
    Closed(NodeId),
    /// A network anyone may join who knows its name.
    Open(ServiceName),
}

impl NetworkId {
    /// The key that signs memberships, if the network is closed.
    #[must_use]
    pub fn key(&self) -> Option<NodeId> {
        match self {
            Self::Closed(key) => Some(*key),
            Self::Open(_) => None,
        }
    }

    /// Whether names in it are only claimed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

impl FromStr for NetworkId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() == ID_CHARS { text.parse().map(Self::Closed) } else { text.parse().map(Self::Open) }
    }
}

impl TryFrom<String> for NetworkId {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(key) => key.fmt(formatter),
            Self::Open(name) => name.fmt(formatter),
        }
    }
}

impl JsonSchema for NetworkId {
    fn schema_name() -> Cow<'static, str> {
        "NetworkId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^([a-z2-7]{52}|[a-z0-9._-]{1,32})$",
            "description": "the network's ed25519 public key (52 base32 characters), or the name of an open network"
        })
    }
}
