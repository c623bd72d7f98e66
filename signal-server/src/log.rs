//! One line for every announcement, refusal and departure, but never more than a disk can stand: anyone may send any
//! number of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines a second. A network of ten thousand that refreshes every minute stays near it; a flood does not.
const MAX_LINES: u32 = 200;

const SECOND: Duration = Duration::from_secs(1);

/// How many lines may still be written in this second.
#[derive(Debug)]
pub(crate) struct LogBudget {
    second: Mutex<Second>,
}

#[derive(Debug)]
struct Second {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl LogBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { second: Mutex::new(Second { since: now, lines: 0, left_out: 0 }) }
    }

    /// Writes a line if there is room for it; what was left out is told when there is room again.
    pub(crate) fn line(&self, write: impl FnOnce()) {
        let (is_allowed, left_out) = self.take(Instant::now());
        if left_out > 0 {
            tracing::warn!(count = left_out, "log lines left out");
        }
        if is_allowed {
            write();
        }
    }

    /// Whether there is room for a line, and how many were left out before this second.
    fn take(&self, now: Instant) -> (bool, u64) {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left_out = 0;
        if now.duration_since(second.since) >= SECOND {
            left_out = second.left_out;
            *second = Second { since: now, lines: 0, left_out: 0 };
        }
        if second.lines >= MAX_LINES {
            second.left_out += 1;
            return (false, left_out);
        }
        second.lines += 1;
        (true, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_budget_of_a_second_are_left_out_and_counted() {
        let start = Instant::now();
        let budget = LogBudget::new(start);
        assert!((0..MAX_LINES).all(|_| budget.take(start) == (true, 0)));
        assert_eq!(budget.take(start), (false, 0));
        assert_eq!(budget.take(start), (false, 0));
        assert_eq!(budget.take(start + SECOND), (true, 2));
        assert_eq!(budget.take(start + SECOND), (true, 0));
    }
}
