//! Which transactions concern whom, and in which block each is: for histories and for finding one by its name.
//!
//! It follows the chain and is never asked by its rules. It knows up to which block it has come; a block that is no
//! longer active is taken out again, and whatever a crash takes is read from the chain once more. So it need not be
//! durable, and a damaged one is made anew.

use std::path::Path;

use meshline_ledger::chain::Chain;
use meshline_ledger::store::Store;
use meshline_ledger::{Block, BlockHash, Lock, Transaction, TxIn, Txid};
use redb::{Database, Durability, ReadableDatabase, Table, TableDefinition};

use super::LedgerError;
use crate::database::is_damage;

/// By name of the transaction: its height and its place in the block.
const TRANSACTIONS: TableDefinition<'_, &[u8; 32], (u32, u32)> = TableDefinition::new("transactions");

/// Whose, at which height, at which place in the block.
const OWNERS: TableDefinition<'_, (&[u8; LOCK], u32, u32), ()> = TableDefinition::new("owners");

/// `tip`: the last block taken in.
const MARKS: TableDefinition<'_, &str, (u32, &[u8; 32])> = TableDefinition::new("marks");

/// Bytes of a lock here: the hash of its key.
const LOCK: usize = 20;

/// Bytes of the file held in memory.
const CACHE: usize = 16 * 1024 * 1024;

/// Blocks in one transaction while it catches up: enough to spare commits, few enough to let others have their turn.
const BLOCKS_AT_ONCE: usize = 2_000;

/// The same for transactions: full blocks take longer. In order, so many change a page of the file once and not again and
/// again.
const TRANSACTIONS_AT_ONCE: usize = 20_000;

/// Commits until one is flushed to the disk: what a crash takes is read again.
const COMMITS_TO_A_FLUSH: u32 = 64;

/// Where a transaction is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Height of its block.
    pub height: u32,
    /// Its place in the block, from 0.
    pub place: u32,
}

/// The index, in one file.
#[derive(Debug)]
pub(super) struct Index {
    database: Database,
    tip: Option<(u32, BlockHash)>,
    unflushed: u32,
}

impl Index {
    /// Opens the file; makes it if there is none, or if it is damaged.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        match Self::try_open(path) {
            Err(error) if is_damage(&error) => {
                let _ = std::fs::remove_file(path);
                Ok(Self::try_open(path)?)
            }
            other => Ok(other?),
        }
    }

    fn try_open(path: &Path) -> Result<Self, redb::Error> {
        let database = Database::builder().set_cache_size(CACHE).create(path)?;
        let writing = database.begin_write()?;
        writing.open_table(TRANSACTIONS)?;
        writing.open_table(OWNERS)?;
        writing.open_table(MARKS)?;
        writing.commit()?;
        let marks = database.begin_read()?.open_table(MARKS)?;
        let tip = marks.get("tip")?.map(|mark| (mark.value().0, BlockHash(*mark.value().1)));
        Ok(Self { database, tip, unflushed: 0 })
    }

    /// Whether it lacks as many blocks as it takes in at once, or close to it.
    pub(super) fn is_far_behind<S: Store>(&self, chain: &Chain<S>) -> bool {
        let next = self.tip.map_or(0, |(height, _)| height.saturating_add(1));
        chain.height().saturating_sub(next) as usize >= BLOCKS_AT_ONCE / 2
    }

    /// Takes in some blocks that it lacks; whether it has all now.
    pub(super) fn catch_up<S: Store>(&mut self, chain: &Chain<S>) -> Result<bool, LedgerError> {
        if self.tip == Some((chain.height(), chain.tip())) {
            return Ok(true);
        }
        let mut writing = self.database.begin_write().map_err(redb::Error::from)?;
        self.unflushed += 1;
        let flush = self.unflushed >= COMMITS_TO_A_FLUSH;
        writing
            .set_durability(if flush { Durability::Immediate } else { Durability::None })
            .map_err(redb::Error::from)?;
        writing.set_quick_repair(flush);
        let tip = {
            let mut tables = Tables {
                transactions: writing.open_table(TRANSACTIONS).map_err(redb::Error::from)?,
                owners: writing.open_table(OWNERS).map_err(redb::Error::from)?,
            };
            let tip = tables.follow(chain, self.tip)?;
            let mut marks = writing.open_table(MARKS).map_err(redb::Error::from)?;
            match tip {
                Some((height, hash)) => marks.insert("tip", (height, &hash.0)).map(drop),
                None => marks.remove("tip").map(drop),
            }
            .map_err(redb::Error::from)?;
            tip
        };
        writing.commit().map_err(redb::Error::from)?;
        if flush {
            self.unflushed = 0;
        }
        self.tip = tip;
        Ok(tip == Some((chain.height(), chain.tip())))
    }

    /// Where the transaction is, if a block holds it.
    pub(super) fn spot(&self, txid: &Txid) -> Result<Option<Spot>, LedgerError> {
        let table = self.database.begin_read().map_err(redb::Error::from)?.open_table(TRANSACTIONS);
        let found = table.map_err(redb::Error::from)?.get(&txid.0).map_err(redb::Error::from)?;
        Ok(found.map(|spot| Spot { height: spot.value().0, place: spot.value().1 }))
    }

    /// Where the last `limit` transactions of an owner are, newest first.
    pub(super) fn spots(&self, lock: &Lock, limit: usize) -> Result<Vec<Spot>, LedgerError> {
        let table = self.database.begin_read().map_err(redb::Error::from)?.open_table(OWNERS);
        let table = table.map_err(redb::Error::from)?;
        let Lock::KeyHash(hash) = lock;
        let rows = table.range((hash, 0, 0)..=(hash, u32::MAX, u32::MAX)).map_err(redb::Error::from)?;
        let mut spots = Vec::new();
        for row in rows.rev().take(limit) {
            let (key, _) = row.map_err(redb::Error::from)?;
            let (_, height, place) = key.value();
            spots.push(Spot { height, place });
        }
        Ok(spots)
    }
}

struct Tables<'t> {
    transactions: Table<'t, &'static [u8; 32], (u32, u32)>,
    owners: Table<'t, (&'static [u8; LOCK], u32, u32), ()>,
}

impl Tables<'_> {
    /// From `tip` back to the active chain, then on; the block it has come to.
    fn follow<S: Store>(
        &mut self,
        chain: &Chain<S>,
        tip: Option<(u32, BlockHash)>,
    ) -> Result<Option<(u32, BlockHash)>, LedgerError> {
        let mut at = tip;
        while let Some((height, hash)) = at.filter(|(height, hash)| chain.hash_at(*height) != Some(*hash)) {
            let Some(block) = chain.block(&hash)? else {
                // After a crash the chain may have lost what this has: nobody knows any more what was in it.
                self.transactions.retain(|_, _| false).map_err(redb::Error::from)?;
                self.owners.retain(|_, ()| false).map_err(redb::Error::from)?;
                at = None;
                break;
            };
            self.remove(&block, height)?;
            at = height.checked_sub(1).map(|below| (below, block.header.previous));
        }
        let first = at.map_or(0, |(height, _)| height.saturating_add(1));
        let mut rows = Rows::default();
        for height in (first..=chain.height()).take(BLOCKS_AT_ONCE) {
            if rows.transactions.len() > TRANSACTIONS_AT_ONCE {
                break;
            }
            let Some(hash) = chain.hash_at(height) else { break };
            let Some(block) = chain.block(&hash)? else { break };
            rows.add(&block, height);
            at = Some((height, hash));
        }
        self.insert(rows)?;
        Ok(at)
    }

    fn insert(&mut self, mut rows: Rows) -> Result<(), LedgerError> {
        rows.transactions.sort_unstable();
        rows.owners.sort_unstable();
        for (txid, spot) in &rows.transactions {
            self.transactions.insert(txid, *spot).map_err(redb::Error::from)?;
        }
        for (hash, height, place) in &rows.owners {
            self.owners.insert((hash, *height, *place), ()).map_err(redb::Error::from)?;
        }
        Ok(())
    }

    fn remove(&mut self, block: &Block, height: u32) -> Result<(), LedgerError> {
        let mut rows = Rows::default();
        rows.add(block, height);
        for (txid, _) in &rows.transactions {
            self.transactions.remove(txid).map_err(redb::Error::from)?;
        }
        for (hash, height, place) in &rows.owners {
            self.owners.remove((hash, *height, *place)).map_err(redb::Error::from)?;
        }
        Ok(())
    }
}

/// What blocks add.
#[derive(Debug, Default)]
struct Rows {
    transactions: Vec<([u8; 32], (u32, u32))>,
    owners: Vec<([u8; LOCK], u32, u32)>,
}

impl Rows {
    fn add(&mut self, block: &Block, height: u32) {
        for (place, transaction) in (0..).zip(&block.transactions) {
            self.transactions.push((transaction.txid().0, (height, place)));
            self.owners.extend(locks_of(transaction).map(|Lock::KeyHash(hash)| (hash, height, place)));
        }
    }
}

/// Whom a transaction concerns: those it pays, and those whose keys have signed it.
pub(super) fn locks_of(transaction: &Transaction) -> impl Iterator<Item = Lock> + '_ {
    let spent = transaction.inputs.iter().filter_map(|input| match input {
        TxIn::Spend { key, .. } => Some(Lock::to_key(key)),
        TxIn::Coinbase { .. } => None,
    });
    spent.chain(transaction.outputs.iter().map(|output| output.lock))
}
