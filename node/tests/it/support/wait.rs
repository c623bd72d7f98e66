//! Waiting for something to be so.

use std::time::{Duration, Instant};

/// How long anything may take: far more than on a quiet machine, because tests also run on busy ones.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(40);

/// Looks until `look` finds something; fails with what it said last.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, look)
}

/// As [`until`], with a limit of its own.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(begin.elapsed() < limit, "not within {limit:?}: {what}; last: {last}"),
        }
        // paced: between two looks at another process
        std::thread::sleep(INTERVAL);
    }
}
