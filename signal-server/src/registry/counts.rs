//! How many entries there are from each address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

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

/// Entries by address, IPv4 and IPv6 apart: most are of the one, which takes an eighth of the other's room.
#[derive(Debug, Default)]
pub(super) struct Counts {
    v4: HashMap<u32, u32>,
    v6: HashMap<u64, u32>,
}

/// Under which number an address is counted.
enum Account {
    V4(u32),
    V6(u64),
}

impl Account {
    fn of(address: IpAddr) -> Option<Self> {
        Some(match account_of(address)? {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(0)),
        })
    }
}

impl Counts {
    /// Whether one more entry may come from `address`.
    pub(super) fn admit(&self, address: IpAddr, caps: &Caps) -> Result<(), Refusal> {
        let count = match Account::of(address) {
            None => return Ok(()),
            Some(Account::V4(account)) => self.v4.get(&account),
            Some(Account::V6(account)) => self.v6.get(&account),
        };
        let count = count.and_then(|count| usize::try_from(*count).ok()).unwrap_or(0);
        if count >= caps.per_address { Err(Refusal::TooManyPerAddress) } else { Ok(()) }
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        match Account::of(address) {
            None => {}
            Some(Account::V4(account)) => *self.v4.entry(account).or_default() += 1,
            Some(Account::V6(account)) => *self.v6.entry(account).or_default() += 1,
        }
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        match Account::of(address) {
            None => {}
            Some(Account::V4(account)) => take_one(&mut self.v4, &account),
            Some(Account::V6(account)) => take_one(&mut self.v6, &account),
        }
    }
}

/// Counts one down and forgets who has none, so that the table is as large as what it counts.
fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
