//! One chain: its headers, which blocks are active, what is unspent, and how all that is kept.
//!
//! What a block changes becomes durable in one step with its undo record and the new tip. During a first
//! synchronisation several blocks share such a step; whatever a crash takes is asked for again. Later each block is
//! durable at once with its undo record and the mark `AHEAD`, and many share the step that changes the unspent
//! outputs: two thirds of what a full block costs, for which nobody has to wait. After a crash the blocks between
//! `TIP` and that mark are gone through again, unjudged.

mod ahead;
mod coins;
mod filters;
mod headers;
mod load;
mod rebuild;
mod reorganise;
mod repair;
mod tree;

pub use ahead::HeaderJudge;
pub use filters::FilterPlace;
pub use headers::{FUTURE_LIMIT_S, MAX_HEADERS_REPLY, MAX_LOCATOR, MEDIAN_SPAN};
pub use load::OpenError;
pub use rebuild::Rebuilding;
pub use repair::{SetHash, Verification, VerifyError};
pub use tree::MAX_SIDE_HEADERS;

use std::collections::BTreeMap;

use crate::amount::{Amount, Total};
use crate::chain::coins::{Coins, Overlay};
use crate::chain::reorganise::Given;
use crate::chain::tree::{HeaderTree, Slot};
use crate::consensus::{Block, Coin, CoinView, Genesis, Header, Params, Refusal, Rule, TxContext, check_block};
use crate::encode::{Decode, Encode};
use crate::hash::{BlockHash, ChainId};
use crate::sighash::SignatureVerifier;
use crate::store::{Batch, Durability, Store, StoreError, Table, seal, unseal, unsealed};
use crate::transaction::{Lock, OutPoint};
use crate::u256::U256;

/// Changed outputs that are held back at most during a first synchronisation: about 30 MB.
pub const MAX_PENDING_COINS: usize = 200_000;
/// Changed outputs that [`Flush::BlocksFirst`] leaves for later: about 6 MB, and what to go through again takes a fraction of a
/// second after a crash.
pub const MAX_COINS_BEHIND: usize = 50_000;
/// Bytes of blocks that are held back at most during a first synchronisation.
pub const MAX_PENDING_BYTES: usize = 32 * 1024 * 1024;
/// Blocks beside the active chain that are kept, so that disk is not filled by them; a chain with more work than the
/// tip is taken whatever its length.
pub const MAX_SIDE_BODIES: usize = 1_000;

/// When blocks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Each at once, with what it does to the unspent outputs.
    EachBlock,
    /// Each at once, and what it does to the unspent outputs later, that of many blocks together: when
    /// [`MAX_COINS_BEHIND`] is reached, and when [`Chain::flush`] is called. [`Chain::open`] makes up for what is missing.
    BlocksFirst,
    /// When [`MAX_PENDING_COINS`] or [`MAX_PENDING_BYTES`] is reached, and when [`Chain::flush`] is called.
    BySize,
}

/// What changed in the active chain, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// The block is no longer part of it; its payments may come back to the mempool.
    Disconnected(Box<Block>),
    /// The block is its tip now.
    Connected(Box<Block>),
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It was known.
    Known,
    /// It is kept beside the active chain, or waits for the blocks before it.
    Kept,
    /// The active chain changed.
    Active(Vec<ChainEvent>),
    /// It is well formed, but too many blocks beside the active chain are kept.
    NotKept,
}

/// The chain, over a store.
#[derive(Debug)]
pub struct Chain<S> {
    params: Params,
    id: ChainId,
    store: S,
    tree: HeaderTree,
    overlay: Overlay,
    /// Blocks, undo records and headers that are not in the store yet, and records that are to go (`None`).
    pending: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    pending_bytes: usize,
    flush: Flush,
    /// The block up to which the store has what is unspent.
    stored: BlockHash,
    /// The store has `AHEAD`.
    is_ahead: bool,
    /// What changed before the store failed, and was not told yet.
    undelivered: Vec<ChainEvent>,
    /// The last block of which the filter was made, and all before it.
    filtered: Option<BlockHash>,
}

impl<S: Store> Chain<S> {
    /// The chain of `genesis` as the store has it; an empty store gets the genesis block.
    pub fn open(genesis: &Genesis, store: S) -> Result<Self, OpenError> {
        load::open(genesis, store)
    }

    /// The numbers of its rules.
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Its id: the hash of the genesis block.
    pub const fn id(&self) -> ChainId {
        self.id
    }

    /// Its store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back; what was not flushed is lost.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Sets when blocks are written.
    pub fn set_flush(&mut self, flush: Flush) {
        self.flush = flush;
    }

    /// Hash of the last active block.
    pub fn tip(&self) -> BlockHash {
        self.tree.entry(self.tree.tip()).map_or(self.id, |entry| entry.hash)
    }

    /// Height of the last active block.
    pub fn height(&self) -> u32 {
        self.tree.tip_height()
    }

    /// Work of the active chain.
    pub fn work(&self) -> U256 {
        self.tree.entry(self.tree.tip()).map_or(U256::ZERO, |entry| entry.work)
    }

    /// A transaction of the next block is judged with this.
    pub fn next_context(&self) -> TxContext<'_> {
        self.context_after(self.tree.tip())
    }

    fn context_after(&self, parent: Slot) -> TxContext<'_> {
        let height = self.tree.entry(parent).map_or(0, |entry| entry.height.saturating_add(1));
        TxContext {
            params: &self.params,
            chain: self.id,
            height,
            median_time: headers::median_time(&self.tree, parent),
        }
    }

    /// The unspent output.
    pub fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        self.coins().coin(outpoint)
    }

    fn coins(&self) -> Coins<'_, S> {
        Coins { overlay: &self.overlay, store: &self.store }
    }

    /// All unspent outputs of an owner.
    pub fn owned(&self, owner: &Lock) -> Result<BTreeMap<OutPoint, Coin>, StoreError> {
        self.overlay.owned(&self.store, owner)
    }

    /// What an owner has in all.
    pub fn balance(&self, owner: &Lock) -> Result<Total, StoreError> {
        Ok(self.owned(owner)?.values().map(|coin| coin.output.amount).sum())
    }

    /// A block by its hash, active or not.
    pub fn block(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.record(Table::Blocks, &hash.0)? else { return Ok(None) };
        let block = Block::decode(&bytes).map_err(|_| StoreError::corrupt(Table::Blocks, &hash.0))?;
        Ok(Some(block))
    }

    /// The hash of the active block at a height.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.tree.entry(self.tree.active_at(height)?).map(|entry| entry.hash)
    }

    /// The header of a block that is known, and its height.
    pub fn header(&self, hash: &BlockHash) -> Option<(Header, u32)> {
        let entry = self.tree.entry(self.tree.slot(hash)?)?;
        Some((entry.header, entry.height))
    }

    /// Whether a block is in the active chain.
    pub fn is_active(&self, hash: &BlockHash) -> bool {
        self.tree.slot(hash).is_some_and(|slot| self.tree.is_active(slot))
    }

    /// Takes a block. `now_s` is the time, in seconds since 1970.
    pub fn accept_block(
        &mut self,
        block: &Block,
        now_s: u64,
        verifier: &impl SignatureVerifier,
    ) -> Result<Accepted, Refusal> {
        let slot = self.accept_header_slot(&block.header, now_s)?;
        let Some(entry) = self.tree.entry(slot) else { return Err(Rule::UnknownParent.into()) };
        let (hash, height, known) = (entry.hash, entry.height, entry.status.has_body);
        let mut given = Given { slot, fresh: None };
        if !known {
            let checked = match check_block(&self.params, block, height) {
                Ok(checked) => checked,
                Err(rule) if rule.may_be_the_copy() => return Err(rule.into()),
                Err(rule) => {
                    self.note_invalid(slot)?;
                    return Err(rule.into());
                }
            };
            if !self.has_room(slot) {
                return Ok(Accepted::NotKept);
            }
            self.keep(Table::Blocks, hash.0.to_vec(), block.encode());
            self.tree.add_body(slot);
            self.keep_header(slot);
            given.fresh = Some((block, checked));
        }
        // A known one too: the store may have failed the last time.
        let events = self.settle(given, verifier)?;
        Ok(match (events.is_empty(), known) {
            (false, _) => Accepted::Active(events),
            (true, true) => Accepted::Known,
            (true, false) => Accepted::Kept,
        })
    }

    /// Whether the body is on the way to more work, or few others are kept.
    fn has_room(&self, slot: Slot) -> bool {
        let Some(entry) = self.tree.entry(slot) else { return false };
        let on_best = self.tree.best_at(entry.height) == Some(slot);
        let beside = self.tree.bodies().saturating_sub(self.tree.tip_height() as usize + 1);
        on_best || entry.work > self.work() || beside < MAX_SIDE_BODIES
    }

    /// Writes all that is held back, durably.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() && self.overlay.len() == 0 {
            return Ok(());
        }
        let mut rest = Batch::default();
        self.overlay.write_to(&mut rest);
        let tip = self.tip();
        rest.put(Table::Meta, load::TIP, seal(Table::Meta, load::TIP, tip.0.to_vec()));
        if self.is_ahead {
            rest.delete(Table::Meta, load::AHEAD);
        }
        self.commit_with(rest)?;
        self.overlay.clear();
        (self.stored, self.is_ahead) = (tip, false);
        Ok(())
    }

    /// Writes all that is held back but the unspent outputs, durably, if blocks lead from where these are written to the
    /// tip.
    fn flush_blocks(&mut self) -> Result<(), StoreError> {
        if !self.is_active(&self.stored) || self.overlay.len() >= MAX_COINS_BEHIND {
            return self.flush();
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut rest = Batch::default();
        rest.put(Table::Meta, load::AHEAD, seal(Table::Meta, load::AHEAD, self.tip().0.to_vec()));
        self.commit_with(rest)?;
        self.is_ahead = true;
        Ok(())
    }

    /// Writes what is held back and `rest` in one step, durably.
    fn commit_with(&mut self, rest: Batch) -> Result<(), StoreError> {
        let held = self.pending.len();
        let sealed = |((table, key), value): ((Table, Vec<u8>), Option<Vec<u8>>)| {
            let value = value.map(|value| seal(table, &key, value));
            (table, key, value)
        };
        let mut batch = Batch { changes: std::mem::take(&mut self.pending).into_iter().map(sealed).collect() };
        batch.changes.extend(rest.changes);
        let done = self.store.commit(&batch, Durability::Synced);
        match done {
            Ok(()) => self.pending_bytes = 0,
            // It stays held back, and is tried again with the next block.
            Err(_) => {
                let back = batch.changes.into_iter().take(held);
                self.pending = back.map(|(table, key, value)| ((table, key), value.map(unsealed))).collect();
            }
        }
        done
    }

    /// Whether the store lacks what blocks did to the unspent outputs.
    pub fn lacks_coins(&self) -> bool {
        self.overlay.len() > 0
    }

    fn flush_if_due(&mut self) -> Result<(), StoreError> {
        match self.flush {
            Flush::EachBlock => self.flush(),
            Flush::BlocksFirst => self.flush_blocks(),
            Flush::BySize => self.flush_if_full(),
        }
    }

    fn flush_if_full(&mut self) -> Result<(), StoreError> {
        let full = self.overlay.len() >= MAX_PENDING_COINS || self.pending_bytes >= MAX_PENDING_BYTES;
        if full { self.flush() } else { Ok(()) }
    }

    /// Holds a record back until the next flush.
    fn keep(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.hold(table, key, Some(value));
    }

    /// Takes a record out with the next flush.
    fn drop_record(&mut self, table: Table, key: Vec<u8>) {
        self.hold(table, key, None);
    }

    fn hold(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        self.pending_bytes += key.len() + size(&value);
        let key_size = key.len();
        if let Some(replaced) = self.pending.insert((table, key), value) {
            self.pending_bytes -= key_size + size(&replaced);
        }
    }

    fn keep_header(&mut self, slot: Slot) {
        if let Some((key, value)) = load::header_record(&self.tree, slot) {
            self.keep(Table::Headers, key, value);
        }
    }

    fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.pending.get(&(table, key.to_vec())) {
            return Ok(value.clone());
        }
        let Some(sealed) = self.store.get(table, key)? else { return Ok(None) };
        unseal(table, key, &sealed).map(|value| Some(value.to_vec()))
    }

    /// Marks a block that breaks a rule, and all built on it.
    fn note_invalid(&mut self, slot: Slot) -> Result<(), StoreError> {
        for marked in self.tree.mark_invalid(slot) {
            let hash = self.tree.entry(marked).map(|entry| entry.hash).unwrap_or_default();
            if let Some(Some(body)) = self.pending.remove(&(Table::Blocks, hash.0.to_vec())) {
                self.pending_bytes -= hash.0.len() + body.len();
            }
            self.keep_header(marked);
        }
        self.flush_if_due()
    }

    /// New money in the next block.
    pub fn next_subsidy(&self) -> Amount {
        self.params.subsidy_at(self.height().saturating_add(1))
    }
}
