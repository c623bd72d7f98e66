//! Addresses: a lock as people write it, in bech32m (BIP-350) with the chain's own prefix.
//!
//! The data part is the lock's canonical form, its kind included, so an address says all that an output will.

use std::fmt;

use bech32::primitives::decode::{CheckedHrpstring, CheckedHrpstringError};
use bech32::{Bech32m, Hrp};
use meshline_ledger::Lock;
use meshline_ledger::encode::{Decode, Encode};

/// Longest text that is looked at: beyond 90 characters the checksum no longer finds every four mistakes (BIP-173).
pub const MAX_TEXT: usize = 90;

/// Longest prefix. With it the longest lock there is, of 21 bytes, gives 57 characters.
pub const MAX_PREFIX: usize = 16;

/// What the addresses of a chain begin with, before the `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(Hrp);

/// Why a text is no prefix or no address of this chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A prefix that is not 1 to [`MAX_PREFIX`] small letters.
    #[error("a prefix of addresses is 1 to {MAX_PREFIX} small letters")]
    NotAPrefix,
    /// Something else altogether.
    #[error("not an address: addresses here look like {0}1q…")]
    NotAnAddress(Prefix),
    /// It has the right form, but a character is mistaken.
    #[error("not an address: its checksum is wrong, so some character is mistaken")]
    Checksum,
    /// Of another chain.
    #[error("an address of another chain: it begins with {found}1, those of this chain with {expected}1")]
    OtherChain {
        /// This chain's prefix.
        expected: Prefix,
        /// What it begins with.
        found: String,
    },
    /// Of a kind, or with a length, that this version does not know.
    #[error("an address of a kind that is not known here")]
    UnknownKind,
}

impl Prefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// If it is not 1 to [`MAX_PREFIX`] small letters; digits could be taken for the separator.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let small = text.len() <= MAX_PREFIX && text.bytes().all(|byte| byte.is_ascii_lowercase());
        if !small {
            return Err(AddressError::NotAPrefix);
        }
        Hrp::parse(text).map(Self).map_err(|_| AddressError::NotAPrefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str())
    }
}

/// A lock and the chain it is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// What the text begins with.
    pub prefix: Prefix,
    /// Who may spend what is sent there.
    pub lock: Lock,
}

impl Address {
    /// Reads an address of the chain with this prefix, in small letters or in capitals.
    ///
    /// # Errors
    /// [`AddressError`], which says what is wrong as far as that can be told.
    pub fn parse(text: &str, prefix: Prefix) -> Result<Self, AddressError> {
        if text.len() > MAX_TEXT {
            return Err(AddressError::NotAnAddress(prefix));
        }
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|error| {
            let is_mistaken = matches!(error, CheckedHrpstringError::Checksum(_));
            if is_mistaken { AddressError::Checksum } else { AddressError::NotAnAddress(prefix) }
        })?;
        if checked.hrp() != prefix.0 {
            return Err(AddressError::OtherChain { expected: prefix, found: checked.hrp().to_lowercase() });
        }
        checked.validate_segwit_padding().map_err(|_| AddressError::UnknownKind)?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let lock = Lock::decode(&bytes).map_err(|_| AddressError::UnknownKind)?;
        Ok(Self { prefix, lock })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_to_fmt::<Bech32m, _>(out, self.prefix.0, &self.lock.encode()).map_err(|_| fmt::Error)
    }
}
