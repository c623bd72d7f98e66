//! The pool as it is saved at the end and read at the start. What is read is judged like anything else.

use crate::chain::Chain;
use crate::encode::{Decode, DecodeError, Decoder, Encode, put_count};
use crate::mempool::batch::Brought;
use crate::mempool::{MAX_POOL_BYTES, Mempool, Origin};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::transaction::Transaction;

/// A saved pool is smaller: payments, and nine bytes with each.
pub const MAX_SAVED_BYTES: usize = MAX_POOL_BYTES + MAX_POOL_BYTES / 8;
/// Most payments in it: what fits at 100 bytes each.
const MAX_SAVED: u64 = (MAX_POOL_BYTES / 100) as u64;
const VERSION: u8 = 1;
const LOCAL: u8 = 1;
/// Peers have other numbers after a start: what they brought counts as one peer's.
const FORMER_PEERS: Origin = Origin::Peer(u64::MAX);

/// Why a saved pool cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Another version.
    #[error("saved by another version ({0})")]
    Version(u8),
    /// Not what was written.
    #[error("damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// Payments as bytes, each with who brought it and when, in seconds since 1970.
pub fn save_payments(payments: &[(&Transaction, Origin, u64)]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put_count(&mut bytes, payments.len() as u64);
    for (payment, origin, since_s) in payments {
        bytes.push(if *origin == Origin::Local { LOCAL } else { 0 });
        bytes.extend(since_s.to_le_bytes());
        payment.encode_to(&mut bytes);
    }
    bytes
}

/// Takes back what [`save_payments`] gave, unjudged.
pub fn read_payments(bytes: &[u8]) -> Result<Vec<Brought>, SavedError> {
    let mut input = Decoder::new(bytes);
    let version = input.u8()?;
    if version != VERSION {
        return Err(SavedError::Version(version));
    }
    let saved: Vec<Saved> = input.list(MAX_SAVED)?;
    input.finish()?;
    Ok(saved.into_iter().map(|saved| saved.0).collect())
}

impl Mempool {
    /// The pool as bytes.
    pub fn save(&self) -> Vec<u8> {
        let waiting = self.in_order().map(|waiting| (&waiting.transaction, waiting.origin, waiting.since_s));
        save_payments(&waiting.collect::<Vec<_>>())
    }

    /// Takes back what [`Mempool::save`] gave; returns how many payments are still good.
    pub fn load<S: Store>(
        &mut self,
        bytes: &[u8],
        chain: &Chain<S>,
        verifier: &impl SignatureVerifier,
    ) -> Result<usize, SavedError> {
        Ok(self.add_again(chain, &read_payments(bytes)?, verifier))
    }
}

struct Saved(Brought);

impl Decode for Saved {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let origin = match input.u8()? {
            0 => FORMER_PEERS,
            LOCAL => Origin::Local,
            other => return Err(DecodeError::UnknownKind(other)),
        };
        let since_s = input.u64()?;
        Ok(Self((Transaction::decode_from(input)?, (origin, since_s))))
    }
}
