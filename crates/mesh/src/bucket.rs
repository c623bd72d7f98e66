//! A token bucket: so many at once, so many a second in the long run.

use crate::now::Mono;

/// Tokens are counted in millionths, so that slow rates add up too.
const WHOLE: u64 = 1_000_000;

/// How much of something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// What is left of an allowance. It begins full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: Rate,
    millionths: u64,
    filled_at: Mono,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate, now: Mono) -> Self {
        Self { rate, millionths: u64::from(rate.burst) * WHOLE, filled_at: now }
    }

    fn fill(&mut self, now: Mono) {
        // So many tokens a second are as many millionths a microsecond.
        let added = now.micros_since(self.filled_at).saturating_mul(u64::from(self.rate.per_second));
        self.millionths = self.millionths.saturating_add(added).min(u64::from(self.rate.burst) * WHOLE);
        self.filled_at = self.filled_at.max(now);
    }

    /// Whether there is a token.
    pub fn has(&mut self, now: Mono) -> bool {
        self.fill(now);
        self.millionths >= WHOLE
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Mono) -> bool {
        let has = self.has(now);
        if has {
            self.millionths -= WHOLE;
        }
        has
    }

    /// Takes many tokens, or all that are left, if there is at least one.
    pub fn take_many(&mut self, count: u64, now: Mono) -> bool {
        let has = self.has(now);
        if has {
            self.millionths = self.millionths.saturating_sub(count.saturating_mul(WHOLE));
        }
        has
    }

    /// Whether nothing was taken for so long that a new bucket would be no different.
    #[must_use]
    pub fn is_full(mut self, now: Mono) -> bool {
        self.fill(now);
        self.millionths == u64::from(self.rate.burst) * WHOLE
    }
}
