//! Channels: packet numbers, acknowledgements, round trips and window of one path, for bulk or for what is small.

mod delivery;
mod rtt;
mod seen;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_mesh::Mono;

use delivery::{Delivery, Mark};
pub(crate) use rtt::Rtt;
pub(crate) use seen::Seen;
pub(crate) use window::Window;

use crate::frame::{Ack, FlowId, StreamId, Violation};
use crate::limits::{FIRST_PACKET, KEEP_ALIVE, MAX_PACKET, MIN_PACKET, PACKET_THRESHOLD, PACKET_TIME};
use crate::packet::MAX_NUMBER;

/// Bytes that a packet counts in the window beside its own: the line it travels behind.
const LINE: u64 = 300;

/// What a packet carried, as far as it is sent again when the packet is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Stream {
        id: StreamId,
        start: u64,
        end: u64,
        is_last: bool,
    },
    Credit(StreamId),
    TunnelCredit,
    StreamLimit,
    Reset(StreamId),
    Stop(StreamId),
    /// Counted, never sent again.
    Flow(FlowId),
}

/// A packet under way.
#[derive(Debug)]
pub(crate) struct Sent {
    at: Mono,
    bytes: u64,
    mark: Mark,
    pub(crate) carried: Vec<Carried>,
}

/// The sending half of a channel. Its numbers go on when another path takes its place: no nonce comes twice.
#[derive(Debug)]
pub(crate) struct Channel {
    next: u64,
    under_way: BTreeMap<u64, Sent>,
    bytes: u64,
    largest_acked: Option<u64>,
    pub(crate) rtt: Rtt,
    pub(crate) window: Window,
    delivery: Delivery,
    /// Trials since the last answer.
    pub(crate) tries: u32,
    /// From when silence counts: the last packet that wanted an answer, or the last trial.
    quiet_since: Mono,
    last_sent: Mono,
    last_heard: Option<Mono>,
}

/// What an acknowledgement says.
#[derive(Debug, Default)]
pub(crate) struct Acked {
    pub(crate) arrived: Vec<Carried>,
    pub(crate) lost: Vec<Carried>,
}

impl Channel {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            next: 0,
            under_way: BTreeMap::new(),
            bytes: 0,
            largest_acked: None,
            rtt: Rtt::new(None),
            window: Window::new(),
            delivery: Delivery::default(),
            tries: 0,
            quiet_since: now,
            last_sent: now,
            last_heard: None,
        }
    }

    /// Another path takes its place; what was under way is handed out.
    pub(crate) fn take_over(&mut self, expected: Option<Duration>, now: Mono) -> Vec<Carried> {
        let lost = self.abandon();
        self.rtt = Rtt::new(expected);
        self.restart();
        self.tries = 0;
        self.quiet_since = now;
        self.last_heard = None;
        lost
    }

    /// The number of the next packet; `None` when all are used up.
    pub(crate) fn next_number(&self) -> Option<u64> {
        (self.next < MAX_NUMBER).then_some(self.next)
    }

    /// The next packet was sent. Those that want no acknowledgement are not watched.
    pub(crate) fn note_sent(&mut self, bytes: usize, carried: Option<Vec<Carried>>, now: Mono) {
        if let Some(carried) = carried {
            if self.under_way.is_empty() {
                self.quiet_since = now;
            }
            let bytes = u64::try_from(bytes).unwrap_or(0) + LINE;
            self.bytes += bytes;
            let mark = self.delivery.mark(self.under_way.is_empty(), now);
            self.under_way.insert(self.next, Sent { at: now, bytes, mark, carried });
        }
        self.last_sent = now;
        self.next += 1;
    }

    /// Bytes that may be sent now.
    pub(crate) fn room(&self) -> u64 {
        self.window.bytes().saturating_sub(self.bytes)
    }

    pub(crate) fn under_way(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn has_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Longest packet that does not hold up others for long.
    pub(crate) fn packet_limit(&self) -> usize {
        if !self.rtt.is_known() {
            return FIRST_PACKET;
        }
        let micros = u64::try_from(PACKET_TIME.as_micros()).unwrap_or(1_000);
        let bytes = self.window.rate(&self.rtt).saturating_mul(micros) / 1_000_000;
        usize::try_from(bytes).unwrap_or(MAX_PACKET).clamp(MIN_PACKET, MAX_PACKET)
    }

    /// When a packet of this size, sent now, would arrive.
    pub(crate) fn delivery(&self, bytes: u64) -> Duration {
        let rate = self.window.rate(&self.rtt).max(1);
        let queue = self.bytes.saturating_sub(self.window.bytes() / 2) + bytes;
        self.rtt.smoothed() / 2 + Duration::from_micros(queue.saturating_mul(1_000_000) / rate)
    }

    /// Takes in an acknowledgement.
    ///
    /// # Errors
    /// It names packets that were never sent.
    pub(crate) fn handle_ack(&mut self, ack: &Ack, now: Mono) -> Result<Acked, Violation> {
        let Some((_, largest)) = ack.ranges.first().copied() else { return Ok(Acked::default()) };
        if largest >= self.next {
            return Err(Violation::new("an acknowledgement of what was never sent"));
        }
        let mut acked = Acked::default();
        let mut newest = None;
        for (first, last) in ack.ranges.iter().rev() {
            while let Some((number, _)) = self.under_way.range(*first..=*last).next() {
                let number = *number;
                let Some(sent) = self.under_way.remove(&number) else { break };
                self.bytes -= sent.bytes;
                newest = Some((number, sent.at, sent.mark, newest.map_or(0, |(_, _, _, bytes)| bytes) + sent.bytes));
                acked.arrived.extend(sent.carried);
            }
        }
        let Some((number, at, mark, bytes)) = newest else { return Ok(acked) };
        self.tries = 0;
        self.quiet_since = now;
        self.last_heard = Some(now);
        self.largest_acked = self.largest_acked.max(Some(number));
        if number == largest {
            let (sample, delay) = (now.since(at), Duration::from_micros(ack.delay_us.into()));
            self.rtt.measure(sample, delay, now);
        }
        self.delivery.note(mark, bytes, self.rtt.least(), now);
        if number == largest {
            let (sample, peak) = (now.since(at), self.delivery.peak());
            self.window.acknowledge((number, bytes), (sample, peak), &mut self.rtt, (self.next, now));
        }
        acked.lost = self.find_lost(now);
        Ok(acked)
    }

    /// Gives up packets behind which others arrived (RFC 9002, 6.1).
    pub(crate) fn find_lost(&mut self, now: Mono) -> Vec<Carried> {
        let Some(largest) = self.largest_acked else { return vec![] };
        let (delay, mut lost) = (self.rtt.loss_delay(), vec![]);
        let is_late = |number: u64, sent: &Sent| number + PACKET_THRESHOLD <= largest || now.since(sent.at) >= delay;
        while let Some(entry) = self.under_way.first_entry()
            && *entry.key() < largest
            && is_late(*entry.key(), entry.get())
        {
            let (number, sent) = entry.remove_entry();
            self.bytes -= sent.bytes;
            if self.window.cut(number, self.next) {
                self.delivery.lower();
            }
            lost.extend(sent.carried);
        }
        lost
    }

    /// When something has to be done about silence.
    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let (first, sent) = self.under_way.first_key_value()?;
        let probe = self.quiet_since.after(self.rtt.probe_timeout(self.tries));
        let is_behind = self.largest_acked.is_some_and(|largest| *first < largest);
        Some(if is_behind { probe.min(sent.at.after(self.rtt.loss_delay())) } else { probe })
    }

    /// Whether it is time to try the path because nothing answers. The next trial comes later.
    pub(crate) fn take_probe(&mut self, now: Mono) -> bool {
        let is_due = self.has_under_way() && now >= self.quiet_since.after(self.rtt.probe_timeout(self.tries));
        if is_due {
            self.tries += 1;
            self.quiet_since = now;
        }
        is_due
    }

    /// The path did not answer, or is another one: begins anew.
    pub(crate) fn restart(&mut self) {
        self.window.restart();
        self.delivery.restart();
    }

    /// Gives up all that is under way.
    pub(crate) fn abandon(&mut self) -> Vec<Carried> {
        self.bytes = 0;
        std::mem::take(&mut self.under_way).into_values().flat_map(|sent| sent.carried).collect()
    }

    /// What the oldest packet carried, to be sent once more; the packet itself may still be acknowledged.
    pub(crate) fn oldest(&self) -> Vec<Carried> {
        self.under_way.first_key_value().map(|(_, sent)| sent.carried.clone()).unwrap_or_default()
    }

    /// When an idle channel is tried.
    pub(crate) fn keep_alive_at(&self) -> Mono {
        self.last_sent.after(KEEP_ALIVE)
    }

    pub(crate) fn last_heard(&self) -> Option<Mono> {
        self.last_heard
    }
}
