//! The four steps in which two peers measure their clocks and the delay between them (RFC 5905 §8), and the
//! sign of life that comes with it.

use std::collections::VecDeque;

use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::{TimeFrame, TimeStamps};
use meshline_protocol::{NetworkId, NodeId, Ping, UnixMicros};

use super::Reading;
use crate::now::{Mono, Now};

/// Round trips kept, to know the least of them.
const MAX_SAMPLES: usize = 8;

/// What a step is written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepContext<'a> {
    pub(crate) network: &'a NetworkId,
    pub(crate) id: NodeId,
    pub(crate) now: Now,
}

/// The clock of the peer at the other end of a link, and the delay to it.
#[derive(Debug, Default)]
pub(crate) struct LinkClock {
    /// Our own ask: its number, and when step 0 left.
    asked: Option<(u32, Mono)>,
    /// Our answer to the peer's ask: its number, and when step 1 left.
    answered: Option<(u32, Mono)>,
    /// What step 1 told the time to be.
    told: Option<(u32, UnixMicros)>,
    round_trips_us: VecDeque<u64>,
    /// The reading with the least error, which mostly is that of the least round trip (RFC 5905 §10).
    reading: Option<Reading>,
    /// That of the last exchange.
    latest: Option<Reading>,
    measurements: u64,
    smoothed_us: Option<u64>,
    jitter_us: u64,
    /// One-way delay averaged over what both sides measured.
    pub(crate) delay_us: Option<u64>,
}

impl LinkClock {
    /// Step 0 of a new exchange.
    pub(crate) fn ask(&mut self, exchange: u32, context: StepContext<'_>) -> TimeFrame {
        self.asked = Some((exchange, context.now.mono));
        frame(context, exchange, 0, Ping::UNKNOWN, None)
    }

    /// Step 0 of this exchange left earlier, before it was known where it leads.
    pub(crate) fn resume(&mut self, exchange: u32, sent: Mono) {
        self.asked = Some((exchange, sent));
    }

    /// Whether step 2 repeats what only our answer told: so that got where it went.
    pub(crate) fn is_echo(&self, step: &TimeFrame) -> bool {
        step.stamps.is_some_and(|stamps| self.told == Some((step.exchange, stamps.origin)))
    }

    /// Takes a step of the peer and returns the one that answers it. A step that fits nothing is ignored.
    pub(crate) fn handle(&mut self, step: &TimeFrame, context: StepContext<'_>) -> Option<TimeFrame> {
        let stamps = Some(TimeStamps { origin: step.time, receive: context.now.wall });
        match step.step {
            0 => {
                self.answered = Some((step.exchange, context.now.mono));
                self.told = Some((step.exchange, context.now.wall));
                Some(frame(context, step.exchange, 1, Ping::UNKNOWN, stamps))
            }
            1 => {
                let (_, sent) = self.asked.filter(|(exchange, _)| *exchange == step.exchange)?;
                let rtt = self.measure(step, sent, context.now.mono)?;
                Some(frame(context, step.exchange, 2, Ping::measured(rtt / 2), stamps))
            }
            2 => {
                let (_, sent) = self.answered.take().filter(|(exchange, _)| *exchange == step.exchange)?;
                let rtt = self.measure(step, sent, context.now.mono)?;
                self.agree(step.ping);
                Some(frame(context, step.exchange, 3, Ping::measured(rtt / 2), stamps))
            }
            _ => {
                self.asked.take().filter(|(exchange, _)| *exchange == step.exchange)?;
                self.agree(step.ping);
                None
            }
        }
    }

    /// The peer answered what left at `sent`.
    fn measure(&mut self, step: &TimeFrame, sent: Mono, now: Mono) -> Option<u64> {
        let (rtt_us, reading) = Reading::measure(step, sent, now)?;
        self.add(rtt_us);
        self.reading.get_or_insert(reading).merge(reading);
        self.latest = Some(reading);
        Some(rtt_us)
    }

    /// Smoothing as in RFC 6298 §2.
    fn add(&mut self, rtt_us: u64) {
        let smoothed = self.smoothed_us.unwrap_or(rtt_us);
        let deviation = smoothed.abs_diff(rtt_us);
        self.jitter_us = if self.smoothed_us.is_none() { 0 } else { (3 * self.jitter_us + deviation) / 4 };
        self.smoothed_us = Some((7 * smoothed + rtt_us) / 8);
        self.measurements += 1;
        self.round_trips_us.push_back(rtt_us);
        if self.round_trips_us.len() > MAX_SAMPLES {
            self.round_trips_us.pop_front();
        }
    }

    /// Both sides end with the average of what both measured (seed Peerz).
    fn agree(&mut self, theirs: Ping) {
        let ours = self.last_rtt_us().map(|rtt| rtt / 2);
        self.delay_us = match (ours, theirs.get()) {
            (Some(ours), Some(theirs)) => Some(u64::midpoint(ours, theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// How often a round trip was measured.
    pub(crate) fn measurements(&self) -> u64 {
        self.measurements
    }

    /// The round trip measured last.
    pub(crate) fn last_rtt_us(&self) -> Option<u64> {
        self.round_trips_us.back().copied()
    }

    /// Smoothed round trip in microseconds.
    pub(crate) fn rtt_us(&self) -> Option<u64> {
        self.smoothed_us
    }

    /// The least round trip of the last samples.
    pub(crate) fn min_rtt_us(&self) -> Option<u64> {
        self.round_trips_us.iter().copied().min()
    }

    /// Mean deviation of the round trip.
    pub(crate) fn jitter_us(&self) -> Option<u64> {
        self.smoothed_us.map(|_| self.jitter_us)
    }

    /// The peer's clock less ours, and the bound on the error of that.
    pub(crate) fn offset(&self, now: Now) -> Option<(i64, u64)> {
        self.reading.map(|reading| reading.offset(now))
    }

    /// The peer's clock by the last exchange.
    pub(crate) fn latest(&self) -> Option<Reading> {
        self.latest
    }
}

fn frame(context: StepContext<'_>, exchange: u32, step: u8, ping: Ping, stamps: Option<TimeStamps>) -> TimeFrame {
    TimeFrame {
        network: context.network.clone(),
        version: PROTOCOL_VERSION,
        id: context.id,
        time: context.now.wall,
        ping,
        exchange,
        step,
        stamps,
        seen: None,
        attempt: None,
        mac: None,
    }
}
