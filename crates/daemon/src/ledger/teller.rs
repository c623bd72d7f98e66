//! The ledger as a wallet sees it, whoever has it: a command that has opened it, or the engine of a running node.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use meshline_ledger::consensus::Coin as ChainCoin;
use meshline_ledger::{Block, Lock, OutPoint, Transaction, TxIn};
use meshline_wallet::chain::{BlockPlace, Movement};
use meshline_wallet::coin::{Coin, CoinState};
use meshline_wallet::fee::FeeRate;
use meshline_wallet::{Chain, ChainError, Terms};

use super::index::{Spot, locks_of};
use super::mine::{Told, mine_block};
use super::{Book, LedgerError};

/// Transactions of one address that a wallet looks at, the newest: reading a block for each, a few seconds.
const MAX_MOVEMENTS: usize = 50_000;

/// Whoever has the ledger and lets others use it, one after the other.
pub trait Desk {
    /// Has something done with the ledger and waits for it.
    ///
    /// # Errors
    /// If the ledger is not there any more, or has too much to do.
    fn with<R: Send + 'static>(&self, work: impl FnOnce(&mut Book) -> R + Send + 'static) -> Result<R, LedgerError>;
}

/// Whoever lets a wallet look into a ledger and pay: a desk, or the light client of a view.
pub trait Till {
    /// The ledger as a wallet sees it.
    fn chain(&self) -> Box<dyn Chain + '_>;

    /// The same for an address that may be anybody's.
    fn chain_of_others(&self) -> Box<dyn Chain + '_> {
        self.chain()
    }

    /// The same for addresses that may be as old as the ledger.
    fn chain_from_start(&self) -> Box<dyn Chain + '_> {
        self.chain()
    }

    /// Mines a block with what waits, and the reward for `owner`.
    ///
    /// # Errors
    /// If no blocks are made here, or none is taken.
    fn mine(&self, owner: Lock, told: Told<'_>) -> Result<Block, LedgerError>;

    /// What to do before and after a wallet hands out addresses; `is_new` if there was no wallet before.
    ///
    /// # Errors
    /// If the ledger does not answer.
    fn handed_out(&self, locks: &[Lock], is_new: bool) -> Result<(), LedgerError> {
        let _ = (locks, is_new);
        Ok(())
    }

    /// Whether [`Till::handed_out`] has to be told.
    fn wants_locks(&self) -> bool {
        false
    }
}

impl<D: Desk> Till for D {
    fn chain(&self) -> Box<dyn Chain + '_> {
        Box::new(Teller(self))
    }

    fn mine(&self, owner: Lock, told: Told<'_>) -> Result<Block, LedgerError> {
        mine_block(self, owner, told)
    }
}

/// A ledger that this thread has opened.
#[derive(Debug)]
pub struct Opened(pub RefCell<Book>);

impl Desk for Opened {
    fn with<R: Send + 'static>(&self, work: impl FnOnce(&mut Book) -> R + Send + 'static) -> Result<R, LedgerError> {
        let mut book = self.0.try_borrow_mut().map_err(|_| LedgerError::Silent("it is in use"))?;
        Ok(work(&mut book))
    }
}

/// What a wallet asks, answered at a desk.
#[derive(Debug)]
pub(super) struct Teller<'a, D>(pub &'a D);

fn unreachable(error: impl std::fmt::Display) -> ChainError {
    ChainError::Unreachable(error.to_string())
}

impl<D: Desk> Teller<'_, D> {
    fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Book) -> Result<R, LedgerError> + Send + 'static,
    ) -> Result<R, ChainError> {
        self.0.with(work).and_then(|answer| answer).map_err(unreachable)
    }
}

impl<D: Desk> Chain for Teller<'_, D> {
    fn terms(&self) -> Result<Terms, ChainError> {
        self.ask(|book| Ok(terms(book)))
    }

    fn coins(&self, locks: &[Lock]) -> Result<Vec<Coin>, ChainError> {
        let locks = locks.to_vec();
        self.ask(move |book| coins(book, &locks))
    }

    fn used(&self, locks: &[Lock]) -> Result<BTreeSet<Lock>, ChainError> {
        let locks = locks.to_vec();
        self.ask(move |book| used(book, &locks))
    }

    fn movements(&self, locks: &[Lock]) -> Result<Vec<Movement>, ChainError> {
        let locks = locks.to_vec();
        self.ask(move |book| movements(book, &locks))
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<(), ChainError> {
        let transaction = transaction.clone();
        let added = self.0.with(move |book| book.submit_tx(&transaction)).map_err(unreachable)?;
        added.map(drop).map_err(|refusal| ChainError::Refused(refusal.to_string()))
    }
}

fn terms(book: &Book) -> Terms {
    let least = book.genesis.policy.least_fee_rate;
    let rate = FeeRate(rate_of_next_block(book).max(least));
    Terms { prefix: book.prefix, chain: book.id(), height: book.chain.height(), rate, least_rate: FeeRate(least) }
}

/// What gets a payment into the next block: a little more than the cheapest of those that fill it, in base units for
/// 1,000 bytes; 0 if there is room for all that waits.
fn rate_of_next_block(book: &Book) -> u64 {
    let room = book.genesis.params.max_block_size as usize;
    if book.pool.bytes() <= room {
        return 0;
    }
    let mut rates: Vec<(u64, usize)> = book.pool.iter().map(|(_, waiting)| (waiting.rate(), waiting.size)).collect();
    rates.sort_unstable_by(|left, right| right.cmp(left));
    let mut filled = 0;
    let last = rates.into_iter().take_while(|(_, size)| {
        filled += size;
        filled <= room
    });
    // From a million bytes to a thousand, rounded up.
    last.last().map_or(0, |(rate, _)| rate / 1_000 + 1)
}

fn state_of(book: &Book, coin: &ChainCoin) -> CoinState {
    let spendable_at = coin.height.saturating_add(book.genesis.params.maturity);
    if coin.coinbase && spendable_at > book.chain.height().saturating_add(1) {
        CoinState::Immature { spendable_at }
    } else {
        CoinState::Confirmed { height: coin.height }
    }
}

pub(super) fn coins(book: &mut Book, locks: &[Lock]) -> Result<Vec<Coin>, LedgerError> {
    let mut coins = Vec::new();
    for lock in locks {
        for (outpoint, coin) in book.chain.owned(lock)? {
            if !book.pool.is_spent(&outpoint) {
                let (amount, lock) = (coin.output.amount, coin.output.lock);
                coins.push(Coin { outpoint, amount, lock, state: state_of(book, &coin) });
            }
        }
    }
    let wanted: BTreeSet<&Lock> = locks.iter().collect();
    for (txid, waiting) in book.pool.iter() {
        let from = || payers(&waiting.transaction);
        for (index, output) in (0..).zip(&waiting.transaction.outputs) {
            let outpoint = OutPoint { txid: *txid, index };
            if wanted.contains(&output.lock) && !book.pool.is_spent(&outpoint) {
                let state = CoinState::Pending { from: from() };
                coins.push(Coin { outpoint, amount: output.amount, lock: output.lock, state });
            }
        }
    }
    Ok(coins)
}

/// Whose outputs a transaction spends: the keys that sign tell.
pub(super) fn payers(transaction: &Transaction) -> Vec<Lock> {
    let payer = |input: &TxIn| match input {
        TxIn::Spend { key, .. } => Some(Lock::to_key(key)),
        TxIn::Coinbase { .. } => None,
    };
    transaction.inputs.iter().filter_map(payer).collect()
}

fn used(book: &mut Book, locks: &[Lock]) -> Result<BTreeSet<Lock>, LedgerError> {
    let mut used = BTreeSet::new();
    for lock in locks {
        if !book.spots(lock, 1)?.is_empty() {
            used.insert(*lock);
        }
    }
    let outputs = book.pool.iter().flat_map(|(_, waiting)| &waiting.transaction.outputs);
    let waiting: BTreeSet<Lock> = outputs.map(|output| output.lock).collect();
    used.extend(locks.iter().filter(|lock| waiting.contains(lock)));
    Ok(used)
}

fn movements(book: &mut Book, locks: &[Lock]) -> Result<Vec<Movement>, LedgerError> {
    let mut spots = BTreeSet::new();
    for lock in locks {
        spots.extend(book.spots(lock, MAX_MOVEMENTS)?);
    }
    let excess = spots.len().saturating_sub(MAX_MOVEMENTS);
    let mut movements = Vec::new();
    let mut blocks: BTreeMap<u32, Block> = BTreeMap::new();
    for spot in spots.into_iter().skip(excess) {
        if !blocks.contains_key(&spot.height) {
            // Spots are in order, so the blocks before are not needed any more.
            blocks.clear();
            let Some(block) = book.block_at(spot.height)? else { continue };
            blocks.insert(spot.height, block);
        }
        let Some((transaction, place)) = blocks.get(&spot.height).and_then(|block| placed(block, spot)) else {
            continue;
        };
        movements.push(Movement { spent: book.spent(&transaction)?, transaction, block: Some(place) });
    }
    let wanted: BTreeSet<&Lock> = locks.iter().collect();
    let concerns = |transaction: &Transaction| locks_of(transaction).any(|lock| wanted.contains(&lock));
    let waiting = book.pool.iter().map(|(_, waiting)| &waiting.transaction);
    let waiting: Vec<Transaction> = waiting.filter(|transaction| concerns(transaction)).cloned().collect();
    for transaction in waiting {
        movements.push(Movement { spent: book.spent(&transaction)?, transaction, block: None });
    }
    Ok(movements)
}

fn placed(block: &Block, spot: Spot) -> Option<(Transaction, BlockPlace)> {
    let transaction = block.transactions.get(spot.place as usize)?.clone();
    Some((transaction, BlockPlace { height: spot.height, time: block.header.time }))
}
