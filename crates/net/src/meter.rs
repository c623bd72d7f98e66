//! What a link does, from what is seen of it now and then: goodput each way, loss, the least round trip.
//!
//! A sender learns what a link carries only while more is sent than gets there. So a span counts if something waited
//! whenever it was looked at, and the first one of such a time does not: shapers let a burst pass after a rest. The best
//! of the last second is believed, so that a hiccup does not show and a degradation does.

use meshline_mesh::{LinkMeasured, Mono};

use crate::limits::WRITE_AT_ONCE;
use crate::tcp_info::TcpInfo;

/// Half of the time for which the best rate is believed: a link that got worse shows within twice that.
const HALF_WINDOW_US: u64 = 400_000;

/// An interval shorter than this says little about a rate.
const LEAST_INTERVAL_US: u64 = 180_000;

/// One longer than this is none: too much may have happened in it.
const MOST_INTERVAL_US: u64 = 1_200_000;

/// A link at rest is asked so often: with each answer for the time the least round trip may become less. The system
/// forgets it after five minutes.
const ASK_AT_REST_US: u64 = 5_000_000;

/// A span ends when so much arrived: confirmations come for a few segments together, and of less they would be more
/// than a twentieth.
const SPAN_BYTES: u64 = 64 * 1_024;

/// It ends after this in any case: on a link of half a megabit a second it takes that long.
const MOST_SPAN_US: u64 = 1_000_000;

/// Bytes that make an interval worth counting as one with traffic.
const LEAST_BYTES: u64 = 8 * 1_024;

/// What the writer of a link has in its hands while more waits.
const WRITE_BYTES: u64 = WRITE_AT_ONCE as u64;

/// Segments after which a share of lost ones means something.
const LEAST_SEGMENTS: u64 = 20;

/// Loss is that of so many parts of late, each of so many segments and so long at least: together of 15 s of use or more,
/// because a stream that begins loses a great many at once, and of a few hundred segments, because a per cent of less is
/// chance.
const LOSS_PARTS: usize = 4;
const PART_SEGMENTS: u64 = 100;
const PART_US: u64 = 5_000_000;

/// What is seen of a link at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Bytes received since it came up.
    pub(crate) received: u64,
    /// When some came last.
    pub(crate) heard_at: Mono,
    /// Bytes sent since it came up.
    pub(crate) sent: u64,
    /// Datagrams that went over it since it came up.
    pub(crate) carried: u64,
    /// Whether datagrams wait in its queue.
    pub(crate) waiting: bool,
}

/// The best of two halves of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    current: u64,
    previous: u64,
    since: Mono,
}

impl Peak {
    fn add(&mut self, value: u64, now: Mono) {
        if now.micros_since(self.since) >= HALF_WINDOW_US {
            // After a pause the half before is too old as well.
            let is_old = now.micros_since(self.since) >= 2 * HALF_WINDOW_US + MOST_INTERVAL_US;
            self.previous = if is_old { 0 } else { self.current };
            (self.current, self.since) = (0, now);
        }
        self.current = self.current.max(value);
    }

    fn best(self) -> Option<u64> {
        Some(self.current.max(self.previous)).filter(|best| *best > 0)
    }
}

/// A time in which something always waited.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Mono,
    /// Bytes that were at the other end then.
    delivered: u64,
    /// Nothing waited before.
    is_first: bool,
}

/// Segments of a time.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    since: Mono,
    sent: u64,
    /// Below zero where segments that were thought lost before turned out not to be.
    lost: i64,
}

/// Segments lost of late, the latest part first.
#[derive(Clone, Copy, Debug, Default)]
struct Losses([Part; LOSS_PARTS]);

impl Losses {
    fn add(&mut self, sent: u64, lost: i64, now: Mono) {
        let [latest, ..] = &mut self.0;
        if latest.sent == 0 {
            latest.since = now;
        } else if latest.sent >= PART_SEGMENTS && now.micros_since(latest.since) >= PART_US {
            self.0.rotate_right(1);
            if let Some(first) = self.0.first_mut() {
                *first = Part { since: now, ..Part::default() };
            }
        }
        if let Some(latest) = self.0.first_mut() {
            latest.sent += sent;
            latest.lost += lost;
        }
    }

    fn ppm(&self) -> Option<u32> {
        let sent: u64 = self.0.iter().map(|part| part.sent).sum();
        let lost: i64 = self.0.iter().map(|part| part.lost).sum();
        let ppm = u64::try_from(lost).unwrap_or(0).saturating_mul(1_000_000).checked_div(sent)?;
        u32::try_from(ppm.min(1_000_000)).ok().filter(|_| sent >= LEAST_SEGMENTS)
    }
}

/// What is known of one link.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    seen: Seen,
    /// The last answer of the system, with what waited then.
    asked: Option<(Mono, TcpInfo, bool)>,
    /// Bytes sent and received when the system was asked last.
    at_ask: u64,
    /// Bytes received when the rate inwards was measured last.
    inward: Option<(Mono, u64, u64)>,
    span: Option<Span>,
    goodput: Peak,
    goodput_in: Peak,
    losses: Losses,
    told: LinkMeasured,
    carried_at: Option<Mono>,
    /// The other end has taken in some of what waits, or sent data, perhaps behind a hole. Answers may then be long behind
    /// bulk; where nothing waits, that something was taken in proves no more than that the other host is there.
    takes: bool,
    /// Bytes that stand before what is written now.
    waiting: u64,
    /// What arrived here in its order while there was a hole behind it.
    hole: Option<u64>,
}

impl Meter {
    /// Whether it is time to ask the system: there was traffic since, or it never was asked.
    pub(crate) fn wants_to_ask(&self, seen: &Seen, now: Mono) -> bool {
        let moved = (seen.sent + seen.received).saturating_sub(self.at_ask) >= LEAST_BYTES || seen.waiting;
        // Nothing moves behind a hole, and only the system knows of it.
        let moved = moved || self.is_carrying(now);
        // The first time it is asked before anything was said.
        let is_new = self.at_ask == 0 && seen.sent + seen.received > 0;
        let least = if moved || is_new { LEAST_INTERVAL_US } else { ASK_AT_REST_US };
        self.asked.is_none_or(|(at, ..)| now.micros_since(at) >= least)
    }

    /// Whether datagrams went over the link within the last second.
    pub(crate) fn is_carrying(&self, now: Mono) -> bool {
        self.carried_at.is_some_and(|at| now.micros_since(at) < 1_000_000)
    }

    /// The best rate of late, if the link was full.
    pub(crate) fn goodput_bps(&self) -> Option<u64> {
        self.goodput.best()
    }

    /// Takes in what is seen now; says what is known, if that is worth telling.
    pub(crate) fn look(&mut self, seen: Seen, tcp: Option<TcpInfo>, now: Mono) -> Option<LinkMeasured> {
        self.takes = false;
        if let Some(tcp) = tcp {
            self.take(tcp, &seen, now);
        }
        // What was read comes in records of 16 KiB, an eighth of a second each on a slow link: the system knows better.
        match (tcp, self.asked) {
            (Some(tcp), _) => self.take_inward(tcp.received, tcp.received_at_most(), now),
            (None, None) => self.take_inward(seen.received, seen.received, now),
            (None, Some(_)) => {}
        }
        let mut known = LinkMeasured {
            heard: if self.takes {
                Some(now)
            } else {
                Some(seen.heard_at).filter(|_| seen.received > self.seen.received)
            },
            carried: seen.carried > self.seen.carried,
            goodput_bps: self.goodput.best(),
            goodput_in_bps: self.goodput_in.best(),
            loss_ppm: self.losses.ppm(),
            min_rtt_us: self.least_rtt(),
            waiting_bytes: self.waiting,
            stalled: self.is_stalled(),
        };
        self.seen = seen;
        if known.carried {
            self.carried_at = Some(now);
        }
        // What comes and goes all the time is told with something else.
        let lasting = |known| LinkMeasured { heard: None, carried: false, waiting_bytes: 0, stalled: false, ..known };
        let is_news = lasting(known) != self.told;
        // A sign of life counts where it is waited for.
        known.heard = known.heard.filter(|_| self.is_carrying(now));
        self.told = lasting(known);
        (is_news || known.heard.is_some() || known.carried || known.stalled).then_some(known)
    }

    fn take(&mut self, tcp: TcpInfo, seen: &Seen, now: Mono) {
        let waits = seen.waiting || tcp.unsent > 0;
        if let Some((at, before, waited)) = self.asked {
            if tcp.behind_a_hole_in > before.behind_a_hole_in {
                self.hole = Some(tcp.received);
            } else {
                self.hole = self.hole.filter(|received| *received == tcp.received);
            }
            let arrives = self.hole.is_some() && tcp.segments_in > before.segments_in;
            self.takes = arrives || (waits && tcp.delivered() > before.delivered());
            if !waited || now.micros_since(at) > MOST_INTERVAL_US {
                self.span = None;
            }
            let sent = tcp.segments.saturating_sub(before.segments);
            self.losses.add(sent.into(), tcp.lost().saturating_sub(before.lost()), now);
        }
        self.measure(&tcp, waits, now);
        self.asked = Some((now, tcp, waits));
        self.at_ask = seen.sent + seen.received;
        self.waiting = tcp.waiting() + if seen.waiting { WRITE_BYTES } else { 0 };
    }

    /// Whether a hole is open at either end. A cut makes none: what is lost in it is not followed by anything.
    fn is_stalled(&self) -> bool {
        self.hole.is_some() || self.asked.is_some_and(|(_, tcp, _)| tcp.out_of_order > 0)
    }

    fn measure(&mut self, tcp: &TcpInfo, waits: bool, now: Mono) {
        let begin = |is_first| Some(Span { since: now, delivered: tcp.delivered(), is_first });
        let Some(span) = self.span.filter(|_| waits) else {
            self.span = if waits { begin(true) } else { None };
            return;
        };
        let (micros, bytes) = (now.micros_since(span.since), tcp.delivered().saturating_sub(span.delivered));
        // That nothing at all gets there shows a cut, and not a rate.
        if bytes > 0 && (bytes >= SPAN_BYTES || micros >= MOST_SPAN_US) {
            if !span.is_first {
                self.goodput.add(rate(bytes, micros), now);
            }
            self.span = begin(false);
        }
    }

    /// When a hole is filled, all behind it is received in one leap, but not in more segments than came.
    fn take_inward(&mut self, received: u64, at_most: u64, now: Mono) {
        let (at, before, most_before) = *self.inward.get_or_insert((now, received, at_most));
        let interval = now.micros_since(at);
        let bytes = received.saturating_sub(before).min(at_most.saturating_sub(most_before));
        if interval < LEAST_INTERVAL_US || (bytes < SPAN_BYTES && interval < MOST_SPAN_US) {
            return;
        }
        if bytes >= LEAST_BYTES && interval <= MOST_INTERVAL_US {
            self.goodput_in.add(rate(bytes, interval), now);
        }
        self.inward = Some((now, received, at_most));
    }

    fn least_rtt(&self) -> Option<u64> {
        // The system says all ones while it has seen none.
        self.asked.map(|(_, tcp, _)| tcp.min_rtt_us).filter(|rtt| *rtt > 0 && *rtt < u32::MAX).map(u64::from)
    }
}

/// Bits a second.
fn rate(bytes: u64, micros: u64) -> u64 {
    bytes.saturating_mul(8_000_000) / micros.max(1)
}

#[cfg(test)]
mod tests;
