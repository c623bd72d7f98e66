//! Who checks signatures: everybody for itself, or many in one process together.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use meshline_protocol::{NetworkId, NodeId, SignedRecord};

use crate::admission::Member;
use crate::keys::verify_bytes;

/// Good signatures remembered: several of each of ten thousand members, some fifty megabytes. Beyond it all are
/// forgotten, and checked again.
pub(crate) const MAX_REMEMBERED: usize = 65_536;

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
    memory: Option<Arc<Mutex<Memory>>>,
}

impl Verifier {
    /// One whose clones remember together.
    #[must_use]
    pub fn remembering() -> Self {
        Self { memory: Some(Arc::default()) }
    }

    /// Whether `sig` is a signature of `by` over exactly `bytes`.
    #[must_use]
    pub fn verify(&self, by: &NodeId, bytes: &[u8], sig: &str) -> bool {
        let Some(memory) = &self.memory else { return verify_bytes(by, bytes, sig) };
        let remembered = &mut memory.lock().unwrap_or_else(PoisonError::into_inner).signatures;
        if remembered.knows(by, bytes, sig) {
            return true;
        }
        let is_good = verify_bytes(by, bytes, sig);
        if is_good {
            remembered.add(by, bytes, sig);
        }
        is_good
    }

    /// The member that just this announcement described in a network, if it was read before: its dates and whether it was
    /// revoked are still to be judged.
    pub(crate) fn member(&self, record: &SignedRecord, network: &NetworkId) -> Option<Arc<Member>> {
        let memory = self.memory.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, member) = memory.members.get(&record.sig)?;
        (of == network && member.record == *record).then(|| Arc::clone(member))
    }

    /// Remembers a member, so that all nodes of a process hold it once.
    pub(crate) fn note_member(&self, member: &Arc<Member>, network: &NetworkId) {
        let Some(memory) = &self.memory else { return };
        let members = &mut memory.lock().unwrap_or_else(PoisonError::into_inner).members;
        if members.len() >= MAX_REMEMBERED {
            members.clear();
        }
        members.insert(member.record.sig.clone(), (network.clone(), Arc::clone(member)));
    }

    /// What a signed text was read as before. Whether it is that text, to the letter, is for the caller to see.
    #[must_use]
    pub fn recall<T: Send + Sync + 'static>(&self, sig: &str) -> Option<Arc<T>> {
        let memory = self.memory.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(memory.read.get(sig)?).downcast().ok()
    }

    /// Remembers what a text with a good signature reads as, so that all nodes of a process hold it once.
    pub fn note_read<T: Send + Sync + 'static>(&self, sig: &str, read: &Arc<T>) {
        let Some(memory) = &self.memory else { return };
        let texts = &mut memory.lock().unwrap_or_else(PoisonError::into_inner).read;
        if texts.len() >= MAX_REMEMBERED {
            texts.clear();
        }
        let read: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(read);
        texts.insert(sig.to_owned(), read);
    }
}
