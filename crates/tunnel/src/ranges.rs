//! Sets of numbers as ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers, kept as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range. Says whether all of it was new.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> bool {
        let Range { mut start, mut end } = range;
        if start >= end {
            return true;
        }
        let mut is_new = true;
        // Those that begin in it or touch its end, and the last one before it if it reaches it.
        while let Some((&at, &to)) = self.0.range(..=end).next_back()
            && to >= start
        {
            is_new &= at == end || to == start;
            self.0.remove(&at);
            start = start.min(at);
            end = end.max(to);
        }
        self.0.insert(start, end);
        is_new
    }

    /// Takes a range out.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        while let Some((&at, &to)) = self.0.range(..range.end).next_back()
            && to > range.start
        {
            self.0.remove(&at);
            if at < range.start {
                self.0.insert(at, range.start);
            }
            if to > range.end {
                self.0.insert(range.end, to);
            }
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, to)| *to > number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(at, to)| *at..*to)
    }

    /// Takes the first range out.
    pub(crate) fn pop_first(&mut self) -> Option<Range<u64>> {
        self.0.pop_first().map(|(at, to)| at..to)
    }

    /// The ranges, the highest first.
    pub(crate) fn descending(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().rev().map(|(at, to)| *at..*to)
    }

    /// The numbers of a range that are not in the set.
    pub(crate) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = vec![];
        let mut at = range.start;
        let before = self.0.range(..range.start).next_back();
        for (start, end) in before.into_iter().chain(self.0.range(range.start..range.end)) {
            if *start > at {
                gaps.push(at..*start);
            }
            at = at.max(*end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn ranges_hold_what_a_set_holds() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for _ in 0..100 {
                let start = u64::from(rng.next_u32() % 64);
                let range = start..start + u64::from(rng.next_u32() % 8);
                if rng.next_u32() % 3 == 0 {
                    ranges.remove(range.clone());
                    set.retain(|number| !range.contains(number));
                } else {
                    let is_new = range.clone().all(|number| !set.contains(&number));
                    assert_eq!(ranges.insert(range.clone()), is_new, "seed {seed}");
                    set.extend(range.clone());
                }
                assert!((0..80).all(|number| ranges.contains(number) == set.contains(&number)), "seed {seed}");
                let missing: Vec<u64> = ranges.gaps(10..50).into_iter().flatten().collect();
                let expected: Vec<u64> = (10..50).filter(|number| !set.contains(number)).collect();
                assert_eq!(missing, expected, "seed {seed}");
            }
        }
    }
}
