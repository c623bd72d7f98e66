//! The four steps in which two peers measure their clocks and the delay between them (RFC 5905 §8), and the
//! sign of life that comes with it.

use std::collections::VecDeque;

use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::{TimeFrame, TimeStamps};
use meshline_protocol::{NetworkId, NodeId, Ping, UnixMicros};

use crate::now::{Mono, Now};

/// Samples kept for the clock filter: the one with the least round trip has the least error (RFC 5905 §10).
const MAX_SAMPLES: usize = 8;

/// What a step is written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepContext<'a> {
    pub(crate) network: &'a NetworkId,
    pub(crate) id: NodeId,
    pub(crate) now: Now,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rtt_us: u64,
    offset_us: i64,
}

/// The clock of the peer at the other end of a link, and the delay to it.
#[derive(Debug, Default)]
pub(crate) struct LinkClock {
    /// Our own ask: its number, and when step 0 left by both clocks.
    asked: Option<(u32, Sent)>,
    /// Our answer to the peer's ask: its number, and when step 1 left.
    answered: Option<(u32, Sent)>,
    samples: VecDeque<Sample>,
    measurements: u64,
    smoothed_us: Option<u64>,
    jitter_us: u64,
    /// One-way delay averaged over what both sides measured.
    pub(crate) delay_us: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    mono: Mono,
    wall: UnixMicros,
}

impl LinkClock {
    /// Step 0 of a new exchange.
    pub(crate) fn ask(&mut self, exchange: u32, context: StepContext<'_>) -> TimeFrame {
        self.asked = Some((exchange, Sent { mono: context.now.mono, wall: context.now.wall }));
        frame(context, exchange, 0, Ping::UNKNOWN, None)
    }

    /// Step 0 of this exchange left earlier, before it was known where it leads.
    pub(crate) fn resume(&mut self, exchange: u32, sent: Now) {
        self.asked = Some((exchange, Sent { mono: sent.mono, wall: sent.wall }));
    }

    /// Whether step 2 repeats what only our answer told: so that got where it went.
    pub(crate) fn is_echo(&self, step: &TimeFrame) -> bool {
        let answered = self.answered.filter(|(exchange, _)| *exchange == step.exchange);
        answered.is_some_and(|(_, sent)| step.stamps.is_some_and(|stamps| stamps.origin == sent.wall))
    }

    /// Takes a step of the peer and returns the one that answers it. A step that fits nothing is ignored.
    pub(crate) fn handle(&mut self, step: &TimeFrame, context: StepContext<'_>) -> Option<TimeFrame> {
        let stamps = Some(TimeStamps { origin: step.time, receive: context.now.wall });
        match step.step {
            0 => {
                let sent = Sent { mono: context.now.mono, wall: context.now.wall };
                self.answered = Some((step.exchange, sent));
                Some(frame(context, step.exchange, 1, Ping::UNKNOWN, stamps))
            }
            1 => {
                let (_, sent) = self.asked.filter(|(exchange, _)| *exchange == step.exchange)?;
                let rtt = self.measure(step, sent, context.now)?;
                Some(frame(context, step.exchange, 2, Ping::measured(rtt / 2), stamps))
            }
            2 => {
                let (_, sent) = self.answered.take().filter(|(exchange, _)| *exchange == step.exchange)?;
                let rtt = self.measure(step, sent, context.now)?;
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

    /// t1 is our own stamp (never the echoed one), t2 and t3 the peer's, t4 is now.
    fn measure(&mut self, step: &TimeFrame, sent: Sent, now: Now) -> Option<u64> {
        let stamps = step.stamps?;
        let away = now.mono.micros_since(sent.mono);
        let held = u64::try_from(step.time.since(stamps.receive)).ok()?;
        let rtt_us = away.checked_sub(held)?;
        let there = stamps.receive.since(sent.wall);
        // t4 by the calendar clock, derived from the steady one: the calendar may have been set in between.
        let arrived = sent.wall.offset(i64::try_from(away).ok()?);
        let back = step.time.since(arrived);
        self.add(Sample { rtt_us, offset_us: i64::midpoint(there, back) });
        Some(rtt_us)
    }

    /// Smoothing as in RFC 6298 §2.
    fn add(&mut self, sample: Sample) {
        let smoothed = self.smoothed_us.unwrap_or(sample.rtt_us);
        let deviation = smoothed.abs_diff(sample.rtt_us);
        self.jitter_us = if self.smoothed_us.is_none() { 0 } else { (3 * self.jitter_us + deviation) / 4 };
        self.smoothed_us = Some((7 * smoothed + sample.rtt_us) / 8);
        self.measurements += 1;
        self.samples.push_back(sample);
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// Both sides end with the average of what both measured (seed Peerz).
    fn agree(&mut self, theirs: Ping) {
        let ours = self.samples.back().map(|sample| sample.rtt_us / 2);
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
        self.samples.back().map(|sample| sample.rtt_us)
    }

    /// Smoothed round trip in microseconds.
    pub(crate) fn rtt_us(&self) -> Option<u64> {
        self.smoothed_us
    }

    /// The least round trip of the last samples.
    pub(crate) fn min_rtt_us(&self) -> Option<u64> {
        self.samples.iter().map(|sample| sample.rtt_us).min()
    }

    /// Mean deviation of the round trip.
    pub(crate) fn jitter_us(&self) -> Option<u64> {
        self.smoothed_us.map(|_| self.jitter_us)
    }

    /// The peer's clock less ours, with the bound on its error: half the round trip it was measured with.
    pub(crate) fn offset(&self) -> Option<(i64, u64)> {
        let best = self.samples.iter().min_by_key(|sample| sample.rtt_us)?;
        Some((best.offset_us, best.rtt_us.div_ceil(2)))
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
