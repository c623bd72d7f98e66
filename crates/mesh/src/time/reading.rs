//! What one exchange told of another's clock, and how much less that is worth with every second.
//!
//! It is held against our steady clock, so that setting our calendar does not make it wrong.

use meshline_protocol::UnixMicros;
use meshline_protocol::message::TimeFrame;

use crate::now::{Mono, Now};

/// Two clocks drift apart by so many millionths at most: ordinary crystals are within 20 each, and 10 more for their age.
/// In the 15 s between two asks of an idle link that is 0.75 ms. A clock that is being put right may go faster for a while;
/// then its next reading contradicts this one, which is dropped.
const DRIFT_PPM: u64 = 50;

/// Stamps are whole microseconds: two spans and a stamp may be one off each.
const ROUNDING_US: u64 = 3;

/// Another's clock as one exchange showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What it showed when our steady clock was at `at`.
    clock: UnixMicros,
    at: Mono,
    error_us: u64,
}

impl Reading {
    /// An answer to what was sent at `sent` comes at `now`: the round trip, and what it tells of the other's clock. `None` if
    /// its stamps cannot be.
    pub(crate) fn measure(answer: &TimeFrame, sent: Mono, now: Mono) -> Option<(u64, Self)> {
        let held = u64::try_from(answer.time.since(answer.stamps?.receive)).ok()?;
        let rtt_us = now.micros_since(sent).checked_sub(held)?;
        Some((rtt_us, Self::new(answer.time, rtt_us, now)))
    }

    /// The other wrote `stamp` and sent it; it came at `now`. Of the round trip, without what the other took, nobody knows
    /// how much was the way here, so the middle is off by half of it at most.
    pub(crate) fn new(stamp: UnixMicros, rtt_us: u64, now: Mono) -> Self {
        let half = i64::try_from(rtt_us / 2).unwrap_or(i64::MAX);
        Self { clock: stamp.offset(half), at: now, error_us: rtt_us.div_ceil(2).saturating_add(ROUNDING_US) }
    }

    /// The clock less our calendar, and the bound on the error of that.
    pub(crate) fn offset(&self, now: Now) -> (i64, u64) {
        let (clock, error_us) = self.clock(now.mono);
        (clock.since(now.wall), error_us)
    }

    /// What the clock shows now, and the bound on the error of that.
    pub(crate) fn clock(&self, now: Mono) -> (UnixMicros, u64) {
        (self.clock_at(now), self.error_at(now))
    }

    /// Takes a newer one: the one with the lesser error stays, unless they cannot both be true. Then the other clock was
    /// set, and the newer one is.
    pub(crate) fn merge(&mut self, newer: Self) {
        let now = newer.at;
        let apart = self.clock_at(now).since(newer.clock).unsigned_abs();
        let is_set = apart > self.error_at(now).saturating_add(newer.error_us);
        if is_set || newer.error_us <= self.error_at(now) {
            *self = newer;
        }
    }

    /// Time passed since it was taken, in microseconds.
    pub(crate) fn age_us(&self, now: Mono) -> u64 {
        now.micros_since(self.at)
    }

    fn clock_at(&self, now: Mono) -> UnixMicros {
        self.clock.offset(i64::try_from(self.age_us(now)).unwrap_or(i64::MAX))
    }

    fn error_at(&self, now: Mono) -> u64 {
        let drift = self.age_us(now).saturating_mul(DRIFT_PPM).div_ceil(1_000_000);
        self.error_us.saturating_add(drift)
    }
}
