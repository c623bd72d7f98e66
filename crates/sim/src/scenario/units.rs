//! Numbers of a scenario with their bounds: what is out of them is refused with its place in the file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number between two others, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Between<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Between<LEAST, MOST> {
    /// The number, moved to the nearer end if it is outside.
    #[must_use]
    pub const fn clamped(value: u64) -> Self {
        if value < LEAST {
            Self(LEAST)
        } else if value > MOST {
            Self(MOST)
        } else {
            Self(value)
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number, for counting things in memory.
    #[must_use]
    pub fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for Between<LEAST, MOST> {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        if (LEAST..=MOST).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between {LEAST} and {MOST}"))
        }
    }
}

impl<const LEAST: u64, const MOST: u64> From<Between<LEAST, MOST>> for u64 {
    fn from(value: Between<LEAST, MOST>) -> Self {
        value.0
    }
}

impl<const LEAST: u64, const MOST: u64> fmt::Display for Between<LEAST, MOST> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Nodes of a scenario: two can be linked, and a hundred thousand are ten times what memory of a small machine holds.
pub type Nodes = Between<2, 100_000>;

/// A count of something.
pub type Count = Between<1, 100_000>;

/// Of a hundred.
pub type Percent = Between<0, 100>;

/// Seconds of virtual time, at most a week.
pub type Seconds = Between<0, 604_800>;
