//! Whose a host is. A member may name a victim's address as its own, and many members the same one: so a host gets three
//! packets in a while ([`crate::named`]), and no search among its ports, until it is confirmed to be that member's.
//!
//! It is confirmed by a link of ours with the member, now or of late; by members that are linked with both, if more of them
//! see the member there than elsewhere; or by an answer to a packet of the attempt under way ([`super::run`] knows). What
//! merely comes from there shows nothing: anybody can write any source on a packet.
//!
//! Witnesses may lie as well. So each host is searched as seldom as if one member had named it, and a witness whose word
//! has led to searches in vain is not believed for a while.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::pursuit::SEARCH_PAUSE;
use crate::named::Ledger;
use crate::now::Mono;

/// What a search costs its host: the dear kind is made at two attempts, those where ports are counted at eight, because each
/// costs a twentieth of the packets.
pub(super) const DEAR: u32 = 4;
pub(super) const CHEAP: u32 = 1;
const SEARCHED_UNITS: u32 = 2 * DEAR;

/// Hosts searched of late. With as many a new one waits: searches of the dear kind are made one after the other and take six
/// seconds, so no more than a hundred begin within a pause.
pub(super) const MAX_SEARCHED: usize = 128;

/// What may be searched in vain on the word of one witness: twice with two members. So much damage one can do that lies, to
/// as many hosts.
const VAIN_UNITS: u32 = 4 * DEAR;

/// Witnesses whose word was acted on. With as many a new one is not believed.
pub(super) const MAX_BELIEVED: usize = 1_024;

/// A link of ours shows whose a host is for so long after its end: addresses are given to somebody else, and a witness will
/// tell.
const LINK_SHOWS: Duration = Duration::from_secs(600);

/// Links remembered, beyond it the oldest are forgotten.
pub(super) const MAX_LINKED: usize = 1_024;

/// The word of witnesses holds for so long, longer than any attempt takes,
const WORD_HOLDS: Duration = Duration::from_secs(60);

/// and after so long the next attempt asks anew.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// Questions remembered: eight for each of the attempts that may be under way. Beyond it the oldest is forgotten.
pub(super) const MAX_CLAIMS: usize = 256;

/// What a witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Awaited,
    Here,
    Elsewhere,
    Unknown,
}

/// A host that a member named, and what others say of it.
#[derive(Debug)]
struct Claim {
    asked_at: Mono,
    words: BTreeMap<NodeId, Word>,
    /// Spent on searches that were made on these words.
    charged: u32,
}

/// All hosts that members named.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    claims: BTreeMap<(NodeId, IpAddr), Claim>,
    linked: BTreeMap<(NodeId, IpAddr), Mono>,
    searched: Ledger<IpAddr>,
    believed: Ledger<NodeId>,
}

impl Hosts {
    /// A link with the member comes from there or goes there, or did until now.
    pub(super) fn note_link(&mut self, peer: NodeId, host: IpAddr, now: Mono) {
        self.linked.insert((peer, host.to_canonical()), now);
        if self.linked.len() > MAX_LINKED {
            let oldest = self.linked.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            oldest.map(|key| self.linked.remove(&key));
        }
    }

    /// Whether others are to be asked whether a host is the member's.
    pub(super) fn is_open(&self, peer: NodeId, host: IpAddr, now: Mono) -> bool {
        let claim = self.claims.get(&(peer, host.to_canonical()));
        let is_new = claim.is_some_and(|claim| now.since(claim.asked_at) < ASKED_AGAIN);
        !(self.is_linked(peer, host, now) || (is_new && self.is_confirmed(peer, host, now)))
    }

    /// These are being asked.
    pub(super) fn asked(&mut self, peer: NodeId, host: IpAddr, witnesses: &[NodeId], now: Mono) {
        let key = (peer, host.to_canonical());
        let charged = self.claims.get(&key).map_or(0, |claim| claim.charged);
        let words = witnesses.iter().map(|witness| (*witness, Word::Awaited)).collect();
        self.claims.insert(key, Claim { asked_at: now, words, charged });
        if self.claims.len() > MAX_CLAIMS {
            let oldest = self.claims.iter().min_by_key(|(_, claim)| claim.asked_at).map(|(key, _)| *key);
            oldest.map(|key| self.claims.remove(&key));
        }
    }

    /// A witness says whether it sees the member there. What nobody asked for, or asked for long ago, has no effect.
    pub(super) fn told(&mut self, witness: NodeId, (peer, host): (NodeId, IpAddr), seen: Option<bool>) {
        let claim = self.claims.get_mut(&(peer, host.to_canonical()));
        if let Some(word @ Word::Awaited) = claim.and_then(|claim| claim.words.get_mut(&witness)) {
            *word = match seen {
                Some(true) => Word::Here,
                Some(false) => Word::Elsewhere,
                None => Word::Unknown,
            };
        }
    }

    fn is_linked(&self, peer: NodeId, host: IpAddr, now: Mono) -> bool {
        self.linked.get(&(peer, host.to_canonical())).is_some_and(|at| now.since(*at) < LINK_SHOWS)
    }

    /// Whether a host is known to be a member's.
    pub(super) fn is_confirmed(&self, peer: NodeId, host: IpAddr, now: Mono) -> bool {
        let host = host.to_canonical();
        let claim = self.claims.get(&(peer, host)).filter(|claim| now.since(claim.asked_at) < WORD_HOLDS);
        let is_vouched = claim.is_some_and(|claim| {
            let elsewhere = claim.words.values().filter(|word| **word == Word::Elsewhere).count();
            self.vouchers(claim, now).count() > elsewhere
        });
        self.is_linked(peer, host, now) || is_vouched
    }

    /// The witnesses that see the member there, and are believed.
    fn vouchers<'a>(&'a self, claim: &'a Claim, now: Mono) -> impl Iterator<Item = NodeId> + 'a {
        claim.vouchers().filter(move |witness| self.believed.spent(*witness, now) < VAIN_UNITS)
    }

    /// Whether ports of a host may be searched among now; then that is counted, until the member is found there.
    pub(super) fn take_search(&mut self, peer: NodeId, host: IpAddr, units: u32, now: Mono) -> bool {
        let host = host.to_canonical();
        let is_left = self.searched.spent(host, now).saturating_add(units) <= SEARCHED_UNITS;
        if !(is_left && self.is_confirmed(peer, host, now) && self.searched.has_room(host, MAX_SEARCHED, now)) {
            return false;
        }
        if !self.is_linked(peer, host, now) && !self.charge(peer, host, units, now) {
            return false;
        }
        self.searched.spend(host, units, (now, SEARCH_PAUSE));
        true
    }

    /// Searches are forgotten, the words they were made on are not.
    #[cfg(test)]
    pub(super) fn searched_by_nobody(&mut self) {
        self.searched = Ledger::default();
    }

    /// Has those who vouch for a host answer for a search.
    fn charge(&mut self, peer: NodeId, host: IpAddr, units: u32, now: Mono) -> bool {
        let vouchers = |claim| self.vouchers(claim, now).collect::<Vec<NodeId>>();
        let vouchers = self.claims.get(&(peer, host)).map(vouchers).unwrap_or_default();
        if !vouchers.iter().all(|witness| self.believed.has_room(*witness, MAX_BELIEVED, now)) {
            return false;
        }
        for witness in vouchers {
            self.believed.spend(witness, units, (now, SEARCH_PAUSE));
        }
        if let Some(claim) = self.claims.get_mut(&(peer, host)) {
            claim.charged = claim.charged.saturating_add(units);
        }
        true
    }

    /// The member was found there: nothing of it was in vain.
    pub(super) fn found(&mut self, peer: NodeId, host: IpAddr) {
        let host = host.to_canonical();
        self.searched.forget(host);
        let Some(claim) = self.claims.get_mut(&(peer, host)) else { return };
        let charged = std::mem::take(&mut claim.charged);
        for witness in claim.vouchers() {
            self.believed.give_back(witness, charged);
        }
    }
}

impl Claim {
    fn vouchers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.words.iter().filter(|(_, word)| **word == Word::Here).map(|(witness, _)| *witness)
    }
}
