//! How much may be under way on a channel: as much as the path holds, and a delay target more.
//!
//! Once a round trip the window becomes `w · (least + target) / rtt`, which rests where the queue on the path holds
//! just the target (FAST TCP, Wei et al., 2006). Paths of a mesh end their losses themselves; what is lost here was
//! dropped by a full queue.

use std::time::Duration;

use meshline_mesh::Mono;

use super::rtt::Rtt;
use crate::limits::{DELAY_TARGET, FIRST_WINDOW, MAX_HELD, MAX_STANDING, MAX_WINDOW, MIN_WINDOW};

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is known yet: doubles every round trip until a queue shows.
    Start,
    /// Rests at the target.
    Steady,
    /// Lets the queue run empty for a round, to see the least round trip.
    Drain { window: u64 },
}

/// The window of a channel.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: u64,
    phase: Phase,
    /// The round ends when a packet from this number on is acknowledged.
    round_end: u64,
    /// The least round trip of this round.
    round_rtt: Option<Duration>,
    /// Whether the window held anything back in this round.
    was_full: bool,
    /// Packets below this number were sent before the last cut.
    cut_until: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { bytes: FIRST_WINDOW, phase: Phase::Start, round_end: 0, round_rtt: None, was_full: false, cut_until: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self.phase {
            Phase::Drain { window } => (window / 2).max(MIN_WINDOW),
            Phase::Start | Phase::Steady => self.bytes,
        }
    }

    /// It held something back.
    pub(crate) fn note_full(&mut self) {
        self.was_full = true;
    }

    /// Bytes a second, as far as it can be told.
    pub(crate) fn rate(&self, rtt: &Rtt) -> u64 {
        let micros = u64::try_from(rtt.smoothed().as_micros()).unwrap_or(u64::MAX).max(50);
        self.bytes.saturating_mul(1_000_000) / micros
    }

    /// A packet was acknowledged; `peak` is the best rate of late in bytes a second, `next` the number of the next packet to be
    /// sent.
    pub(crate) fn acknowledge(
        &mut self,
        (number, bytes): (u64, u64),
        (sample, peak): (Duration, u64),
        rtt: &mut Rtt,
        (next, now): (u64, Mono),
    ) {
        self.round_rtt = Some(self.round_rtt.map_or(sample, |least| least.min(sample)));
        if self.phase == Phase::Start && self.was_full {
            let limit = self.limit(rtt).max(FIRST_WINDOW);
            self.bytes = (self.bytes + bytes).min(limit.max(self.bytes)).min(MAX_WINDOW);
        }
        if number >= self.round_end {
            self.end_round(peak, rtt, now);
            self.round_end = next;
        }
    }

    fn end_round(&mut self, peak: u64, rtt: &mut Rtt, now: Mono) {
        let Some(measured) = self.round_rtt.take() else { return };
        let was_full = std::mem::take(&mut self.was_full);
        match self.phase {
            Phase::Drain { window } => {
                rtt.renew(measured, now);
                self.bytes = window;
                self.phase = Phase::Steady;
            }
            Phase::Start if measured > rtt.least() + DELAY_TARGET / 2 => {
                self.phase = Phase::Steady;
                self.bytes = self.aim(measured, peak, rtt);
            }
            Phase::Start => {
                self.bytes = self.bytes.min(FIRST_WINDOW.max(self.limit(rtt)));
            }
            Phase::Steady if rtt.is_stale(now) => self.phase = Phase::Drain { window: self.bytes },
            Phase::Steady => {
                let aim = self.aim(measured, peak, rtt);
                // An application that sends less than it might proves nothing about the path.
                if was_full || aim < self.bytes {
                    self.bytes = u64::midpoint(self.bytes, aim);
                }
            }
        }
        self.bytes = self.bytes.clamp(MIN_WINDOW, MAX_WINDOW);
    }

    /// Where the window would rest by this round.
    fn aim(&self, measured: Duration, peak: u64, rtt: &Rtt) -> u64 {
        let rest = rtt.least() + DELAY_TARGET;
        let scaled = scale(self.bytes, rest, measured).max(self.held(peak, rtt));
        scaled.min(self.limit(rtt)).min(self.bytes.saturating_mul(2))
    }

    /// What the window does not shrink below, whatever the delay: three quarters of what the best rate of late fills in a
    /// round trip. If the delay is that of the own queue, the queue goes with these quarters. If it is that of machines
    /// which run others' programs, a smaller window would have the same delay and carry less.
    fn held(&self, peak: u64, rtt: &Rtt) -> u64 {
        let round = rtt.smoothed().min(rtt.least() + MAX_HELD);
        scale(peak, round * 3 / 4, Duration::from_secs(1)).min(self.bytes)
    }

    /// What the path itself holds, and what may stand in its queues.
    fn limit(&self, rtt: &Rtt) -> u64 {
        scale(self.bytes, rtt.least(), rtt.smoothed()) + MAX_STANDING
    }

    /// A packet was lost; `next` is the number of the next one to be sent. Cuts once a round, and says whether it did.
    pub(crate) fn cut(&mut self, lost: u64, next: u64) -> bool {
        if lost < self.cut_until {
            return false;
        }
        self.cut_until = next;
        self.phase = Phase::Steady;
        self.bytes = (self.bytes * 7 / 10).max(MIN_WINDOW);
        true
    }

    /// The path did not answer: begin anew.
    pub(crate) fn restart(&mut self) {
        *self = Self { round_end: self.round_end, cut_until: self.cut_until, ..Self::new() };
    }
}

/// `value · numerator / denominator`.
fn scale(value: u64, numerator: Duration, denominator: Duration) -> u64 {
    let scaled = u128::from(value) * numerator.as_micros() / denominator.as_micros().max(1);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
