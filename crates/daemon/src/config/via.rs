//! Through whom this member's own connections go: `via`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::review::Review;
use super::routing::MemberRef;
use super::values::{ConfigValueError, text_value};

/// A member, or whichever has the role of an exit and reaches the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ViaMember {
    /// `auto`.
    Auto,
    /// This one.
    Member(MemberRef),
}

text_value!(ViaMember, { "type": "string", "minLength": 1, "maxLength": 64 });

impl TryFrom<String> for ViaMember {
    type Error = ConfigValueError;

    fn try_from(text: String) -> Result<Self, ConfigValueError> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Member) }
    }
}

impl fmt::Display for ViaMember {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Member(member) => member.fmt(formatter),
        }
    }
}

/// Through whom each kind of connection goes; what is not said goes straight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViaConfig {
    /// Links to members.
    pub peers: Option<ViaMember>,
    /// Asking signal servers, and fetching lists.
    pub signal: Option<ViaMember>,
    /// Links to proxies, and what they relay.
    pub proxies: Option<ViaMember>,
}

/// The longer form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Each {
    #[serde(default)]
    peers: Option<ViaMember>,
    #[serde(default)]
    signal: Option<ViaMember>,
    #[serde(default)]
    proxies: Option<ViaMember>,
}

impl<'de> Deserialize<'de> for ViaConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// Reads one word for all, or an object.
struct Either;

impl<'de> serde::de::Visitor<'de> for Either {
    type Value = ViaConfig;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member, \"auto\", or an object with \"peers\", \"signal\" and \"proxies\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ViaConfig, E> {
        // From an environment variable the object comes as text.
        if text.trim_start().starts_with('{') {
            let each: Each = serde_json::from_str(text).map_err(E::custom)?;
            return Ok(each.into());
        }
        let all = ViaMember::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(ViaConfig { peers: Some(all.clone()), signal: Some(all.clone()), proxies: Some(all) })
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ViaConfig, A::Error> {
        Each::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(ViaConfig::from)
    }
}

impl From<Each> for ViaConfig {
    fn from(Each { peers, signal, proxies }: Each) -> Self {
        Self { peers, signal, proxies }
    }
}

impl JsonSchema for ViaConfig {
    fn schema_name() -> Cow<'static, str> {
        "ViaConfig".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let member = serde_json::json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 });
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "minLength": 1, "maxLength": 64 },
                {
                    "type": "object",
                    "properties": { "peers": member.clone(), "signal": member.clone(), "proxies": member },
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl ViaConfig {
    /// Names only where they are more than a claim, and not oneself.
    pub(super) fn check(&self, (own, is_open): (&str, bool), review: &mut Review) {
        let words = [&self.peers, &self.signal, &self.proxies].into_iter().flatten();
        let names: BTreeSet<&str> = words.filter_map(ViaMember::name).collect();
        for name in names {
            if is_open {
                review.fault(
                    "/via",
                    format!("found the name \"{name}\" on an open network, where names are only claimed; expected \"auto\" or a full id of 52 characters"),
                );
            } else if name == own {
                review.fault("/via", format!("found \"{name}\", which is this member itself; expected another"));
            }
        }
    }
}

impl ViaMember {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Member(MemberRef::Name(name)) => Some(name.as_str()),
            Self::Member(MemberRef::Id(_)) | Self::Auto => None,
        }
    }
}
