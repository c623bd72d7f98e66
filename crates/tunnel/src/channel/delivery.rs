//! What a channel delivers (delivery rate estimation, draft-cheng-iccrg-delivery-rate-estimation-02): bytes acknowledged
//! between a packet's sending and its acknowledgement, over that time or the time in which they were sent, whichever is longer.
//! No path delivers faster than its slowest link, however acknowledgements are held up and come at once.

use std::time::Duration;

use meshline_mesh::Mono;

use crate::limits::PEAK_AGE;

/// How far the channel was when a packet was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    delivered: u64,
    delivered_at: Mono,
    first_sent: Mono,
    at: Mono,
}

/// What was delivered so far.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    delivered: u64,
    /// When something was acknowledged last, or the first packet left after a pause.
    delivered_at: Mono,
    /// When the packet left that was acknowledged last.
    first_sent: Mono,
    /// The best rate of this time and of the one before, in bytes a second.
    peaks: [u64; 2],
    turned_at: Mono,
}

impl Delivery {
    /// A packet leaves; nothing else may be under way.
    pub(crate) fn mark(&mut self, is_first: bool, now: Mono) -> Mark {
        if is_first {
            (self.delivered_at, self.first_sent) = (now, now);
        }
        Mark { delivered: self.delivered, delivered_at: self.delivered_at, first_sent: self.first_sent, at: now }
    }

    /// So many bytes were acknowledged, the newest in a packet with this mark; what the path holds at least in so long.
    pub(crate) fn note(&mut self, mark: Mark, bytes: u64, least: Duration, now: Mono) {
        self.delivered += bytes;
        self.delivered_at = now;
        self.first_sent = mark.at;
        let took = now.since(mark.delivered_at).max(mark.at.since(mark.first_sent));
        // Below the least round trip it tells how acknowledgements came, and not how packets went.
        if took < least || took.is_zero() {
            return;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let rate = (self.delivered - mark.delivered).saturating_mul(1_000_000) / micros;
        self.turn(now);
        let [peak, _] = &mut self.peaks;
        *peak = (*peak).max(rate);
    }

    fn turn(&mut self, now: Mono) {
        let age = now.since(self.turned_at);
        if age < PEAK_AGE {
            return;
        }
        let [now_best, _] = self.peaks;
        self.peaks = if age < PEAK_AGE * 2 { [0, now_best] } else { [0, 0] };
        self.turned_at = now;
    }

    /// The best rate of late, in bytes a second; 0 if nothing is known.
    pub(crate) fn peak(&self) -> u64 {
        self.peaks.iter().copied().max().unwrap_or(0)
    }

    /// The path lost something: it does not hold what it was thought to hold.
    pub(crate) fn lower(&mut self) {
        self.peaks = self.peaks.map(|peak| peak / 10 * 7);
    }

    /// The path did not answer, or is another one.
    pub(crate) fn restart(&mut self) {
        self.peaks = [0; 2];
    }
}
