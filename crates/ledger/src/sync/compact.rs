//! Blocks in short: a header, short names of transactions that the receiver probably has, and those it surely lacks.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::consensus::{Block, Header, MAX_BLOCK_TRANSACTIONS};
use crate::encode::{Decode, DecodeError, Decoder, Encode, put_list};
use crate::hash::Wtxid;
use crate::sync::siphash::SipKey;
use crate::transaction::Transaction;

/// Bytes of a short name: among 10,000 waiting transactions one of a block of 2,000 is ambiguous once in ten million blocks.
const SHORT: usize = 6;

/// A short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ShortName([u8; SHORT]);

/// A transaction in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    place: u32,
    transaction: Transaction,
}

/// A block in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactBlock {
    /// Its header.
    pub header: Header,
    nonce: u64,
    names: Vec<ShortName>,
    given: Vec<Given>,
}

impl CompactBlock {
    /// The block in short, its coinbase given.
    pub fn of(block: &Block, nonce: u64) -> Self {
        let key = key_of(&block.header, nonce);
        let names = block.transactions.iter().skip(1).map(|transaction| short(key, &transaction.wtxid())).collect();
        let given = block.transactions.iter().take(1).map(|first| Given { place: 0, transaction: first.clone() });
        Self { header: block.header, nonce, names, given: given.collect() }
    }

    /// The block as far as it can be put together from what waits; `None` if it cannot be one.
    pub(super) fn fill<'a>(self, waiting: impl Iterator<Item = (Wtxid, &'a Transaction)>) -> Option<Filling> {
        let count = self.names.len() + self.given.len();
        if count as u64 > MAX_BLOCK_TRANSACTIONS || self.given.is_empty() {
            return None;
        }
        let mut places: Vec<Option<Transaction>> = vec![None; count];
        let mut last = None;
        for given in self.given {
            if last.is_some_and(|last| given.place <= last) {
                return None;
            }
            last = Some(given.place);
            *places.get_mut(given.place as usize)? = Some(given.transaction);
        }
        let free = (0..count).filter(|place| places.get(*place).is_some_and(Option::is_none));
        let mut by_name: BTreeMap<ShortName, usize> = self.names.into_iter().zip(free.collect::<Vec<_>>()).collect();
        let key = key_of(&self.header, self.nonce);
        for (name, transaction) in waiting {
            let Some(place) = by_name.get(&short(key, &name)).and_then(|place| places.get_mut(*place)) else {
                continue;
            };
            match place {
                None => *place = Some(transaction.clone()),
                // Two fit: it is asked for.
                Some(_) => {
                    *place = None;
                    by_name.remove(&short(key, &name));
                }
            }
        }
        Some(Filling { header: self.header, places })
    }
}

/// A block with gaps.
#[derive(Debug)]
pub(super) struct Filling {
    header: Header,
    places: Vec<Option<Transaction>>,
}

impl Filling {
    /// The places that are empty.
    pub(super) fn missing(&self) -> Vec<u32> {
        (0..).zip(&self.places).filter(|(_, place)| place.is_none()).map(|(at, _)| at).collect()
    }

    /// Fills the gaps in order; the block if that closes all of them.
    pub(super) fn finish(self, rest: Vec<Transaction>) -> Option<Block> {
        let mut rest = rest.into_iter();
        let all: Option<Vec<Transaction>> =
            self.places.into_iter().map(|place| place.or_else(|| rest.next())).collect();
        let transactions = all.filter(|_| rest.next().is_none())?;
        Some(Block { header: self.header, transactions })
    }
}

fn key_of(header: &Header, nonce: u64) -> SipKey {
    let hash: [u8; 32] =
        Sha256::new().chain_update(header.to_bytes()).chain_update(nonce.to_le_bytes()).finalize().into();
    SipKey::from_bytes(hash.first_chunk().copied().unwrap_or_default())
}

fn short(key: SipKey, name: &Wtxid) -> ShortName {
    let hash = key.hash(&name.0).to_le_bytes();
    ShortName(hash.first_chunk().copied().unwrap_or_default())
}

impl Encode for CompactBlock {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.header.encode_to(out);
        out.extend(self.nonce.to_le_bytes());
        put_list(out, &self.names);
        put_list(out, &self.given);
    }

    fn size_hint(&self) -> usize {
        let given: usize = self.given.iter().map(|given| 4 + given.transaction.size()).sum();
        Header::SIZE + 8 + self.names.len() * SHORT + given + 10
    }
}

impl Decode for CompactBlock {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Header::decode_from(input)?,
            nonce: input.u64()?,
            names: input.list(MAX_BLOCK_TRANSACTIONS)?,
            given: input.list(MAX_BLOCK_TRANSACTIONS)?,
        })
    }
}

impl Encode for ShortName {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }
}

impl Decode for ShortName {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

impl Encode for Given {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.place.to_le_bytes());
        self.transaction.encode_to(out);
    }
}

impl Decode for Given {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { place: input.u32()?, transaction: Transaction::decode_from(input)? })
    }
}
