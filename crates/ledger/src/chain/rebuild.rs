//! The unspent outputs built anew from the blocks while the chain is in use: gathered in memory some blocks at a time, then
//! held against what the store has. Only what differs is written, in one step.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::chain::Chain;
use crate::chain::coins::{coin_key, owner_key};
use crate::chain::repair::{SetHash, outputs_of};
use crate::consensus::Coin;
use crate::encode::Encode;
use crate::hash::BlockHash;
use crate::store::{Batch, Durability, Store, StoreError, Table, seal};
use crate::transaction::OutPoint;

/// How far the active blocks were gone through, and what they lead to so far: about 100 bytes an output.
#[derive(Debug, Default)]
pub struct Rebuilding {
    coins: BTreeMap<OutPoint, Coin>,
    next: u32,
    last: BlockHash,
}

impl Rebuilding {
    /// How many blocks were gone through.
    pub const fn done(&self) -> u32 {
        self.next
    }
}

impl<S: Store> Chain<S> {
    /// Goes through up to `blocks` more blocks, without judging them; the set of unspent outputs when it was put right.
    /// Between two calls the chain may change: if blocks that were gone through are no longer active, it begins anew.
    ///
    /// # Errors
    /// If the store fails, or a block in it is damaged.
    pub fn rebuild_some(&mut self, at: &mut Rebuilding, blocks: u32) -> Result<Option<SetHash>, StoreError> {
        if at.next > 0 && self.hash_at(at.next - 1) != Some(at.last) {
            *at = Rebuilding::default();
        }
        for _ in 0..blocks {
            if at.next > self.height() {
                break;
            }
            self.go_through_next(at)?;
        }
        if at.next <= self.height() {
            return Ok(None);
        }
        self.put_right(&at.coins)?;
        self.set_hash().map(Some)
    }

    fn go_through_next(&self, at: &mut Rebuilding) -> Result<(), StoreError> {
        let block = self.active_block(at.next)?;
        let hash = self.hash_at(at.next).unwrap_or_default();
        for transaction in &block.transactions {
            for outpoint in transaction.spends() {
                at.coins.remove(&outpoint).ok_or_else(|| StoreError::corrupt(Table::Blocks, &hash.0))?;
            }
            at.coins.extend(outputs_of(transaction, at.next));
        }
        (at.next, at.last) = (at.next + 1, hash);
        Ok(())
    }

    fn put_right(&mut self, coins: &BTreeMap<OutPoint, Coin>) -> Result<(), StoreError> {
        // What is held back is of the blocks that were gone through.
        self.flush()?;
        let mut batch = Batch::default();
        let expected = coins.iter().map(|(outpoint, coin)| (coin_key(outpoint).to_vec(), *coin));
        differences(&self.store, Table::Coins, expected, &mut batch)?;
        let mut owners: Vec<_> = coins.iter().map(|(at, coin)| (owner_key(coin, at), *coin)).collect();
        owners.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        differences(&self.store, Table::Owners, owners.into_iter(), &mut batch)?;
        if batch.changes.is_empty() { Ok(()) } else { self.store.commit(&batch, Durability::Synced) }
    }
}

/// What makes a table hold what is expected, which comes in the order of its keys.
fn differences(
    store: &impl Store,
    table: Table,
    expected: impl Iterator<Item = (Vec<u8>, Coin)>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let mut expected = expected.peekable();
    let sealed = |key: &[u8], coin: &Coin| seal(table, key, coin.encode());
    store.scan(table, &[], &mut |key, record| {
        while let Some((missing, coin)) = expected.next_if(|(next, _)| next.as_slice() < key) {
            batch.put(table, &missing, sealed(&missing, &coin));
        }
        match expected.next_if(|(next, _)| next == key) {
            Some((_, coin)) => {
                let right = sealed(key, &coin);
                if record != right {
                    batch.put(table, key, right);
                }
            }
            None => batch.delete(table, key),
        }
        ControlFlow::Continue(())
    })?;
    for (missing, coin) in expected {
        batch.put(table, &missing, sealed(&missing, &coin));
    }
    Ok(())
}
