//! All places to dial, each in its place in the order in which they are dialled.
//!
//! A place that is to be dialled later waits by its time, one that is due stands by its purpose and the time it has
//! waited. Whatever bears on that marks it, and only marked ones are looked at again: among a thousand members, looking
//! through all of them after every message would cost more than the message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;

use super::target::{Key, Purpose, Target};
use crate::input::Transport;
use crate::link::{Link, Links};
use crate::now::Mono;

/// Where a place stands: the greatest purpose first, then who has waited longest.
type Turn = (Reverse<Purpose>, Mono, Key);

/// Members that need no dialling.
#[derive(Debug, Default, PartialEq, Eq)]
struct Covered {
    /// Those with a direct connection, finished or not.
    linked: BTreeSet<NodeId>,
    /// Those behind a configured address that is being tried.
    addressed: BTreeSet<NodeId>,
}

/// All places to dial.
#[derive(Debug, Default)]
pub(super) struct Targets {
    targets: BTreeMap<Key, Target>,
    /// Where each stands that is to be dialled.
    turns: BTreeMap<Key, Turn>,
    later: BTreeSet<(Mono, Key)>,
    due: BTreeSet<Turn>,
    /// To be looked at again.
    marked: BTreeSet<Key>,
    covered: Covered,
    /// The state of the links that `covered` is made of.
    links: Option<u64>,
}

impl Targets {
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Target> {
        self.targets.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Target)> {
        self.targets.iter()
    }

    /// A place that the caller may change.
    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Target> {
        let target = self.targets.get_mut(key)?;
        self.marked.insert(key.clone());
        Some(target)
    }

    /// The same, made if it is not there.
    pub(super) fn get_or_insert(&mut self, key: Key, make: impl FnOnce() -> Target) -> &mut Target {
        self.marked.insert(key.clone());
        self.targets.entry(key).or_insert_with(make)
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.targets.remove(key);
        self.marked.insert(key.clone());
    }

    /// The places of a member: those of the configuration behind which it was found, and its own.
    pub(super) fn keys_of(&self, id: NodeId) -> Vec<Key> {
        let own = Key::Member(id);
        let found = self.addresses().filter(|(_, target)| target.id == Some(id)).map(|(key, _)| key.clone());
        found.chain(self.targets.contains_key(&own).then_some(own.clone())).collect()
    }

    fn addresses(&self) -> impl Iterator<Item = (&Key, &Target)> {
        self.targets.iter().take_while(|(key, _)| matches!(key, Key::Address(_)))
    }

    /// Something bears on these members that no place shows.
    pub(super) fn mark(&mut self, ids: impl Iterator<Item = NodeId>) {
        self.marked.extend(ids.map(Key::Member));
    }

    /// All addresses of the configuration are due.
    pub(super) fn hurry_addresses(&mut self, now: Mono) {
        let keys: Vec<Key> = self.addresses().map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(target) = self.get_mut(&key) {
                target.next_at = target.next_at.min(now);
            }
        }
    }

    pub(super) fn mark_all(&mut self) {
        self.marked.extend(self.targets.keys().cloned());
    }

    /// Who is behind a link may be known only now.
    pub(super) fn links_changed(&mut self) {
        self.links = None;
    }

    /// Gives everything that changed its place.
    pub(super) fn settle(&mut self, links: &Links, is_asked_for: impl Fn(&NodeId) -> bool, now: Mono) {
        let has_address = self.marked.first().is_some_and(|key| matches!(key, Key::Address(_)));
        if has_address || self.links != Some(links.changes()) {
            self.cover(links);
        }
        while let Some(key) = self.marked.pop_first() {
            self.place(key, &is_asked_for);
        }
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.due.extend(self.turns.get(&key).cloned());
            }
        }
    }

    fn cover(&mut self, links: &Links) {
        self.links = Some(links.changes());
        let direct = links.iter().filter(|link| link.transport != Transport::Relay);
        let tried = self.addresses().filter(|(_, target)| target.dialling.is_some());
        let covered = Covered {
            linked: direct.filter_map(Link::peer).collect(),
            addressed: tried.filter_map(|(_, target)| target.id).collect(),
        };
        if covered == self.covered {
            return;
        }
        let before = std::mem::replace(&mut self.covered, covered);
        let differ = |one: &BTreeSet<NodeId>, other: &BTreeSet<NodeId>| -> Vec<NodeId> {
            one.symmetric_difference(other).copied().collect()
        };
        let linked = differ(&before.linked, &self.covered.linked);
        let addressed = differ(&before.addressed, &self.covered.addressed);
        self.mark(linked.into_iter().chain(addressed));
        let addresses: Vec<Key> = self.addresses().map(|(key, _)| key.clone()).collect();
        self.marked.extend(addresses);
    }

    fn place(&mut self, key: Key, is_asked_for: impl Fn(&NodeId) -> bool) {
        let target = self.targets.get(&key).filter(|target| self.is_wanted(&key, target, is_asked_for));
        let turn = target.map(|target| (Reverse(target.purpose), target.next_at, key.clone()));
        if self.turns.get(&key) == turn.as_ref() {
            return;
        }
        if let Some(before) = self.turns.remove(&key) {
            self.later.remove(&(before.1, key.clone()));
            self.due.remove(&before);
        }
        if let Some(turn) = turn {
            self.later.insert((turn.1, key.clone()));
            self.turns.insert(key, turn);
        }
    }

    fn is_wanted(&self, key: &Key, target: &Target, is_asked_for: impl Fn(&NodeId) -> bool) -> bool {
        let linked = target.id.is_some_and(|id| self.covered.linked.contains(&id));
        let wanted = match key {
            Key::Address(_) => true,
            Key::Member(id) => is_asked_for(id) && !target.left && !self.covered.addressed.contains(id),
        };
        wanted && !linked && !target.is_self && target.dialling.is_none() && !target.addresses.is_empty()
    }

    /// The one whose turn it is.
    pub(super) fn first_due(&self) -> Option<&Key> {
        self.due.first().map(|(.., key)| key)
    }

    /// When the next one is due, of those that are not.
    pub(super) fn next_at(&self) -> Option<Mono> {
        self.later.first().map(|(at, _)| *at)
    }

    pub(super) fn is_settled(&self, links: &Links) -> bool {
        self.marked.is_empty() && self.links == Some(links.changes())
    }
}
