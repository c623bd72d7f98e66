//! Hashes: Bitcoin's double SHA-256, tagged SHA-256, and the names of blocks and transactions.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest, Sha256};

/// SHA-256 of SHA-256.
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// SHA-256 as in BIP-340: the hash of the tag stands twice before the bytes, so that a hash made for one purpose never
/// serves another.
pub fn tagged(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    Tagged::of(tag).hash(parts)
}

/// [`tagged`] for many hashes with one tag: what the tag alone comes to, half of the work for something short.
#[derive(Debug, Clone)]
pub(crate) struct Tagged(Sha256);

impl Tagged {
    pub(crate) fn of(tag: &str) -> Self {
        let prefix = Sha256::digest(tag.as_bytes());
        Self(Sha256::new().chain_update(prefix).chain_update(prefix))
    }

    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.0.clone();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// Not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: 64 hexadecimal digits are expected")]
pub struct NotAHash;

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// 32 zero bytes.
            pub const ZERO: Self = Self([0; 32]);
        }

        /// In hexadecimal, last byte first, as Bitcoin writes hashes.
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().rev().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = NotAHash;

            fn from_str(text: &str) -> Result<Self, NotAHash> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| NotAHash)?;
                let mut bytes: [u8; 32] = bytes.try_into().map_err(|_| NotAHash)?;
                bytes.reverse();
                Ok(Self(bytes))
            }
        }
    };
}

hash_type! {
    /// The name of a block: [`sha256d`] of its 80-byte header.
    BlockHash
}
hash_type! {
    /// The name of a transaction: [`sha256d`] of its form without signatures. Nobody can change it by writing a
    /// signature another way.
    Txid
}
hash_type! {
    /// [`sha256d`] of the whole transaction; the leaves of the merkle tree. A block's hash thus covers its signatures.
    Wtxid
}

/// The chain a signature is for: the hash of its genesis block, which covers all parameters.
pub type ChainId = BlockHash;
