//! Who checks signatures: everybody for itself, or many in one process together.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshline_protocol::{NetworkId, NodeId, SignedRecord};

use crate::admission::Member;
use crate::keys::verify_bytes;

/// Good signatures remembered in each part: in all of them several of each of ten thousand members, some fifty megabytes.
/// Beyond it all of a part are forgotten, and checked again.
pub(crate) const MAX_REMEMBERED: usize = 65_536 / SHARDS;

#[derive(Debug)]
struct Signed {
    by: NodeId,
    bytes: Box<[u8]>,
}

/// Good signatures with what they sign.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<String, Signed>);

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

/// Parts of what is remembered, so that threads that ask at the same time mostly do not wait for each other.
const SHARDS: usize = 64;

/// What was found good, in one process.
#[derive(Debug, Default)]
struct Memory {
    signatures: Remembered,
    /// Members as their announcements describe them, by signature, with the network that was asked for. Bounded likewise.
    members: HashMap<String, (NetworkId, Arc<Member>)>,
    /// Other signed texts as they read, by signature. Bounded likewise.
    read: HashMap<String, Arc<dyn Any + Send + Sync>>,
}

/// Checks signatures. A node checks each once, so by itself it remembers none. A simulation, in which a thousand nodes
/// check the same ones, may give all of them one that remembers what was good, to the letter.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    memory: Option<Arc<[Mutex<Memory>; SHARDS]>>,
}

impl Verifier {
    /// One whose clones remember together.
    #[must_use]
    pub fn remembering() -> Self {
        Self { memory: Some(Arc::new(std::array::from_fn(|_| Mutex::default()))) }
    }

    /// The part in which a signature would be, held by this thread alone.
    fn part(&self, sig: &str) -> Option<MutexGuard<'_, Memory>> {
        // Signatures are as good as random, and two characters of 64 kinds are enough for as many parts.
        let number = sig.bytes().take(2).fold(0, |sum, byte| 31 * sum + usize::from(byte));
        let part = self.memory.as_ref()?.get(number % SHARDS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `sig` is a signature of `by` over exactly `bytes`.
    #[must_use]
    pub fn verify(&self, by: &NodeId, bytes: &[u8], sig: &str) -> bool {
        if self.part(sig).is_some_and(|part| part.signatures.knows(by, bytes, sig)) {
            return true;
        }
        // Nobody waits for the arithmetic.
        let is_good = verify_bytes(by, bytes, sig);
        if let Some(mut part) = self.part(sig).filter(|_| is_good) {
            part.signatures.add(by, bytes, sig);
        }
        is_good
    }

    /// The member that just this announcement described in a network, if it was read before: its dates and whether it was
    /// revoked are still to be judged.
    pub(crate) fn member(&self, record: &SignedRecord, network: &NetworkId) -> Option<Arc<Member>> {
        let part = self.part(&record.sig)?;
        let (of, member) = part.members.get(&record.sig)?;
        (of == network && member.record == *record).then(|| Arc::clone(member))
    }

    /// Remembers a member, so that all nodes of a process hold it once.
    pub(crate) fn note_member(&self, member: &Arc<Member>, network: &NetworkId) {
        let Some(mut part) = self.part(&member.record.sig) else { return };
        let members = &mut part.members;
        if members.len() >= MAX_REMEMBERED {
            members.clear();
        }
        members.insert(member.record.sig.clone(), (network.clone(), Arc::clone(member)));
    }

    /// What a signed text was read as before. Whether it is that text, to the letter, is for the caller to see.
    #[must_use]
    pub fn recall<T: Send + Sync + 'static>(&self, sig: &str) -> Option<Arc<T>> {
        let read = Arc::clone(self.part(sig)?.read.get(sig)?);
        read.downcast().ok()
    }

    /// Remembers what a text with a good signature reads as, so that all nodes of a process hold it once.
    pub fn note_read<T: Send + Sync + 'static>(&self, sig: &str, read: &Arc<T>) {
        let Some(mut part) = self.part(sig) else { return };
        let texts = &mut part.read;
        if texts.len() >= MAX_REMEMBERED {
            texts.clear();
        }
        let read: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(read);
        texts.insert(sig.to_owned(), read);
    }
}
