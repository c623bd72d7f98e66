//! Numbers of time with their ranges.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_INTEGER, MAX_PING_MICROS};
use crate::text::ValueError;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, 0 to 2^53 − 1 (the year 2255).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct UnixMicros(u64);

impl UnixMicros {
    /// The time `micros` after the epoch, held to the range of the wire.
    #[must_use]
    pub const fn new(micros: u64) -> Self {
        Self(if micros > MAX_INTEGER { MAX_INTEGER } else { micros })
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This time moved by `micros`, held to the range.
    #[must_use]
    pub const fn offset(self, micros: i64) -> Self {
        Self::new(self.0.saturating_add_signed(micros))
    }

    /// `self − other` in microseconds. Both are below 2^53, so the difference always fits.
    #[must_use]
    pub const fn since(self, other: Self) -> i64 {
        self.0.cast_signed() - other.0.cast_signed()
    }
}

impl TryFrom<u64> for UnixMicros {
    type Error = ValueError;

    fn try_from(micros: u64) -> Result<Self, ValueError> {
        if micros > MAX_INTEGER { Err(ValueError::OutOfRange) } else { Ok(Self(micros)) }
    }
}

impl From<UnixMicros> for u64 {
    fn from(time: UnixMicros) -> Self {
        time.0
    }
}

impl JsonSchema for UnixMicros {
    fn schema_name() -> Cow<'static, str> {
        "UnixMicros".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": 0, "maximum": MAX_INTEGER,
            "description": "microseconds since 1970-01-01T00:00:00Z"
        })
    }
}

/// The `ping` of the header: −1 while nothing is measured, else the one-way delay in microseconds
/// that the sender measured (half its round trip).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Ping(i64);

impl Ping {
    /// Nothing measured yet.
    pub const UNKNOWN: Self = Self(-1);

    /// A measured one-way delay, held to the range of the wire.
    #[must_use]
    pub fn measured(micros: u64) -> Self {
        Self(i64::try_from(micros).unwrap_or(MAX_PING_MICROS).min(MAX_PING_MICROS))
    }

    /// The delay in microseconds, if one was measured.
    #[must_use]
    pub fn get(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl TryFrom<i64> for Ping {
    type Error = ValueError;

    fn try_from(micros: i64) -> Result<Self, ValueError> {
        if (-1..=MAX_PING_MICROS).contains(&micros) { Ok(Self(micros)) } else { Err(ValueError::OutOfRange) }
    }
}

impl From<Ping> for i64 {
    fn from(ping: Ping) -> Self {
        ping.0
    }
}

impl JsonSchema for Ping {
    fn schema_name() -> Cow<'static, str> {
        "Ping".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": -1, "maximum": MAX_PING_MICROS,
            "description": "one-way delay in microseconds as the sender measured it; -1 while unknown"
        })
    }
}
