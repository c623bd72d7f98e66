//! Choosing who is listed, and the choice made ready as JSON for several callers.

use std::collections::BTreeSet;

use bytes::Bytes;
use meshline_protocol::UnixMicros;

use super::entry::Slot;

/// How long one choice serves all callers. Long enough that a busy server chooses fifty times a second instead
/// of ten thousand times, short enough that nobody waits for another choice.
pub(super) const SHARE_MICROS: i64 = 20_000;

/// A list of one network, as JSON without its end.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) limit: usize,
    pub(super) made: UnixMicros,
    /// When the first of those in it ends, unless it is refreshed.
    pub(super) until: Option<UnixMicros>,
    /// Whether it holds every member, so that a new one changes it.
    pub(super) whole: bool,
    /// Who is in it, sorted.
    pub(super) members: Vec<Slot>,
    pub(super) head: Bytes,
    /// What tells this list from another one, once somebody asked for it.
    pub(super) tag: Option<u64>,
}

impl Sample {
    pub(super) fn serves(&self, limit: usize, now: UnixMicros) -> bool {
        let all_live = self.until.is_none_or(|until| until > now);
        self.limit == limit && all_live && (self.whole || (0..SHARE_MICROS).contains(&now.since(self.made)))
    }

    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.members.binary_search(&slot).is_ok()
    }
}

/// A source of chance for choices whose outcome need not be secret (the recurrence is Marsaglia's xorshift64*).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`, or 0 if there is none.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(drawn.checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    /// Any number.
    pub(super) fn number(&mut self) -> u32 {
        u32::try_from(self.below(1 << 32)).unwrap_or(0)
    }

    /// `count` different numbers below `total`, all subsets equally likely (Floyd's method); all if there are no more.
    pub(super) fn pick(&mut self, total: usize, count: usize) -> BTreeSet<usize> {
        let mut picked = BTreeSet::new();
        for top in total.saturating_sub(count)..total {
            let drawn = self.below(top + 1);
            if !picked.insert(drawn) {
                picked.insert(top);
            }
        }
        picked
    }
}
