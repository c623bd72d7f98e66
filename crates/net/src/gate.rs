//! How many strangers may stand at the door: limits on connections without an accepted hello.
//!
//! They count such connections only, so an address from which members are linked is never banned; those by address
//! do not apply to loopback, where all nodes of a machine have the same one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use meshline_mesh::Mono;

use crate::limits::{ACCEPT_BURST, ACCEPTS_PER_SECOND, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_SOURCE, MAX_SOURCES};

/// Microseconds of waiting that pay for one connection.
const ACCEPT_COST_US: u64 = 1_000_000 / ACCEPTS_PER_SECOND;
const MAX_CREDIT_US: u64 = ACCEPT_COST_US * ACCEPT_BURST;

/// Counts strangers, in all and by source.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: BTreeMap<Source, Account>,
}

/// Addresses that are counted together, because one owner usually has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A /24.
    V4([u8; 3]),
    /// A /64.
    V6([u16; 4]),
}

#[derive(Debug)]
struct Account {
    open: usize,
    credit_us: u64,
    at: Mono,
}

/// The right of one connection to stand at the door; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    source: Option<Source>,
}

impl Gate {
    /// How many stand at the door.
    pub(crate) fn strangers(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Lets a connection from `ip` in, or says why not.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr, now: Mono) -> Result<Permit, &'static str> {
        let source = source_of(ip);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= MAX_HANDSHAKES {
            return Err("too many connections without a hello");
        }
        if let Some(source) = source {
            counts.account(source, now).take()?;
        }
        counts.total += 1;
        Ok(Permit { gate: Arc::clone(self), source })
    }
}

impl Counts {
    fn account(&mut self, source: Source, now: Mono) -> &mut Account {
        if self.by_source.len() >= MAX_SOURCES && !self.by_source.contains_key(&source) {
            self.by_source.retain(|_, account| account.open > 0);
        }
        let account = self.by_source.entry(source).or_insert(Account { open: 0, credit_us: MAX_CREDIT_US, at: now });
        account.credit_us = MAX_CREDIT_US.min(account.credit_us.saturating_add(now.micros_since(account.at)));
        account.at = now;
        account
    }
}

impl Account {
    fn take(&mut self) -> Result<(), &'static str> {
        if self.open >= MAX_HANDSHAKES_PER_SOURCE {
            return Err("too many connections without a hello from this network");
        }
        let left =
            self.credit_us.checked_sub(ACCEPT_COST_US).ok_or("too many connections a second from this network")?;
        self.credit_us = left;
        self.open += 1;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        if let Some(account) = self.source.and_then(|source| counts.by_source.get_mut(&source)) {
            account.open = account.open.saturating_sub(1);
        }
    }
}

fn source_of(ip: IpAddr) -> Option<Source> {
    let ip = ip.to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Source::V4([a, b, c])
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Source::V6([a, b, c, d])
        }
    })
}

#[cfg(test)]
mod tests;
