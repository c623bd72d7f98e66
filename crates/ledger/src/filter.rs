//! Compact filters of blocks (BIP-158): by them a light client sees in which blocks it may have been paid or has spent,
//! without asking anybody for its own addresses.
//!
//! A filter is a Golomb-coded set over the canonical bytes of every lock that an output of the block has or that an input
//! of it opens. An input shows its key, and so its lock: the block alone says what its filter must be.

use std::collections::BTreeSet;
use std::fmt;

use crate::consensus::Block;
use crate::encode::{Decoder, Encode, put_count};
use crate::hash::{BlockHash, sha256d};
use crate::sync::siphash::SipKey;
use crate::transaction::{Lock, Transaction, TxIn};

/// Bits of the lower part of a difference.
const LOW_BITS: u32 = 19;
/// One of so many locks that are not in a block seems to be.
pub const FALSE_POSITIVES: u64 = 784_931;
/// Most items of a filter, a lock for each output of 29 bytes that fits into the largest block.
const MAX_ITEMS: u64 = 145_000;

/// What `sha256d` gives for a filter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FilterHash(pub [u8; 32]);

/// The hash of a filter's hash and of the header of the filter before it: two chains of filters that have it in common
/// are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FilterHeader(pub [u8; 32]);

impl FilterHash {
    /// The header of this filter, behind the header of the one before; 32 zero bytes stand before the first.
    #[must_use]
    pub fn follow(&self, before: &FilterHeader) -> FilterHeader {
        FilterHeader(sha256d(&[self.0, before.0].concat()))
    }
}

impl fmt::Debug for FilterHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&BlockHash(self.0), out)
    }
}

impl fmt::Debug for FilterHeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&BlockHash(self.0), out)
    }
}

/// Bytes that are no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a filter")]
pub struct NotAFilter;

/// The filter of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Vec<u8>);

impl Filter {
    /// That of a block.
    pub fn of(block: &Block) -> Self {
        let locks: BTreeSet<Lock> = block.transactions.iter().flat_map(locks_of).collect();
        Self::over(&block.hash(), locks.into_iter().map(|lock| lock.encode()))
    }

    /// Over any items, each of them once.
    pub fn over(block: &BlockHash, items: impl Iterator<Item = Vec<u8>>) -> Self {
        let items: BTreeSet<Vec<u8>> = items.collect();
        let count = items.len() as u64;
        let hashes = hashes(block, count, items.iter());
        let mut bytes = Vec::with_capacity(5 + items.len() * 3);
        put_count(&mut bytes, count);
        let mut writer = BitWriter { bytes, free: 0 };
        let mut before = 0;
        for hash in hashes {
            writer.put(hash - before);
            before = hash;
        }
        Self(writer.bytes)
    }

    /// One that somebody sent. What it says comes to light in [`Filter::matches`].
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name of it.
    pub fn hash(&self) -> FilterHash {
        FilterHash(sha256d(&self.0))
    }

    /// Whether the block with this hash may hold something of one of these items.
    ///
    /// # Errors
    /// If these bytes are no filter.
    pub fn matches<'a>(&self, block: &BlockHash, items: impl Iterator<Item = &'a Vec<u8>>) -> Result<bool, NotAFilter> {
        let mut input = Decoder::new(&self.0);
        let count = input.count(MAX_ITEMS).map_err(|_| NotAFilter)? as u64;
        let mut wanted = hashes(block, count, items).into_iter().peekable();
        let mut reader = BitReader { bytes: input.rest(), bit: 0 };
        let (mut value, mut found) = (0_u64, false);
        for _ in 0..count {
            value = value.checked_add(reader.take().ok_or(NotAFilter)?).ok_or(NotAFilter)?;
            while wanted.next_if(|hash| *hash < value).is_some() {}
            found |= wanted.peek() == Some(&value);
        }
        if reader.is_at_end() { Ok(found) } else { Err(NotAFilter) }
    }
}

/// Every lock that an output has or that an input opens.
pub fn locks_of(transaction: &Transaction) -> impl Iterator<Item = Lock> + '_ {
    let opened = transaction.inputs.iter().filter_map(|input| match input {
        TxIn::Spend { key, .. } => Some(Lock::to_key(key)),
        TxIn::Coinbase { .. } => None,
    });
    transaction.outputs.iter().map(|output| output.lock).chain(opened)
}

/// Where the items are among `count` × [`FALSE_POSITIVES`] places, in order.
fn hashes<'a>(block: &BlockHash, count: u64, items: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u64> {
    let key = SipKey::from_bytes(block.0.first_chunk().copied().unwrap_or_default());
    let places = u128::from(count.saturating_mul(FALSE_POSITIVES));
    let place = |item: &Vec<u8>| ((u128::from(key.hash(item)) * places) >> 64) as u64;
    let mut hashes: Vec<u64> = items.map(place).collect();
    hashes.sort_unstable();
    hashes
}

/// Bits, the highest of a byte first.
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used.
    free: u32,
}

impl BitWriter {
    fn put(&mut self, value: u64) {
        for _ in 0..value >> LOW_BITS {
            self.bit(true);
        }
        self.bit(false);
        for place in (0..LOW_BITS).rev() {
            self.bit(value >> place & 1 == 1);
        }
    }

    fn bit(&mut self, bit: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let (true, Some(last)) = (bit, self.bytes.last_mut()) {
            *last |= 1 << self.free;
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl BitReader<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut high = 0_u64;
        while self.next_bit()? {
            high += 1;
        }
        let mut low = 0_u64;
        for _ in 0..LOW_BITS {
            low = low << 1 | u64::from(self.next_bit()?);
        }
        Some(high << LOW_BITS | low)
    }

    fn next_bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.bit / 8)?;
        let bit = byte >> (7 - self.bit % 8) & 1 == 1;
        self.bit += 1;
        Some(bit)
    }

    /// Whether nothing follows but zeros up to the end of the byte.
    const fn is_at_end(&self) -> bool {
        self.bit.div_ceil(8) == self.bytes.len()
    }
}
