//! Bodies of blocks: from all peers that have them, the lowest first, each block from one peer at a time.

use std::collections::BTreeMap;

use meshline_protocol::message::{Ledger, LedgerKind, LedgerWant};
use meshline_protocol::{Bounded, NodeId};

use crate::chain::Chain;
use crate::hash::BlockHash;
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::limits::*;
use crate::sync::peer::{Past, Peer, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Sync, hash_out};

/// A block that is missing.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) hash: BlockHash,
    /// Of whom it was asked with which question, and when.
    pub(super) from: Option<(NodeId, u32, u64)>,
    /// Who did not bring it.
    pub(super) failed: Option<NodeId>,
}

/// What is missing.
#[derive(Debug)]
pub(super) struct Bodies {
    /// The lowest missing blocks of the best chain of headers, by height.
    pub(super) window: BTreeMap<u32, Want>,
    /// The header that the window leads to.
    target: Option<BlockHash>,
    /// Nothing is missing beyond the window.
    is_all: bool,
    stall: u64,
    /// Bytes of a block, on average of the last.
    average: usize,
    paused_until: u64,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            window: BTreeMap::new(),
            target: None,
            is_all: true,
            stall: LEAST_STALL,
            average: 1_000,
            paused_until: 0,
        }
    }
}

impl Bodies {
    /// What was asked of a peer is open again.
    pub(super) fn reopen(&mut self, id: &NodeId) {
        for want in self.window.values_mut() {
            if want.from.take_if(|(from, ..)| from == id).is_some() {
                want.failed = Some(*id);
            }
        }
    }

    /// What was asked of a peer with one question is open again.
    pub(super) fn reopen_of(&mut self, id: &NodeId, request: u32) {
        for want in self.window.values_mut() {
            if want.from.take_if(|(from, asked, _)| from == id && *asked == request).is_some() {
                want.failed = Some(*id);
            }
        }
    }

    /// A block is asked for otherwise than by [`Sync::fetch_bodies`].
    pub(super) fn note_asked(&mut self, height: u32, asked: (NodeId, u32, u64)) {
        if let Some(want) = self.window.get_mut(&height) {
            want.from = Some(asked);
        }
    }

    /// The question brought no block, and whoever was asked is not to blame.
    pub(super) fn open(&mut self, id: &NodeId, request: u32) {
        for want in self.window.values_mut() {
            want.from.take_if(|(from, asked, _)| from == id && *asked == request);
        }
    }

    /// A block that a peer did not bring is open again.
    pub(super) fn reopen_one(&mut self, height: u32, id: &NodeId) {
        if let Some(want) = self.window.get_mut(&height) {
            want.from = None;
            want.failed = Some(*id);
        }
    }

    /// A block is here.
    pub(super) fn arrived(&mut self, height: u32, hash: &BlockHash, size: usize) {
        if self.window.get(&height).is_some_and(|want| want.hash == *hash) {
            self.window.remove(&height);
        }
        self.average = (self.average * 15 + size) / 16;
        self.stall = (self.stall / 100 * 85).max(LEAST_STALL);
    }

    /// Nothing is asked for until then.
    pub(super) const fn pause(&mut self, until: u64) {
        self.paused_until = until;
    }

    /// Blocks that may be under way from one peer.
    fn most_in_flight(&self) -> usize {
        (MAX_IN_FLIGHT_BYTES / self.average.max(1)).clamp(2, MAX_IN_FLIGHT)
    }

    /// When a peer that holds up the lowest block is passed over.
    pub(super) fn stall_at(&self) -> Option<u64> {
        let (_, _, since) = self.window.values().next()?.from?;
        Some(since.saturating_add(self.stall))
    }

    /// The lowest block, if somebody was asked for it.
    fn first_asked(&self) -> Option<(u32, BlockHash)> {
        let (height, want) = self.window.first_key_value()?;
        want.from.map(|_| (*height, want.hash))
    }

    /// When asking goes on.
    pub(super) const fn paused_until(&self) -> u64 {
        self.paused_until
    }

    /// Nothing can be fetched.
    fn clear(&mut self) {
        self.window.clear();
        self.target = None;
    }

    /// Fills the window when it is to lead elsewhere, or half of it is gone.
    pub(super) fn refill<S: Store>(&mut self, target: BlockHash, chain: &Chain<S>) {
        if self.target == Some(target) && (self.is_all || self.window.len() >= WINDOW / 2) {
            return;
        }
        let is_best = target == chain.best_header().0;
        let missing = if is_best { chain.missing_blocks(WINDOW) } else { chain.missing_to(&target, WINDOW) };
        self.is_all = missing.len() < WINDOW;
        let mut before = std::mem::take(&mut self.window);
        for hash in missing {
            let Some((_, height)) = chain.header(&hash) else { continue };
            let kept = before.remove(&height).filter(|want| want.hash == hash);
            self.window.insert(height, kept.unwrap_or(Want { hash, from: None, failed: None }));
        }
        self.target = Some(target);
    }
}

impl<V: SignatureVerifier> Sync<V> {
    /// Asks for what is missing, as much as peers may be asked for.
    pub(super) fn fetch_bodies<S: Store>(&mut self, at: &mut At<'_, S>) {
        match self.target(at) {
            Some(target) => self.bodies.refill(target, at.chain),
            None => self.bodies.clear(),
        }
        let now = at.now.mono_us;
        if self.bodies.window.is_empty() || now < self.bodies.paused_until {
            return;
        }
        let most = self.bodies.most_in_flight();
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            let Some(peer) = self.peers.get(&id) else { continue };
            let is_ready = peer.is_useful() && peer.serves_blocks && peer.paused_until <= now;
            let in_flight = peer.in_flight();
            // Few questions of many blocks cost less than many of one.
            if is_ready && (in_flight == 0 || in_flight <= most / 2) {
                self.ask_blocks(id, most - in_flight, at);
            }
        }
    }

    /// Where blocks are fetched for: the best header, or the best that anybody has who serves blocks. Headers alone bring
    /// nobody further.
    fn target<S: Store>(&self, at: &At<'_, S>) -> Option<BlockHash> {
        let best = at.chain.best_header().0;
        let best_work = at.chain.work_at(&best);
        let serving = self.peers.values().filter(|peer| peer.is_useful() && peer.serves_blocks);
        let had = serving.filter_map(|peer| Some((at.chain.work_at(&peer.has?)?, peer.has?)));
        let had = had.filter(|(work, has)| *work > at.chain.work() && !at.chain.is_invalid(has)).max();
        had.map(|(work, has)| if Some(work) == best_work { best } else { has })
    }

    /// Whether nobody here has the blocks of the best headers.
    pub(super) fn is_stuck<S: Store>(&self, at: &At<'_, S>) -> bool {
        let best = at.chain.best_header().0;
        let best_work = at.chain.work_at(&best);
        let has_it = |peer: &Peer| {
            peer.is_useful() && peer.serves_blocks && peer.has.is_some_and(|has| at.chain.work_at(&has) >= best_work)
        };
        best != at.chain.tip() && !self.peers.values().any(has_it)
    }

    fn ask_blocks<S: Store>(&mut self, id: NodeId, room: usize, at: &mut At<'_, S>) {
        let reach = self.reach(&id, at.chain);
        let others = self.others_reach(&id, at);
        let is_left_to_others =
            |height: u32, want: &Want| want.failed == Some(id) && others.is_some_and(|others| others >= height);
        let open =
            self.bodies.window.iter().filter(|(height, want)| {
                want.from.is_none() && **height <= reach && !is_left_to_others(**height, want)
            });
        let chosen: Vec<(u32, BlockHash)> = open.take(room).map(|(height, want)| (*height, want.hash)).collect();
        self.ask_for(id, &chosen, at);
    }

    fn ask_for<S: Store>(&mut self, id: NodeId, chosen: &[(u32, BlockHash)], at: &mut At<'_, S>) {
        if chosen.is_empty() {
            return;
        }
        // What did not come in short once is fetched whole.
        if let [single] = chosen
            && self.bodies.window.get(&single.0).is_some_and(|want| want.failed.is_none())
            && self.ask_in_short(id, *single, at)
        {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let now = at.now.mono_us;
        let hashes = chosen.iter().map(|(_, hash)| *hash);
        let request = peer.ask(What::Blocks(hashes.clone().collect()), now, ANSWER_TIMEOUT);
        let ids = Bounded::from_first(hashes.map(hash_out));
        for (height, _) in chosen {
            if let Some(want) = self.bodies.window.get_mut(height) {
                want.from = Some((id, request, now));
            }
        }
        self.send(id, Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Block, ids }), None);
    }

    /// Up to which height anybody else could be asked. It only matters where something failed.
    fn others_reach<S: Store>(&mut self, id: &NodeId, at: &At<'_, S>) -> Option<u32> {
        if self.bodies.window.values().all(|want| want.failed != Some(*id)) {
            return None;
        }
        let others = self.ready_peers(at.now.mono_us).into_iter().filter(|other| other != id).collect::<Vec<_>>();
        others.iter().map(|other| self.reach(other, at.chain)).max()
    }

    /// Peers that may be asked for blocks.
    fn ready_peers(&self, now: u64) -> Vec<NodeId> {
        let is_ready = |peer: &Peer| peer.is_useful() && peer.serves_blocks && peer.paused_until <= now;
        self.peers.iter().filter(|(_, peer)| is_ready(peer)).map(|(id, _)| *id).collect()
    }

    /// When the next block is asked of one more peer; `None` where nobody was asked, or all that may be.
    pub(super) fn hurry_at(&self) -> Option<u64> {
        let (_, hash) = self.bodies.first_asked().filter(|_| self.is_synced)?;
        let asked: Vec<u64> = self.peers.values().filter_map(|peer| peer.asked_block(&hash)).collect();
        let latest = asked.iter().max().filter(|_| asked.len() < MAX_HURRY)?;
        Some(latest.saturating_add(HURRY_AFTER))
    }

    /// Asks one more peer for the next block if nothing of it comes.
    pub(super) fn hurry<S: Store>(&mut self, at: &mut At<'_, S>) {
        let now = at.now.mono_us;
        let due = self.hurry_at().is_some_and(|due| due <= now) && now >= self.bodies.paused_until;
        let Some((height, hash)) = self.bodies.first_asked().filter(|_| due) else { return };
        let others = self.ready_peers(now).into_iter();
        let others = others.filter(|id| self.peers.get(id).is_some_and(|peer| peer.asked_block(&hash).is_none()));
        let others: Vec<NodeId> = others.collect();
        if let Some(id) = others.into_iter().find(|id| self.reach(id, at.chain) >= height) {
            self.ask_for(id, &[(height, hash)], at);
        }
    }

    /// Up to which height a peer has the chain that is fetched.
    pub(super) fn reach<S: Store>(&mut self, id: &NodeId, chain: &Chain<S>) -> u32 {
        let best = self.bodies.target.unwrap_or_else(|| chain.best_header().0);
        let best_height = chain.header(&best).map_or(0, |(_, height)| height);
        let Some(peer) = self.peers.get_mut(id) else { return 0 };
        let Some(has) = peer.has else { return 0 };
        if has == best {
            return best_height;
        }
        match peer.reach {
            Some((known_has, known_best, height)) if known_has == has && known_best == best => height,
            Some(_) | None => {
                let height = chain.fork_height(&has, &best).unwrap_or(0);
                peer.reach = Some((has, best, height));
                height
            }
        }
    }

    /// A peer that holds up the lowest block while others could bring it.
    pub(super) fn pass_over_stalling<S: Store>(&mut self, at: &mut At<'_, S>) {
        let now = at.now.mono_us;
        let Some((height, (id, ..))) = self.bodies.window.iter().next().and_then(|(at, want)| Some((*at, want.from?)))
        else {
            return;
        };
        if self.bodies.stall_at().is_none_or(|stall_at| now < stall_at) {
            return;
        }
        let others = self.ready_peers(now).into_iter().filter(|other| *other != id).collect::<Vec<_>>();
        if !others.iter().any(|other| self.reach(other, at.chain) >= height) {
            return;
        }
        self.bodies.stall = (self.bodies.stall * 2).min(MOST_STALL);
        self.pass_over(id, now);
    }

    fn pass_over(&mut self, id: NodeId, now: u64) {
        let pause = self.bodies.stall * 4;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.paused_until = now.saturating_add(pause);
        peer.stalls += 1;
        let ended = peer.stalls >= MAX_UNANSWERED;
        let is_body = |what: &What| matches!(what, What::Blocks(_) | What::Compact(_) | What::BlockTransactions(_));
        let open: Vec<u32> =
            peer.asked.iter().filter(|(_, asked)| is_body(&asked.what)).map(|(request, _)| *request).collect();
        for request in open {
            peer.close(request, Past::GivenUp);
        }
        self.compacts.not_from(&id);
        self.bodies.reopen(&id);
        if ended {
            self.blame(&id, Reason::Unanswered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many blocks of this size came.
    fn after(blocks: usize, size: usize) -> Bodies {
        let mut bodies = Bodies::default();
        (0..blocks).for_each(|_| bodies.arrived(1, &BlockHash::ZERO, size));
        bodies
    }

    #[test]
    fn of_large_blocks_fewer_are_under_way_from_one_peer() {
        assert_eq!(after(0, 0).most_in_flight(), MAX_IN_FLIGHT);
        for (size, most) in [(100, MAX_IN_FLIGHT), (MAX_IN_FLIGHT_BYTES / 10, 10), (MAX_IN_FLIGHT_BYTES, 2)] {
            let bodies = after(200, size);
            // The average comes near the size, and is rounded down.
            assert!((most..=most + 1).contains(&bodies.most_in_flight().min(MAX_IN_FLIGHT + 1)), "{size}");
            assert!(bodies.most_in_flight() == 2 || bodies.average * bodies.most_in_flight() <= MAX_IN_FLIGHT_BYTES);
        }
    }

    #[test]
    fn each_block_that_comes_brings_the_time_of_a_stall_down_to_the_least() {
        let mut bodies = Bodies { stall: MOST_STALL, ..Bodies::default() };
        let mut before = bodies.stall;
        for _ in 0..40 {
            bodies.arrived(1, &BlockHash::ZERO, 100);
            assert_eq!(bodies.stall, (before / 100 * 85).max(LEAST_STALL));
            before = bodies.stall;
        }
        assert_eq!(before, LEAST_STALL);
    }
}
