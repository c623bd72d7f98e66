//! Where a tunnel's stream ends: `tcp://host:port`, `udp://host:port`, `unix:/path` or `serial:/device,baud`.
//!
//! The text is taken as it is; what a name means and whether it may be reached is judged by the member that dials.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::text::{Address, ValueError};

/// Longest text of a target: a DNS name of 253 bytes with scheme and port, or a path.
pub const MAX_TARGET: usize = 272;

/// Longest path of a Unix socket in bytes: what the kernel's address holds, with its final zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Longest path of a device in bytes.
pub const MAX_DEVICE_PATH: usize = 255;

/// Speed of a serial device if none is said: what most devices start with.
pub const DEFAULT_BAUD: u32 = 115_200;

/// What a stream or flow is connected to, or listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// A TCP port.
    Tcp(Address),
    /// A UDP port.
    Udp(Address),
    /// A Unix socket by its absolute path.
    Unix(Box<str>),
    /// A serial device by its absolute path, and its speed in baud.
    Serial(Box<str>, u32),
}

impl Target {
    /// Host and port, if it has them.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(address),
            Self::Unix(_) | Self::Serial(..) => None,
        }
    }

    /// Whether payloads travel in a flow and not in the stream.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }
}

impl FromStr for Target {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        read(text).ok_or(ValueError::NotATarget)
    }
}

fn read(text: &str) -> Option<Target> {
    if text.len() > MAX_TARGET {
        return None;
    }
    if let Some(address) = text.strip_prefix("tcp://") {
        return address.parse().ok().map(Target::Tcp);
    }
    if let Some(address) = text.strip_prefix("udp://") {
        return address.parse().ok().map(Target::Udp);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return is_path(path, MAX_SOCKET_PATH).then(|| Target::Unix(path.into()));
    }
    let (path, baud) = match text.strip_prefix("serial:")?.rsplit_once(',') {
        Some((path, baud)) => (path, baud.parse().ok().filter(|baud| *baud > 0)?),
        None => (text.strip_prefix("serial:")?, DEFAULT_BAUD),
    };
    is_path(path, MAX_DEVICE_PATH).then(|| Target::Serial(path.into(), baud))
}

/// An absolute path that names a file the same way for everybody who reads it.
fn is_path(path: &str, max: usize) -> bool {
    path.starts_with('/') && path.len() <= max && !path.chars().any(char::is_control)
}

impl TryFrom<String> for Target {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "tcp://{address}"),
            Self::Udp(address) => write!(out, "udp://{address}"),
            Self::Unix(path) => write!(out, "unix:{path}"),
            Self::Serial(path, baud) => write!(out, "serial:{path},{baud}"),
        }
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string", "maxLength": MAX_TARGET, "pattern": "^((tcp|udp)://.+:[0-9]{1,5}|unix:/.+|serial:/.+)$",
            "description": "tcp://host:port, udp://host:port, unix:/path or serial:/device,baud"
        })
    }
}
