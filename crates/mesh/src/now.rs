//! The time as the core is told it.

use std::time::Duration;

use meshline_protocol::UnixMicros;

/// The time at which an input arrives, by both clocks. The core never asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the process began, by a clock that never jumps. All timers use it.
    pub mono: Mono,
    /// The system's calendar clock, which may be wrong and may jump. Only records and time frames use it.
    pub wall: UnixMicros,
}

/// A point on the clock that never jumps: microseconds since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// The point `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; zero if that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Microseconds passed since `earlier`; zero if that lies ahead.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
