//! How many members have an order: numbers of members that whoever hears of passes on, so that nobody has to be told of each.
//!
//! The smallest numbers are kept. Where all members are known, numbers that are nobody's do not count; in a larger network
//! they are taken at the word of whoever tells them, as nothing but a figure depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::limits::MAX_REBUILD_TOKENS;
use meshline_protocol::message::RebuildKnown;
use meshline_protocol::{Bounded, NodeId};
use sha2::{Digest, Sha256};

use super::orders::Key;
use crate::gossip::Members;
use crate::now::Mono;

/// What was heard goes on so much later, together: figures for people need not be quicker.
const FLUSH_AFTER: Duration = Duration::from_millis(300);

/// Everything is told to some peer so long after the last news, and then each time twice as long after: what came to a peer
/// before the order did, or when the tree was another one, it did not keep.
const FIRST_RETELL: Duration = Duration::from_secs(1);
const LAST_RETELL: Duration = Duration::from_secs(60);

/// Who has an order, as far as is known.
#[derive(Debug)]
pub(super) struct Quorum {
    pub(super) key: Key,
    nonce: String,
    tokens: BTreeSet<u32>,
    unsent: BTreeSet<u32>,
    flush_at: Option<Mono>,
    /// Whether peers were told that this node has it.
    is_told: bool,
    /// Peers that said they have it, and those of them that are to hear everything.
    met: BTreeSet<NodeId>,
    unanswered: BTreeSet<NodeId>,
    retell_at: Mono,
    retell_pause: Duration,
    /// The numbers of the members known, when so many were.
    numbers: BTreeMap<u32, NodeId>,
    numbered: usize,
}

impl Quorum {
    /// For an order that this node has.
    pub(super) fn new(key: Key, nonce: &str, own: &NodeId, now: Mono) -> Self {
        let token = token_of(own, nonce);
        let numbers = BTreeMap::from([(token, *own)]);
        let mut quorum = Self {
            key,
            nonce: nonce.to_owned(),
            tokens: BTreeSet::new(),
            unsent: BTreeSet::new(),
            flush_at: None,
            is_told: false,
            met: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            retell_at: now,
            retell_pause: FIRST_RETELL,
            numbers,
            numbered: 0,
        };
        quorum.add(token, now);
        quorum
    }

    /// Others have it. `members` are all there are, or `None` where not all are known.
    pub(super) fn merge(&mut self, tokens: &[u32], members: Option<&Members>, now: Mono) {
        if let Some(members) = members.filter(|members| members.len() != self.numbered) {
            self.numbered = members.len();
            for known in members.iter() {
                self.numbers.insert(token_of(&known.member.id, &self.nonce), known.member.id);
            }
        }
        for token in tokens {
            if members.is_none() || self.numbers.contains_key(token) {
                self.add(*token, now);
            }
        }
    }

    /// A peer told these. If it has just got the order it missed what was told before, and hears everything once.
    pub(super) fn meet(&mut self, peer: NodeId, tokens: &[u32], now: Mono) {
        if tokens.contains(&token_of(&peer, &self.nonce)) && self.met.insert(peer) {
            self.unanswered.insert(peer);
            self.flush_at.get_or_insert_with(|| now.after(FLUSH_AFTER));
        }
    }

    /// Peers that are gone may come back without it.
    pub(super) fn forget_but(&mut self, is_linked: impl Fn(&NodeId) -> bool) {
        self.met.retain(&is_linked);
        self.unanswered.retain(is_linked);
    }

    fn add(&mut self, token: u32, now: Mono) {
        let is_full = self.tokens.len() >= MAX_REBUILD_TOKENS;
        if is_full && self.tokens.last().is_some_and(|last| *last < token) || !self.tokens.insert(token) {
            return;
        }
        if self.tokens.len() > MAX_REBUILD_TOKENS {
            self.tokens.pop_last();
        }
        self.unsent.insert(token);
        self.flush_at.get_or_insert_with(|| now.after(FLUSH_AFTER));
        (self.retell_at, self.retell_pause) = (now.after(FIRST_RETELL), FIRST_RETELL);
    }

    /// How many have it.
    pub(super) fn count(&self) -> usize {
        let Some(last) = self.tokens.last().filter(|_| self.tokens.len() >= MAX_REBUILD_TOKENS) else {
            return self.tokens.len();
        };
        // The greatest of so many of the smallest stands where they would be if all were spread evenly.
        let range = u64::from(u32::MAX) + 1;
        let tokens = u64::try_from(MAX_REBUILD_TOKENS - 1).unwrap_or(u64::MAX);
        usize::try_from(tokens.saturating_mul(range) / (u64::from(*last) + 1)).unwrap_or(usize::MAX)
    }

    /// If it is time: what was heard since the last time, whether that is for all peers, and who is to hear everything.
    pub(super) fn take_unsent(&mut self, now: Mono) -> Option<(RebuildKnown, bool, BTreeSet<NodeId>)> {
        self.flush_at.take_if(|at| *at <= now)?;
        let tokens = std::mem::take(&mut self.unsent);
        let is_first = !std::mem::replace(&mut self.is_told, true);
        Some((self.told(tokens.iter()), is_first, std::mem::take(&mut self.unanswered)))
    }

    /// Whether everything is to be told to some peer now.
    pub(super) fn take_retell(&mut self, now: Mono) -> bool {
        let is_due = self.retell_at <= now;
        if is_due {
            self.retell_pause = (self.retell_pause * 2).min(LAST_RETELL);
            self.retell_at = now.after(self.retell_pause);
        }
        is_due
    }

    /// Everything.
    pub(super) fn all(&self) -> RebuildKnown {
        self.told(self.tokens.iter())
    }

    fn told<'a>(&self, tokens: impl Iterator<Item = &'a u32>) -> RebuildKnown {
        RebuildKnown { by: self.key.1, seq: self.key.0, tokens: Bounded::from_first(tokens.copied()) }
    }

    pub(super) fn next_timeout(&self) -> Mono {
        self.flush_at.map_or(self.retell_at, |at| at.min(self.retell_at))
    }
}

/// A member's number under a nonce.
pub(super) fn token_of(id: &NodeId, nonce: &str) -> u32 {
    let hash = Sha256::new().chain_update(id.as_bytes()).chain_update(nonce).finalize();
    hash.first_chunk().map_or(0, |head| u32::from_be_bytes(*head))
}

#[cfg(test)]
mod tests;
