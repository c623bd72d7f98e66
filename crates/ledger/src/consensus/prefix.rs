//! What the addresses of a chain begin with, so that those of another chain are recognised.

use std::fmt;

/// Longest prefix: with it an address has 57 characters.
pub const MAX_ADDRESS_PREFIX: usize = 16;

/// One to [`MAX_ADDRESS_PREFIX`] small letters; digits could be taken for the `1` behind them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressPrefix {
    bytes: [u8; MAX_ADDRESS_PREFIX],
    length: u8,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix of addresses is 1 to {MAX_ADDRESS_PREFIX} small letters")]
pub struct NotAPrefix;

impl AddressPrefix {
    /// What addresses begin with unless a chain says otherwise.
    pub const MESH: Self = Self { bytes: *b"mesh\0\0\0\0\0\0\0\0\0\0\0\0", length: 4 };
    /// The same for chains whose money is for trying out.
    pub const TRIAL: Self = Self { bytes: *b"trial\0\0\0\0\0\0\0\0\0\0\0", length: 5 };

    /// Reads a prefix.
    pub fn parse(text: &str) -> Result<Self, NotAPrefix> {
        let mut bytes = [0; MAX_ADDRESS_PREFIX];
        let place = bytes.get_mut(..text.len()).ok_or(NotAPrefix)?;
        let length = u8::try_from(text.len()).map_err(|_| NotAPrefix)?;
        if length == 0 || !text.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(NotAPrefix);
        }
        place.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, length })
    }

    /// Its letters.
    pub fn as_str(&self) -> &str {
        let letters = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(letters).unwrap_or_default()
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for AddressPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}
