//! Keys from a seed: SLIP-0010 for ed25519, where every step is a hardened one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The bit that marks a hardened step; indices are below it.
pub const HARDENED: u32 = 1 << 31;

/// The key SLIP-0010 names for this curve.
const CURVE: &[u8] = b"ed25519 seed";

/// A secret key and what its children are derived with. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretNode {
    key: [u8; 32],
    chain_code: [u8; 32],
}

impl fmt::Debug for SecretNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretNode")
    }
}

impl SecretNode {
    /// The node all others of this seed come from.
    #[must_use]
    pub fn master(seed: &[u8]) -> Self {
        Self::from_mac(CURVE, &[seed])
    }

    /// The child with this index. ed25519 has hardened children only, so the bit for that is set here.
    #[must_use]
    pub fn child(&self, index: u32) -> Self {
        Self::from_mac(&self.chain_code, &[&[0], &self.key, &(index | HARDENED).to_be_bytes()])
    }

    /// The node at the end of several steps.
    #[must_use]
    pub fn descend(&self, steps: &[u32]) -> Self {
        steps.iter().fold(self.clone(), |node, step| node.child(*step))
    }

    /// The 32 bytes an ed25519 key pair is made of.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.key
    }

    /// What the children are derived with; as secret as the key.
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }

    fn from_mac(key: &[u8], parts: &[&[u8]]) -> Self {
        // A mac takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key) else { unreachable!("HMAC refuses no key") };
        for part in parts {
            mac.update(part);
        }
        let output: Zeroizing<[u8; 64]> = Zeroizing::new(mac.finalize().into_bytes().into());
        let (key, chain_code) = output.split_at(32);
        let mut node = Self { key: [0; 32], chain_code: [0; 32] };
        node.key.copy_from_slice(key);
        node.chain_code.copy_from_slice(chain_code);
        node
    }
}
