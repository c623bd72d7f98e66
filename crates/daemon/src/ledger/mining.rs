//! When a running node searches for a block, and for which: on every new tip at once, on new payments soon.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use meshline_ledger::chain::Accepted;
use meshline_ledger::consensus::work;
use meshline_ledger::mempool::due;
use meshline_ledger::{Block, Lock};
use meshline_wallet::Address;

use super::documents::MiningStatus;
use super::engine::{Engine, Message};
use super::miner::{Find, Miner};
use super::{Book, LedgerError, Tidings};
use crate::log::CONSOLE;

/// New payments come in many at once: the next block is made anew so long after the first of them.
const GATHER: Duration = Duration::from_millis(50);

/// Making a block of many payments takes time, too: at most a fifth of the thread's.
const REST_FACTOR: u32 = 4;

/// The time of a block should be right: it is made anew at least so often.
const REFRESH: Duration = Duration::from_secs(10);

/// Over so long the hash rate is measured.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// The search for blocks.
#[derive(Debug)]
pub(super) struct Mining {
    on: bool,
    to: Option<Lock>,
    threads: usize,
    sender: SyncSender<Message>,
    miner: Option<Miner>,
    /// The number of the search that counts.
    number: u64,
    searching: bool,
    /// When the next block is made anew.
    again: Option<Instant>,
    /// Not before this only because of new payments.
    rest: Instant,
    blocks: u64,
    rate: f64,
    counted: (Instant, u64),
}

impl Mining {
    pub(super) fn new(to: Option<Lock>, threads: usize, sender: SyncSender<Message>) -> Self {
        let now = Instant::now();
        Self {
            on: to.is_some(),
            to,
            threads,
            sender,
            miner: None,
            number: 0,
            searching: false,
            again: Some(now),
            rest: now,
            blocks: 0,
            rate: 0.0,
            counted: (now, 0),
        }
    }

    pub(super) fn switch(&mut self, on: bool, to: Option<Lock>) -> Result<(), LedgerError> {
        self.to = to.or(self.to);
        if on && self.to.is_none() {
            return Err(LedgerError::Wrong("nobody is named who gets the rewards: give an address".to_owned()));
        }
        self.on = on;
        self.again = on.then(Instant::now);
        if !on {
            self.stop();
        }
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        self.miner = None;
        (self.searching, self.rate) = (false, 0.0);
    }

    /// How long nothing needs to be done.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.again.filter(|_| self.on).map_or(Duration::MAX, |again| again.saturating_duration_since(now))
    }

    pub(super) fn on_tidings(&mut self, tidings: &[Tidings], now: Instant) {
        for one in tidings {
            let at = match one {
                Tidings::Tip { .. } => now,
                Tidings::Transaction { .. } => self.rest.max(now + GATHER),
                Tidings::Joined { .. }
                | Tidings::Foreign { .. }
                | Tidings::Synced { .. }
                | Tidings::Misbehaved { .. }
                | Tidings::StoreFailed { .. } => continue,
            };
            self.again = Some(self.again.map_or(at, |again| again.min(at)));
        }
    }

    pub(super) fn advance(&mut self, book: &mut Book, now: Instant) {
        self.count(now);
        if !self.on || self.again.is_some_and(|again| again > now) {
            return;
        }
        let begin = Instant::now();
        self.begin(book);
        self.rest = Instant::now() + begin.elapsed() * REST_FACTOR;
        self.again = Some(self.rest.max(now + REFRESH));
    }

    /// Sets the threads on the block that is best now, or on none.
    fn begin(&mut self, book: &mut Book) {
        let owner = self.to.filter(|_| due(&book.genesis.policy, book.pool.len()) && !book.is_fetching());
        let template = owner.map(|owner| book.template(owner).block);
        self.searching = template.is_some();
        if self.miner.is_none() && !self.searching {
            return;
        }
        let (threads, sender) = (self.threads, &self.sender);
        let miner = self.miner.get_or_insert_with(|| start(threads, sender));
        self.number = miner.set(template);
    }

    fn count(&mut self, now: Instant) {
        let (since, before) = self.counted;
        let span = now.saturating_duration_since(since);
        if span >= RATE_SPAN {
            let hashes = self.miner.as_ref().map_or(0, Miner::hashes);
            self.rate = hashes.saturating_sub(before) as f64 / span.as_secs_f64();
            self.counted = (now, hashes);
        }
    }

    pub(super) fn status(&self, book: &Book) -> MiningStatus {
        let expected = book.chain.next_bits().target().map_or(f64::INFINITY, |target| work(target).to_f64());
        MiningStatus {
            on: self.on,
            searching: self.searching,
            to: self.to.map(|lock| Address { prefix: book.prefix, lock }.to_string()),
            threads: self.miner.as_ref().map_or(self.threads, Miner::threads),
            hash_rate: self.rate,
            expected_s: (self.rate > 0.0).then(|| expected / self.rate),
            blocks: self.blocks,
        }
    }
}

fn start(threads: usize, sender: &SyncSender<Message>) -> Miner {
    let sender = sender.clone();
    Miner::start(threads, move |number, find| {
        let work = move |engine: &mut Engine| engine.on_find(number, find);
        // At the end nobody takes it.
        let _ = sender.send(Message::Work(Box::new(work)));
    })
}

impl Engine {
    /// A search has come to something.
    fn on_find(&mut self, number: u64, find: Find) {
        if self.mining.number != number {
            return;
        }
        self.mining.again = Some(Instant::now());
        let Find::Block(block) = find else { return };
        self.take_own(&block);
    }

    fn take_own(&mut self, block: &Block) {
        match self.book.submit_block(block, true) {
            Ok(Accepted::Active(_)) => {
                self.mining.blocks += 1;
                tracing::info!(target: CONSOLE, count = block.transactions.len(), "New block is mined!\n   {} at height {}", block.hash(), self.book.chain.height());
            }
            // Another block came first.
            Ok(_) => {}
            Err(error) => tracing::warn!(target: "meshline", %error, "a block of this node was not taken"),
        }
    }
}
