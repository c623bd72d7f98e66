//! Who is in which network and where: the whole state of the signal server and every rule about it.
//!
//! Nothing here does I/O: the time, the secrets and the seed of its choices are handed in. An entry ends at
//! `min(signed expires, last announcement or refresh + ttl)`; asking for the list is being listed.

mod candidate;
mod counts;
mod entry;
mod floors;
mod network;
mod overview;
mod refusal;
mod sample;
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use meshline_identity::RecordError;
use meshline_protocol::{Address, NetworkId, NodeId, SignedRecord, UnixMicros};

pub use candidate::{Candidate, Leaver, network_of};
pub use counts::Caps;
pub use overview::{OpenNetwork, Overview, Row, Totals};
pub use refusal::Refusal;
pub use secret::{SECRET_CHARS, Secret};

use counts::Counts;
use entry::Entry;
use floors::Floors;
use network::Network;
use sample::Chance;

/// An entry: whose, in which network.
type Key = (NodeId, NetworkId);

/// Revocations kept for networks that the settings do not name. Anyone can make a network key and revoke with it;
/// sixty-four networks' worth are ten megabytes.
pub const MAX_STRANGE_REVOCATIONS: usize = 64 * meshline_protocol::limits::MAX_REVOCATIONS;

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
    networks: BTreeMap<NetworkId, Network>,
    counts: Counts,
    floors: Floors,
    /// Every entry once, under a time that is not behind its end.
    due: BTreeSet<(UnixMicros, Key)>,
    /// Revocations kept in all networks.
    revocations: usize,
    chance: Chance,
}

impl Registry {
    /// An empty registry; `seed` decides who is chosen where not all can be listed.
    #[must_use]
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            floors: Floors::new(rules.caps.total),
            rules,
            networks: BTreeMap::new(),
            counts: Counts::default(),
            due: BTreeSet::new(),
            revocations: 0,
            chance: Chance::new(seed),
        }
    }

    /// Lists a member that was seen at `observed`. `secret` becomes the entry's if the announcement is a new one.
    ///
    /// # Errors
    /// The rule that forbids it; nothing changed then.
    pub fn announce(
        &mut self,
        candidate: Candidate,
        observed: IpAddr,
        secret: Secret,
        now: UnixMicros,
    ) -> Result<Granted, Refusal> {
        self.sweep(now);
        let Candidate { network, member } = candidate;
        self.check_served(&network)?;
        let key = (member.id, network);
        let held = self.networks.get(&key.1);
        if member.membership_seq.is_some_and(|seq| held.is_some_and(|held| held.revoked.ends(&key.0, seq))) {
            return Err(RecordError::Revoked.into());
        }
        let older = held.and_then(|held| held.get(&key.0));
        let known = older.map(|entry| entry.seq).max(self.floors.get(&key));
        if known.is_some_and(|known| member.seq < known) {
            return Err(RecordError::Outdated.into());
        }
        let outcome = match older {
            Some(entry) if entry.seq == member.seq && entry.observed == observed => {
                return self.prolong(&key, observed, now);
            }
            // The same record from somewhere else proves nothing: others have it too. Its owner signs anew, or
            // refreshes with the secret.
            Some(entry) if entry.seq == member.seq => return Err(RecordError::Outdated.into()),
            Some(entry) if entry.observed == observed => Outcome::Renewed,
            Some(_) => {
                self.counts.admit_address(observed, &self.rules.caps)?;
                Outcome::Renewed
            }
            None => {
                self.counts.admit(&key.0, observed, &self.rules.caps)?;
                Outcome::Added
            }
        };
        self.put(&key, Entry::new(member, observed, secret));
        let granted = self.prolong(&key, observed, now)?;
        Ok(Granted { outcome, ..granted })
    }

    /// Prolongs an entry for whoever knows its secret.
    ///
    /// # Errors
    /// No such entry, or another secret.
    pub fn refresh(&mut self, id: NodeId, network: NetworkId, secret: &str, at: Seen) -> Result<Granted, Refusal> {
        self.sweep(at.now);
        let key = (id, network);
        let entry = self.networks.get(&key.1).and_then(|held| held.get(&key.0)).ok_or(Refusal::NoSuchEntry)?;
        let secret = Secret::parse(secret).ok_or(Refusal::WrongSecret)?;
        if !entry.secret.is_same(&secret) {
            return Err(Refusal::WrongSecret);
        }
        self.prolong(&key, at.observed, at.now)
    }

    /// Takes a member off the list.
    ///
    /// # Errors
    /// No such entry, or one with a newer announcement.
    pub fn depart(&mut self, leaver: Leaver, now: UnixMicros) -> Result<(), Refusal> {
        self.sweep(now);
        let key = (leaver.id, leaver.network);
        let seq = self.networks.get(&key.1).and_then(|held| held.get(&key.0)).map(|entry| entry.seq);
        if seq.ok_or(Refusal::NoSuchEntry)? >= leaver.seq {
            return Err(RecordError::Outdated.into());
        }
        if let Some(entry) = self.take(&key) {
            self.floors.raise(key, leaver.seq, entry.expires, now);
        }
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
        let mut held = self.networks.remove(&network).unwrap_or_default();
        let before = held.revoked.len();
        let revoked = held.revoked.insert(record, &network, now);
        self.revocations += held.revoked.len() - before;
        held.on_revocations_changed();
        if !held.is_idle() {
            self.networks.insert(network.clone(), held);
        }
        let Some(revoked) = revoked? else { return Ok(None) };
        let key = (revoked.node, network);
        let entry = self.networks.get(&key.1).and_then(|held| held.get(&key.0));
        if entry.and_then(|entry| entry.membership_seq).is_some_and(|seq| seq < revoked.seq) {
            self.take(&key);
        }
        Ok(Some(revoked.node))
    }

    /// Takes in the outcome of a dial-back.
    pub fn settle(&mut self, id: NodeId, network: &NetworkId, seq: UnixMicros, found: (&Address, bool)) {
        if let Some(held) = self.networks.get_mut(network) {
            held.settle(&id, seq, found.0, found.1);
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
        let held = self.networks.get(network);
        let holder = secret.and_then(Secret::parse).and_then(|secret| held?.holder(&secret));
        holder.map(|_| ()).ok_or(Refusal::MembersOnly)
    }

    /// The list of a network with up to `limit` members, as a JSON object without its closing brace.
    pub fn list(&mut self, network: &NetworkId, limit: usize, now: UnixMicros) -> Bytes {
        self.sweep(now);
        match self.networks.get_mut(network) {
            Some(held) => held.list(limit, &mut self.chance, now),
            None => network::empty_list(),
        }
    }

    /// Drops what has ended.
    pub fn sweep(&mut self, now: UnixMicros) {
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.due.pop_first() else { return };
            let end = self.networks.get(&key.1).and_then(|held| held.get(&key.0)).map(|entry| entry.ends);
            match end {
                Some(ends) if ends > now => self.queue(key, ends),
                Some(_) => self.end(key, now),
                None => {}
            }
        }
        self.floors.expire(now);
    }

    /// Drops revocations that have ended by themselves. Walks all networks: for a slow timer.
    pub fn sweep_revocations(&mut self, now: UnixMicros) {
        let mut kept = 0;
        self.networks.retain(|_, held| {
            if !held.revoked.is_empty() {
                held.revoked.expire(now);
                held.on_revocations_changed();
                kept += held.revoked.len();
            }
            !held.is_idle()
        });
        self.revocations = kept;
    }

    fn check_served(&self, network: &NetworkId) -> Result<(), Refusal> {
        let is_served = self.rules.networks.is_empty() || self.rules.networks.contains(network);
        if is_served { Ok(()) } else { Err(Refusal::NetworkNotServed) }
    }

    /// Puts an entry in and counts it, in the place of an older one of the same member.
    fn put(&mut self, key: &Key, mut entry: Entry) {
        match self.networks.get(&key.1).and_then(|held| held.get(&key.0)) {
            Some(older) => {
                entry.keep_answers_of(older);
                self.due.remove(&(older.due, key.clone()));
                self.counts.move_address(older.observed, entry.observed);
            }
            None => self.counts.add(key.0, entry.observed),
        }
        self.floors.clear(key);
        self.due.insert((entry.due, key.clone()));
        self.networks.entry(key.1.clone()).or_default().insert(entry);
    }

    /// Gives the entry a full term from `now` on.
    fn prolong(&mut self, key: &Key, observed: IpAddr, now: UnixMicros) -> Result<Granted, Refusal> {
        let held = self.networks.get_mut(&key.1).ok_or(Refusal::NoSuchEntry)?;
        held.see(&key.0, observed);
        let entry = held.get(&key.0).ok_or(Refusal::NoSuchEntry)?;
        let ends = entry.expires.min(now.offset(self.rules.ttl_micros));
        let due = entry.due;
        let granted = Granted {
            outcome: Outcome::Refreshed,
            ends,
            secret: entry.secret,
            seq: entry.seq,
            unproved: entry.unproved(),
        };
        held.set_end(&key.0, ends, due);
        if ends < due {
            self.due.remove(&(due, key.clone()));
            self.queue(key.clone(), ends);
        }
        Ok(granted)
    }

    /// Has the entry looked at again at `due`.
    fn queue(&mut self, key: Key, due: UnixMicros) {
        if let Some(held) = self.networks.get_mut(&key.1) {
            let ends = held.get(&key.0).map_or(due, |entry| entry.ends);
            held.set_end(&key.0, ends, due);
        }
        self.due.insert((due, key));
    }

    /// An entry has come to its end: its member must not fall behind what it announced.
    fn end(&mut self, key: Key, now: UnixMicros) {
        if let Some(entry) = self.take(&key) {
            self.floors.raise(key, entry.seq, entry.expires, now);
        }
    }

    /// Takes an entry out of everything that knows of it.
    fn take(&mut self, key: &Key) -> Option<Entry> {
        let held = self.networks.get_mut(&key.1)?;
        let entry = held.remove(&key.0)?;
        if held.is_idle() {
            self.networks.remove(&key.1);
        }
        self.due.remove(&(entry.due, key.clone()));
        self.counts.remove(&key.0, entry.observed);
        Some(entry)
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
