//! The keys of a wallet and the locks they open, in the order in which they are handed out.
//!
//! Key `n` of a branch is `m/44'/mesh'/0'/branch'/n'`. A few more than were handed out are always known, so that what
//! was paid to an address handed out elsewhere, from the same phrase, is seen.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use meshline_ledger::Lock;

use crate::derive::SecretNode;
use crate::phrase::Phrase;

/// Unused addresses in a row after which a search ends, as in BIP-44.
pub const GAP: u32 = 20;

/// Most addresses of a branch. All are derived when a wallet is opened, which then takes a second.
pub const MAX_ADDRESSES: u32 = 10_000;

/// The purpose of BIP-44; the coin "mesh" in ASCII, which nobody has registered; the first account.
const ACCOUNT: [u32; 3] = [44, 0x6d65_7368, 0];

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    /// Handed out to be paid to.
    Receive,
    /// For what is left of an own payment.
    Change,
}

impl Branch {
    const fn step(self) -> u32 {
        match self {
            Self::Receive => 0,
            Self::Change => 1,
        }
    }
}

/// Which key of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPlace {
    /// Its branch.
    pub branch: Branch,
    /// Its number in the branch, from 0.
    pub index: u32,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [purpose, coin, account] = ACCOUNT;
        write!(out, "m/{purpose}'/{coin}'/{account}'/{}'/{}'", self.branch.step(), self.index)
    }
}

/// A branch as far as it is derived.
#[derive(Clone)]
struct Known {
    node: SecretNode,
    locks: Vec<Lock>,
}

/// All keys of a phrase. The secret ones are derived when they sign, and wiped.
#[derive(Clone)]
pub struct Keys {
    receive: Known,
    change: Known,
    places: BTreeMap<Lock, KeyPlace>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keys").field("known", &self.places.len()).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of a phrase; none is derived yet.
    #[must_use]
    pub fn new(phrase: &Phrase) -> Self {
        let account = SecretNode::master(phrase.seed("").as_slice()).descend(&ACCOUNT);
        let branch = |branch: Branch| Known { node: account.child(branch.step()), locks: Vec::new() };
        Self { receive: branch(Branch::Receive), change: branch(Branch::Change), places: BTreeMap::new() }
    }

    /// Derives the branch's first `count` keys, at most [`MAX_ADDRESSES`] and the [`GAP`].
    pub fn extend(&mut self, branch: Branch, count: u32) {
        let known = match branch {
            Branch::Receive => &mut self.receive,
            Branch::Change => &mut self.change,
        };
        for index in known.len()..count.min(MAX_ADDRESSES + GAP) {
            let lock = Lock::to_key(&signing_key(&known.node, index).verifying_key().to_bytes());
            known.locks.push(lock);
            self.places.insert(lock, KeyPlace { branch, index });
        }
    }

    /// The derived locks of a branch, in order.
    #[must_use]
    pub fn locks(&self, branch: Branch) -> &[Lock] {
        &self.known(branch).locks
    }

    /// All derived locks.
    pub fn all_locks(&self) -> impl Iterator<Item = Lock> + '_ {
        self.receive.locks.iter().chain(&self.change.locks).copied()
    }

    /// Which key opens the lock, if it is a derived one.
    #[must_use]
    pub fn place(&self, lock: &Lock) -> Option<KeyPlace> {
        self.places.get(lock).copied()
    }

    /// The public key of a place.
    #[must_use]
    pub fn public_key(&self, place: KeyPlace) -> [u8; 32] {
        self.signing_key(place).verifying_key().to_bytes()
    }

    /// The signature of `message` by the key of a place.
    #[must_use]
    pub fn sign(&self, place: KeyPlace, message: &[u8]) -> [u8; 64] {
        self.signing_key(place).sign(message).to_bytes()
    }

    fn signing_key(&self, place: KeyPlace) -> SigningKey {
        signing_key(&self.known(place.branch).node, place.index)
    }

    const fn known(&self, branch: Branch) -> &Known {
        match branch {
            Branch::Receive => &self.receive,
            Branch::Change => &self.change,
        }
    }
}

impl Known {
    fn len(&self) -> u32 {
        u32::try_from(self.locks.len()).unwrap_or(u32::MAX)
    }
}

fn signing_key(branch: &SecretNode, index: u32) -> SigningKey {
    SigningKey::from_bytes(branch.child(index).secret())
}
