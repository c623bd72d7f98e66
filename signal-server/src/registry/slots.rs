//! All entries, found by member, by number and by when they are due: each in constant time and few bytes.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use meshline_protocol::{NodeId, UnixMicros};

use super::entry::{Entry, NO_SLOT, Slot};
use super::secret::SELECTOR_LEN;

const SECOND: u64 = 1_000_000;

/// The entries.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Numbers stay while others come and go.
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    /// By the beginning of the id, which is all that a secret names of it.
    index: HashTable<Slot>,
    hasher: RandomState,
    /// The first of the entries that are due in a second.
    due: BTreeMap<u32, Slot>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }

    /// The entry of a member in a network.
    pub(super) fn find(&self, id: &NodeId, network: u32) -> Option<Slot> {
        let is_it = |slot: &Slot| self.get(*slot).is_some_and(|entry| entry.id == *id && entry.network == network);
        self.index.find(self.hash(selector(id)), is_it).copied()
    }

    /// Entries in a network whose id begins so: one, unless somebody made keys for it.
    pub(super) fn with_selector(&self, wanted: &[u8; SELECTOR_LEN], network: u32) -> impl Iterator<Item = &Entry> {
        let candidates = self.index.iter_hash(self.hash(wanted)).filter_map(|slot| self.get(*slot));
        candidates.filter(move |entry| entry.network == network && selector(&entry.id) == wanted)
    }

    /// How many entries a key has.
    pub(super) fn count_of(&self, id: &NodeId) -> usize {
        let candidates = self.index.iter_hash(self.hash(selector(id)));
        candidates.filter(|slot| self.get(**slot).is_some_and(|entry| entry.id == *id)).count()
    }

    /// Puts an entry in; `None` if there are as many as there are numbers.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Slot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => Slot::try_from(self.entries.len()).ok().filter(|slot| *slot != NO_SLOT)?,
        };
        let hash = self.hash(selector(&entry.id));
        let at = usize::try_from(slot).ok()?;
        if at == self.entries.len() {
            self.entries.push(None);
        }
        *self.entries.get_mut(at)? = Some(entry);
        let Self { index, entries, hasher, .. } = self;
        index.insert_unique(hash, slot, |slot| {
            let entry = usize::try_from(*slot).ok().and_then(|at| entries.get(at)).and_then(Option::as_ref);
            entry.map_or(0, |entry| hasher.hash_one(selector(&entry.id)))
        });
        self.queue(slot);
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        self.leave_queue(slot);
        let at = usize::try_from(slot).ok()?;
        let entry = self.entries.get_mut(at)?.take()?;
        let hash = self.hash(selector(&entry.id));
        if let Ok(found) = self.index.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(entry)
    }

    /// Changes when an entry ends. Queued it is anew only if that is sooner: otherwise it is looked at when its time
    /// comes, which costs less than moving it at each refresh.
    pub(super) fn set_end(&mut self, slot: Slot, ends: UnixMicros) {
        let Some(entry) = self.get_mut(slot) else { return };
        entry.ends = ends;
        if second_of(ends) < entry.due {
            self.leave_queue(slot);
            self.queue(slot);
        }
    }

    /// An entry that has come to its end by `now`, if there is one. Looks at `looks` entries at most.
    pub(super) fn next_ended(&mut self, now: UnixMicros, looks: &mut usize) -> Option<Slot> {
        while *looks > 0 {
            let (due, slot) = self.due.first_key_value().map(|(due, slot)| (*due, *slot))?;
            if u64::from(due).saturating_mul(SECOND) > now.get() {
                return None;
            }
            *looks -= 1;
            if self.get(slot).is_none_or(|entry| entry.ends <= now) {
                return Some(slot);
            }
            self.leave_queue(slot);
            self.queue(slot);
        }
        None
    }

    /// How many are queued for their end.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        let chain = |first: &Slot| std::iter::successors(self.get(*first), |entry| self.get(entry.after)).count();
        self.due.values().map(chain).sum()
    }

    /// A number for some bytes that nobody outside can compute.
    pub(super) fn tag(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }

    fn hash(&self, selector: &[u8; SELECTOR_LEN]) -> u64 {
        self.hasher.hash_one(selector)
    }

    /// Puts an entry under the second in which it ends.
    fn queue(&mut self, slot: Slot) {
        let Some(due) = self.get(slot).map(|entry| second_of(entry.ends)) else { return };
        let after = self.due.insert(due, slot).unwrap_or(NO_SLOT);
        if let Some(entry) = self.get_mut(slot) {
            (entry.due, entry.before, entry.after) = (due, NO_SLOT, after);
        }
        if let Some(next) = self.get_mut(after) {
            next.before = slot;
        }
    }

    fn leave_queue(&mut self, slot: Slot) {
        let Some((due, before, after)) = self.get(slot).map(|entry| (entry.due, entry.before, entry.after)) else {
            return;
        };
        if let Some(next) = self.get_mut(after) {
            next.before = before;
        }
        match self.get_mut(before) {
            Some(previous) => previous.after = after,
            None if after == NO_SLOT => {
                self.due.remove(&due);
            }
            None => {
                self.due.insert(due, after);
            }
        }
    }
}

/// The first second that has wholly begun when this time is over.
fn second_of(time: UnixMicros) -> u32 {
    u32::try_from(time.get().div_ceil(SECOND)).unwrap_or(u32::MAX)
}

/// The beginning of an id.
fn selector(id: &NodeId) -> &[u8; SELECTOR_LEN] {
    let (beginning, _) = id.as_bytes().split_first_chunk().unwrap_or((&[0; SELECTOR_LEN], &[]));
    beginning
}
