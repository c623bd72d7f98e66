//! Blocks that are wanted whole, proofs of own transactions, and own transactions on their way out.

use meshline_protocol::message::{Ledger, LedgerInv, LedgerKind, LedgerPart, LedgerProve, LedgerWant};
use meshline_protocol::{Bounded, NodeId};

use crate::consensus::{Block, MAX_BLOCK_TRANSACTIONS, Rule, merkle_root, root_of_branch};
use crate::encode::{Decode, Decoder, Encode};
use crate::filter::Filter;
use crate::hash::{BlockHash, Txid};
use crate::store::Store;
use crate::sync::light::limits::*;
use crate::sync::light::{Event, Light, Place, Question};
use crate::sync::limits::{REBROADCAST, SERVE_AT_ONCE};
use crate::sync::parts::cut;
use crate::sync::{At, Reason, hash_out, txid_out};
use crate::transaction::Transaction;

/// Hashes in a branch of the largest block's tree.
const MAX_BRANCH: u64 = MAX_BLOCK_TRANSACTIONS.ilog2() as u64 + 1;

impl Light {
    /// Asks for the lowest blocks that are wanted.
    pub(super) fn fetch_blocks<S: Store>(&mut self, at: &mut At<'_, S>) {
        let wanted: Vec<(u32, BlockHash)> =
            self.fetch.iter().take(BLOCKS_AT_ONCE).map(|(at, hash)| (*at, *hash)).collect();
        for (height, hash) in wanted {
            let is_asked =
                |question: &Question| matches!(question, Question::Block { hash: asked, .. } if *asked == hash);
            if !self.asked_of(is_asked).is_empty() {
                continue;
            }
            let Some(id) = self.able(height, at, |peer| peer.serves_blocks).first().copied() else { return };
            let ids = Bounded::from_first([hash_out(hash)]);
            let line = |request| Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Block, ids });
            self.ask(id, Question::Block { height, hash }, line, at.now.mono_us);
        }
    }

    /// A block: its header is known to have work behind it, and covers all of it.
    pub(super) fn on_block(&mut self, (height, hash): (u32, BlockHash), bytes: &[u8]) -> Result<(), Reason> {
        let block = Block::decode(bytes).map_err(|_| Reason::BadBlock(Rule::Encoding))?;
        if block.hash() != hash {
            return Err(Reason::Unasked);
        }
        let merkle = merkle_root(block.transactions.iter().map(|transaction| transaction.wtxid().0));
        if merkle.root != block.header.merkle_root {
            return Err(Reason::BadBlock(Rule::MerkleRoot));
        }
        if merkle.mutated {
            return Err(Reason::BadBlock(Rule::MerkleMutated));
        }
        if self.fetch.get(&height) != Some(&hash) {
            return Ok(());
        }
        self.fetch.remove(&height);
        self.blocks = self.blocks.saturating_add(1);
        let place = Place { height, hash, time: block.header.time };
        let truth = Filter::of(&block).hash();
        self.late.note_block(hash, truth);
        self.on_span_block(place, truth, block.transactions);
        Ok(())
    }

    /// Asks whether own transactions that wait are in the blocks that matched: a proof is there sooner than the block.
    pub(super) fn fetch_proofs<S: Store>(&mut self, at: &mut At<'_, S>) {
        let wanted = std::mem::take(&mut self.prove_wanted);
        let waiting = self.watch.pending().iter().filter(|(_, movement)| movement.place.is_none());
        let names: Vec<Txid> = waiting.map(|(txid, _)| *txid).collect();
        if names.is_empty() {
            return;
        }
        // The newest are the likeliest; of the others the blocks tell.
        for (height, hash) in wanted.into_iter().rev().take(BLOCKS_AT_ONCE) {
            let Some(id) = self.able(height, at, |peer| peer.serves_filters).first().copied() else { return };
            let ids = Bounded::from_first(names.iter().map(|txid| txid_out(*txid)));
            let line = |request| Ledger::Getproof(LedgerProve { request, block: hash_out(hash), ids });
            self.ask(id, Question::Proof { hash, names: names.clone() }, line, at.now.mono_us);
        }
    }

    /// Proofs: each transaction must have been asked for, and lead to the block's root.
    pub(super) fn on_proof<S: Store>(
        &mut self,
        (hash, names): (BlockHash, &[Txid]),
        bytes: &[u8],
        at: &At<'_, S>,
    ) -> Result<(), Reason> {
        let Some((header, height)) = at.chain.header(&hash) else { return Ok(()) };
        let mut input = Decoder::new(bytes);
        let mut proved = Vec::new();
        while !input.rest().is_empty() {
            let txid = read_proof(&mut input, &header.merkle_root).ok_or(Reason::BadProof)?;
            if !names.contains(&txid) || proved.contains(&txid) {
                return Err(Reason::BadProof);
            }
            proved.push(txid);
        }
        if at.chain.best_hash_at(height) != Some(hash) {
            return Ok(());
        }
        for txid in proved {
            // The block itself may have come first.
            if self.watch.prove(&txid, Place { height, hash, time: header.time }) {
                self.events.push_back(Event::Proved { txid, height });
            }
        }
        Ok(())
    }

    /// Tells peers of own transactions that wait: new peers at once, all of them now and then.
    pub(super) fn announce_pending(&mut self, now: u64) {
        if now >= self.announce_at {
            self.announced.clear();
            self.announce_at = now.saturating_add(REBROADCAST);
        }
        let peers = self.sync.peers.iter().filter(|(_, peer)| peer.is_speaking() && peer.wants_transactions);
        let peers: Vec<NodeId> = peers.map(|(id, _)| *id).collect();
        for id in peers {
            let waiting = self.watch.pending().iter().filter(|(_, movement)| movement.place.is_none());
            let fresh: Vec<Txid> =
                waiting.map(|(txid, _)| *txid).filter(|txid| self.announced.insert((id, *txid))).collect();
            if !fresh.is_empty() {
                let ids = Bounded::from_first(fresh.into_iter().map(txid_out));
                let line = LedgerInv { request: None, kind: LedgerKind::Transaction, ids };
                self.sync.send(id, Ledger::Inv(line), None);
            }
        }
    }

    /// A peer asks for own transactions.
    pub(super) fn serve_pending(&mut self, id: NodeId, want: &LedgerWant) {
        let mut missing = Vec::new();
        for name in want.ids.iter() {
            let is_reading = self.sync.peers.get(&id).is_some_and(|peer| peer.serving.handed() < SERVE_AT_ONCE);
            let waiting = self.watch.pending().get(&Txid(name.0)).filter(|_| is_reading);
            let Some(bytes) = waiting.map(|movement| movement.transaction.encode()) else {
                missing.push(*name);
                continue;
            };
            for (place, body) in cut(bytes) {
                let line = LedgerPart { request: Some(want.request), place };
                self.sync.hand_out(id, Ledger::Tx(line), body);
            }
        }
        if !missing.is_empty() {
            self.sync.send_not_found(id, want.request, missing);
        }
    }
}

/// Reads one proof; the name of its transaction if it leads to the root.
fn read_proof(input: &mut Decoder<'_>, root: &[u8; 32]) -> Option<Txid> {
    let index = input.u32().ok()? as usize;
    let count = input.count(MAX_BRANCH).ok()?;
    let branch = (0..count).map(|_| input.array()).collect::<Result<Vec<[u8; 32]>, _>>().ok()?;
    let transaction = Transaction::decode_from(input).ok()?;
    let is_place = index < 1 << count;
    let leads = root_of_branch(transaction.wtxid().0, index, &branch) == *root;
    (is_place && leads).then(|| transaction.txid())
}
