//! What a signature signs, and how signatures are judged: ed25519 under the rules of ZIP-215, under which one by one
//! and in batches give the same verdict for every input.

use std::sync::LazyLock;

use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::encode::put_list;
use crate::hash::{ChainId, Tagged, tagged};
use crate::transaction::{Transaction, TxOut};

/// The 32 bytes that every input's key signs: the chain, the transaction without its signatures, and the outputs it
/// spends in the order of its inputs (so that who signs cannot be lied to about the fee).
pub fn sighash(chain: ChainId, transaction: &Transaction, spent: &[TxOut]) -> [u8; 32] {
    sighash_of(chain, &transaction.encode_unsigned(), spent)
}

/// [`sighash`] where the form without signatures is at hand.
pub(crate) fn sighash_of(chain: ChainId, unsigned: &[u8], spent: &[TxOut]) -> [u8; 32] {
    static SIGHASH: LazyLock<Tagged> = LazyLock::new(|| Tagged::of("meshline/sighash"));
    let mut outputs = Vec::with_capacity(9 + spent.len() * TxOut::SIZE);
    put_list(&mut outputs, spent);
    SIGHASH.hash(&[&chain.0, unsigned, &outputs])
}

/// One signature to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureCheck {
    /// ed25519 public key.
    pub key: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
    /// What it is of.
    pub sighash: [u8; 32],
}

impl SignatureCheck {
    /// Whether the signature is valid.
    pub fn is_valid(&self) -> bool {
        batch::Item::from(self.item()).verify_single().is_ok()
    }

    fn item(&self) -> (VerificationKeyBytes, Signature, &[u8; 32]) {
        (VerificationKeyBytes::from(self.key), Signature::from_bytes(&self.signature), &self.sighash)
    }
}

/// Judges many signatures; one that uses several threads is brought from outside.
pub trait SignatureVerifier {
    /// Whether all of them are valid.
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool;
}

impl<V: SignatureVerifier + ?Sized> SignatureVerifier for &V {
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool {
        (**self).all_valid(checks)
    }
}

/// Judges in batches, on the calling thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchVerifier;

/// Signatures in one batch: beyond, a batch gains less than 2 % and its points leave the cache.
pub const BATCH_SIZE: usize = 1_024;

impl SignatureVerifier for BatchVerifier {
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool {
        checks.chunks(BATCH_SIZE).all(|chunk| match chunk {
            [one] => one.is_valid(),
            many => batch_is_valid(many),
        })
    }
}

/// The multipliers of a batch must be unknown to whoever made the signatures; they are drawn from a hash of the whole
/// batch, which nobody can steer, so that no random source is needed.
fn batch_is_valid(checks: &[SignatureCheck]) -> bool {
    let mut transcript = Vec::with_capacity(checks.len() * 128);
    let mut verifier = batch::Verifier::new();
    for check in checks {
        transcript.extend(check.key);
        transcript.extend(check.signature);
        transcript.extend(check.sighash);
        verifier.queue(check.item());
    }
    let seed = tagged("meshline/batch", &[&transcript]);
    verifier.verify(ChaCha20Rng::from_seed(seed)).is_ok()
}
