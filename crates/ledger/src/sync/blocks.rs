//! Blocks that arrive, and what becomes of chain and mempool by them.

use std::collections::BTreeSet;

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_protocol::message::{LedgerNotFound, LedgerPart};

use crate::chain::{Accepted, ChainEvent};
use crate::consensus::{Block, Refusal, Rule};
use crate::encode::Decode;
use crate::hash::{BlockHash, Txid};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::limits::{COINS_DELAY, SECOND, STORE_PAUSE};
use crate::sync::parts::Piece;
use crate::sync::peer::{Past, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Event, Sync};

impl<V: SignatureVerifier> Sync<V> {
    /// A part of a block came.
    pub(super) fn on_block_part<S: Store>(
        &mut self,
        id: NodeId,
        line: LedgerPart,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(request) = line.request else { return Err(Reason::Unasked) };
        let asked = self.peers.get(&id).and_then(|peer| peer.asked.get(&request)).map(|asked| &asked.what);
        match asked {
            // Blocks far below the tip are not sent in short.
            Some(What::Blocks(_) | What::Compact(_)) => {}
            Some(_) => return Err(Reason::Unasked),
            None => return self.not_asked(&id, request),
        }
        let most = at.chain.params().max_block_size as usize;
        let Some(bytes) = self.take_part(&id, (Piece::Block, line.request, line.place), body, (most, at))? else {
            return Ok(());
        };
        let Ok(block) = Block::decode(&bytes) else { return Err(Reason::BadBlock(Rule::Encoding)) };
        let hash = block.hash();
        if !self.take_asked(&id, request, &hash) {
            return Err(Reason::Unasked);
        }
        self.take_block(id, &block, bytes.len(), at)
    }

    /// Whether the block was asked for with this question; it is no more.
    fn take_asked(&mut self, id: &NodeId, request: u32, hash: &BlockHash) -> bool {
        let Some(peer) = self.peers.get_mut(id) else { return false };
        if matches!(peer.asked.get(&request).map(|asked| &asked.what), Some(What::Compact(asked)) if asked == hash) {
            peer.close(request, Past::Answered);
            return true;
        }
        let Some(What::Blocks(hashes)) = peer.asked.get_mut(&request).map(|asked| &mut asked.what) else {
            return false;
        };
        let Some(place) = hashes.iter().position(|asked| asked == hash) else { return false };
        hashes.remove(place);
        if hashes.is_empty() {
            peer.close(request, Past::Answered);
        }
        true
    }

    /// A whole block came from a peer.
    pub(super) fn take_block<S: Store>(
        &mut self,
        id: NodeId,
        block: &Block,
        size: usize,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let hash = block.hash();
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.blocks += 1;
            (peer.stalls, peer.unanswered) = (0, 0);
        }
        self.spend_on_block(block, size);
        let was_missing = !at.chain.has_block(&hash);
        let accepted = at.chain.accept_block(block, at.now.unix_s, &self.verifier);
        let height = at.chain.header(&hash).map(|(_, height)| height);
        match accepted {
            Ok(Accepted::Active(events)) => {
                self.note_arrived((&hash, height), (size, was_missing));
                self.on_chain_events(events, at);
                if was_missing && at.chain.tip() == hash {
                    self.prefer(id);
                }
                Ok(())
            }
            Ok(Accepted::Known | Accepted::Kept | Accepted::NotKept) => {
                self.note_arrived((&hash, height), (size, was_missing));
                Ok(())
            }
            Err(Refusal::Store(error)) => {
                height.inspect(|height| self.bodies.reopen_one(*height, &id));
                self.store_failed(error, at.now);
                Ok(())
            }
            Err(Refusal::Rule(rule)) => {
                height.inspect(|height| self.bodies.reopen_one(*height, &id));
                // The header was taken before: neither is the peer's fault.
                let is_ours = matches!(rule, Rule::FutureTime | Rule::HeaderFlood | Rule::UnknownParent);
                if is_ours { Ok(()) } else { Err(Reason::BadBlock(rule)) }
            }
        }
    }

    fn note_arrived(&mut self, (hash, height): (&BlockHash, Option<u32>), (size, was_missing): (usize, bool)) {
        if let Some(height) = height {
            self.bodies.arrived(height, hash, size);
        }
        self.compacts.give_up(hash);
        self.rate.add(u64::from(was_missing));
    }

    /// The active chain changed: what that does to the mempool, and the news of it.
    pub(super) fn on_chain_events<S: Store>(&mut self, events: Vec<ChainEvent>, at: &mut At<'_, S>) {
        let gone: Vec<Block> = events
            .iter()
            .filter_map(|event| match event {
                ChainEvent::Disconnected(block) => Some(Block::clone(block)),
                ChainEvent::Connected(_) => None,
            })
            .collect();
        for event in &events {
            if let ChainEvent::Connected(block) = event {
                at.pool.on_connected(block);
            }
        }
        if !gone.is_empty() {
            at.pool.on_disconnected(at.chain, &gone, at.now.unix_s, &self.verifier);
            // They wait again, and others may never have had them.
            for transaction in gone.iter().flat_map(|block| &block.transactions) {
                self.announce_transaction(transaction.txid(), None, at);
            }
        }
        self.out.extend(events.into_iter().map(|event| crate::sync::Output::Event(Event::Chain(event))));
    }

    /// Writes what the last blocks did to the unspent outputs, a while after them.
    pub(super) fn write_coins<S: Store>(&mut self, at: &mut At<'_, S>) {
        if !self.is_synced || !at.chain.lacks_coins() {
            self.coins_at = None;
            return;
        }
        let now = at.now.mono_us;
        if now < *self.coins_at.get_or_insert_with(|| now.saturating_add(COINS_DELAY)) {
            return;
        }
        self.coins_at = None;
        if let Err(error) = at.chain.flush() {
            self.coins_at = Some(now.saturating_add(STORE_PAUSE));
            self.store_failed(error, at.now);
        }
    }

    /// A peer does not have what it was asked for.
    pub(super) fn on_not_found<S: Store>(
        &mut self,
        id: NodeId,
        line: &LedgerNotFound,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let Some(asked) = peer.asked.get_mut(&line.request) else { return self.not_asked(&id, line.request) };
        match &mut asked.what {
            What::Headers(_) | What::Light => return Err(Reason::Unasked),
            What::Blocks(hashes) => {
                let missing: Vec<BlockHash> = line.ids.iter().map(|id| BlockHash(id.0)).collect();
                if missing.is_empty() || !missing.iter().all(|hash| hashes.contains(hash)) {
                    return Err(Reason::Unasked);
                }
                hashes.retain(|hash| !missing.contains(hash));
                if hashes.is_empty() {
                    peer.close(line.request, Past::Answered);
                }
                // It said that it has them: somebody else is asked first, and it not at once again.
                peer.paused_until = at.now.mono_us.saturating_add(SECOND);
                for hash in missing {
                    if let Some((_, height)) = at.chain.header(&hash) {
                        self.bodies.reopen_one(height, &id);
                    }
                }
            }
            What::Transactions(names) => {
                let missing: BTreeSet<Txid> = line.ids.iter().map(|id| Txid(id.0)).collect();
                if missing.is_empty() || !missing.is_subset(names) {
                    return Err(Reason::Unasked);
                }
                names.retain(|name| !missing.contains(name));
                if names.is_empty() {
                    peer.close(line.request, Past::Answered);
                }
                self.transactions_failed(&id, &missing);
            }
            What::Compact(hash) | What::BlockTransactions(hash) => {
                let hash = *hash;
                peer.close(line.request, Past::Answered);
                self.compacts.give_up_of(&hash, &id);
                self.bodies.reopen_of(&id, line.request);
            }
        }
        Ok(())
    }
}
