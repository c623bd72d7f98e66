//! What the chosen set of links means for whom to dial.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use super::listed::MAX_LISTED;
use super::{Around, Choice, Heard, Key, MAX_TARGETS, Peers, Target};
use crate::gossip::Members;
use crate::link::Links;
use crate::shared::Shared;

/// Places to dial that are remembered while links are chosen, beyond which only those that are to be dialled are taken and others
/// give way: twice those of whom a server or the disk told, for `explain` says what was tried at the others.
pub(crate) const MAX_CHOSEN_TARGETS: usize = 2 * MAX_LISTED;

/// Before an address of the configuration is dialled again where there was no room, by a node that has other links.
const FULL_ADDRESS_PAUSE: Duration = Duration::from_secs(600);

impl Peers {
    /// Chooses links where there are more members than links.
    pub(crate) fn choose(
        &mut self,
        kept: BTreeSet<NodeId>,
        (links, members): (&Links, &Members),
        shared: &mut Shared,
    ) -> Choice {
        let now = shared.now.mono;
        let around = Around { links, members, book: &self.book };
        let mut choice = self.set.choose(kept, around, shared);
        let Some(wanted) = &mut choice.wanted else {
            if self.wanted.take().is_some() {
                self.changes += 1;
                self.targets.mark_all();
                self.take_all(members, shared);
            }
            return choice;
        };
        wanted.extend(self.listed.take_turns(has_dialled(links, shared), members, shared));
        if let Some(at) = self.listed.next_turn() {
            self.set.changed(at);
        }
        self.want(wanted.clone(), now);
        for id in wanted.iter() {
            if self.targets.get(&Key::Member(*id)).is_none()
                && let Some(known) = members.get(id)
            {
                self.add_member(shared, *id, &known.member.addresses, Heard::Listed);
            }
        }
        choice
    }

    /// Every member is to be linked from now on; of some there was no place to dial while few were.
    fn take_all(&mut self, members: &Members, shared: &mut Shared) {
        let judged = shared.judged();
        let current = members.iter().filter(|known| known.is_current(judged));
        for member in current.map(|known| Arc::clone(&known.member)).collect::<Vec<_>>() {
            self.add_member(shared, member.id, &member.addresses, Heard::Kept);
        }
    }

    /// Whether a member can be remembered as a place to dial. While links are chosen, few are that are not to be dialled:
    /// whoever is chosen later is known by its announcement.
    pub(super) fn has_place_for(&mut self, id: &NodeId, shared: &Shared) -> bool {
        let Some(wanted) = &self.wanted else { return self.has_place() };
        let is_needed = wanted.contains(id) || self.listed.has(id) || shared.up.contains_key(id);
        self.targets.len() < MAX_CHOSEN_TARGETS || (is_needed && self.has_place())
    }

    /// Whether another place to dial can be remembered; one that nobody wants gives way, one that was never tried first.
    pub(super) fn has_place(&mut self) -> bool {
        let most = if self.wanted.is_some() { MAX_CHOSEN_TARGETS } else { MAX_TARGETS };
        if self.targets.len() < most {
            return true;
        }
        let Some(wanted) = &self.wanted else { return false };
        let is_idle = |key: &Key, target: &Target| match key {
            Key::Member(id) => !wanted.contains(id) && !self.listed.has(id) && target.dialling.is_none(),
            Key::Address(_) => false,
        };
        let mut idle = self.targets.iter().filter(|(key, target)| is_idle(key, target));
        let first = idle.next();
        let untried = first.into_iter().chain(idle).find(|(_, target)| target.attempts_made().next().is_none());
        let Some(key) = untried.or(first).map(|(key, _)| key.clone()) else {
            return self.targets.len() < MAX_TARGETS;
        };
        self.targets.remove(&key);
        true
    }

    /// A link that was up ended, and the other end said why.
    pub(crate) fn ended(&mut self, shared: &mut Shared, id: NodeId, code: Code) {
        self.set.failed(id, code, shared.now.mono);
        if shared.up.is_empty() {
            self.targets.hurry_addresses(shared.now.mono);
        } else if is_full_there(code) {
            for key in self.targets.keys_of(id) {
                self.rest(shared, &key);
            }
        }
    }

    /// Who was found behind a configured address.
    pub(crate) fn id_at(&self, address: &Address) -> Option<NodeId> {
        self.targets.get(&Key::Address(address.clone())).and_then(|target| target.id)
    }

    /// There is no room at a configured address. Its purpose was to get in, and there are other links.
    pub(super) fn rest(&mut self, shared: &mut Shared, key: &Key) {
        if !self.set.is_bounded() || shared.up.is_empty() || !matches!(key, Key::Address(_)) {
            return;
        }
        let later = shared.jittered(FULL_ADDRESS_PAUSE);
        if let Some(target) = self.targets.get_mut(key) {
            target.next_at = target.next_at.max(later);
        }
    }
}

/// Whether a link is up that this node began itself.
fn has_dialled(links: &Links, shared: &Shared) -> bool {
    shared.up.values().any(|up| links.get(up.link).is_some_and(|link| link.dial.is_some()))
}

/// Whether the other end had no room for a link.
pub(crate) fn is_full_there(code: Code) -> bool {
    matches!(code, Code::TooManyLinks | Code::NotNeeded)
}
