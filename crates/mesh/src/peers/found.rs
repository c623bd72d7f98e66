//! Addresses at which somebody may be: tried a few times and given up, or a member like any other once one answers.

use std::slice::from_ref;

use meshline_protocol::{Address, Code, NodeId};

use super::Peers;
use super::target::{Key, Purpose, Target};
use crate::now::Mono;

/// Attempts at such an address: one that was just started may not listen yet.
pub(crate) const FOUND_ATTEMPTS: u32 = 3;

impl Peers {
    /// Takes in an address that is worth a try. What is known of it already stays as it is.
    pub(crate) fn add_found(&mut self, address: &Address, now: Mono) {
        let key = Key::Address(address.clone());
        if self.targets.get(&key).is_none() && self.has_place() {
            let target = self.targets.get_or_insert(key, || Target::new(Purpose::Found, now));
            target.addresses = vec![address.clone()];
        }
    }

    /// It is worth no further try.
    pub(crate) fn forget_found(&mut self, address: &Address) {
        let key = Key::Address(address.clone());
        if self.is_found(&key) {
            self.targets.remove(&key);
        }
    }

    fn is_found(&self, key: &Key) -> bool {
        self.targets.get(key).is_some_and(|target| target.purpose == Purpose::Found)
    }

    /// An attempt failed: says whether that was the last one at an address that was only found.
    pub(super) fn give_up_found(&mut self, key: &Key, code: Code) -> bool {
        let is_answered = matches!(code, Code::DuplicateLink | Code::SelfConnection);
        let has_tried = self.targets.get(key).is_some_and(|target| target.attempts + 1 >= FOUND_ATTEMPTS);
        let is_over = self.is_found(key) && (is_answered || has_tried);
        if is_over {
            self.targets.remove(key);
        }
        is_over
    }

    /// The place of whoever answered at a place: who was found is a member like others from now on, at an address that
    /// is proved.
    pub(super) fn known_by(&mut self, key: Key, id: NodeId, now: Mono) -> Key {
        let Key::Address(address) = &key else { return key };
        if !self.is_found(&key) {
            return key;
        }
        self.targets.remove(&key);
        self.targets.get_or_insert(Key::Member(id), || Target::new(Purpose::Member, now)).learn(from_ref(address));
        Key::Member(id)
    }
}
