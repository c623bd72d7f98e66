//! The refresh secret of an entry: who holds it made the announcement.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64URL_NOPAD;

/// Characters of a secret: 32 bytes in base64url without padding.
pub const SECRET_CHARS: usize = 43;

/// Half of a secret that only finds an entry. It may be looked up in a table, whose timing says something
/// about it; the other half, 128 bits, is compared in constant time.
pub(super) type Selector = [u8; 16];

/// 32 bytes from the system's random source.
#[derive(Clone, Copy)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl Secret {
    /// The secret that is these random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; nothing else is a secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_CHARS {
            return None;
        }
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The text form, [`SECRET_CHARS`] long.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    pub(super) fn selector(&self) -> Selector {
        let mut selector = Selector::default();
        selector.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        selector
    }
}
