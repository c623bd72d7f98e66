//! Values that occur in configurations and have rules of their own.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use meshline_protocol::{Address, NodeId};
use meshline_services::chat::Bounds;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::Targets;

/// How members link up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Every pair that can talk directly does.
    #[default]
    Mesh,
    /// Each member links to the next one only.
    Ring,
}

/// How messages are written on the links this member dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkEncoding {
    /// One JSON object a line.
    #[default]
    Json,
    /// One BSON document a message.
    Bson,
}

/// What a member that may does when enough others find the mesh badly shaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebuildMode {
    /// It shows that.
    #[default]
    Manual,
    /// It has all members choose their links anew.
    Auto,
}

/// When the node reads `m` and `q` from its terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Console {
    /// When standard input is a terminal.
    #[default]
    Auto,
    /// From a pipe too.
    Always,
    /// Never.
    Never,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, in which form and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Lowest level logged: off, error, warn, info, debug or trace. Parts of the program may have their own: "info,meshline_net=trace".
    #[serde(default)]
    pub level: LogLevel,
    /// "text" for people or "json" for programs.
    #[serde(default)]
    pub format: LogFormat,
    /// File the lines are appended to; without it they go to standard error.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

/// Why a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigValueError {
    /// Of a [`LogLevel`].
    #[error("not a log level: expected off, error, warn, info, debug or trace")]
    Level,
    /// Of a [`SignalUrl`].
    #[error("not a URL of a member list: expected http://, https:// or file: and what follows")]
    SignalUrl,
    /// Of a [`PeerRef`].
    #[error("not a peer: expected host:port or a node id of 52 characters")]
    Peer,
    /// Of a [`MemberRef`](super::MemberRef).
    #[error("not a member: expected a node id of 52 characters or a name")]
    Member,
}

/// Makes a type with `TryFrom<String>` read and written as a string.
macro_rules! text_value {
    ($name:ident, $schema:tt) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl std::str::FromStr for $name {
            type Err = <Self as TryFrom<String>>::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(super) use text_value;

/// A level for meshline's own events, `debug` by default, and exceptions behind it: `info,meshline_net=trace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogLevel(Box<str>);

text_value!(LogLevel, {
    "type": "string",
    "pattern": "^((off|error|warn|info|debug|trace)|[^=,]+=[a-z]+)(,[^=,]+=(off|error|warn|info|debug|trace))*$"
});

impl LogLevel {
    pub(crate) fn targets(&self) -> Targets {
        crate::log::parse_level(&self.0).unwrap_or_default()
    }

    /// What is kept in memory: `debug` at least, for meshline's own events.
    pub(crate) fn tail_targets(&self) -> Targets {
        crate::log::parse_for_tail(&self.0).unwrap_or_default()
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("debug".into())
    }
}

impl TryFrom<String> for LogLevel {
    type Error = ConfigValueError;

    fn try_from(text: String) -> Result<Self, ConfigValueError> {
        match crate::log::parse_level(&text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(ConfigValueError::Level),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How much of the chat is kept, on disk and in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatConfig {
    /// Messages kept; the oldest give way.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_messages: u32,
    /// Bytes of messages kept.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub max_bytes: u32,
}

impl ChatConfig {
    /// The same as the chat takes it.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let number = |bound| usize::try_from(bound).unwrap_or(usize::MAX);
        Bounds { max_messages: number(self.max_messages), max_bytes: number(self.max_bytes) }
    }
}

impl Default for ChatConfig {
    fn default() -> Self {
        let bounds = Bounds::default();
        let number = |bound| u32::try_from(bound).unwrap_or(u32::MAX);
        Self { max_messages: number(bounds.max_messages), max_bytes: number(bounds.max_bytes) }
    }
}

/// Where a list of members is fetched: from a signal server, or any place that serves such a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignalUrl(Box<str>);

text_value!(SignalUrl, { "type": "string", "pattern": "^(https?://|file:).+$" });

impl SignalUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a `file:` URL.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        let rest = self.0.strip_prefix("file:")?;
        Some(Path::new(rest.strip_prefix("//").unwrap_or(rest)))
    }
}

impl TryFrom<String> for SignalUrl {
    type Error = ConfigValueError;

    fn try_from(text: String) -> Result<Self, ConfigValueError> {
        if is_signal_url(&text) { Ok(Self(text.into())) } else { Err(ConfigValueError::SignalUrl) }
    }
}

impl fmt::Display for SignalUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_signal_url(text: &str) -> bool {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return false;
    }
    if let Some(path) = text.strip_prefix("file:") {
        return !path.trim_start_matches('/').is_empty();
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.and_then(|rest| rest.split(['/', '?', '#']).next()).is_some_and(is_authority)
}

/// `host` or `host:port`.
fn is_authority(text: &str) -> bool {
    text.parse::<Address>().is_ok() || format!("{text}:80").parse::<Address>().is_ok()
}

/// A peer to connect to from the start: by address, or by id where the address is found otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PeerRef {
    /// Where it listens.
    Address(Address),
    /// Who it is.
    Id(NodeId),
}

text_value!(PeerRef, { "type": "string", "pattern": "^(.+:[0-9]{1,5}|[a-z2-7]{52})$" });

impl TryFrom<String> for PeerRef {
    type Error = ConfigValueError;

    fn try_from(text: String) -> Result<Self, ConfigValueError> {
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Address)).map_err(|_| ConfigValueError::Peer)
    }
}

impl fmt::Display for PeerRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Id(id) => id.fmt(formatter),
        }
    }
}
