//! Many changes at once, as when a network starts: the ways are computed when they are over, or after a while.

use std::time::Duration;

use crate::now::Mono;

/// So many changes since the last computation are a burst. The ways are then computed when nothing has come for the pause,
/// and after the limit in any case: a link that is lost meanwhile is not used all the same.
const BURST: u64 = 16;
const PAUSE: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_millis(400);

/// Bursts that follow each other are one long one: the limit doubles with each of so many.
const LONG_BURST: u32 = 3;

/// What is known of a burst.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// The version of the advertisements that was looked at last.
    seen: u64,
    /// Since when the ways wait for the end of it.
    since: Option<Mono>,
    /// Computations in a row that were of a burst.
    in_a_row: u32,
}

impl Burst {
    /// Until when the ways wait for more than `version` to come, if it is many changes after what they were `computed` from
    /// and something came since the last look. A few changes never wait.
    pub(super) fn wait(&mut self, (version, computed): (u64, u64), now: Mono) -> Option<Mono> {
        if version - computed < BURST || self.seen == version {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        self.seen = version;
        let longer = 1 << self.in_a_row.min(LONG_BURST);
        Some(now.after(PAUSE).min(since.after(LIMIT * longer)))
    }

    /// The ways are computed now.
    pub(super) fn end(&mut self, (version, computed): (u64, u64)) {
        let is_burst = version - computed >= BURST;
        self.in_a_row = if is_burst { self.in_a_row.saturating_add(1) } else { 0 };
        (self.seen, self.since) = (version, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the ways wait for the end of changes that never stop, burst after burst.
    fn waits(bursts: usize) -> Vec<u64> {
        let (mut burst, mut version, mut now) = (Burst::default(), 0, Mono(0));
        let mut one = || {
            let (computed, began) = (version, now);
            version += BURST;
            while let Some(at) = burst.wait((version, computed), now).filter(|at| *at > now) {
                (version, now) = (version + 1, now.after(Duration::from_millis(50)).min(at));
            }
            burst.end((version, computed));
            now.micros_since(began) / 1_000
        };
        (0..bursts).map(|_| one()).collect()
    }

    #[test]
    fn few_changes_never_wait_and_many_until_they_are_over() {
        let mut burst = Burst::default();
        assert_eq!(burst.wait((BURST - 1, 0), Mono(0)), None);
        assert_eq!(burst.wait((BURST, 0), Mono(0)), Some(Mono(100_000)));
        assert_eq!(burst.wait((BURST, 0), Mono(50_000)), None, "nothing has come");
        assert_eq!(burst.wait((BURST + 1, 0), Mono(60_000)), Some(Mono(160_000)));
    }

    #[test]
    fn a_burst_behind_another_may_last_twice_as_long_up_to_the_limit_and_quiet_ends_that() {
        assert_eq!(waits(6), [400, 800, 1_600, 3_200, 3_200, 3_200]);
        let mut burst = Burst::default();
        burst.end((BURST, 0));
        burst.end((BURST + 1, BURST));
        assert_eq!(burst.wait((2 * BURST + 1, BURST + 1), Mono(0)), Some(Mono(100_000)));
        assert_eq!(burst.in_a_row, 0);
    }
}
