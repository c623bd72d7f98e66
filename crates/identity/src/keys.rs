//! ed25519 key pairs and their PEM files.

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
    key_and_signature(by, sig).is_some_and(|(key, signature)| key.verify_strict(bytes, &signature).is_ok())
}

/// Whether both are signatures, at two thirds of the price of one after the other. Not as strict: whoever has a key that
/// is no multiple of the base point, which only its owner can make, gets some through that [`verify_bytes`] refuses.
pub(crate) fn verify_two(texts: [(&NodeId, &[u8], &str); 2]) -> bool {
    let [one, other] = texts.map(|(by, _, sig)| key_and_signature(by, sig).filter(|(key, _)| !key.is_weak()));
    let (Some((key, signature)), Some((other_key, other_signature))) = (one, other) else { return false };
    let messages = texts.map(|(_, bytes, _)| bytes);
    verify_batch(&messages, &[signature, other_signature], &[key, other_key]).is_ok()
}

fn key_and_signature(by: &NodeId, sig: &str) -> Option<(VerifyingKey, Signature)> {
    let raw = BASE64.decode(sig.as_bytes()).ok()?;
    Some((VerifyingKey::from_bytes(by.as_bytes()).ok()?, Signature::from_slice(&raw).ok()?))
}
