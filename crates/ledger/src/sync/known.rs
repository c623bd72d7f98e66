//! A set of names that forgets the oldest.

use std::collections::{BTreeSet, VecDeque};

/// At most so many names; the oldest make room.
#[derive(Debug)]
pub(super) struct Known<T> {
    names: BTreeSet<T>,
    order: VecDeque<T>,
    most: usize,
}

impl<T: Ord + Copy> Known<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { names: BTreeSet::new(), order: VecDeque::new(), most }
    }

    /// Adds a name; whether it is new.
    pub(super) fn insert(&mut self, name: T) -> bool {
        if !self.names.insert(name) {
            return false;
        }
        self.order.push_back(name);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        true
    }

    /// Forgets one. Its place in the order stays, and a second one counts twice until then.
    pub(super) fn remove(&mut self, name: &T) {
        self.names.remove(name);
    }

    pub(super) fn contains(&self, name: &T) -> bool {
        self.names.contains(name)
    }

    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.order.clear();
    }
}
