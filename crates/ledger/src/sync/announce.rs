//! New blocks: told to those who lack them, in short to those who asked for that, and put together again.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meshline_protocol::message::{
    Ledger, LedgerCompact, LedgerHeaders, LedgerIndexes, LedgerKind, LedgerPart, LedgerPlace, LedgerWant,
};
use meshline_protocol::{Bounded, NodeId};
use rand_chacha::rand_core::Rng;

use crate::chain::Accepted;
use crate::consensus::{Block, Header, Refusal, Rule};
use crate::encode::{Decode, Decoder, Encode};
use crate::hash::BlockHash;
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::compact::{CompactBlock, Filling};
use crate::sync::effort::size_of;
use crate::sync::limits::*;
use crate::sync::parts::{Piece, cut};
use crate::sync::peer::{Past, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Now, Sync, hash_out};
use crate::transaction::Transaction;

/// Bytes of a block in short: the names of the largest block, and a good deal of transactions.
const MAX_COMPACT: usize = 512 * 1024;

/// Blocks that are being put together, and who pushes them.
#[derive(Debug, Default)]
pub(super) struct Compacts {
    filling: BTreeMap<BlockHash, (NodeId, Filling)>,
    pushing: VecDeque<NodeId>,
    /// The block that was put in short last, for whoever wants it next.
    short: Option<(BlockHash, Parts)>,
}

/// Something cut into bodies; copies share the bytes.
pub(super) type Parts = Vec<(LedgerPlace, Bytes)>;

impl Compacts {
    /// A peer brings nothing any more.
    pub(super) fn forget(&mut self, id: &NodeId) {
        self.not_from(id);
        self.pushing.retain(|pushing| pushing != id);
    }

    /// What a peer was to bring for these is not waited for.
    pub(super) fn not_from(&mut self, id: &NodeId) {
        self.filling.retain(|_, (from, _)| from != id);
    }

    pub(super) fn give_up(&mut self, hash: &BlockHash) {
        self.filling.remove(hash);
    }

    /// A peer does not bring what is missing in a block; another one may be about to.
    pub(super) fn give_up_of(&mut self, hash: &BlockHash, id: &NodeId) {
        if self.filling.get(hash).is_some_and(|(from, _)| from == id) {
            self.filling.remove(hash);
        }
    }
}

impl<V: SignatureVerifier> Sync<V> {
    /// Takes a block that was made on this machine, or tells why not.
    pub fn submit_block<S: Store>(
        &mut self,
        block: &Block,
        now: Now,
        (chain, pool): (&mut crate::chain::Chain<S>, &mut crate::mempool::Mempool),
    ) -> Result<Accepted, Refusal> {
        let mut at = At { chain, pool, now };
        let accepted = at.chain.accept_block(block, now.unix_s, &self.verifier)?;
        if let Accepted::Active(events) = &accepted {
            self.on_chain_events(events.clone(), &mut at);
        }
        self.settle(&mut at);
        Ok(accepted)
    }

    /// Tells of a new tip, whoever brought it.
    pub(super) fn note_tip<S: Store>(&mut self, at: &mut At<'_, S>) {
        let tip = at.chain.tip();
        let Some(told) = self.told_tip.filter(|told| *told != tip) else {
            self.told_tip = Some(tip);
            return;
        };
        self.told_tip = Some(tip);
        self.relay.on_block();
        // While much is still to come each step would be news, and nobody needs it.
        if !self.is_synced {
            self.has_untold_tip = true;
            return;
        }
        let news = news_since(&told, at);
        self.tell_tip(&news, at);
    }

    /// Tells of the tip that the synchronisation has come to.
    pub(super) fn tell_untold<S: Store>(&mut self, at: &At<'_, S>) {
        if std::mem::take(&mut self.has_untold_tip)
            && let Some((header, _)) = at.chain.header(&at.chain.tip())
        {
            self.tell_tip(&[header], at);
        }
    }

    /// Tells all who lack it how the chain ends.
    fn tell_tip<S: Store>(&mut self, news: &[Header], at: &At<'_, S>) {
        let tip = at.chain.tip();
        let ids: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| peer.is_speaking()).map(|(id, _)| *id).collect();
        let lacks = |sync: &Self, id: &NodeId| {
            let has = sync.peers.get(id).and_then(|peer| peer.has);
            has.is_none_or(|has| at.chain.fork_height(&has, &tip) != Some(at.chain.height()))
        };
        let ids: Vec<NodeId> = ids.into_iter().filter(|id| lacks(self, id)).collect();
        let wants_push = |sync: &Self, id: &NodeId| sync.peers.get(id).is_some_and(|peer| peer.wants_push);
        // To put a block in short it is read and taken apart again: not for nobody.
        let is_pushed = news.len() == 1 && ids.iter().any(|id| wants_push(self, id));
        let pushed = if is_pushed { self.in_short(&tip, at) } else { None };
        for id in ids {
            match &pushed {
                Some((parts, _)) if wants_push(self, &id) => {
                    for (place, body) in parts.clone() {
                        self.send(id, Ledger::Cmpctblock(LedgerPart { request: None, place }), Some(body));
                    }
                }
                Some(_) | None => self.announce_headers(id, news, at),
            }
        }
    }

    /// A block in short, in parts, and how many bytes were read for that. All who ask get the same one: to make it the block
    /// is read and hashed again.
    pub(super) fn in_short<S: Store>(&mut self, hash: &BlockHash, at: &At<'_, S>) -> Option<(Parts, usize)> {
        if let Some((_, parts)) = self.compacts.short.as_ref().filter(|(of, _)| of == hash) {
            return Some((parts.clone(), 0));
        }
        let block = at.chain.block(hash).ok().flatten()?;
        let parts = cut(CompactBlock::of(&block, self.rng.next_u64()).encode());
        self.compacts.short = Some((*hash, parts.clone()));
        Some((parts, size_of(&block)))
    }

    fn announce_headers<S: Store>(&mut self, id: NodeId, news: &[Header], at: &At<'_, S>) {
        let bytes: Vec<u8> = news.iter().flat_map(|header| header.to_bytes()).collect();
        let (tip, height) = (hash_out(at.chain.tip()), at.chain.height());
        let line = LedgerHeaders { request: None, place: LedgerPlace::WHOLE, tip, height };
        self.send(id, Ledger::Headers(line), Some(bytes.into()));
    }

    /// Whether a block is asked for in short: it is the next one, and what waits here is probably in it.
    pub(super) fn ask_in_short<S: Store>(
        &mut self,
        id: NodeId,
        (height, hash): (u32, BlockHash),
        at: &At<'_, S>,
    ) -> bool {
        let is_next = height == at.chain.height().saturating_add(1);
        // One that is being put together would be of no use a second time.
        let is_filling = self.compacts.filling.contains_key(&hash) || self.compacts.filling.len() >= MAX_COMPLETING;
        if !self.is_synced || !is_next || at.pool.is_empty() || is_filling {
            return false;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let request = peer.ask(What::Compact(hash), at.now.mono_us, COMPACT_TIMEOUT);
        self.bodies.note_asked(height, (id, request, at.now.mono_us));
        let ids = Bounded::from_first([hash_out(hash)]);
        self.send(id, Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Compact, ids }), None);
        true
    }

    /// A part of a block in short came.
    pub(super) fn on_compact_part<S: Store>(
        &mut self,
        id: NodeId,
        line: LedgerPart,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(peer) = self.peers.get(&id) else { return Ok(()) };
        match line.request {
            None if peer.pushes => {}
            None => return Err(Reason::Unasked),
            Some(request) => match peer.asked.get(&request).map(|asked| &asked.what) {
                Some(What::Compact(_)) => {}
                Some(_) => return Err(Reason::Unasked),
                None => return self.not_asked(&id, request),
            },
        }
        let most = (MAX_COMPACT, &*at);
        let Some(bytes) = self.take_part(&id, (Piece::Compact, line.request, line.place), body, most)? else {
            return Ok(());
        };
        let compact = CompactBlock::decode(&bytes).map_err(|_| Reason::BadCompactBlock)?;
        if let Some(request) = line.request {
            let peer = self.peers.get_mut(&id).and_then(|peer| peer.close(request, Past::Answered));
            if !matches!(peer.map(|asked| asked.what), Some(What::Compact(asked)) if asked == compact.header.hash()) {
                return Err(Reason::Unasked);
            }
            self.bodies.open(&id, request);
        }
        self.on_compact(id, compact, at)
    }

    fn on_compact<S: Store>(&mut self, id: NodeId, compact: CompactBlock, at: &mut At<'_, S>) -> Result<(), Reason> {
        let hash = compact.header.hash();
        if at.chain.header(&compact.header.previous).is_none() {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.is_ahead = true;
            }
            return Ok(());
        }
        self.take_announced(id, &compact.header, at)?;
        let follows = compact.header.previous == at.chain.tip();
        let is_known = at.chain.has_block(&hash) || at.chain.header(&hash).is_none();
        let is_filled = self.compacts.filling.contains_key(&hash) || self.compacts.filling.len() >= MAX_COMPLETING;
        if is_known || !follows || is_filled || !self.is_synced {
            return Ok(());
        }
        self.name_waiting(at);
        let waiting = at.pool.iter().filter_map(|(txid, waiting)| Some((self.name_of(txid)?, &waiting.transaction)));
        let filling = compact.fill(waiting).ok_or(Reason::BadCompactBlock)?;
        self.complete(id, hash, filling, at)
    }

    /// Asks for what is missing in a block, or takes it if nothing is.
    fn complete<S: Store>(
        &mut self,
        id: NodeId,
        hash: BlockHash,
        filling: Filling,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let missing = filling.missing();
        if missing.is_empty() {
            return self.take_filled(id, filling.finish(Vec::new()), at);
        }
        let Some((_, height)) = at.chain.header(&hash) else { return Ok(()) };
        if missing.len() > meshline_protocol::limits::MAX_LEDGER_INDEXES {
            // In short it would come again and again: it is fetched whole.
            let best = at.chain.best_header().0;
            self.bodies.refill(best, at.chain);
            self.bodies.reopen_one(height, &id);
            return Ok(());
        }
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let request = peer.ask(What::BlockTransactions(hash), at.now.mono_us, COMPACT_TIMEOUT);
        let best = at.chain.best_header().0;
        self.bodies.refill(best, at.chain);
        self.bodies.note_asked(height, (id, request, at.now.mono_us));
        self.compacts.filling.insert(hash, (id, filling));
        let indexes = Bounded::from_first(missing);
        self.send(id, Ledger::Getblocktxn(LedgerIndexes { request, block: hash_out(hash), indexes }), None);
        Ok(())
    }

    /// A part of the missing transactions came.
    pub(super) fn on_block_transactions<S: Store>(
        &mut self,
        id: NodeId,
        line: LedgerPart,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(request) = line.request else { return Err(Reason::Unasked) };
        let asked = self.peers.get(&id).and_then(|peer| peer.asked.get(&request)).map(|asked| &asked.what);
        let hash = match asked {
            Some(What::BlockTransactions(hash)) => *hash,
            Some(_) => return Err(Reason::Unasked),
            None => return self.not_asked(&id, request),
        };
        let most = (at.chain.params().max_block_size as usize, &*at);
        let Some(bytes) = self.take_part(&id, (Piece::BlockTransactions, line.request, line.place), body, most)? else {
            return Ok(());
        };
        self.close(&id, request, Past::Answered);
        self.bodies.open(&id, request);
        let mut input = Decoder::new(&bytes);
        let rest: Vec<Transaction> =
            input.list(crate::consensus::MAX_BLOCK_TRANSACTIONS).map_err(|_| Reason::BadCompactBlock)?;
        let Some((_, filling)) = self.compacts.filling.remove(&hash) else { return Ok(()) };
        let block = filling.finish(rest);
        if block.is_none() {
            return Err(Reason::BadCompactBlock);
        }
        self.take_filled(id, block, at)
    }

    fn take_filled<S: Store>(&mut self, id: NodeId, block: Option<Block>, at: &mut At<'_, S>) -> Result<(), Reason> {
        let Some(block) = block else { return Ok(()) };
        match self.take_block(id, &block, size_of(&block), at) {
            // Short names may collide: the whole block is fetched, and nobody is to blame.
            Err(Reason::BadBlock(Rule::MerkleRoot | Rule::MerkleMutated)) => Ok(()),
            done => done,
        }
    }

    /// A peer brought a new block first: it is asked to push the next ones.
    pub(super) fn prefer(&mut self, id: NodeId) {
        if !self.is_synced || self.compacts.pushing.contains(&id) {
            return;
        }
        self.compacts.pushing.push_back(id);
        self.ask_push(id, true);
        if self.compacts.pushing.len() > MAX_PUSHING
            && let Some(oldest) = self.compacts.pushing.pop_front()
        {
            self.ask_push(oldest, false);
        }
    }

    fn ask_push(&mut self, id: NodeId, push: bool) {
        if let Some(peer) = self.peers.get_mut(&id) {
            // What was pushed before it heard of the end is not unasked.
            peer.pushes = true;
            self.send(id, Ledger::Sendcmpct(LedgerCompact { push }), None);
        }
    }
}

/// Headers of what is active and was not, at most as many as are announced unasked: of more the last one.
fn news_since<S: Store>(told: &BlockHash, at: &At<'_, S>) -> Vec<Header> {
    let tip = at.chain.tip();
    let fork = at.chain.fork_height(told, &tip).unwrap_or(0);
    let count = at.chain.height().saturating_sub(fork) as usize;
    let from = if count <= MAX_ANNOUNCED_HEADERS { fork.saturating_add(1) } else { at.chain.height() };
    let hashes = (from..=at.chain.height()).filter_map(|height| at.chain.hash_at(height));
    hashes.filter_map(|hash| at.chain.header(&hash)).map(|(header, _)| header).collect()
}
