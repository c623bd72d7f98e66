//! Signatures that were found valid, remembered: one that was judged when its payment came is not judged again when a
//! block brings it, nor when a reorganisation does.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::sighash::{SignatureCheck, SignatureVerifier};

/// Signatures in each of the two generations that are remembered: what fits into a table of 2^18 places, 8.6 MB. Both
/// together hold a reorganisation of 200 blocks of 1,000 payments.
pub const MAX_VERIFIED: usize = 229_376;
/// Signatures judged together by [`Verified::judge`]: a bad one costs as many others a second look, one by one.
const JUDGED_TOGETHER: usize = 256;

/// A verifier that remembers what another one found valid. It may be used by several threads at once; none holds the
/// memory while it judges.
#[derive(Debug, Default)]
pub struct Verified<V> {
    verifier: V,
    known: Mutex<Generations>,
}

/// The key of a signature, the signature, and what it is of, in one hash: as long as SHA-256 holds nothing invalid has
/// the name of something valid.
type Name = [u8; 32];

/// When the younger generation is full the older one is forgotten, so that what is still used stays.
#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Name>,
    old: HashSet<Name>,
}

impl Generations {
    fn knows(&self, name: &Name) -> bool {
        self.young.contains(name) || self.old.contains(name)
    }

    fn remember(&mut self, name: Name) {
        if self.young.len() >= MAX_VERIFIED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
    }
}

fn name_of(check: &SignatureCheck) -> Name {
    let hash = Sha256::new().chain_update(check.key).chain_update(check.signature);
    hash.chain_update(check.sighash).finalize().into()
}

impl<V: SignatureVerifier> Verified<V> {
    /// Remembers what `verifier` finds.
    pub fn new(verifier: V) -> Self {
        Self { verifier, known: Mutex::default() }
    }

    /// How many signatures are remembered, at most twice [`MAX_VERIFIED`].
    pub fn len(&self) -> usize {
        let known = self.known();
        known.young.len() + known.old.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges signatures of many payments ahead, a few hundred together; the valid ones are remembered.
    pub fn judge(&self, checks: &[SignatureCheck]) {
        for together in checks.chunks(JUDGED_TOGETHER) {
            if !self.all_valid(together) {
                // A bad one hides which of them are good.
                for check in together {
                    self.all_valid(std::slice::from_ref(check));
                }
            }
        }
    }

    /// The sets are whole even if a thread died while it held them.
    fn known(&self) -> MutexGuard<'_, Generations> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: SignatureVerifier> SignatureVerifier for Verified<V> {
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool {
        let names: Vec<Name> = checks.iter().map(name_of).collect();
        let (mut unknown, mut fresh) = (Vec::new(), Vec::new());
        {
            let known = self.known();
            for (name, check) in names.into_iter().zip(checks) {
                if !known.knows(&name) {
                    unknown.push(*check);
                    fresh.push(name);
                }
            }
        }
        if unknown.is_empty() {
            return true;
        }
        let valid = self.verifier.all_valid(&unknown);
        if valid {
            let mut known = self.known();
            fresh.into_iter().for_each(|name| known.remember(name));
        }
        valid
    }
}
