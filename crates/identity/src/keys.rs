//! ed25519 key pairs and their PEM files.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey, verify_batch};
use meshline_protocol::NodeId;

/// Why a key file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a PKCS#8 PEM file with an ed25519 private key.
    #[error("not an ed25519 private key in PKCS#8 PEM form: {0}")]
    NotAKey(String),
}

/// A private key. It cannot be printed and signs only with the public key that belongs to it
/// (a signature under a foreign public key would give the private one away, RUSTSEC-2022-0093).
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPair({})", self.id().short())
    }
}

impl KeyPair {
    /// The key pair of 32 secret bytes, which must come from the system's random source.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// Reads a PKCS#8 PEM file, as `openssl genpkey -algorithm ed25519` writes it too.
    ///
    /// # Errors
    /// [`KeyError`] if it is anything else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|error| KeyError::NotAKey(error.to_string()))
    }

    /// The PKCS#8 PEM file, in the first version of the form, which every OpenSSL reads.
    ///
    /// # Errors
    /// None in practice; the encoder's own error type is passed on.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.pkcs8()
            .to_pkcs8_pem(LineEnding::LF)
            .map(|pem| pem.to_string())
            .map_err(|error| KeyError::NotAKey(error.to_string()))
    }

    /// The PKCS#8 DER form, for TLS.
    ///
    /// # Errors
    /// None in practice; the encoder's own error type is passed on.
    pub fn to_der(&self) -> Result<Vec<u8>, KeyError> {
        self.pkcs8()
            .to_pkcs8_der()
            .map(|der| der.as_bytes().to_vec())
            .map_err(|error| KeyError::NotAKey(error.to_string()))
    }

    /// The public half: the node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// The signature over `bytes`, base64 with padding.
    #[must_use]
    pub fn sign_bytes(&self, bytes: &[u8]) -> String {
        BASE64.encode(&self.0.sign(bytes).to_bytes())
    }

    fn pkcs8(&self) -> KeypairBytes {
        KeypairBytes { secret_key: self.0.to_bytes(), public_key: None }
    }
}

/// Whether `sig` (base64) is a signature of `by` over exactly `bytes`. Strict: small-order keys and
/// malleable signatures are refused, so that one record has one signature.
#[must_use]
pub fn verify_bytes(by: &NodeId, bytes: &[u8], sig: &str) -> bool {
    let both = verifying_key(by).zip(signature(sig));
    both.is_some_and(|(key, signature)| key.verify_strict(bytes, &signature).is_ok())
}

/// A text, who is said to have signed it, and the signature in base64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) by: &'a NodeId,
    pub(crate) bytes: &'a [u8],
    pub(crate) sig: &'a str,
}

/// Whether all are signatures, the cheaper each the more there are. Not as strict: whoever has a key that is no multiple of
/// the base point, which only its owner can make, gets some through that [`verify_bytes`] refuses.
pub(crate) fn verify_all(all: &[Signed<'_>]) -> bool {
    // Memberships of one network are all signed by the same key, and to read it costs a tenth of a check.
    let mut known = BTreeMap::new();
    let mut read = |one: &Signed<'_>| {
        let key = match known.entry(*one.by) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(verifying_key(one.by).filter(|key| !key.is_weak())?),
        };
        Some((key, signature(one.sig)?))
    };
    let Some(read) = all.iter().map(&mut read).collect::<Option<Vec<_>>>() else { return false };
    let (keys, signatures): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let texts: Vec<&[u8]> = all.iter().map(|one| one.bytes).collect();
    verify_batch(&texts, &signatures, &keys).is_ok()
}

fn verifying_key(of: &NodeId) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(of.as_bytes()).ok()
}

fn signature(sig: &str) -> Option<Signature> {
    Signature::from_slice(&BASE64.decode(sig.as_bytes()).ok()?).ok()
}
