//! The names of blocks and transactions on the wire.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use crate::text::ValueError;

/// Hexadecimal digits of a hash.
const HASH_CHARS: usize = 64;

/// 32 bytes of the ledger: 64 lower-case hexadecimal digits, the last byte first, as Bitcoin writes hashes. A sum of
/// work stands in the same form; of that the last byte is the most significant.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerHash(pub [u8; 32]);

impl FromStr for LedgerHash {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut bytes = [0; 32];
        if text.len() != HASH_CHARS {
            return Err(ValueError::NotAHash);
        }
        HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| ValueError::NotAHash)?;
        bytes.reverse();
        Ok(Self(bytes))
    }
}

impl fmt::Display for LedgerHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0;
        bytes.reverse();
        formatter.write_str(&HEXLOWER.encode(&bytes))
    }
}

impl fmt::Debug for LedgerHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for LedgerHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Read in place: an `inv` names hundreds of them.
impl<'de> Deserialize<'de> for LedgerHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = LedgerHash;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LedgerHash, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for LedgerHash {
    fn schema_name() -> Cow<'static, str> {
        "LedgerHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}
