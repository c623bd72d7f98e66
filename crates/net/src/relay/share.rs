//! What relay pipes take of each member, and what a member gets: bytes counted, turns shared, a rate where one is set.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use meshline_mesh::Mono;

use crate::limits::{RELAY_BURST, RELAY_HELD_PER_MEMBER, RELAY_LEAST_TURN, RELAY_TURN};

/// One member's part in the pipes.
#[derive(Debug)]
pub(crate) struct Share {
    /// Bytes relayed for it, either way.
    bytes: AtomicU64,
    /// Directions that have more to move than fits in a turn.
    busy: AtomicUsize,
    /// Bytes taken from one end and not yet given to the other.
    held: AtomicUsize,
    /// Bits a second it may have, both ways together.
    rate_bps: Option<u64>,
    /// By that rate, what was moved is paid for at this time (microseconds).
    paid_at: AtomicU64,
}

impl Share {
    pub(super) fn new(rate_bps: Option<u64>) -> Self {
        let (busy, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { bytes: AtomicU64::new(0), busy, held, rate_bps, paid_at: AtomicU64::new(0) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How long a direction has to wait until this member may have more.
    fn wait(&self, now: Mono) -> Duration {
        let paid_at = Duration::from_micros(self.paid_at.load(Ordering::Relaxed));
        paid_at.saturating_sub(Duration::from_micros(now.0)).saturating_sub(RELAY_BURST)
    }

    fn charge(&self, bytes: usize, now: Mono) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(rate) = self.rate_bps {
            let micros = bytes.saturating_mul(8_000_000) / rate.max(1);
            let paid_at = self.paid_at.load(Ordering::Relaxed).max(now.0).saturating_add(micros);
            self.paid_at.store(paid_at, Ordering::Relaxed);
        }
    }
}

/// The two members of a pipe.
#[derive(Debug)]
pub(super) struct Both<'a>(pub(super) &'a [std::sync::Arc<Share>; 2]);

impl Both<'_> {
    fn most(&self, of: impl Fn(&Share) -> usize) -> usize {
        self.0.iter().map(|share| of(share)).max().unwrap_or(0)
    }

    /// Bytes that may be taken in one turn: less for whoever has many at work, so that members get equal parts and not
    /// connections; and little for whose bytes lie here because somebody does not read.
    pub(super) fn turn(&self) -> usize {
        let busy = self.most(|share| share.busy.load(Ordering::Relaxed)).max(1);
        let room = RELAY_HELD_PER_MEMBER.saturating_sub(self.most(|share| share.held.load(Ordering::Relaxed)));
        (RELAY_TURN / busy).min(room).max(RELAY_LEAST_TURN)
    }

    pub(super) fn wait(&self, now: Mono) -> Duration {
        self.0.iter().map(|share| share.wait(now)).max().unwrap_or_default()
    }

    pub(super) fn charge(&self, bytes: usize, now: Mono) {
        self.0.iter().for_each(|share| share.charge(bytes, now));
    }

    pub(super) fn hold(&self, bytes: usize) {
        for share in self.0 {
            share.held.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn release(&self, bytes: usize) {
        for share in self.0 {
            share.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// A direction is at work until what is returned goes.
    pub(super) fn work(&self) -> Work<'_> {
        for share in self.0 {
            share.busy.fetch_add(1, Ordering::Relaxed);
        }
        Work(self.0)
    }
}

/// A direction at work.
#[derive(Debug)]
pub(super) struct Work<'a>(&'a [std::sync::Arc<Share>; 2]);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        for share in self.0 {
            share.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn shares(rate_bps: Option<u64>) -> [Arc<Share>; 2] {
        [rate_bps, None].map(|rate| Arc::new(Share::new(rate)))
    }

    #[test]
    fn a_member_with_many_at_work_gets_no_more_in_all() {
        let shares = shares(None);
        let both = Both(&shares);
        let first = both.work();
        assert_eq!(both.turn(), RELAY_TURN);
        let second = both.work();
        assert_eq!(both.turn(), RELAY_TURN / 2);
        let others: Vec<_> = (0..1_000).map(|_| both.work()).collect();
        assert_eq!(both.turn(), RELAY_LEAST_TURN);
        drop((first, second, others));
        assert_eq!(both.turn(), RELAY_TURN);
    }

    /// Members with so many streams each move a turn of each, one after the other, for so many rounds; bytes each has moved.
    fn rounds(streams: &[usize], rounds: usize) -> Vec<usize> {
        let pairs: Vec<[Arc<Share>; 2]> = streams.iter().map(|_| shares(None)).collect();
        let both: Vec<Both<'_>> = pairs.iter().map(Both).collect();
        let work: Vec<Vec<Work<'_>>> =
            both.iter().zip(streams).map(|(both, count)| (0..*count).map(|_| both.work()).collect()).collect();
        let moved = both.iter().zip(&work).map(|(both, work)| rounds * work.len() * both.turn()).collect();
        drop(work);
        moved
    }

    #[test]
    fn a_member_that_floods_gets_what_each_of_nine_gets_and_no_round_takes_longer_for_it() {
        for streams in [1, 2, 8, 16] {
            let moved = rounds(&[&[streams][..], &[1; 9]].concat(), 100);
            assert!(moved.iter().all(|bytes| *bytes == 100 * RELAY_TURN), "{streams} streams: {moved:?}");
        }
        // So many that each gets the least: then they get more together, up to what a member may have of pairs.
        let moved = rounds(&[64, 1], 1);
        assert_eq!(moved, [64 * RELAY_LEAST_TURN, RELAY_TURN]);
    }

    #[test]
    fn bytes_that_nobody_takes_shorten_the_turns_at_the_bound() {
        let shares = shares(None);
        let both = Both(&shares);
        both.hold(RELAY_HELD_PER_MEMBER - RELAY_TURN);
        assert_eq!(both.turn(), RELAY_TURN);
        both.hold(1);
        assert_eq!(both.turn(), RELAY_TURN - 1);
        both.hold(RELAY_HELD_PER_MEMBER);
        assert_eq!(both.turn(), RELAY_LEAST_TURN);
        both.release(2 * RELAY_HELD_PER_MEMBER - RELAY_TURN + 1);
        assert_eq!(both.turn(), RELAY_TURN);
    }

    #[test]
    fn whoever_is_ahead_of_its_rate_waits() {
        let shares = shares(Some(8_000_000));
        let both = Both(&shares);
        let now = Mono(5_000_000);
        both.charge(250_000, now);
        assert_eq!(both.wait(now), Duration::ZERO, "a quarter of a second ahead");
        both.charge(1_000, now);
        assert_eq!(both.wait(now), Duration::from_millis(1));
        assert_eq!(both.wait(Mono(5_001_000)), Duration::ZERO);
        assert_eq!(shares[1].bytes(), 251_000);
    }
}
