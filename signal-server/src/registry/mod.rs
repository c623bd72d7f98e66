//! Who is in which network and where: the whole state of the signal server and every rule about it.
//!
//! Nothing here does I/O: the time, the secrets and the seed of its choices are handed in. An entry ends at
//! `min(signed expires, last announcement or refresh + ttl)`; asking for the list is being listed.

mod candidate;
mod counts;
mod entries;
mod entry;
mod facts;
mod floors;
mod journal;
mod network;
mod overview;
mod refusal;
mod sample;
mod secret;
mod slots;

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use meshline_identity::{Member, RecordError};
use meshline_protocol::{Address, NetworkId, NodeId, SignedRecord, UnixMicros};

pub use candidate::{Candidate, Leaver, network_of};
pub use counts::Caps;
pub use journal::{Change, Floor, Recording, Stored};
pub use overview::{OpenNetwork, Overview, Row, Totals};
pub use refusal::Refusal;
pub use secret::{SECRET_CHARS, Secret, SecretKey};

use counts::Counts;
use entry::Entry;
use facts::Facts;
use floors::Floors;
use journal::Journal;
use network::Networks;
use sample::Chance;
use slots::Slots;

/// An entry: whose, in which network.
pub type Key = (NodeId, NetworkId);

/// Revocations kept for networks that the settings do not name. Anyone can make a network key and revoke with it;
/// sixty-four networks' worth are ten megabytes.
pub const MAX_STRANGE_REVOCATIONS: usize = 64 * meshline_protocol::limits::MAX_REVOCATIONS;

/// Ended entries looked at in one step: some tens of microseconds.
const SWEEP_LOOKS: usize = 64;

/// What the registry is told once.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long an entry lives without a refresh, in microseconds.
    pub ttl_micros: i64,
    /// How many entries it takes.
    pub caps: Caps,
    /// The networks served; none named means all.
    pub networks: BTreeSet<NetworkId>,
}

/// What an announcement or refresh brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A member that was not listed.
    Added,
    /// A newer announcement of a listed member.
    Renewed,
    /// The same announcement again, or the refresh secret.
    Refreshed,
}

impl Outcome {
    /// Its name in logs and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Renewed => "renewed",
            Self::Refreshed => "refreshed",
        }
    }
}

/// The answer to who is listed now.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What happened.
    pub outcome: Outcome,
    /// When the entry ends unless refreshed.
    pub ends: UnixMicros,
    /// The secret that prolongs it.
    pub secret: Secret,
    /// The sequence of the announcement in force.
    pub seq: UnixMicros,
    /// Announced addresses that only a dial-back can prove.
    pub unproved: Vec<Address>,
}

/// The registry.
#[derive(Debug)]
pub struct Registry {
    rules: Rules,
    key: SecretKey,
    /// What secrets were made with before the servers that share this registry were found.
    older_key: Option<SecretKey>,
    slots: Slots,
    networks: Networks,
    counts: Counts,
    floors: Floors,
    /// Revocations kept in all networks.
    revocations: usize,
    chance: Chance,
    journal: Journal,
}

impl Registry {
    /// An empty registry; `seed` decides who is chosen where not all can be listed, `key` makes the secrets.
    #[must_use]
    pub fn new(rules: Rules, key: SecretKey, seed: u64) -> Self {
        Self {
            floors: Floors::new(rules.caps.total),
            rules,
            key,
            older_key: None,
            slots: Slots::default(),
            networks: Networks::default(),
            counts: Counts::default(),
            revocations: 0,
            chance: Chance::new(seed),
            journal: Journal::default(),
        }
    }

    /// Lists a member that was seen at `observed`.
    ///
    /// # Errors
    /// The rule that forbids it; nothing changed then.
    pub fn announce(&mut self, candidate: Candidate, at: Seen) -> Result<Granted, Refusal> {
        self.sweep(at.now);
        let Candidate { network, member } = candidate;
        self.check_served(&network)?;
        let key = (member.id, network);
        if member.membership_seq.is_some_and(|seq| self.is_revoked(&key, seq)) {
            return Err(RecordError::Revoked.into());
        }
        let slot = self.live(&key, at.now);
        let older = slot.and_then(|slot| self.slots.get(slot));
        let known = older.map(|entry| entry.seq).max(self.floors.get(&key));
        if known.is_some_and(|known| member.seq < known) {
            return Err(RecordError::Outdated.into());
        }
        let facts = older.and_then(Entry::facts);
        let (outcome, seq, expires) = (self.judge(older, facts.as_ref(), &member, at)?, member.seq, member.expires);
        if let (Outcome::Refreshed, Some(slot)) = (outcome, slot) {
            return self.prolong(slot, None, at);
        }
        let mut fresh = Facts::new(member, at.observed);
        if let (Some(slot), Some(facts)) = (slot, &facts) {
            fresh.keep_answers_of(facts);
            self.take(slot);
        }
        let slot = self.put(&key, &fresh, (seq, expires))?;
        let granted = self.prolong(slot, None, at)?;
        self.touch_changed(key.0, &key.1);
        Ok(Granted { outcome, ..granted })
    }

    /// What an announcement that holds and is not outdated comes to.
    fn judge(
        &self,
        older: Option<&Entry>,
        facts: Option<&Facts>,
        member: &Member,
        at: Seen,
    ) -> Result<Outcome, Refusal> {
        let is_same_place = facts.is_some_and(|facts| facts.observed == at.observed);
        match older {
            Some(entry) if entry.seq == member.seq && is_same_place => Ok(Outcome::Refreshed),
            // The same record from somewhere else proves nothing: others have it too. Its owner signs anew, or
            // refreshes with the secret.
            Some(entry) if entry.seq == member.seq => Err(RecordError::Outdated.into()),
            Some(_) if is_same_place => Ok(Outcome::Renewed),
            Some(_) => self.counts.admit(at.observed, &self.rules.caps).map(|()| Outcome::Renewed),
            None if self.slots.len() >= self.rules.caps.total => Err(Refusal::ServerFull),
            None if self.slots.count_of(&member.id) >= self.rules.caps.per_key => Err(Refusal::TooManyPerKey),
            None => self.counts.admit(at.observed, &self.rules.caps).map(|()| Outcome::Added),
        }
    }

    /// Prolongs an entry for whoever knows its secret.
    ///
    /// # Errors
    /// No such entry, or another secret.
    pub fn refresh(&mut self, id: NodeId, network: &NetworkId, secret: &str, at: Seen) -> Result<Granted, Refusal> {
        self.sweep(at.now);
        let number = self.networks.number(network).ok_or(Refusal::NoSuchEntry)?;
        let slot = self.slots.find(&id, number).ok_or(Refusal::NoSuchEntry)?;
        let entry = self.slots.get(slot).filter(|entry| entry.ends > at.now).ok_or(Refusal::NoSuchEntry)?;
        let secret = Secret::parse(secret).ok_or(Refusal::WrongSecret)?;
        let own = self.secret_of(entry, network);
        if !own.is_same(&secret) && !self.is_secret_of(entry, network, &secret) {
            return Err(Refusal::WrongSecret);
        }
        self.prolong(slot, Some(own), at)
    }

    /// Takes a member off the list.
    ///
    /// # Errors
    /// No such entry, or one with a newer announcement.
    pub fn depart(&mut self, leaver: Leaver, now: UnixMicros) -> Result<(), Refusal> {
        self.sweep(now);
        let key = (leaver.id, leaver.network);
        let slot = self.live(&key, now).ok_or(Refusal::NoSuchEntry)?;
        let (seq, expires) =
            self.slots.get(slot).map(|entry| (entry.seq, entry.expires)).ok_or(Refusal::NoSuchEntry)?;
        if seq >= leaver.seq {
            return Err(RecordError::Outdated.into());
        }
        self.take(slot);
        self.touch_changed(key.0, &key.1);
        self.floors.raise(key, leaver.seq, expires, now);
        Ok(())
    }

    /// Takes in a revocation by the key of a closed network, and drops the entry it ends. `None` if it was known.
    ///
    /// # Errors
    /// If it does not hold, or there is no room.
    pub fn revoke(&mut self, record: &SignedRecord, now: UnixMicros) -> Result<Option<NodeId>, Refusal> {
        self.sweep(now);
        let network = network_of(record)?;
        self.check_served(&network)?;
        if !self.rules.networks.contains(&network) && self.revocations >= MAX_STRANGE_REVOCATIONS {
            return Err(Refusal::ServerFull);
        }
        let number = self.networks.number_or_new(&network);
        let held = self.networks.get_mut(number).ok_or(Refusal::ServerFull)?;
        let before = held.revoked.len();
        let revoked = held.revoked.insert(record, &network, now);
        self.revocations += held.revoked.len() - before;
        held.on_revocations_changed();
        self.networks.tidy(number);
        let Some(revoked) = revoked? else { return Ok(None) };
        self.touch_revoked(record);
        let slot = self.slots.find(&revoked.node, number);
        let facts = slot.and_then(|slot| self.slots.get(slot)).and_then(Entry::facts);
        if let (Some(slot), Some(seq)) = (slot, facts.and_then(|facts| facts.membership_seq))
            && seq < revoked.seq
        {
            self.take(slot);
            self.touch_changed(revoked.node, &network);
        }
        Ok(Some(revoked.node))
    }

    /// Takes in the outcome of a dial-back of the announcement with this sequence.
    pub fn settle(&mut self, id: NodeId, network: &NetworkId, seq: UnixMicros, found: (&Address, bool)) {
        let slot = self.networks.number(network).and_then(|number| self.slots.find(&id, number));
        let Some(slot) = slot else { return };
        if self.slots.get(slot).is_some_and(|entry| entry.seq == seq) {
            self.amend(slot, |facts| facts.settle(found.0, found.1));
        }
    }

    /// Whether the list of a network may be given to somebody with this secret, or with none.
    ///
    /// # Errors
    /// A closed network without the secret of a live entry, or a network that is not served.
    pub fn may_list(&mut self, network: &NetworkId, secret: Option<&str>, now: UnixMicros) -> Result<(), Refusal> {
        self.sweep(now);
        self.check_served(network)?;
        if network.is_open() {
            return Ok(());
        }
        let number = self.networks.number(network).ok_or(Refusal::MembersOnly)?;
        let secret = secret.and_then(Secret::parse).ok_or(Refusal::MembersOnly)?;
        let mut holders = self.slots.with_selector(secret.selector(), number).filter(|entry| entry.ends > now);
        let is_member = holders.any(|entry| self.is_secret_of(entry, network, &secret));
        if is_member { Ok(()) } else { Err(Refusal::MembersOnly) }
    }

    /// The list of a network with up to `limit` members, as a JSON object without its closing brace.
    pub fn list(&mut self, network: &NetworkId, limit: usize, now: UnixMicros) -> Bytes {
        self.sweep(now);
        let number = self.networks.number(network);
        match number.and_then(|number| self.networks.get_mut(number)) {
            Some(held) => held.list(limit, &self.slots, &mut self.chance, now),
            None => network::empty_list(),
        }
    }

    /// The same, with a number that another list has not. It is of this process alone.
    pub fn list_tagged(&mut self, network: &NetworkId, limit: usize, now: UnixMicros) -> (Bytes, u64) {
        let head = self.list(network, limit, now);
        let number = self.networks.number(network);
        let tag = number.and_then(|number| self.networks.get_mut(number)).map_or(0, |held| held.tag(&self.slots));
        (head, tag)
    }

    /// Drops some of what has ended; whether there may be more. Nothing that has ended is listed or prolonged, dropped
    /// or not: this only makes room, a little at a time, so that nobody waits for a million entries that end at once.
    pub fn sweep(&mut self, now: UnixMicros) -> bool {
        let mut looks = SWEEP_LOOKS;
        while let Some(slot) = self.slots.next_ended(now, &mut looks) {
            self.end(slot, now);
        }
        self.floors.expire(now, SWEEP_LOOKS);
        looks == 0
    }

    /// Drops revocations that have ended by themselves. Walks all networks: for a slow timer.
    pub fn sweep_revocations(&mut self, now: UnixMicros) {
        let mut kept = 0;
        for number in self.networks.numbers() {
            let Some(held) = self.networks.get_mut(number) else { continue };
            if !held.revoked.is_empty() {
                held.revoked.expire(now);
                held.on_revocations_changed();
                kept += held.revoked.len();
            }
            self.networks.tidy(number);
        }
        self.revocations = kept;
    }

    fn check_served(&self, network: &NetworkId) -> Result<(), Refusal> {
        let is_served = self.rules.networks.is_empty() || self.rules.networks.contains(network);
        if is_served { Ok(()) } else { Err(Refusal::NetworkNotServed) }
    }

    fn is_revoked(&self, (id, network): &Key, seq: UnixMicros) -> bool {
        let held = self.networks.number(network).and_then(|number| self.networks.get(number));
        held.is_some_and(|held| held.revoked.ends(id, seq))
    }

    /// Makes secrets with another key from now on. Those made with the one before hold on.
    pub fn adopt_key(&mut self, key: SecretKey) {
        self.older_key = Some(std::mem::replace(&mut self.key, key));
    }

    fn is_secret_of(&self, entry: &Entry, network: &NetworkId, secret: &Secret) -> bool {
        let keys = std::iter::once(&self.key).chain(&self.older_key);
        let mut secrets = keys.map(|key| key.secret(network, &entry.id, (entry.seq.get(), entry.nonce)));
        secrets.any(|own| own.is_same(secret))
    }

    fn secret_of(&self, entry: &Entry, network: &NetworkId) -> Secret {
        self.key.secret(network, &entry.id, (entry.seq.get(), entry.nonce))
    }
}

/// Where and when a request was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The address it came from.
    pub observed: IpAddr,
    /// The time.
    pub now: UnixMicros,
}

#[cfg(test)]
mod tests;
