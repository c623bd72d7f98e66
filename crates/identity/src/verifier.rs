//! Who checks signatures: everybody for itself, or many in one process together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use meshline_protocol::NodeId;

use crate::keys::verify_bytes;

/// Good signatures remembered: several of each member of the largest network, some ten megabytes. Beyond it all are
/// forgotten, and checked again.
pub(crate) const MAX_REMEMBERED: usize = 16_384;

#[derive(Debug)]
struct Signed {
    by: NodeId,
    bytes: Box<[u8]>,
}

/// Good signatures with what they sign.
#[derive(Debug, Default)]
pub(crate) struct Remembered(BTreeMap<String, Signed>);

impl Remembered {
    pub(crate) fn knows(&self, by: &NodeId, bytes: &[u8], sig: &str) -> bool {
        self.0.get(sig).is_some_and(|signed| signed.by == *by && *signed.bytes == *bytes)
    }

    pub(crate) fn add(&mut self, by: &NodeId, bytes: &[u8], sig: &str) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(sig.to_owned(), Signed { by: *by, bytes: bytes.into() });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Checks signatures. A node checks each once, so by itself it remembers none. A simulation, in which a thousand nodes
/// check the same ones, may give all of them one that remembers what was good, to the letter.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    remembered: Option<Arc<Mutex<Remembered>>>,
}

impl Verifier {
    /// One whose clones remember together.
    #[must_use]
    pub fn remembering() -> Self {
        Self { remembered: Some(Arc::default()) }
    }

    /// Whether `sig` is a signature of `by` over exactly `bytes`.
    #[must_use]
    pub fn verify(&self, by: &NodeId, bytes: &[u8], sig: &str) -> bool {
        let Some(remembered) = &self.remembered else { return verify_bytes(by, bytes, sig) };
        let mut remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.knows(by, bytes, sig) {
            return true;
        }
        let is_good = verify_bytes(by, bytes, sig);
        if is_good {
            remembered.add(by, bytes, sig);
        }
        is_good
    }
}
