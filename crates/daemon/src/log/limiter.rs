//! Counts lines by source and says when a source has had its share.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::MAX_LINES_PER_SECOND;

/// Sources counted apart within a second; those beyond share one count. A source that floods is among the
/// first, so the bound costs only those that come late in a second with a thousand others.
const MAX_SOURCES: usize = 1_024;

const WINDOW: Duration = Duration::from_secs(1);

pub(super) type Shared = Arc<Mutex<Limiter>>;

pub(super) fn shared() -> Shared {
    Arc::new(Mutex::new(Limiter::default()))
}

/// A panic while counting leaves nothing worse than a wrong count.
pub(super) fn lock(limiter: &Shared) -> MutexGuard<'_, Limiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counts of the running second.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    hasher: RandomState,
    started: Option<Instant>,
    lines: HashMap<u64, u32>,
    others: u32,
    suppressed: u64,
}

impl Limiter {
    /// Whether a line of this source may be written at `now`; if not, it is counted.
    pub(super) fn admit(&mut self, now: Instant, source: &str) -> bool {
        if self.started.is_none_or(|started| now.duration_since(started) >= WINDOW) {
            self.started = Some(now);
            self.lines.clear();
            self.others = 0;
        }
        let count = self.count(source);
        *count = count.saturating_add(1);
        let admitted = *count <= MAX_LINES_PER_SECOND;
        if !admitted {
            self.count_lost();
        }
        admitted
    }

    fn count(&mut self, source: &str) -> &mut u32 {
        let key = std::hash::BuildHasher::hash_one(&self.hasher, source);
        if self.lines.len() >= MAX_SOURCES && !self.lines.contains_key(&key) {
            return &mut self.others;
        }
        self.lines.entry(key).or_default()
    }

    /// Counts a line that could not be written for another reason.
    pub(super) fn count_lost(&mut self) {
        self.suppressed += 1;
    }

    pub(super) fn has_suppressed(&self) -> bool {
        self.suppressed > 0
    }

    /// Whether the line just refused is the first since the last report.
    pub(super) fn is_first_suppressed(&self) -> bool {
        self.suppressed == 1
    }

    /// The number of lines suppressed since the last report.
    pub(super) fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }
}
