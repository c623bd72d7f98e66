//! The ledger of a node, opened: chain, waiting payments and index, with everything that changes them.
//!
//! One process has it at a time, and in it one thread: a running node's [engine](super::engine), or a command where no
//! node runs. Nothing here waits or knows of tasks.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use meshline_ledger::chain::{Accepted, Chain, ChainEvent, Flush};
use meshline_ledger::consensus::Refusal;
use meshline_ledger::encode::{Encode, put_count};
use meshline_ledger::mempool::{Added, MAX_SAVED_BYTES, Mempool, Origin, PoolRefusal, Template};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::RedbStore;
use meshline_ledger::{Block, BlockHash, Genesis, Lock, Transaction, TxOut, Txid};
use meshline_wallet::Prefix;

use super::index::{Index, Spot};
use super::place::{LedgerPlace, prefix_of};
use super::{LedgerError, Tidings};
use crate::files::{self, Access, FolderLock};

/// Headers, blocks and unspent outputs.
pub(super) const CHAIN: &str = "chain.redb";

/// Everything that waits, as it was at the end of the last run.
const POOL: &str = "mempool.dat";

/// What this node's own wallet sent and no block holds: written before anybody is told that it was sent.
const OWN: &str = "own.dat";

/// The version of [`OWN`], whose form is that of a saved pool.
const SAVED_VERSION: u8 = 1;

/// What marks a payment of this node in it.
const SAVED_OWN: u8 = 1;

/// The chain of a node.
pub type NodeChain = Chain<RedbStore>;

/// The opened ledger.
#[derive(Debug)]
pub struct Book {
    pub(super) place: LedgerPlace,
    pub(super) genesis: Genesis,
    pub(super) prefix: Prefix,
    /// The chain: also for whoever synchronises it, in the same thread.
    pub chain: NodeChain,
    /// What waits for a block.
    pub pool: Mempool,
    index: Index,
    tidings: Vec<Tidings>,
    templates: u64,
    _lock: FolderLock,
}

impl Book {
    /// Opens the ledger of a node.
    ///
    /// # Errors
    /// If there is none, another process has it, or it cannot be read.
    pub fn open(place: &LedgerPlace) -> Result<Self, LedgerError> {
        let genesis = place.read_genesis()?;
        files::make_folder(&place.folder)?;
        let lock = files::lock_folder(&place.folder)?;
        let chain = Chain::open(&genesis, RedbStore::open(&place.file(CHAIN))?)?;
        let mut book = Self {
            prefix: prefix_of(&genesis)?,
            pool: Mempool::new(genesis.policy.least_fee_rate),
            index: Index::open(&place.file("index.redb"))?,
            place: place.clone(),
            genesis,
            chain,
            tidings: Vec::new(),
            templates: 0,
            _lock: lock,
        };
        book.load_pool(OWN);
        book.load_pool(POOL);
        book.pool.expire(now_s());
        Ok(book)
    }

    /// Its parameters.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What its addresses begin with.
    #[must_use]
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// What happened since this was asked last.
    pub fn take_tidings(&mut self) -> Vec<Tidings> {
        std::mem::take(&mut self.tidings)
    }

    /// Takes a payment, or tells why not. One of this node is on the disk before it counts as sent.
    ///
    /// # Errors
    /// [`PoolRefusal`].
    pub fn submit_tx(&mut self, transaction: &Transaction, origin: Origin) -> Result<Added, PoolRefusal> {
        let added = self.pool.add(&self.chain, transaction, (origin, now_s()), &BatchVerifier)?;
        if origin == Origin::Local
            && let Err(error) = self.save_own()
        {
            self.pool.withdraw(&added.txid);
            return Err(PoolRefusal::Store(meshline_ledger::store::StoreError::Io(error.to_string())));
        }
        self.tidings.push(Tidings::Transaction { txid: added.txid, fee: added.fee, own: origin == Origin::Local });
        Ok(added)
    }

    /// Takes a block. `own` tells that this node found it.
    ///
    /// # Errors
    /// [`Refusal`]: the rule it breaks, or the store failed.
    pub fn submit_block(&mut self, block: &Block, own: bool) -> Result<Accepted, Refusal> {
        let accepted = self.chain.accept_block(block, now_s(), &BatchVerifier)?;
        if let Accepted::Active(events) = &accepted {
            self.on_changed(events, own);
        }
        Ok(accepted)
    }

    /// The active chain changed: what waits is judged by it.
    fn on_changed(&mut self, events: &[ChainEvent], own: bool) {
        let mut undone = Vec::new();
        for event in events {
            match event {
                ChainEvent::Connected(block) => self.pool.on_connected(block),
                ChainEvent::Disconnected(block) => undone.push(Block::clone(block)),
            }
        }
        if !undone.is_empty() {
            self.pool.on_disconnected(&self.chain, &undone, now_s(), &BatchVerifier);
        }
        self.announce(events, own);
    }

    /// Tells those who listen that the active chain changed. For whoever gives chain and pool their blocks by another
    /// way than [`Book::submit_block`].
    pub fn announce(&mut self, events: &[ChainEvent], own: bool) {
        let connected = events.iter().filter(|event| matches!(event, ChainEvent::Connected(_))).count();
        let (height, hash, undone) = (self.chain.height(), self.chain.tip(), events.len() - connected);
        self.tidings.push(Tidings::Tip { height, hash, connected, undone, own });
    }

    /// The next block, without proof of work.
    pub fn template(&mut self, owner: Lock) -> Template {
        // Makes it differ from others' blocks and from earlier ones of this node.
        self.templates += 1;
        let extra = [self.templates.to_le_bytes(), (now_us() as u64).to_le_bytes()].concat();
        Template::new(&self.chain, &self.pool, owner, now_s(), &extra)
    }

    /// Takes some blocks into the index; whether it has all now.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn follow(&mut self) -> Result<bool, LedgerError> {
        self.index.catch_up(&self.chain)
    }

    fn follow_all(&mut self) -> Result<(), LedgerError> {
        while !self.follow()? {}
        Ok(())
    }

    /// Where the last `limit` transactions of an owner are, newest first.
    pub(super) fn spots(&mut self, lock: &Lock, limit: usize) -> Result<Vec<Spot>, LedgerError> {
        self.follow_all()?;
        self.index.spots(lock, limit)
    }

    /// The transaction of that name and where it is; `None` for where while it waits.
    pub(super) fn transaction(&mut self, txid: &Txid) -> Result<Option<(Transaction, Option<Spot>)>, LedgerError> {
        if let Some(waiting) = self.pool.get(txid) {
            return Ok(Some((waiting.transaction.clone(), None)));
        }
        self.follow_all()?;
        let Some(spot) = self.index.spot(txid)? else { return Ok(None) };
        let block = self.block_at(spot.height)?;
        let found = block.and_then(|block| block.transactions.into_iter().nth(spot.place as usize));
        Ok(found.map(|transaction| (transaction, Some(spot))))
    }

    /// The active block at a height.
    pub(super) fn block_at(&self, height: u32) -> Result<Option<Block>, LedgerError> {
        let Some(hash) = self.chain.hash_at(height) else { return Ok(None) };
        Ok(self.chain.block(&hash)?)
    }

    /// The outputs that a transaction spends, as far as they are known.
    pub(super) fn spent(&mut self, transaction: &Transaction) -> Result<Vec<TxOut>, LedgerError> {
        let mut spent = Vec::new();
        for outpoint in transaction.spends() {
            let output = match self.chain.coin(&outpoint)? {
                Some(coin) => Some(coin.output),
                None => self
                    .transaction(&outpoint.txid)?
                    .and_then(|(made, _)| made.outputs.get(outpoint.index as usize).copied()),
            };
            spent.extend(output);
        }
        Ok(spent)
    }

    /// Writes what waits, for the next run. Blocks are on the disk already.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&mut self) -> Result<(), LedgerError> {
        self.chain.flush()?;
        self.save_own()?;
        files::write(&self.place.file(POOL), &self.pool.save(), Access::Private)?;
        Ok(())
    }

    fn save_own(&self) -> Result<(), files::FileError> {
        let own: Vec<_> = self.pool.iter().filter(|(_, waiting)| waiting.origin == Origin::Local).collect();
        let mut bytes = vec![SAVED_VERSION];
        put_count(&mut bytes, own.len() as u64);
        for (_, waiting) in own {
            bytes.push(SAVED_OWN);
            bytes.extend(waiting.since_s.to_le_bytes());
            waiting.transaction.encode_to(&mut bytes);
        }
        files::write(&self.place.file(OWN), &bytes, Access::Private)
    }

    /// What cannot be read is put aside: others have what waits too, and who sent it sees that it is gone.
    fn load_pool(&mut self, name: &str) {
        let path = self.place.file(name);
        let loaded = match read_bounded(&path) {
            Ok(bytes) => self.pool.load(&bytes, &self.chain, &BatchVerifier).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = loaded {
            let _ = files::put_aside(&path);
            tracing::warn!(target: "meshline", %error, file = %path.display(), "what waited for a block cannot be read; put aside");
        }
    }

    /// Sets when blocks are written; for a first synchronisation.
    pub fn set_flush(&mut self, flush: Flush) {
        self.chain.set_flush(flush);
    }

    /// Id of the chain.
    #[must_use]
    pub const fn id(&self) -> BlockHash {
        self.chain.id()
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_SAVED_BYTES as u64 + 1;
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, limit), &mut bytes)?;
    if bytes.len() as u64 == limit { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
}

/// Seconds since 1970 by the system's clock.
#[must_use]
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn now_us() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}
