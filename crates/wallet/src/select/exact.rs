//! Branch and bound: coins that come to the payment so closely that change would cost more than what is left.

use super::{Candidate, Costs, MAX_SELECTED};

/// Steps after which the search ends with the best it has: well under a millisecond's worth of a user's patience for
/// each thousand, and beyond this almost nothing more is found.
pub(super) const MAX_STEPS: u32 = 100_000;

/// The coins that leave the least over, within the window; of equal ones those found first, largest coins first.
pub(super) fn search(coins: &[Candidate], costs: &Costs) -> Option<Vec<Candidate>> {
    let worth: Vec<u64> = coins.iter().map(|coin| coin.amount.units().saturating_sub(costs.input)).collect();
    let mut search = Search::new(&worth, costs);
    for _ in 0..MAX_STEPS {
        if !search.step() {
            break;
        }
    }
    let best = search.best?;
    Some(best.chosen.iter().filter_map(|index| coins.get(*index).copied()).collect())
}

struct Best {
    over: u64,
    chosen: Vec<usize>,
}

/// A walk through the tree in which each coin, from the largest on, is taken or left.
struct Search<'a> {
    worth: &'a [u64],
    target: u64,
    window: u64,
    /// The coins taken, by index.
    chosen: Vec<usize>,
    /// What they are worth.
    sum: u128,
    /// For each coin, what it and all behind it are worth.
    suffix: Vec<u128>,
    /// The next coin to decide.
    next: usize,
    best: Option<Best>,
}

impl<'a> Search<'a> {
    fn new(worth: &'a [u64], costs: &Costs) -> Self {
        let mut suffix: Vec<u128> = worth
            .iter()
            .rev()
            .scan(0, |sum, worth| {
                *sum += u128::from(*worth);
                Some(*sum)
            })
            .collect();
        suffix.reverse();
        let (target, window) = (costs.target, costs.window);
        Self { worth, target, window, chosen: Vec::new(), sum: 0, suffix, next: 0, best: None }
    }

    /// Goes on by one coin; `false` at the end.
    fn step(&mut self) -> bool {
        let (target, window) = (u128::from(self.target), u128::from(self.window));
        if self.sum >= target && self.sum <= target + window {
            self.keep();
            // Every further coin would add to what is over.
            return self.is_open() && self.go_back();
        }
        let rest = self.suffix.get(self.next).copied().unwrap_or_default();
        let dead = self.sum > target || self.sum + rest < target || self.chosen.len() >= MAX_SELECTED;
        if dead { self.go_back() } else { self.decide() }
    }

    /// Whether something better can still be found.
    fn is_open(&self) -> bool {
        self.best.as_ref().is_none_or(|best| best.over > 0)
    }

    fn keep(&mut self) {
        let over = u64::try_from(self.sum.saturating_sub(self.target.into())).unwrap_or(u64::MAX);
        if self.best.as_ref().is_none_or(|best| over < best.over) {
            self.best = Some(Best { over, chosen: self.chosen.clone() });
        }
    }

    /// Takes the next coin, unless an equal one was left just before: that was tried already.
    fn decide(&mut self) -> bool {
        let Some(worth) = self.worth.get(self.next) else { return self.go_back() };
        let before = self.next.checked_sub(1);
        let left_an_equal =
            before.is_some_and(|before| self.worth.get(before) == Some(worth) && self.chosen.last() != Some(&before));
        if !left_an_equal {
            self.chosen.push(self.next);
            self.sum += u128::from(*worth);
        }
        self.next += 1;
        true
    }

    /// Leaves the coin that was taken last, and goes on behind it.
    fn go_back(&mut self) -> bool {
        let Some(last) = self.chosen.pop() else { return false };
        self.sum -= self.worth.get(last).copied().map_or(0, u128::from);
        self.next = last + 1;
        true
    }
}
