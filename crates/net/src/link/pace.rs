//! How fast a frame must come in: it may rest for [`FRAME_GRACE`] in all, then a least rate holds, and it may never
//! stand still that long.

use std::time::Duration;

use meshline_mesh::Mono;

use crate::limits::{FRAME_GRACE, FRAME_RATE};

/// The progress of one unfinished frame. Only time spent waiting for the peer counts: it is made when the wait begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    began: Mono,
    last: Mono,
    bytes: u64,
}

impl Pace {
    /// The wait for the rest of a frame begins.
    pub(super) fn begin(now: Mono) -> Self {
        Self { began: now, last: now, bytes: 0 }
    }

    /// More of it came.
    pub(super) fn progress(&mut self, bytes: usize, now: Mono) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.last = now;
    }

    /// When the peer has been too slow unless more comes before.
    pub(super) fn deadline(&self) -> Mono {
        let earned = Duration::from_micros(self.bytes.saturating_mul(1_000_000) / FRAME_RATE);
        let by_rate = self.began.after(earned.max(FRAME_GRACE));
        by_rate.min(self.last.after(FRAME_GRACE))
    }
}
