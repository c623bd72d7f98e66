//! A value that counts how often somebody could have changed it.

use std::ops::{Deref, DerefMut};

/// Reads like the value itself; every mutable borrow counts as a change.
#[derive(Debug, Default)]
pub(super) struct Watched<T> {
    value: T,
    changes: u64,
}

impl<T> Watched<T> {
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Watched<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changes += 1;
        &mut self.value
    }
}
