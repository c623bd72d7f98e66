//! Whether the other end is still there.

use std::time::Duration;

use crate::now::Mono;

/// Between asks on a link with traffic.
const ACTIVE_INTERVAL: Duration = Duration::from_secs(3);

/// Between asks on a link without.
const IDLE_INTERVAL: Duration = Duration::from_secs(15);

/// How long after the last message a link counts as one with traffic.
const ACTIVE_FOR: Duration = Duration::from_secs(15);

/// An ask unanswered for so long, with nothing else heard, and the link is dead. With the idle interval this
/// makes 21.5 s until a silent cut of an idle link shows.
const DEAD_AFTER: Duration = Duration::from_millis(6_500);

/// What the timer of a link asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a time frame.
    Ask,
    /// Give the link up.
    Dead,
}

/// The timers of one link.
#[derive(Debug)]
pub(crate) struct Liveness {
    last_heard: Mono,
    last_traffic: Option<Mono>,
    next_ask: Mono,
    unanswered: Option<Mono>,
    asks: u64,
    answers: u64,
}

impl Liveness {
    pub(crate) fn new(now: Mono) -> Self {
        Self { last_heard: now, last_traffic: None, next_ask: now, unanswered: None, asks: 0, answers: 0 }
    }

    /// Something arrived; `is_traffic` if it was more than a sign of life.
    pub(crate) fn heard(&mut self, is_traffic: bool, now: Mono) {
        self.last_heard = now;
        if is_traffic {
            self.traffic(now);
        }
    }

    /// More than a sign of life went either way. On a ring all goes one way, and it is the sender who must notice
    /// that nobody is there any more.
    pub(crate) fn traffic(&mut self, now: Mono) {
        let was_idle = !self.is_active(now);
        self.last_traffic = Some(now);
        if was_idle {
            self.next_ask = self.next_ask.min(now.after(ACTIVE_INTERVAL));
        }
    }

    /// The answer to an ask arrived.
    pub(crate) fn answered(&mut self) {
        if self.unanswered.take().is_some() {
            self.answers += 1;
        }
    }

    /// Share of asks that stayed unanswered, the pending one left out.
    pub(crate) fn loss(&self) -> f64 {
        let settled = self.asks.saturating_sub(u64::from(self.unanswered.is_some()));
        let lost = settled.saturating_sub(self.answers);
        if settled == 0 {
            0.0
        } else {
            u32::try_from(lost).map_or(1.0, f64::from) / u32::try_from(settled).map_or(1.0, f64::from)
        }
    }

    /// What is due now, if anything.
    pub(crate) fn due(&mut self, now: Mono) -> Option<Due> {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Some(Due::Dead);
        }
        if now < self.next_ask {
            return None;
        }
        let interval = if self.is_active(now) { ACTIVE_INTERVAL } else { IDLE_INTERVAL };
        self.next_ask = now.after(interval);
        if self.unanswered.is_none_or(|asked| asked < self.last_heard) {
            self.unanswered = Some(now);
        }
        self.asks += 1;
        Some(Due::Ask)
    }

    /// When [`Liveness::due`] should be called next.
    pub(crate) fn next_timeout(&self) -> Mono {
        self.deadline().map_or(self.next_ask, |deadline| deadline.min(self.next_ask))
    }

    fn deadline(&self) -> Option<Mono> {
        let asked = self.unanswered?;
        (self.last_heard <= asked).then(|| asked.after(DEAD_AFTER))
    }

    fn is_active(&self, now: Mono) -> bool {
        self.last_traffic.is_some_and(|last| now.since(last) < ACTIVE_FOR)
    }
}
