//! What changed, for whoever keeps the registry or shares it with other servers.

use std::collections::BTreeMap;

use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use super::entry::Slot;
use super::{Key, Registry, facts::Facts};

/// What is told of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Nothing.
    #[default]
    Off,
    /// That it came, changed or went.
    Entries,
    /// Also that it was prolonged: other servers have to know, a file need not.
    Refreshes,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An entry as it stands now.
    Entry(Key, Stored),
    /// An entry was prolonged until this time.
    Refreshed(Key, UnixMicros),
    /// An entry is gone; what is remembered of it.
    Gone(Key, Option<Floor>),
    /// An entry came to its end here: it may have been prolonged elsewhere. What is remembered of it.
    Ended(Key, Floor),
    /// A revocation.
    Revoked(SignedRecord),
}

/// An entry in the form in which it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The sequence of its announcement.
    pub seq: UnixMicros,
    /// The end that the member signed.
    pub expires: UnixMicros,
    /// The end unless refreshed.
    pub ends: UnixMicros,
    /// What its secret is made with.
    pub nonce: u32,
    /// What the member said of itself, packed.
    pub packed: Box<[u8]>,
}

/// The lowest sequence that may be announced again, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The sequence.
    pub seq: UnixMicros,
    /// Until when it holds.
    pub until: UnixMicros,
}

/// What is to be told, an entry once however often it changed.
#[derive(Debug, Default)]
pub(super) struct Journal {
    recording: Recording,
    touched: BTreeMap<Key, Touch>,
    revoked: Vec<SignedRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    Refreshed,
    Ended,
    Changed,
}

impl Journal {
    /// An entry came to its end: nothing that happened to it before is worth telling.
    fn note_end(&mut self, key: Key, most: usize) {
        self.touched.remove(&key);
        self.note(key, Touch::Ended, most);
    }

    fn note(&mut self, key: Key, touch: Touch, most: usize) {
        // Who keeps it cannot follow: what is lost then is announced again by its owner.
        if self.touched.len() < most || self.touched.contains_key(&key) {
            let noted = self.touched.entry(key).or_insert(touch);
            *noted = touch.max(*noted);
        }
    }
}

impl Registry {
    /// Says from now on what changes.
    pub fn record(&mut self, recording: Recording) {
        self.journal.recording = recording;
    }

    /// Has everything told, to one who knows nothing of it.
    pub fn touch_all(&mut self) {
        let keys: Vec<Key> = self.networks.iter().flat_map(|held| self.keys_of(held)).collect();
        keys.into_iter().for_each(|key| self.touch(key, Touch::Changed));
        self.journal.revoked = self.networks.iter().flat_map(|held| held.revoked.records().cloned()).collect();
    }

    /// Up to so many changes; none if there is nothing to tell.
    pub fn take_changes(&mut self, most: usize) -> Vec<Change> {
        let mut changes: Vec<Change> = self.journal.revoked.drain(..).map(Change::Revoked).collect();
        for _ in 0..most {
            let Some((key, touch)) = self.journal.touched.pop_first() else { break };
            changes.extend(self.change_of(key, touch));
        }
        changes
    }

    /// Has these told again, as they stand then.
    pub fn touch_again(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Entry(key, _) | Change::Gone(key, _) => self.touch(key.clone(), Touch::Changed),
                Change::Refreshed(key, _) => self.touch(key.clone(), Touch::Refreshed),
                Change::Ended(key, _) => self.touch(key.clone(), Touch::Ended),
                Change::Revoked(record) => self.journal.revoked.push(record.clone()),
            }
        }
    }

    /// Takes in what was kept, or what another server tells. It is not told on.
    pub fn apply(&mut self, change: Change, now: UnixMicros) {
        let recording = std::mem::take(&mut self.journal.recording);
        match change {
            Change::Entry(key, stored) => self.restore(&key, &stored, (now, recording)),
            Change::Refreshed(key, ends) => {
                let slot = self.slot_of(&key);
                if let Some(entry) = slot.and_then(|slot| self.slots.get_mut(slot)) {
                    entry.ends = entry.ends.max(ends).min(entry.expires);
                }
            }
            Change::Gone(key, floor) => self.forget(key, floor, now),
            Change::Ended(key, floor) => self.outdate(key, floor, now),
            // One that has ended meanwhile is refused, as it should be.
            Change::Revoked(record) => drop(self.revoke(&record, now)),
        }
        self.journal.recording = recording;
    }

    /// An entry changed, came or went.
    pub(super) fn touch_changed(&mut self, id: NodeId, network: &NetworkId) {
        if self.journal.recording != Recording::Off {
            self.touch((id, network.clone()), Touch::Changed);
        }
    }

    /// An entry came to its end. A file has to drop it; in what servers share it ends by itself, unless another one of them
    /// prolonged it while this one did not hear.
    pub(super) fn touch_ended(&mut self, id: NodeId, network: &NetworkId) {
        match self.journal.recording {
            Recording::Off => {}
            Recording::Entries => self.touch_changed(id, network),
            Recording::Refreshes => {
                let most = self.rules.caps.total.saturating_mul(2);
                self.journal.note_end((id, network.clone()), most);
            }
        }
    }

    /// An entry was prolonged.
    pub(super) fn touch_refreshed(&mut self, slot: Slot) {
        if self.journal.recording != Recording::Refreshes {
            return;
        }
        let entry = self.slots.get(slot).map(|entry| (entry.id, entry.network));
        let Some((id, network)) = entry else { return };
        if let Some(network) = self.networks.get(network).map(|held| held.id.clone()) {
            self.touch((id, network), Touch::Refreshed);
        }
    }

    /// A revocation was taken in.
    pub(super) fn touch_revoked(&mut self, record: &SignedRecord) {
        if self.journal.recording != Recording::Off {
            self.journal.revoked.push(record.clone());
        }
    }

    fn touch(&mut self, key: Key, touch: Touch) {
        self.journal.note(key, touch, self.rules.caps.total.saturating_mul(2));
    }

    fn keys_of<'a>(&'a self, held: &'a super::network::Network) -> impl Iterator<Item = Key> + 'a {
        let entries = held.members.iter().filter_map(|slot| self.slots.get(*slot));
        entries.map(|entry| (entry.id, held.id.clone()))
    }

    /// What is told of an entry now; nothing of one that ended so long ago that nothing is remembered of it.
    fn change_of(&self, key: Key, touch: Touch) -> Option<Change> {
        let entry = self.slot_of(&key).and_then(|slot| self.slots.get(slot));
        Some(match (entry, touch) {
            (None, Touch::Ended) => {
                let floor = self.floors.whole(&key)?;
                Change::Ended(key, floor)
            }
            (None, Touch::Refreshed | Touch::Changed) => {
                let floor = self.floors.whole(&key);
                Change::Gone(key, floor)
            }
            (Some(entry), Touch::Refreshed | Touch::Ended) => Change::Refreshed(key, entry.ends),
            (Some(entry), Touch::Changed) => {
                let (seq, expires, ends, nonce) = (entry.seq, entry.expires, entry.ends, entry.nonce);
                Change::Entry(key, Stored { seq, expires, ends, nonce, packed: entry.packed().into() })
            }
        })
    }

    fn slot_of(&self, (id, network): &Key) -> Option<Slot> {
        self.slots.find(id, self.networks.number(network)?)
    }

    fn restore(&mut self, key: &Key, stored: &Stored, (now, recording): (UnixMicros, Recording)) {
        let known = self.slot_of(key).and_then(|slot| self.slots.get(slot)).map(|entry| entry.seq);
        let outdated = known.max(self.floors.get(key)).is_some_and(|known| known > stored.seq);
        let ended = stored.ends.min(stored.expires) <= now;
        if outdated && recording == Recording::Refreshes {
            // Who told it has not heard of ours.
            self.touch(key.clone(), Touch::Changed);
        }
        let Some(facts) = Facts::unpack(&stored.packed) else { return };
        let revoked = facts.membership_seq.is_some_and(|seq| self.is_revoked(key, seq));
        if outdated || ended || revoked || self.check_served(&key.1).is_err() {
            return;
        }
        let mut ends = stored.ends;
        if let Some(older) = self.slot_of(key).and_then(|slot| self.take(slot)).filter(|older| older.seq == stored.seq)
        {
            // Whoever told it may not have heard that it was prolonged.
            ends = ends.max(older.ends);
        }
        if self.slots.len() >= self.rules.caps.total {
            return;
        }
        let Ok(slot) = self.put(key, &facts, (stored.seq, stored.expires)) else { return };
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.nonce = stored.nonce;
        }
        self.slots.set_end(slot, ends.min(stored.expires).min(now.offset(self.rules.ttl_micros)));
    }

    /// Drops an entry that is older than one that has ended elsewhere.
    fn outdate(&mut self, key: Key, floor: Floor, now: UnixMicros) {
        let older = self.slot_of(&key).filter(|slot| self.slots.get(*slot).is_some_and(|entry| entry.seq < floor.seq));
        if let Some(slot) = older {
            self.take(slot);
        }
        if self.slot_of(&key).is_none() {
            self.floors.raise(key, floor.seq, floor.until, now);
        }
    }

    fn forget(&mut self, key: Key, floor: Option<Floor>, now: UnixMicros) {
        let slot = self.slot_of(&key);
        let is_newer = |slot: Slot| {
            let seq = self.slots.get(slot).map(|entry| entry.seq);
            seq.zip(floor).is_some_and(|(seq, floor)| seq > floor.seq)
        };
        match slot {
            Some(slot) if is_newer(slot) => return,
            Some(slot) => drop(self.take(slot)),
            None => {}
        }
        if let Some(floor) = floor {
            self.floors.raise(key, floor.seq, floor.until, now);
        }
    }
}
