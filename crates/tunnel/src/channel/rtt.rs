//! The round trip of a channel (RFC 9002, 5).

use std::time::Duration;

use meshline_mesh::Mono;

use crate::limits::{ACK_DELAY, FIRST_RTT, MAX_PROBE_TIMEOUT, MIN_PROBE_TIMEOUT, MIN_RTT_AGE};

/// Round trips as far as they are known.
#[derive(Debug)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    deviation: Duration,
    latest: Duration,
    /// The least, and when it was seen.
    least: Option<(Duration, Mono)>,
    /// What routing expects, for as long as nothing was measured.
    expected: Duration,
}

impl Rtt {
    pub(crate) fn new(expected: Option<Duration>) -> Self {
        let expected = expected.map_or(FIRST_RTT, |rtt| rtt.min(MAX_PROBE_TIMEOUT));
        Self { smoothed: None, deviation: expected / 2, latest: expected, least: None, expected }
    }

    /// Takes in a measured round trip, of which the other side waited `delay`.
    pub(crate) fn measure(&mut self, rtt: Duration, delay: Duration, now: Mono) {
        self.latest = rtt;
        match self.least {
            Some((least, _)) if least < rtt => {}
            Some(_) | None => self.least = Some((rtt, now)),
        }
        let least = self.least();
        // More than the other side may wait is not believed, and nothing below the least.
        let adjusted = rtt.checked_sub(delay.min(ACK_DELAY * 10)).filter(|rtt| *rtt >= least).unwrap_or(rtt);
        match self.smoothed {
            None => {
                self.smoothed = Some(adjusted);
                self.deviation = adjusted / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(adjusted)) / 4;
                self.smoothed = Some((smoothed * 7 + adjusted) / 8);
            }
        }
    }

    pub(crate) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(self.expected)
    }

    pub(crate) fn least(&self) -> Duration {
        self.least.map_or(self.expected, |(least, _)| least)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.smoothed.is_some()
    }

    /// Whether the least round trip was seen so long ago that the path may have become another one.
    pub(crate) fn is_stale(&self, now: Mono) -> bool {
        self.least.is_some_and(|(_, at)| now.since(at) >= MIN_RTT_AGE)
    }

    /// Believe the least of a round in which the queue ran empty.
    pub(crate) fn renew(&mut self, least: Duration, now: Mono) {
        self.least = Some((least, now));
    }

    /// How long a packet may be outstanding behind acknowledged ones (RFC 9002, 6.1.2).
    pub(crate) fn loss_delay(&self) -> Duration {
        (self.smoothed().max(self.latest) * 9 / 8).max(Duration::from_millis(2))
    }

    /// How long silence may last before the path is tried, after so many trials in vain.
    pub(crate) fn probe_timeout(&self, tries: u32) -> Duration {
        // What routing expects is no measurement: a first packet gets the time that an unknown path would.
        let least = if self.is_known() { MIN_PROBE_TIMEOUT } else { FIRST_RTT };
        let once = self.smoothed() + (self.deviation * 4).max(ACK_DELAY) + ACK_DELAY;
        (once.max(least) * 2u32.saturating_pow(tries.min(8))).min(MAX_PROBE_TIMEOUT)
    }
}
