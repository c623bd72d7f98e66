//! The search for a nonce: a pure step over a range of them. Threads, and when to stop, are the caller's.

use sha2::{Digest, Sha256};

use crate::consensus::{Header, meets};
use crate::hash::BlockHash;
use crate::u256::U256;

/// Bytes of the header that no nonce changes: one block of SHA-256, hashed once for all nonces.
const FIXED: usize = 64;

/// A search over the nonces of one header.
#[derive(Debug, Clone)]
pub struct Search {
    header: Header,
    target: U256,
    fixed: Sha256,
    tail: [u8; Header::SIZE - FIXED],
}

impl Search {
    /// A search for this header; `None` if its bits stand for no target.
    pub fn new(header: Header) -> Option<Self> {
        let target = header.bits.target().ok()?;
        let bytes = header.to_bytes();
        let (fixed, tail) = bytes.split_first_chunk::<FIXED>()?;
        let tail = tail.try_into().ok()?;
        Some(Self { header, target, fixed: Sha256::new_with_prefix(fixed), tail })
    }

    /// Tries `count` nonces from `from` on, ends with the last one there is, and returns the header with the first nonce
    /// that meets the target.
    pub fn step(&self, from: u32, count: u32) -> Option<Header> {
        let last = from.saturating_add(count.checked_sub(1)?);
        let mut tail = self.tail;
        (from..=last).find_map(|nonce| {
            if let Some(place) = tail.last_chunk_mut::<4>() {
                *place = nonce.to_le_bytes();
            }
            let hash = Sha256::digest(self.fixed.clone().chain_update(tail).finalize());
            meets(&BlockHash(hash.into()), self.target).then_some(Header { nonce, ..self.header })
        })
    }
}

/// Hashes that are expected until one meets the target of a header, for people to read.
pub fn expected_hashes(header: &Header) -> f64 {
    header.bits.target().map_or(f64::INFINITY, |target| crate::consensus::work(target).to_f64())
}
