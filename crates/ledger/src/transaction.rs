//! Transactions: what is spent, by which key, and who owns what comes out.

use std::fmt;
use std::sync::LazyLock;

use crate::amount::Amount;
use crate::encode::{Decode, DecodeError, Decoder, Encode, put_count, put_list};
use crate::hash::{Tagged, Txid, Wtxid, sha256d};

/// Largest transaction in bytes, signatures included. A tenth of the largest block, so that no single one fills it.
pub const MAX_TRANSACTION_SIZE: usize = 100_000;
/// Most inputs a decoder takes: what fits into [`MAX_TRANSACTION_SIZE`] at 132 bytes each.
pub const MAX_INPUTS: u64 = 757;
/// Most outputs a decoder takes: what fits into [`MAX_TRANSACTION_SIZE`] at 29 bytes each.
pub const MAX_OUTPUTS: u64 = 3_448;
/// Most free bytes in a coinbase: room for a hash and 96 bytes of text, and Bitcoin's headline has 69.
pub const MAX_COINBASE_EXTRA: u64 = 128;
/// The version of transactions there is.
pub const TRANSACTION_VERSION: u32 = 1;
/// Lock times below are heights, from here on they are Unix times in seconds; as in Bitcoin.
pub const LOCK_TIME_THRESHOLD: u32 = 500_000_000;

/// The bytes of a hash of a public key.
pub const KEY_HASH_SIZE: usize = 20;
/// The number that stands before a key hash; others are refused.
const KEY_HASH_KIND: u8 = 0;
/// In the place of an output's number: this is no output, but the mark of a coinbase.
const COINBASE_INDEX: u32 = u32::MAX;

/// Which output of which transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutPoint {
    /// The transaction.
    pub txid: Txid,
    /// The number of its output, from 0.
    pub index: u32,
}

impl OutPoint {
    /// Bytes of the canonical form.
    pub const SIZE: usize = 36;
    /// What stands in the input of a coinbase: it spends nothing.
    pub const NULL: Self = Self { txid: Txid::ZERO, index: COINBASE_INDEX };
}

impl fmt::Display for OutPoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.txid, self.index)
    }
}

impl fmt::Debug for OutPoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What an output asks of whoever spends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// A signature by the key that hashes to this. The key itself stays unknown until it spends.
    KeyHash([u8; KEY_HASH_SIZE]),
}

impl Lock {
    /// The lock that the ed25519 public key opens: the first 20 bytes of a tagged SHA-256 of its 32 bytes.
    pub fn to_key(key: &[u8; 32]) -> Self {
        static KEY: LazyLock<Tagged> = LazyLock::new(|| Tagged::of("meshline/key"));
        let hash = KEY.hash(&[key]);
        let mut short = [0; KEY_HASH_SIZE];
        short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self::KeyHash(short)
    }

    /// Whether the key is the one that is asked for.
    pub fn is_opened_by(&self, key: &[u8; 32]) -> bool {
        *self == Self::to_key(key)
    }
}

/// An amount and who may spend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxOut {
    /// How much.
    pub amount: Amount,
    /// Whose.
    pub lock: Lock,
}

/// Where the money of a transaction comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxIn {
    /// New money and fees; the only input of a block's first transaction and of no other.
    Coinbase {
        /// Height of the block: it makes every coinbase different.
        height: u32,
        /// Free bytes, at most [`MAX_COINBASE_EXTRA`].
        extra: Vec<u8>,
    },
    /// An output that is spent.
    Spend {
        /// Which one.
        outpoint: OutPoint,
        /// The ed25519 public key its lock asks for.
        key: [u8; 32],
        /// That key's signature of the [`crate::sighash::sighash`].
        signature: [u8; 64],
    },
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// [`TRANSACTION_VERSION`].
    pub version: u32,
    /// What is spent.
    pub inputs: Vec<TxIn>,
    /// What comes out.
    pub outputs: Vec<TxOut>,
    /// The last height or time (see [`LOCK_TIME_THRESHOLD`]) at which it may not be in a block yet; 0 for none.
    pub lock_time: u32,
}

/// Whether the form carries signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Unsigned,
}

impl Transaction {
    /// Its name: the hash of [`Transaction::encode_unsigned`].
    pub fn txid(&self) -> Txid {
        Txid(sha256d(&self.encode_unsigned()))
    }

    /// The hash of the whole, for the merkle tree.
    pub fn wtxid(&self) -> Wtxid {
        Wtxid(sha256d(&self.encode()))
    }

    /// The canonical form with the signatures left out.
    pub fn encode_unsigned(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        self.encode_unsigned_to(&mut out);
        out
    }

    /// Appends [`Transaction::encode_unsigned`].
    pub(crate) fn encode_unsigned_to(&self, out: &mut Vec<u8>) {
        self.encode_form(Form::Unsigned, out);
    }

    /// Bytes of the canonical form.
    pub fn size(&self) -> usize {
        let count = |items: usize| if items < 0xfd { 1 } else { 3 };
        let inputs: usize = self.inputs.iter().map(TxIn::size).sum();
        8 + count(self.inputs.len()) + inputs + count(self.outputs.len()) + self.outputs.len() * TxOut::SIZE
    }

    /// Whether the first input makes new money.
    pub fn is_coinbase(&self) -> bool {
        matches!(self.inputs.first(), Some(TxIn::Coinbase { .. }))
    }

    /// The outputs it spends, in order.
    pub fn spends(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.inputs.iter().filter_map(|input| match input {
            TxIn::Spend { outpoint, .. } => Some(*outpoint),
            TxIn::Coinbase { .. } => None,
        })
    }

    /// Whether it may be in a block of this height, of which the median time of the eleven blocks before is
    /// `median_time`, in seconds since 1970.
    pub const fn is_final(&self, height: u32, median_time: u32) -> bool {
        let now = if self.lock_time < LOCK_TIME_THRESHOLD { height } else { median_time };
        self.lock_time == 0 || self.lock_time < now
    }

    fn encode_form(&self, form: Form, out: &mut Vec<u8>) {
        out.extend(self.version.to_le_bytes());
        put_count(out, self.inputs.len() as u64);
        self.inputs.iter().for_each(|input| input.encode_form(form, out));
        put_list(out, &self.outputs);
        out.extend(self.lock_time.to_le_bytes());
    }
}

impl Encode for Transaction {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.encode_form(Form::Whole, out);
    }

    fn size_hint(&self) -> usize {
        self.size()
    }
}

impl Decode for Transaction {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: input.u32()?,
            inputs: input.list(MAX_INPUTS)?,
            outputs: input.list(MAX_OUTPUTS)?,
            lock_time: input.u32()?,
        })
    }
}

impl TxIn {
    fn size(&self) -> usize {
        OutPoint::SIZE
            + match self {
                // The count of at most 128 bytes is one byte long.
                Self::Coinbase { extra, .. } => 4 + 1 + extra.len(),
                Self::Spend { .. } => 32 + 64,
            }
    }

    fn encode_form(&self, form: Form, out: &mut Vec<u8>) {
        match self {
            Self::Coinbase { height, extra } => {
                OutPoint::NULL.encode_to(out);
                out.extend(height.to_le_bytes());
                put_count(out, extra.len() as u64);
                out.extend(extra);
            }
            Self::Spend { outpoint, key, signature } => {
                outpoint.encode_to(out);
                out.extend(key);
                if form == Form::Whole {
                    out.extend(signature);
                }
            }
        }
    }
}

impl Decode for TxIn {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let outpoint = OutPoint::decode_from(input)?;
        if outpoint != OutPoint::NULL {
            return Ok(Self::Spend { outpoint, key: input.array()?, signature: input.array()? });
        }
        let height = input.u32()?;
        let count = input.count(MAX_COINBASE_EXTRA)?;
        Ok(Self::Coinbase { height, extra: input.bytes(count)?.to_vec() })
    }
}

impl Encode for OutPoint {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.txid.0);
        out.extend(self.index.to_le_bytes());
    }
}

impl Decode for OutPoint {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { txid: Txid(input.array()?), index: input.u32()? })
    }
}

impl TxOut {
    /// Bytes of the canonical form.
    pub const SIZE: usize = 8 + Lock::SIZE;
}

impl Encode for TxOut {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.amount.units().to_le_bytes());
        self.lock.encode_to(out);
    }
}

impl Decode for TxOut {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let amount = Amount::from_units(input.u64()?).map_err(|_| DecodeError::AmountTooLarge)?;
        Ok(Self { amount, lock: Lock::decode_from(input)? })
    }
}

impl Lock {
    /// Bytes of the canonical form.
    pub const SIZE: usize = 1 + KEY_HASH_SIZE;
}

impl Encode for Lock {
    fn encode_to(&self, out: &mut Vec<u8>) {
        let Self::KeyHash(hash) = self;
        out.push(KEY_HASH_KIND);
        out.extend(hash);
    }
}

impl Decode for Lock {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            KEY_HASH_KIND => Ok(Self::KeyHash(input.array()?)),
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}
