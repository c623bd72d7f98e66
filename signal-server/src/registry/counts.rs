//! Who has how many entries: per key, per address and in total.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use meshline_protocol::NodeId;

use super::Refusal;
use crate::address::account_of;

/// How many entries the registry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Networks in which one key may have an entry.
    pub per_key: usize,
    /// Entries from one IPv4 address or one IPv6 /64. Loopback is not counted.
    pub per_address: usize,
    /// Entries of all networks together.
    pub total: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    keys: HashMap<NodeId, usize>,
    addresses: HashMap<IpAddr, usize>,
    total: usize,
}

impl Counts {
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Whether one more entry of `id` from `address` is within the caps.
    pub(super) fn admit(&self, id: &NodeId, address: IpAddr, caps: &Caps) -> Result<(), Refusal> {
        if self.total >= caps.total {
            return Err(Refusal::ServerFull);
        }
        if self.keys.get(id).is_some_and(|count| *count >= caps.per_key) {
            return Err(Refusal::TooManyPerKey);
        }
        self.admit_address(address, caps)
    }

    /// Whether one more entry may come from `address`.
    pub(super) fn admit_address(&self, address: IpAddr, caps: &Caps) -> Result<(), Refusal> {
        let Some(account) = account_of(address) else { return Ok(()) };
        match self.addresses.get(&account) {
            Some(count) if *count >= caps.per_address => Err(Refusal::TooManyPerAddress),
            _ => Ok(()),
        }
    }

    pub(super) fn add(&mut self, id: NodeId, address: IpAddr) {
        self.total += 1;
        *self.keys.entry(id).or_default() += 1;
        self.add_address(address);
    }

    pub(super) fn remove(&mut self, id: &NodeId, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        take_one(&mut self.keys, id);
        self.remove_address(address);
    }

    pub(super) fn move_address(&mut self, from: IpAddr, to: IpAddr) {
        self.remove_address(from);
        self.add_address(to);
    }

    fn add_address(&mut self, address: IpAddr) {
        if let Some(account) = account_of(address) {
            *self.addresses.entry(account).or_default() += 1;
        }
    }

    fn remove_address(&mut self, address: IpAddr) {
        if let Some(account) = account_of(address) {
            take_one(&mut self.addresses, &account);
        }
    }
}

/// Counts one down and forgets who has none, so that the table is as large as what it counts.
fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
