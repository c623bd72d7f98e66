//! What a member says of a service it offers: its kind, and pairs of key and value as in a TXT record of DNS-SD.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::{MAX_SERVICE_KEY, MAX_SERVICE_PAIRS, MAX_SERVICE_TEXT, MAX_SERVICE_VALUE};
use crate::text::{ValueError, is_deceptive};

/// Pairs of key and value, in the order of keys. All together at most [`MAX_SERVICE_TEXT`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ServiceText(BTreeMap<String, String>);

impl ServiceText {
    /// Takes pairs, each key once.
    ///
    /// # Errors
    /// If there are too many, one is too long, or one holds what it may not.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ValueError> {
        let mut text = Self::default();
        for (key, value) in pairs {
            text.add(key, value)?;
        }
        Ok(text)
    }

    fn add(&mut self, key: String, value: String) -> Result<(), ValueError> {
        let bytes: usize = self.pairs().map(|(key, value)| key.len() + value.len()).sum();
        let fits = self.0.len() < MAX_SERVICE_PAIRS && bytes + key.len() + value.len() <= MAX_SERVICE_TEXT;
        if !fits || !is_key(&key) || !is_value(&value) || self.0.contains_key(&key) {
            return Err(ValueError::NotAServiceText);
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As RFC 6763, 6.4 has them: printable, without `=`.
fn is_key(key: &str) -> bool {
    (1..=MAX_SERVICE_KEY).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=')
}

fn is_value(value: &str) -> bool {
    value.len() <= MAX_SERVICE_VALUE && !value.chars().any(is_deceptive)
}

/// `_http._tcp`: the labels of RFC 6763, 7, in lower case.
pub(crate) fn is_kind(text: &str) -> bool {
    let Some((service, transport)) = text.strip_prefix('_').and_then(|rest| rest.split_once('.')) else { return false };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_plain = |byte: Option<u8>| byte.is_some_and(is_plain);
    matches!(transport, "_tcp" | "_udp")
        && (1..=15).contains(&service.len())
        && service.bytes().all(|byte| is_plain(byte) || byte == b'-')
        && ends_plain(service.bytes().next())
        && ends_plain(service.bytes().last())
}

impl<'de> Deserialize<'de> for ServiceText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = ServiceText;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at most {MAX_SERVICE_PAIRS} pairs of {MAX_SERVICE_TEXT} bytes together")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ServiceText, A::Error> {
        let mut text = ServiceText::default();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            text.add(key, value).map_err(A::Error::custom)?;
        }
        Ok(text)
    }
}

impl JsonSchema for ServiceText {
    fn schema_name() -> Cow<'static, str> {
        "ServiceText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object", "maxProperties": MAX_SERVICE_PAIRS,
            "additionalProperties": { "type": "string", "maxLength": MAX_SERVICE_VALUE },
            "description": "pairs of key and value, 512 bytes together; keys are 1 to 32 printable characters without '='"
        })
    }
}
