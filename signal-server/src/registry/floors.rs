//! What is remembered of entries that are gone: the lowest sequence their member may announce again.
//!
//! Without this, anyone who read a record could list its member again after it left. A floor is kept until
//! the last announcement has ended by itself, at most [`MAX_FLOOR_MICROS`].

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::UnixMicros;

use super::Key;

/// A week. Announcements end sooner by far; one that does not must not hold memory for ever.
const MAX_FLOOR_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Floor {
    seq: UnixMicros,
    until: UnixMicros,
}

#[derive(Debug)]
pub(super) struct Floors {
    by_key: BTreeMap<Key, Floor>,
    due: BTreeSet<(UnixMicros, Key)>,
    max: usize,
}

impl Floors {
    /// Keeps at most `max` floors; those that end soonest give way.
    pub(super) fn new(max: usize) -> Self {
        Self { by_key: BTreeMap::new(), due: BTreeSet::new(), max }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The lowest sequence that `key` may announce.
    pub(super) fn get(&self, key: &Key) -> Option<UnixMicros> {
        self.by_key.get(key).map(|floor| floor.seq)
    }

    /// The floor of `key` with its end.
    pub(super) fn whole(&self, key: &Key) -> Option<super::Floor> {
        self.by_key.get(key).map(|floor| super::Floor { seq: floor.seq, until: floor.until })
    }

    /// Remembers `seq` for `key` until `until`; a lower one than known changes nothing.
    pub(super) fn raise(&mut self, key: Key, seq: UnixMicros, until: UnixMicros, now: UnixMicros) {
        let known = self.take(&key);
        let floor = Floor {
            seq: known.map_or(seq, |known| known.seq.max(seq)),
            until: known.map_or(until, |known| known.until.max(until)).min(now.offset(MAX_FLOOR_MICROS)),
        };
        if floor.until <= now {
            return;
        }
        self.due.insert((floor.until, key.clone()));
        self.by_key.insert(key, floor);
        while self.by_key.len() > self.max {
            self.drop_first();
        }
    }

    /// Forgets the floor of `key`, because an entry holds its sequence now.
    pub(super) fn clear(&mut self, key: &Key) {
        self.take(key);
    }

    /// Forgets what has ended, so many at most.
    pub(super) fn expire(&mut self, now: UnixMicros, most: usize) {
        for _ in 0..most {
            if self.due.first().is_none_or(|(until, _)| *until > now) {
                return;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, key)) = self.due.pop_first() {
            self.by_key.remove(&key);
        }
    }

    fn take(&mut self, key: &Key) -> Option<Floor> {
        let floor = self.by_key.remove(key)?;
        self.due.remove(&(floor.until, key.clone()));
        Some(floor)
    }
}
