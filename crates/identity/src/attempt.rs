//! The keys of one attempt at a direct way: X25519 between two ephemeral keys, HKDF-SHA-256 from there.
//!
//! Both public keys travel in signed records, so whoever carries the records can neither learn the secret nor take part.

use std::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use meshline_protocol::{AttemptKey, NetworkId, NodeId};
use sha2::Sha256;

/// What the keys are for, so that the same secret could never serve for anything else.
const PURPOSE: &[u8] = b"meshline punch 1";

/// A private X25519 key that is used for one attempt and then forgotten. It cannot be printed.
#[derive(Clone)]
pub struct Ephemeral([u8; 32]);

impl fmt::Debug for Ephemeral {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ephemeral")
    }
}

/// One end of the agreement, as the records of both tell it.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    id: NodeId,
    key: &'a AttemptKey,
}

impl Ephemeral {
    /// The key of 32 secret random bytes.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The public half.
    ///
    /// # Panics
    /// Never: 32 bytes are 43 characters.
    #[must_use]
    pub fn public(&self) -> AttemptKey {
        let point = MontgomeryPoint::mul_base_clamped(self.0);
        #[expect(clippy::expect_used, reason = "the encoding of 32 bytes is of this form")]
        let key = BASE64URL_NOPAD.encode(point.as_bytes()).parse().expect("43 base64url characters");
        key
    }

    /// The keys of the attempt between `own`, whose key this is, and `peer` with the public key `theirs`. `None` if that
    /// is none: not 32 bytes, or a point that would make the secret one that everybody knows.
    #[must_use]
    pub fn agree(
        &self,
        theirs: &AttemptKey,
        (own, peer): (NodeId, NodeId),
        network: &NetworkId,
        attempt: u32,
    ) -> Option<AttemptKeys> {
        let point: [u8; 32] = BASE64URL_NOPAD.decode(theirs.as_str().as_bytes()).ok()?.try_into().ok()?;
        let secret = MontgomeryPoint(point).mul_clamped(self.0);
        if secret.to_bytes() == [0; 32] {
            return None;
        }
        let ours = self.public();
        let (own, peer) = (Side { id: own, key: &ours }, Side { id: peer, key: theirs });
        let hkdf = Hkdf::<Sha256>::new(Some(PURPOSE), secret.as_bytes());
        Some(AttemptKeys {
            send: direction(&hkdf, (own, peer), network, attempt)?,
            receive: direction(&hkdf, (peer, own), network, attempt)?,
        })
    }
}

/// The key of one direction: a frame sent back to its sender opens nothing.
fn direction(
    hkdf: &Hkdf<Sha256>,
    (from, to): (Side<'_>, Side<'_>),
    network: &NetworkId,
    attempt: u32,
) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let (network, attempt) = (network.to_string(), attempt.to_be_bytes());
    let parts: [&[u8]; 6] = [
        from.id.as_bytes(),
        from.key.as_str().as_bytes(),
        to.id.as_bytes(),
        to.key.as_str().as_bytes(),
        &attempt,
        network.as_bytes(),
    ];
    hkdf.expand_multi_info(&parts, &mut key).ok()?;
    Some(key)
}

/// The keys of one attempt, one for each direction. They cannot be printed.
#[derive(Clone)]
pub struct AttemptKeys {
    pub(crate) send: [u8; 32],
    pub(crate) receive: [u8; 32],
}

impl fmt::Debug for AttemptKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AttemptKeys")
    }
}
