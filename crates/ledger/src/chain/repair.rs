//! Tools: the hash of the set of unspent outputs, its rebuilding from the blocks, and the whole chain judged again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::amount::Total;
use crate::chain::{Chain, MAX_PENDING_COINS, load};
use crate::consensus::{Block, Coin, CoinView, Connected, Refusal, Rule, TxContext, check_block, connect};
use crate::encode::Encode;
use crate::hash::{BlockHash, Txid};
use crate::sighash::SignatureVerifier;
use crate::store::{Batch, Durability, Store, StoreError, Table, seal};
use crate::transaction::{OutPoint, Transaction};

/// Records deleted in one step while rebuilding.
const DELETE_STEP: usize = 10_000;

/// All unspent outputs in one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetHash {
    /// SHA-256 of all outpoints and coins, in the order of outpoints.
    pub hash: [u8; 32],
    /// How many there are.
    pub outputs: u64,
    /// Transactions they are of.
    pub transactions: u64,
    /// What they come to.
    pub total: Total,
}

/// A block of the active chain that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The first such block.
    #[error("the block at height {height} is invalid: {rule}")]
    Rule {
        /// Its height.
        height: u32,
        /// The rule.
        rule: Rule,
    },
    /// All blocks are valid, but the unspent outputs are not what they lead to.
    #[error("the unspent outputs are not what the blocks lead to: run reindex")]
    Coins,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Chain<S> {
    /// The hash of the unspent outputs, read one by one.
    pub fn set_hash(&self) -> Result<SetHash, StoreError> {
        let mut sum = SetSum::default();
        self.overlay.each(&self.store, |outpoint, coin| sum.add(outpoint, coin))?;
        Ok(sum.finish())
    }

    /// Builds the unspent outputs anew from the active blocks, without judging them. If it is interrupted, opening the
    /// chain does it again.
    pub fn reindex(&mut self) -> Result<SetHash, StoreError> {
        self.reindex_with(|_| {})
    }

    /// [`Chain::reindex`], with `progress` told each height.
    pub fn reindex_with(&mut self, mut progress: impl FnMut(u32)) -> Result<SetHash, StoreError> {
        self.flush()?;
        self.mark_rebuilding(true)?;
        for table in [Table::Coins, Table::Owners] {
            while self.delete_some(table)? {}
        }
        for height in 0..=self.height() {
            let block = self.active_block(height)?;
            self.replay(&block, height)?;
            progress(height);
            if self.overlay.len() >= MAX_PENDING_COINS {
                self.flush()?;
            }
        }
        self.flush()?;
        self.mark_rebuilding(false)?;
        self.set_hash()
    }

    fn mark_rebuilding(&mut self, rebuilding: bool) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        match rebuilding {
            true => batch.put(Table::Meta, load::REBUILDING, seal(Table::Meta, load::REBUILDING, Vec::new())),
            false => batch.delete(Table::Meta, load::REBUILDING),
        }
        self.store.commit(&batch, Durability::Synced)
    }

    /// Whether there was something to delete.
    fn delete_some(&mut self, table: Table) -> Result<bool, StoreError> {
        let mut batch = Batch::default();
        self.store.scan(table, &[], &mut |key, _| {
            batch.delete(table, key);
            if batch.changes.len() < DELETE_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if batch.changes.is_empty() {
            return Ok(false);
        }
        self.store.commit(&batch, Durability::Synced)?;
        Ok(true)
    }

    pub(super) fn active_block(&self, height: u32) -> Result<Block, StoreError> {
        let hash = self.hash_at(height).unwrap_or_default();
        self.block(&hash)?.ok_or_else(|| StoreError::corrupt(Table::Blocks, &hash.0))
    }

    fn replay(&mut self, block: &Block, height: u32) -> Result<(), StoreError> {
        for transaction in &block.transactions {
            for outpoint in transaction.spends() {
                let damaged = || StoreError::corrupt(Table::Blocks, &block.hash().0);
                let coin = self.coin(&outpoint)?.ok_or_else(damaged)?;
                self.overlay.remove(outpoint, coin);
            }
            for (outpoint, coin) in outputs_of(transaction, height) {
                self.overlay.add(outpoint, coin);
            }
        }
        Ok(())
    }

    /// Judges all active blocks again from the genesis block on, and compares what they lead to with what is kept.
    /// `progress` is told each height.
    pub fn verify(
        &self,
        verifier: &impl SignatureVerifier,
        mut progress: impl FnMut(u32),
    ) -> Result<SetHash, VerifyError> {
        let mut verification = Verification::default();
        loop {
            let done = self.verify_some(&mut verification, verifier, 1)?;
            progress(verification.next.saturating_sub(1));
            if let Some(kept) = done {
                return Ok(kept);
            }
        }
    }

    /// Judges up to `blocks` more blocks; the set of unspent outputs when all were. Between two calls the chain may
    /// change: if blocks that were judged are no longer active, the judging begins anew.
    pub fn verify_some(
        &self,
        at: &mut Verification,
        verifier: &impl SignatureVerifier,
        blocks: u32,
    ) -> Result<Option<SetHash>, VerifyError> {
        if at.next > 0 && self.hash_at(at.next - 1) != Some(at.last) {
            *at = Verification::default();
        }
        for _ in 0..blocks {
            if at.next > self.height() {
                break;
            }
            self.verify_next(at, verifier)?;
        }
        if at.next <= self.height() {
            return Ok(None);
        }
        let mut sum = SetSum::default();
        at.coins.0.iter().for_each(|(outpoint, coin)| sum.add(outpoint, coin));
        let (expected, kept) = (sum.finish(), self.set_hash()?);
        if expected == kept { Ok(Some(kept)) } else { Err(VerifyError::Coins) }
    }

    fn verify_next(&self, at: &mut Verification, verifier: &impl SignatureVerifier) -> Result<(), VerifyError> {
        let height = at.next;
        let block = self.active_block(height)?;
        let connected = match height {
            0 => first_outputs(&block),
            _ => self.judge(&block, height, &at.coins, verifier).map_err(|refusal| match refusal {
                Refusal::Rule(rule) => VerifyError::Rule { height, rule },
                Refusal::Store(error) => error.into(),
            })?,
        };
        at.coins.apply(connected);
        (at.next, at.last) = (height + 1, self.hash_at(height).unwrap_or_default());
        Ok(())
    }

    fn judge(
        &self,
        block: &Block,
        height: u32,
        coins: &MapView,
        verifier: &impl SignatureVerifier,
    ) -> Result<Connected, Refusal> {
        let parent = self.tree.active_at(height - 1).ok_or(Rule::UnknownParent)?;
        // The time was judged when the block came.
        self.check_header(&block.header, &block.hash(), parent, u64::MAX)?;
        if self.tree.slot(&block.header.previous) != Some(parent) {
            return Err(Rule::Link.into());
        }
        let checked = check_block(&self.params, block, height)?;
        let context = TxContext { height, ..self.context_after(parent) };
        connect(context, block, &checked, coins, verifier)
    }
}

/// What a genesis block makes: its outputs can be spent like those of any coinbase.
pub(super) fn first_outputs(genesis: &Block) -> Connected {
    let created = genesis.transactions.iter().flat_map(|coinbase| outputs_of(coinbase, 0)).collect();
    Connected { spent: Vec::new(), created, fees: 0 }
}

/// All outputs of a transaction, whether or not they were spent since.
pub(super) fn outputs_of(transaction: &Transaction, height: u32) -> Vec<(OutPoint, Coin)> {
    let (txid, coinbase) = (transaction.txid(), transaction.is_coinbase());
    let coin = |(index, output): (u32, &_)| (OutPoint { txid, index }, Coin { output: *output, height, coinbase });
    (0..).zip(&transaction.outputs).map(coin).collect()
}

/// How far the active blocks were judged again, and what they lead to so far.
#[derive(Debug, Default)]
pub struct Verification {
    coins: MapView,
    next: u32,
    last: BlockHash,
}

impl Verification {
    /// How many blocks were judged.
    pub const fn judged(&self) -> u32 {
        self.next
    }
}

/// Unspent outputs in memory.
#[derive(Debug, Default)]
struct MapView(BTreeMap<OutPoint, Coin>);

impl CoinView for MapView {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        Ok(self.0.get(outpoint).copied())
    }
}

impl MapView {
    fn apply(&mut self, connected: Connected) {
        for (outpoint, _) in connected.spent {
            self.0.remove(&outpoint);
        }
        self.0.extend(connected.created);
    }
}

#[derive(Default)]
struct SetSum {
    hash: Sha256,
    outputs: u64,
    transactions: u64,
    last: Option<Txid>,
    total: Total,
}

impl SetSum {
    fn add(&mut self, outpoint: &OutPoint, coin: &Coin) {
        self.hash.update(outpoint.encode());
        self.hash.update(coin.encode());
        self.outputs += 1;
        // Outputs of one transaction come one after the other.
        self.transactions += u64::from(self.last != Some(outpoint.txid));
        self.last = Some(outpoint.txid);
        self.total.0 += u128::from(coin.output.amount.units());
    }

    fn finish(self) -> SetHash {
        let Self { hash, outputs, transactions, total, .. } = self;
        SetHash { hash: hash.finalize().into(), outputs, transactions, total }
    }
}
