//! How long messages are waited for, from how long they took.

use std::time::Duration;

use meshline_protocol::NodeId;

use super::missing::Wanted;
use crate::now::Mono;

/// Least and greatest patience with the tree after an announcement. The least is a few steps of a busy machine; after the
/// greatest whoever waits for the message has noticed.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The same for the answer of an announcer that was asked: a round trip and the message.
const ANSWER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// What is expected before anything was measured.
const FIRST_PATIENCE: Duration = Duration::from_millis(400);
const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// A time as it was measured lately: mean and mean deviation, as for round trips of TCP (Jacobson, 1988).
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean_us: i64,
    deviation_us: i64,
}

impl Estimate {
    fn of(expected: Duration) -> Self {
        let whole = i64::try_from(expected.as_micros()).unwrap_or(i64::MAX);
        Self { mean_us: whole / 5, deviation_us: whole / 5 }
    }

    fn add(&mut self, sample: Duration) {
        // What takes longer than anybody waits tells nothing more.
        let sample = i64::try_from(sample.min(ANSWER.1).as_micros()).unwrap_or(0);
        let off = sample - self.mean_us;
        self.mean_us += off / 8;
        self.deviation_us += (off.abs() - self.deviation_us) / 4;
    }

    fn limit(&self, (least, greatest): (Duration, Duration)) -> Duration {
        let micros = u64::try_from(self.mean_us + 4 * self.deviation_us).unwrap_or(0);
        Duration::from_micros(micros).clamp(least, greatest)
    }
}

/// The longest time lately. A message comes late from some authors only, those across the root: mean and deviation would
/// forget them between two of theirs.
#[derive(Clone, Copy, Debug)]
struct Peak {
    us: u64,
}

impl Peak {
    fn of(expected: Duration) -> Self {
        let mut peak = Self { us: 0 };
        peak.add(expected);
        peak.us = peak.us * 4 / 5;
        peak
    }

    fn add(&mut self, sample: Duration) {
        let sample = u64::try_from(sample.min(PATIENCE.1).as_micros()).unwrap_or(0);
        self.us = if sample > self.us { sample } else { self.us - (self.us - sample) / 32 };
    }

    /// A quarter more than that.
    fn limit(&self, (least, greatest): (Duration, Duration)) -> Duration {
        Duration::from_micros(self.us + self.us / 4).clamp(least, greatest)
    }
}

/// How long things take.
#[derive(Debug)]
pub(super) struct Pace {
    /// From a first announcement to the message itself.
    lag: Peak,
    /// From asking to the answer.
    answer: Estimate,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lag: Peak::of(FIRST_PATIENCE), answer: Estimate::of(FIRST_ANSWER) }
    }
}

impl Pace {
    /// A message came, which may have been announced or asked for.
    pub(super) fn arrived(&mut self, wanted: Option<&Wanted>, from: NodeId, now: Mono) {
        match wanted {
            // What comes before its announcements tells nothing of what comes after them.
            None => {}
            Some(wanted) => match wanted.asked() {
                None => self.lag.add(now.since(wanted.since())),
                Some((peer, at)) if peer == from => self.answer.add(now.since(at)),
                // It came along the tree after all: more patience would have been right.
                Some(_) => self.lag.add(now.since(wanted.since())),
            },
        }
    }

    /// The tree brought a message so long after its announcement, when it had been asked for already.
    pub(super) fn was_slow(&mut self, lag: Duration) {
        self.lag.add(lag);
    }

    /// How long the tree is waited for after an announcement.
    pub(super) fn patience(&self) -> Duration {
        self.lag.limit(PATIENCE)
    }

    /// How long an announcer that was asked is waited for.
    pub(super) fn answer(&self) -> Duration {
        self.answer.limit(ANSWER)
    }
}
