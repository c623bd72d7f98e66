//! The ledger of a node, opened: chain, waiting payments and index, with everything that changes them.
//!
//! One process has it at a time, and in it one thread: a running node's [engine](super::engine), or a command where no
//! node runs. Nothing here waits or knows of tasks.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use meshline_ledger::chain::{Accepted, Chain, ChainEvent, Flush};
use meshline_ledger::consensus::Refusal;
use meshline_ledger::mempool::{
    Added, Brought, EXPIRY_S, MAX_SAVED_BYTES, Mempool, Origin, PoolRefusal, Template, read_payments, save_payments,
};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{RedbStore, StoreError};
use meshline_ledger::sync::{Config, Event, Input, Now, Output, Report, Sync};
use meshline_ledger::verified::Verified;
use meshline_ledger::{Block, BlockHash, Genesis, Lock, Transaction, TxOut, Txid};
use meshline_wallet::Prefix;

use super::exchange::Letter;
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

/// What this node sent is kept until so many blocks stand on the one that holds it: after a reorganisation, and a kill
/// before anything else was written, it waits again. As deep as others take in branches.
pub(super) const SAFE_DEPTH: u32 = 144;

/// Payments that are kept so; the oldest make room. Each is written anew with the next one.
const MAX_KEPT: usize = 2_000;

/// A payment of this node that may come back.
#[derive(Debug)]
struct Kept {
    txid: Txid,
    transaction: Transaction,
    since_s: u64,
}

/// The chain of a node.
pub type NodeChain = Chain<RedbStore>;

/// The opened ledger.
#[derive(Debug)]
pub struct Book {
    pub(super) place: LedgerPlace,
    pub(super) genesis: Genesis,
    pub(super) prefix: Prefix,
    /// The chain.
    pub chain: NodeChain,
    /// What waits for a block.
    pub pool: Mempool,
    /// All that changes chain or pool goes through it, so that it can tell peers.
    sync: Sync<Verified<BatchVerifier>>,
    /// The steady clock of `sync` began then.
    began: Instant,
    /// When `sync` wants to look at that clock again, as it said after its last step: later it may say otherwise.
    tick_at_us: u64,
    letters: VecDeque<Letter>,
    /// What this node sent lately, oldest first.
    kept: VecDeque<Kept>,
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
        let least_fee_rate = genesis.policy.least_fee_rate;
        let config = Config { least_fee_rate, serve_filters: place.filters, ..Config::default() };
        let mut book = Self {
            prefix: prefix_of(&genesis)?,
            pool: Mempool::new(genesis.policy.least_fee_rate),
            sync: Sync::new(config, Verified::new(BatchVerifier), files::random_bytes()?),
            began: Instant::now(),
            tick_at_us: 0,
            letters: VecDeque::new(),
            kept: VecDeque::new(),
            index: Index::open(&place.file("index.redb"))?,
            place: place.clone(),
            genesis,
            chain,
            tidings: Vec::new(),
            templates: 0,
            _lock: lock,
        };
        for brought in book.load_pool(OWN).into_iter().filter(|(_, (origin, _))| *origin == Origin::Local) {
            book.keep(brought.0, brought.1.1);
        }
        book.load_pool(POOL);
        book.pool.expire(now_s());
        book.sync.adopt(&book.pool, book.now());
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

    /// Takes a payment of this node, or tells why not. It is on the disk before it counts as sent.
    ///
    /// # Errors
    /// [`PoolRefusal`].
    pub fn submit_tx(&mut self, transaction: &Transaction) -> Result<Added, PoolRefusal> {
        let now = self.now();
        let added = self.sync.submit_transaction(transaction, now, (&mut self.chain, &mut self.pool))?;
        self.keep(transaction.clone(), now.unix_s);
        let saved = self.save_own();
        if saved.is_err() {
            // Peers are told of what waits only, and of nothing at once.
            self.pool.withdraw(&added.txid);
            self.kept.pop_back();
        }
        self.collect(false);
        saved.map_err(|error| PoolRefusal::Store(StoreError::Io(error.to_string())))?;
        Ok(added)
    }

    /// Takes a block made here. `own` tells that this node found it.
    ///
    /// # Errors
    /// [`Refusal`]: the rule it breaks, or the store failed.
    pub fn submit_block(&mut self, block: &Block, own: bool) -> Result<Accepted, Refusal> {
        let now = self.now();
        let accepted = self.sync.submit_block(block, now, (&mut self.chain, &mut self.pool));
        self.collect(own);
        accepted
    }

    /// Something came from the mesh, or its time has come.
    pub(super) fn handle(&mut self, input: Input) {
        let now = self.now();
        self.sync.handle(input, now, &mut self.chain, &mut self.pool);
        self.collect(false);
    }

    /// What the last frame cost, in the units of [`meshline_ledger::sync::effort`].
    pub(super) const fn take_effort(&mut self) -> u64 {
        self.sync.take_effort()
    }

    /// The next frame for a peer.
    pub(super) fn take_letter(&mut self) -> Option<Letter> {
        self.letters.pop_front()
    }

    /// Microseconds until the synchronisation wants to look at the time again.
    pub(super) fn idle_us(&self) -> u64 {
        self.tick_at_us.saturating_sub(self.now().mono_us)
    }

    /// How far the synchronisation is.
    #[must_use]
    pub fn report(&self) -> Report {
        self.sync.report(&self.chain)
    }

    /// Whether a block made now would be for nothing, because better ones are under way.
    pub(super) fn is_fetching(&self) -> bool {
        self.sync.is_fetching()
    }

    /// What follows from a step of the synchronisation.
    fn collect(&mut self, own: bool) {
        let mut changed: Option<(usize, usize)> = None;
        while let Some(output) = self.sync.poll_output() {
            match output {
                Output::Send { peer, message, body } => self.letters.push_back(Letter { peer, message, body }),
                Output::Misbehaved { peer, reason, ended } => {
                    self.tidings.push(Tidings::Misbehaved { peer, reason, ended });
                }
                Output::Event(Event::Chain(event)) => {
                    let (connected, undone) = changed.get_or_insert_default();
                    match event {
                        ChainEvent::Connected(_) => *connected += 1,
                        ChainEvent::Disconnected(_) => *undone += 1,
                    }
                }
                Output::Event(event) => self.tidings.extend(self.tidings_of(event)),
            }
        }
        if let Some(changed) = changed {
            self.note_tip(changed, own);
        }
        self.tick_at_us = self.sync.poll_timeout(self.now());
    }

    fn tidings_of(&self, event: Event) -> Option<Tidings> {
        match event {
            Event::Added(Added { txid, fee, .. }) => {
                let own = self.pool.get(&txid)?.origin == Origin::Local;
                Some(Tidings::Transaction { txid, fee, own })
            }
            Event::Joined { peer, height } => Some(Tidings::Joined { peer, height }),
            Event::Foreign { peer, chain } => Some(Tidings::Foreign { peer, chain }),
            Event::Synced { height } => Some(Tidings::Synced { height }),
            Event::StoreFailed(error) => Some(Tidings::StoreFailed { detail: error.to_string() }),
            Event::Chain(_) => None,
        }
    }

    /// The active chain changed. Blocks of others that come quickly are one piece of news.
    fn note_tip(&mut self, (connected, undone): (usize, usize), own: bool) {
        let (height, hash) = (self.chain.height(), self.chain.tip());
        let (mut connected, mut undone) = (connected, undone);
        if let Some(Tidings::Tip { connected: before, undone: gone, own: false, .. }) = self.tidings.last()
            && !own
        {
            (connected, undone) = (connected + before, undone + gone);
            self.tidings.pop();
        }
        self.tidings.push(Tidings::Tip { height, hash, connected, undone, own });
    }

    fn now(&self) -> Now {
        let mono_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono_us, unix_s: now_s() }
    }

    /// The next block, without proof of work.
    pub fn template(&mut self, owner: Lock) -> Template {
        // Makes it differ from others' blocks and from earlier ones of this node.
        self.templates += 1;
        let extra = [self.templates.to_le_bytes(), (now_us() as u64).to_le_bytes()].concat();
        Template::new(&self.chain, &self.pool, owner, now_s(), &extra)
    }

    /// Whether the index should follow: during a first synchronisation only with many blocks at once.
    pub(super) fn should_follow(&self) -> bool {
        !self.is_fetching() || self.index.is_far_behind(&self.chain)
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
        self.forget_settled();
        self.save_own()?;
        files::write(&self.place.file(POOL), &self.pool.save(), Access::Private)?;
        Ok(())
    }

    fn save_own(&self) -> Result<(), files::FileError> {
        let kept: BTreeSet<&Txid> = self.kept.iter().map(|kept| &kept.txid).collect();
        let mut own: Vec<_> = self.kept.iter().map(|kept| (&kept.transaction, Origin::Local, kept.since_s)).collect();
        // Payments of blocks that are no longer part of the chain are among them.
        let others = self.pool.iter().filter(|(txid, waiting)| waiting.origin == Origin::Local && !kept.contains(txid));
        own.extend(others.map(|(_, waiting)| (&waiting.transaction, Origin::Local, waiting.since_s)));
        files::write(&self.place.file(OWN), &save_payments(&own), Access::Private)
    }

    fn keep(&mut self, transaction: Transaction, since_s: u64) {
        if self.kept.len() >= MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { txid: transaction.txid(), transaction, since_s });
    }

    /// What is deep in the chain, or has waited too long, will not come back.
    fn forget_settled(&mut self) {
        let (index, height, now_s) = (&self.index, self.chain.height(), now_s());
        let is_deep = |kept: &Kept| {
            let spot = index.spot(&kept.txid).ok().flatten();
            spot.is_some_and(|spot| spot.height.saturating_add(SAFE_DEPTH) <= height)
        };
        self.kept.retain(|kept| kept.since_s.saturating_add(EXPIRY_S) > now_s && !is_deep(kept));
    }

    /// What cannot be read is put aside: others have what waits too, and who sent it sees that it is gone.
    fn load_pool(&mut self, name: &str) -> Vec<Brought> {
        let path = self.place.file(name);
        let loaded = match read_bounded(&path) {
            Ok(bytes) => read_payments(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => Err(error.to_string()),
        };
        match loaded {
            Ok(brought) => {
                self.pool.add_again(&self.chain, &brought, self.sync.verifier());
                brought
            }
            Err(error) => {
                let _ = files::put_aside(&path);
                tracing::warn!(target: "meshline", %error, file = %path.display(), "what waited for a block cannot be read; put aside");
                Vec::new()
            }
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
