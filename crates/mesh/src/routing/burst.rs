//! When the ways are computed. Many changes at once, as when a network starts, are waited for until they are over, or for a
//! while; and where there are many members the ways are not computed for each single change that comes.

use std::time::Duration;

use super::table::ALL_PATHS_UP_TO;
use crate::bucket::{Bucket, Rate};
use crate::now::Mono;

/// After a change the ways are computed at once, and then not again before this; ten times what one computation takes
/// in a full mesh where several ways to each member are looked for, and in a large network where one is. Nobody waits
/// for it when a link breaks: the spare way is there already.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
const PAUSE_PER_PAIR: Duration = Duration::from_micros(40);
const PAUSE_PER_MEMBER: Duration = Duration::from_micros(100);

/// Where there are more members than spare ways are found to: eight computations at once, and in the long run one in four
/// seconds. In a network that is in motion links come and go somewhere all the time, and each would be a reason to compute
/// ways to everybody that nobody has asked for. With one a second that was a third of what a start of a thousand took.
const COMPUTATIONS: Rate = Rate { per_second: 1, burst: 8 };
const SLOWED: u64 = 4;
const SPENT_PAUSE: Duration = Duration::from_secs(SLOWED);

/// The clock of the allowance, which is slower than a second.
fn slowed(now: Mono) -> Mono {
    Mono(now.0 / SLOWED)
}

/// So many changes since the last computation are a burst. The ways are then computed when nothing has come for the pause,
/// and after the limit in any case: a link that is lost meanwhile is not used all the same.
const BURST: u64 = 16;
const PAUSE: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_millis(400);

/// Bursts that follow each other are one long one: the limit doubles with each of so many.
const LONG_BURST: u32 = 3;

/// What is known of a burst.
#[derive(Debug)]
pub(super) struct Burst {
    allowance: Bucket,
    /// The version of the advertisements that was looked at last.
    seen: u64,
    /// Since when the ways wait for the end of it.
    since: Option<Mono>,
    /// Computations in a row that were of a burst.
    in_a_row: u32,
}

impl Burst {
    pub(super) fn new(now: Mono) -> Self {
        Self { allowance: Bucket::new(COMPUTATIONS, slowed(now)), seen: 0, since: None, in_a_row: 0 }
    }

    /// The earliest time for the next computation, the last one having been at `last`.
    pub(super) fn earliest(&mut self, members: usize, last: Option<Mono>, now: Mono) -> Mono {
        let Some(last) = last else { return now };
        let is_spent = members > ALL_PATHS_UP_TO && !self.allowance.has(slowed(now));
        let pause = if is_spent { SPENT_PAUSE.max(pause(members)) } else { pause(members) };
        last.after(pause).max(now)
    }

    /// The same for a change that bears on whatever is sent from here.
    pub(super) fn soonest(members: usize, last: Option<Mono>, now: Mono) -> Mono {
        last.map_or(now, |last| last.after(pause(members)).max(now))
    }

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
    pub(super) fn end(&mut self, (version, computed): (u64, u64), now: Mono) {
        self.allowance.take(slowed(now));
        let is_burst = version - computed >= BURST;
        self.in_a_row = if is_burst { self.in_a_row.saturating_add(1) } else { 0 };
        (self.seen, self.since) = (version, None);
    }
}

/// How long the ways are not computed again in a network of so many members.
fn pause(members: usize) -> Duration {
    let small = u32::try_from(members.min(ALL_PATHS_UP_TO)).unwrap_or(0);
    let all = u32::try_from(members).unwrap_or(u32::MAX);
    LEAST_PAUSE.max(PAUSE_PER_PAIR.saturating_mul(small * small)).max(PAUSE_PER_MEMBER.saturating_mul(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the ways wait for the end of changes that never stop, burst after burst.
    fn waits(bursts: usize) -> Vec<u64> {
        let (mut burst, mut version, mut now) = (Burst::new(Mono(0)), 0, Mono(0));
        let mut one = || {
            let (computed, began) = (version, now);
            version += BURST;
            while let Some(at) = burst.wait((version, computed), now).filter(|at| *at > now) {
                (version, now) = (version + 1, now.after(Duration::from_millis(50)).min(at));
            }
            burst.end((version, computed), now);
            now.micros_since(began) / 1_000
        };
        (0..bursts).map(|_| one()).collect()
    }

    #[test]
    fn few_changes_never_wait_and_many_until_they_are_over() {
        let mut burst = Burst::new(Mono(0));
        assert_eq!(burst.wait((BURST - 1, 0), Mono(0)), None);
        assert_eq!(burst.wait((BURST, 0), Mono(0)), Some(Mono(100_000)));
        assert_eq!(burst.wait((BURST, 0), Mono(50_000)), None, "nothing has come");
        assert_eq!(burst.wait((BURST + 1, 0), Mono(60_000)), Some(Mono(160_000)));
    }

    #[test]
    fn a_burst_behind_another_may_last_twice_as_long_up_to_the_limit_and_quiet_ends_that() {
        assert_eq!(waits(6), [400, 800, 1_600, 3_200, 3_200, 3_200]);
        let mut burst = Burst::new(Mono(0));
        burst.end((BURST, 0), Mono(0));
        burst.end((BURST + 1, BURST), Mono(0));
        assert_eq!(burst.wait((2 * BURST + 1, BURST + 1), Mono(0)), Some(Mono(100_000)));
        assert_eq!(burst.in_a_row, 0);
    }

    /// When the ways are computed if something changes every 50 ms, for so many seconds, in milliseconds.
    fn computed(members: usize, seconds: u64) -> Vec<u64> {
        let (mut burst, mut last, mut all) = (Burst::new(Mono(0)), None, Vec::new());
        for ms in (0..seconds * 1_000).step_by(50) {
            let now = Mono(ms * 1_000);
            if burst.earliest(members, last, now) <= now {
                burst.end((ms, ms.saturating_sub(1)), now);
                last = Some(now);
                all.push(ms);
            }
        }
        all
    }

    #[test]
    fn in_a_large_network_eight_changes_are_computed_at_once_and_then_one_in_four_seconds() {
        let large = computed(ALL_PATHS_UP_TO + 1, 20);
        // The pause there is 164 ms.
        assert_eq!(large[..8], [0, 200, 400, 600, 800, 1_000, 1_200, 1_400]);
        assert!(large[8..].windows(2).all(|pair| pair[1] - pair[0] >= 4_000), "{large:?}");
        assert!(large.len() <= 8 + 20 / 4, "{large:?}");
        let own = Burst::soonest(ALL_PATHS_UP_TO + 1, Some(Mono(20_000_000)), Mono(20_000_000));
        assert_eq!(own, Mono(20_163_840), "what bears on all that is sent here never waits for that");
        // In a small one each change counts, a pause after the last at the soonest.
        assert_eq!(computed(20, 10).len(), 200);
    }
}
