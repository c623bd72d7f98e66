//! How entries come, last and go, so that everything that knows of one stays in step.

use meshline_protocol::UnixMicros;

use super::entry::{Entry, Slot};
use super::facts::Facts;
use super::{Granted, Key, Outcome, Refusal, Registry, Secret, Seen};

impl Registry {
    /// The entry of a member, unless it has ended: then it is dropped.
    pub(super) fn live(&mut self, (id, network): &Key, now: UnixMicros) -> Option<Slot> {
        let slot = self.slots.find(id, self.networks.number(network)?)?;
        if self.slots.get(slot).is_some_and(|entry| entry.ends <= now) {
            self.end(slot, now);
            return None;
        }
        Some(slot)
    }

    /// Puts an entry in and counts it. It ends with its announcement until it is given its term.
    pub(super) fn put(
        &mut self,
        key: &Key,
        facts: &Facts,
        (seq, expires): (UnixMicros, UnixMicros),
    ) -> Result<Slot, Refusal> {
        let network = self.networks.number_or_new(&key.1);
        let entry = Entry::new((key.0, network), facts, (seq, expires), self.chance.number());
        let Some(slot) = self.slots.insert(entry) else {
            self.networks.tidy(network);
            return Err(Refusal::ServerFull);
        };
        if let Some(held) = self.networks.get_mut(network) {
            held.join(slot, facts.is_proxy(), &mut self.slots);
        }
        self.counts.add(facts.observed);
        self.floors.clear(key);
        Ok(slot)
    }

    /// Gives the entry a full term from `now` on. Its secret is made if whoever asks did not prove that it has it.
    pub(super) fn prolong(&mut self, slot: Slot, secret: Option<Secret>, at: Seen) -> Result<Granted, Refusal> {
        if self.slots.get(slot).is_some_and(|entry| !entry.is_settled) {
            self.amend(slot, |facts| facts.see(at.observed));
        }
        let entry = self.slots.get(slot).ok_or(Refusal::NoSuchEntry)?;
        let network = &self.networks.get(entry.network).ok_or(Refusal::NoSuchEntry)?.id;
        let ends = entry.expires.min(at.now.offset(self.rules.ttl_micros));
        let unproved =
            if entry.is_settled { Vec::new() } else { entry.facts().map(|facts| facts.unproved()).unwrap_or_default() };
        let granted = Granted {
            outcome: Outcome::Refreshed,
            ends,
            secret: secret.unwrap_or_else(|| self.secret_of(entry, network)),
            seq: entry.seq,
            unproved,
        };
        self.slots.set_end(slot, ends);
        self.touch_refreshed(slot);
        Ok(granted)
    }

    /// Changes what an entry holds, if `change` says that it did.
    pub(super) fn amend(&mut self, slot: Slot, change: impl FnOnce(&mut Facts) -> bool) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let Some(mut facts) = entry.facts() else { return };
        if change(&mut facts) {
            entry.set_facts(&facts);
            let (id, network) = (entry.id, entry.network);
            let Some(held) = self.networks.get_mut(network) else { return };
            held.on_changed(slot);
            let network = held.id.clone();
            self.touch_changed(id, &network);
        }
    }

    /// An entry has come to its end: its member must not fall behind what it announced.
    pub(super) fn end(&mut self, slot: Slot, now: UnixMicros) {
        let number = self.slots.get(slot).map(|entry| entry.network);
        let network = number.and_then(|number| self.networks.get(number)).map(|held| held.id.clone());
        if let (Some(entry), Some(network)) = (self.take(slot), network) {
            self.touch_ended(entry.id, &network);
            self.floors.raise((entry.id, network), entry.seq, entry.expires, now);
        }
    }

    /// Takes an entry out of everything that knows of it.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Entry> {
        let number = self.slots.get(slot)?.network;
        if let Some(held) = self.networks.get_mut(number) {
            held.leave(slot, &mut self.slots);
        }
        self.networks.tidy(number);
        let entry = self.slots.remove(slot)?;
        if let Some(facts) = entry.facts() {
            self.counts.remove(facts.observed);
        }
        Some(entry)
    }
}
