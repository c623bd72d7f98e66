//! Strings with rules: a value of one of these types has passed its check.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_ADDRESS, MAX_NAME_CHARS};

/// Why a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Below or above the range.
    #[error("number out of range")]
    OutOfRange,
    /// Neither 52 base32 characters nor, for a network, a name.
    #[error("not an id: expected 52 lower-case base32 characters")]
    NotAnId,
    /// Not a name.
    #[error("not a name: expected 1 to 32 visible characters without '~', '/' or blanks at the ends")]
    NotAName,
    /// Not the name of a service or open network.
    #[error("not a label: expected 1 to 32 of a-z, 0-9, '-', '_' and '.'")]
    NotALabel,
    /// Not `host:port`.
    #[error("not an address: expected host:port")]
    NotAnAddress,
    /// Not a target of a stream.
    #[error("not a target: expected tcp://host:port, udp://host:port, unix:/path or serial:/device,baud")]
    NotATarget,
    /// Not a relay ticket.
    #[error("not a ticket: expected 43 base64url characters")]
    NotATicket,
    /// Not the public key of an attempt.
    #[error("not a key: expected 43 base64url characters")]
    NotAKey,
    /// Not a hash of the ledger.
    #[error("not a hash: expected 64 lower-case hexadecimal digits")]
    NotAHash,
    /// Not a message authentication code.
    #[error("not a code: expected 22 base64url characters")]
    NotAMac,
    /// Not the kind of a service.
    #[error("not a kind of service: expected _name._tcp or _name._udp with 1 to 15 of a-z, 0-9 and '-'")]
    NotAKind,
    /// Not what may be said of a service.
    #[error(
        "not a text of a service: expected at most 16 pairs of 512 bytes together, keys of 1 to 32 printable characters without '=', values of at most 128 bytes"
    )]
    NotAServiceText,
}

/// A string type whose every value passed `$check`.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:path, $error:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                if $check(&text) { Ok(Self(text.into())) } else { Err($error) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
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

checked_string!(
    /// The name a member goes by: 1 to 32 characters, none of them control or direction marks.
    Name, is_name, ValueError::NotAName,
    { "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "description": "visible characters without '~' or '/', no blanks at the ends" }
);

checked_string!(
    /// The name of a service or of an open network: 1 to 32 of `a-z`, `0-9`, `-`, `_`, `.`.
    ServiceName, is_label, ValueError::NotALabel,
    { "type": "string", "pattern": "^[a-z0-9._-]{1,32}$" }
);

checked_string!(
    /// What is spoken at a service, as in DNS-SD: `_http._tcp`.
    ServiceKind, crate::service_text::is_kind, ValueError::NotAKind,
    { "type": "string", "pattern": "^_[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?\\._(tcp|udp)$" }
);

checked_string!(
    /// `host:port`, where the host is a name, an IPv4 address or an IPv6 address in brackets.
    Address, is_address, ValueError::NotAnAddress,
    { "type": "string", "maxLength": MAX_ADDRESS, "pattern": "^.+:[0-9]{1,5}$" }
);

checked_string!(
    /// A one-time relay ticket: 32 random bytes in base64url without padding.
    Ticket, is_ticket, ValueError::NotATicket,
    { "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$" }
);

checked_string!(
    /// An X25519 public key: 32 bytes in base64url without padding.
    AttemptKey, is_ticket, ValueError::NotAKey,
    { "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$" }
);

checked_string!(
    /// A message authentication code: 16 bytes in base64url without padding.
    Mac, is_mac, ValueError::NotAMac,
    { "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" }
);

impl Address {
    /// The host without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        // It was checked when it was made.
        self.0.rsplit_once(':').map_or("", |(host, _)| host.trim_matches(['[', ']']))
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }

    /// Whether the host is this machine itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host() == "localhost"
            || self.host().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self(address.to_string().into())
    }
}

/// Marks that turn the direction of text or hide in it. A name with them could pass for another.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

pub(crate) fn is_name(text: &str) -> bool {
    let length = text.chars().take(MAX_NAME_CHARS + 1).count();
    (1..=MAX_NAME_CHARS).contains(&length)
        && text.trim() == text
        && !text.chars().any(|c| is_deceptive(c) || matches!(c, '~' | '/'))
}

pub(crate) fn is_label(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS && split_address(text).is_some()
}

fn split_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let plain = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match plain {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if valid && digits { Some((host, port.parse().ok()?)) } else { None }
}

fn is_ticket(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_mac(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
