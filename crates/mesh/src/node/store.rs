//! What is kept on disk: when it is handed out, and what is in it.

use std::cmp::Reverse;
use std::time::Duration;

use meshline_protocol::{Address, NodeId, UnixMicros};

use super::Node;
use crate::config::{Saved, SavedPeer};
use crate::gossip::Known;
use crate::output::Output;

/// Changes are kept on disk at most so much later: a burst of them is one write.
const STORE_DELAY: Duration = Duration::from_secs(1);

/// The same for who is known and linked, where there are more members than that. While a large network starts it changes all
/// the time, and is copied and written whole each time; what a crash loses of it the peers tell again.
const KNOWN_DELAY: Duration = Duration::from_secs(30);
const MANY_MEMBERS: usize = 64;

/// Members kept on disk.
const MAX_SAVED_PEERS: usize = 256;

impl Node {
    /// Hands out what is kept on disk, some time after it changed.
    pub(super) fn store(&mut self) {
        let now = self.shared.now.mono;
        let known_delay = known_delay(self.gossip.members.len());
        for (changed, delay) in [(self.shared.dirty, STORE_DELAY), (self.shared.known_changed, known_delay)] {
            let due = changed.then(|| now.after(delay));
            self.store_at = self.store_at.into_iter().chain(due).min();
        }
        if self.store_at.is_some_and(|at| at <= now || self.shared.leaving) {
            self.store_at = None;
            (self.shared.dirty, self.shared.known_changed) = (false, false);
            let saved = self.saved();
            self.shared.push(Output::Store(Box::new(saved)));
        }
    }

    fn saved(&self) -> Saved {
        let shared = &self.shared;
        let anchors = self.peers.set.anchors(&self.links, shared);
        let mut peers =
            if self.peers.set.is_bounded() { self.chosen_peers(&anchors) } else { self.all_peers(&anchors) };
        peers.iter_mut().filter(|peer| anchors.contains(&peer.id)).for_each(|peer| peer.anchor = true);
        Saved {
            announcement_seq: shared.announcement_seq.last(),
            broadcast_seq: shared.broadcast_seq.last(),
            newest_signed: shared.clock.newest_signed(),
            peers,
            revocations: shared.revoked.records().cloned().collect(),
            rebuild: self.rebuild.saved(shared),
        }
    }

    fn last_linked(&self, known: &Known) -> UnixMicros {
        let linked = self.shared.up.contains_key(&known.member.id);
        if linked { self.shared.now.wall } else { known.member.seq }
    }

    /// Chosen before anything is copied: of thousands of members few are kept.
    fn all_peers(&self, anchors: &[NodeId]) -> Vec<SavedPeer> {
        let mut members: Vec<(UnixMicros, &Known)> =
            self.gossip.members.iter().map(|known| (self.last_linked(known), known)).collect();
        members.sort_by_key(|(last_linked, known)| Reverse((anchors.contains(&known.member.id), *last_linked)));
        let peers = members.into_iter().map(|(last_linked, known)| self.saved_peer(known, last_linked));
        peers.filter(|peer| !peer.addresses.is_empty()).take(MAX_SAVED_PEERS).collect()
    }

    /// Of more members than are kept: those linked longest, then those found before, then others, of no prefix more
    /// than the book has places for. Who announced itself last would be whoever does nothing else.
    fn chosen_peers(&self, anchors: &[NodeId]) -> Vec<SavedPeer> {
        let others = self.peers.book.in_turns().filter(|id| !anchors.contains(id));
        let known = anchors.iter().copied().chain(others).filter_map(|id| self.gossip.members.get(&id));
        known.take(MAX_SAVED_PEERS).map(|known| self.saved_peer(known, self.last_linked(known))).collect()
    }

    fn saved_peer(&self, known: &Known, last_linked: UnixMicros) -> SavedPeer {
        let id = known.member.id;
        let mut addresses: Vec<Address> = self.peers.book.found_at(&id).cloned().into_iter().collect();
        for address in self.peers.addresses(id).iter().chain(&known.member.addresses) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        let record = Some(known.member.record.clone()).filter(|_| !known.has_left());
        let (name, found) = (known.member.name.clone(), self.peers.book.found(&id));
        SavedPeer { id, name, addresses, last_linked, found, anchor: false, record }
    }
}

/// How long a change of who is known or linked waits where so many are known.
fn known_delay(members: usize) -> Duration {
    if members > MANY_MEMBERS { KNOWN_DELAY } else { STORE_DELAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_is_kept_at_leisure_where_they_are_many() {
        assert_eq!(known_delay(MANY_MEMBERS), STORE_DELAY);
        assert_eq!(known_delay(MANY_MEMBERS + 1), KNOWN_DELAY);
    }
}
