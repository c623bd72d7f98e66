//! The refresh secret of an entry: who holds it made the announcement.
//!
//! It is computed, not kept: the beginning of the member's id, by which the entry is found, and half of an HMAC over
//! what the entry is, under a key of the server. A million entries need no room for it, and servers with the same key
//! know each other's.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use data_encoding::BASE64URL_NOPAD;
use meshline_protocol::{NetworkId, NodeId};

/// Characters of a secret: 32 bytes in base64url without padding.
pub const SECRET_CHARS: usize = 43;

/// Bytes of an id that a secret names. The entry may be looked up by them in a table, whose timing says something
/// about them; the other half, 128 bits, is compared in constant time.
pub(super) const SELECTOR_LEN: usize = 16;

/// What secrets are made with.
#[derive(Debug)]
pub struct SecretKey(hmac::Key);

impl SecretKey {
    /// The key that is these random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The secret of an entry.
    pub(super) fn secret(&self, network: &NetworkId, id: &NodeId, (seq, nonce): (u64, u32)) -> Secret {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(id.as_bytes());
        context.update(&seq.to_le_bytes());
        context.update(&nonce.to_le_bytes());
        match network {
            NetworkId::Closed(key) => context.update(key.as_bytes()),
            NetworkId::Open(name) => context.update(name.as_str().as_bytes()),
        }
        let tag = context.sign();
        let mut secret = [0; 32];
        let halves = id.as_bytes().iter().take(SELECTOR_LEN).chain(tag.as_ref());
        secret.iter_mut().zip(halves).for_each(|(to, from)| *to = *from);
        Secret(secret)
    }
}

/// 32 bytes that prolong an entry.
#[derive(Clone, Copy)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl Secret {
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

    pub(super) fn selector(&self) -> &[u8; SELECTOR_LEN] {
        let (selector, _) = self.0.split_first_chunk().unwrap_or((&[0; SELECTOR_LEN], &[]));
        selector
    }
}
