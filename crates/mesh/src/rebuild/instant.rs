//! The instant, agreed on among peers.
//!
//! With few links each, members know few clocks each, and where these are off by up to a minute network time is not the same
//! everywhere. So each tells its peers how long it is until the instant, and takes the mean of what it and they say, again and
//! again: so all come to one instant, in a time that grows with the logarithm of how far they were apart. The extremes of
//! what is said are left out, and nobody is moved further from its own network time than clocks may be off.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use crate::now::Mono;

/// Peers are told from so long before the instant on: twice what clocks may be off.
const BEGIN: i64 = 120_000_000;

/// Nobody is moved further, in microseconds: two clocks may be off by a minute each.
pub(super) const MAX_SHIFT: i64 = 120_000_000;

/// Between two rounds while the instant moves, and otherwise.
const PACE: Duration = Duration::from_millis(250);
const QUIET_PACE: Duration = Duration::from_secs(2);

/// What is less of a move need not be told, in microseconds.
const STILL: u64 = 1_000;

/// What a peer said counts for so long.
const FRESH: Duration = Duration::from_secs(5);

/// Whoever has just heard of an order first hears when its peers mean to do it.
const LEAST_WAIT: Duration = Duration::from_secs(2);

/// An instant on the steady clock of this host, which may lie before its start: microseconds.
type Place = i64;

/// The instant of one order.
#[derive(Debug)]
pub(super) struct Instant {
    own: Place,
    since: Mono,
    heard: BTreeMap<NodeId, (Place, Mono)>,
    told: Option<(Place, Mono)>,
    round_at: Mono,
    spread_us: u64,
}

impl Instant {
    /// As the own network time says: so many microseconds from now.
    pub(super) fn new(left_us: i64, now: Mono) -> Self {
        Self { own: place(left_us, now), since: now, heard: BTreeMap::new(), told: None, round_at: now, spread_us: 0 }
    }

    /// A peer says that it is so long until then; its words took some time to arrive.
    pub(super) fn heard(&mut self, peer: NodeId, (left_us, delay_us): (i64, u64), now: Mono) {
        let delay = i64::try_from(delay_us).unwrap_or(0);
        self.heard.insert(peer, (place(left_us.saturating_sub(delay), now), now));
        self.round_at = self.round_at.min(self.told.map_or(now, |(_, at)| at.after(PACE)));
    }

    /// A round, if it is time: what to tell peers, if there is anything new. `by_clock_us` is how long it is by the own network
    /// time, if there is one.
    pub(super) fn round(&mut self, by_clock_us: Option<i64>, now: Mono) -> Option<i64> {
        if now < self.round_at {
            return None;
        }
        self.heard.retain(|_, (_, at)| now.since(*at) < FRESH);
        self.agree(by_clock_us, now);
        let is_still = self.told.is_some_and(|(told, _)| told.abs_diff(self.own) < STILL);
        let is_quiet = self.told.is_some_and(|(_, at)| now.since(at) < QUIET_PACE);
        let left = self.left_us(now);
        if left > BEGIN && self.heard.is_empty() {
            let wait = Duration::from_micros(left.abs_diff(BEGIN));
            self.round_at = now.after(wait.min(QUIET_PACE * 30));
            return None;
        }
        self.round_at = now.after(if is_still { QUIET_PACE } else { PACE });
        if is_still && is_quiet {
            return None;
        }
        self.told = Some((self.own, now));
        Some(left)
    }

    fn agree(&mut self, by_clock_us: Option<i64>, now: Mono) {
        let by_clock = by_clock_us.map(|left| place(left, now));
        if self.heard.is_empty() {
            // Nobody else has said anything: the own network time may have become better.
            self.own = by_clock.unwrap_or(self.own);
            return;
        }
        let heard: Vec<Place> = self.heard.values().map(|(place, _)| *place).collect();
        let mean = trimmed_mean(by_clock.map(|_| self.own), heard);
        let (mean, spread_us) = mean.unwrap_or((self.own, 0));
        self.spread_us = spread_us;
        self.own = by_clock.map_or(mean, |clock| mean.clamp(clock - MAX_SHIFT, clock + MAX_SHIFT));
    }

    /// Microseconds until then.
    pub(super) fn left_us(&self, now: Mono) -> i64 {
        self.own.saturating_sub(place(0, now))
    }

    /// Whether it has come. Whoever heard of it a moment ago waits for what its peers say.
    pub(super) fn has_come(&self, now: Mono) -> bool {
        self.left_us(now) <= 0 && now.since(self.since) >= LEAST_WAIT
    }

    /// How far peers are apart.
    pub(super) fn spread_us(&self) -> u64 {
        self.spread_us
    }

    pub(super) fn next_timeout(&self, now: Mono) -> Mono {
        let left = Duration::from_micros(self.left_us(now).max(0).unsigned_abs());
        self.round_at.min(now.after(left).max(self.since.after(LEAST_WAIT)))
    }
}

fn place(left_us: i64, now: Mono) -> Place {
    i64::try_from(now.0).unwrap_or(i64::MAX).saturating_add(left_us)
}

/// The mean of the own value and what is left of the others' when a quarter of them on either side of it is dropped (after
/// LeBlanc and others, "Resilient Asymptotic Consensus in Robust Networks", 2013); and how far those are apart.
fn trimmed_mean(own: Option<Place>, mut heard: Vec<Place>) -> Option<(Place, u64)> {
    heard.sort_unstable();
    let dropped = heard.len() / 4;
    let pivot = own.or_else(|| heard.get(heard.len() / 2).copied())?;
    let below = heard.iter().filter(|place| **place < pivot).count().min(dropped);
    let above = heard.iter().filter(|place| **place > pivot).count().min(dropped);
    let kept = heard.get(below..heard.len() - above).unwrap_or_default();
    let all: Vec<Place> = kept.iter().copied().chain(own).collect();
    let count = i128::try_from(all.len()).unwrap_or(1).max(1);
    let sum: i128 = all.iter().map(|place| i128::from(*place)).sum();
    let spread = all.iter().max()?.abs_diff(*all.iter().min()?);
    i64::try_from(sum / count).ok().map(|mean| (mean, spread))
}

#[cfg(test)]
mod tests;
