//! Who is meant by a rule: `*`, a full id, a name of a closed network, or `role:…`.

use std::borrow::Cow;
use std::fmt;

use meshline_protocol::message::Role;
use meshline_protocol::{Name, NodeId};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::directory::Member;

/// One entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allow {
    /// Every member.
    Anybody,
    /// The member with this id.
    Id(NodeId),
    /// The member with this name, if the network vouches for names.
    Name(Name),
    /// Members with this role, if the network vouches for roles.
    Role(Role),
}

impl Allow {
    /// Whether `member` is meant.
    #[must_use]
    pub fn fits(&self, member: &Member) -> bool {
        match self {
            Self::Anybody => true,
            Self::Id(id) => *id == member.id,
            Self::Name(name) => member.is_name_proved && member.name == name.as_str(),
            // On an open network anybody may claim any role.
            Self::Role(role) => *role != Role::Other && member.is_name_proved && member.roles.contains(role),
        }
    }
}

/// Whether one of the entries means `member`; none mean nobody.
pub(super) fn permits(allow: &[Allow], member: &Member) -> bool {
    allow.iter().any(|entry| entry.fits(member))
}

impl TryFrom<String> for Allow {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Anybody);
        }
        if let Some(role) = text.strip_prefix("role:") {
            return match role_named(role) {
                Some(role) => Ok(Self::Role(role)),
                None => Err(format!(
                    "not a role: `{role}`; expected role:node, role:view, role:proxy, role:exit or role:rebuild"
                )),
            };
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Name).map_err(|_| "expected \"*\", a full id, a name or \"role:…\"".to_owned())
    }
}

fn role_named(text: &str) -> Option<Role> {
    let role: Role = serde_json::from_value(text.into()).ok()?;
    (role != Role::Other).then_some(role)
}

impl From<Allow> for String {
    fn from(allow: Allow) -> Self {
        allow.to_string()
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => out.write_str("*"),
            Self::Id(id) => id.fmt(out),
            Self::Name(name) => name.fmt(out),
            Self::Role(role) => {
                let name = serde_json::to_value(role).ok();
                write!(out, "role:{}", name.as_ref().and_then(|name| name.as_str()).unwrap_or("other"))
            }
        }
    }
}

impl JsonSchema for Allow {
    fn schema_name() -> Cow<'static, str> {
        "Allow".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string", "minLength": 1,
            "description": "\"*\", a full id, a name of a closed network, or \"role:…\" (node, view, proxy, exit)"
        })
    }
}
