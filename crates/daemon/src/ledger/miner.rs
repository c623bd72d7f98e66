//! The search for blocks of a running node: one thread a core, below others in priority, each with a job that
//! is taken from it as soon as there is a better one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use meshline_ledger::Block;
use meshline_ledger::miner::Search;

use super::mine::{CHUNK, NONCES};

/// A tenth of everybody else's share where there is not enough for all: the node and its neighbours come first, and on a
/// machine that is always busy a block is found all the same.
const NICE: i32 = 10;

/// What a search comes to.
#[derive(Debug)]
pub(super) enum Find {
    /// The block has its proof of work.
    Block(Box<Block>),
    /// No nonce is good: another block has to be tried.
    Nothing,
}

/// What is searched.
#[derive(Debug)]
struct Job {
    number: u64,
    search: Search,
    block: Block,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    job: Mutex<Option<Arc<Job>>>,
    changed: Condvar,
    /// Of the job that counts; others are given up within milliseconds.
    number: AtomicU64,
    hashes: AtomicU64,
    ending: AtomicBool,
}

/// Threads that search. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Miner {
    shared: Arc<Shared>,
    threads: usize,
}

impl Miner {
    /// Starts the threads; `tell` is called by one of them when a search has come to something.
    pub(super) fn start(threads: usize, tell: impl Fn(u64, Find) + Clone + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let mut started = 0;
        for number in 0..threads {
            let (shared, tell) = (Arc::clone(&shared), tell.clone());
            let builder = thread::Builder::new().name(format!("mining-{number}"));
            started += usize::from(builder.spawn(move || work(&shared, &tell)).is_ok());
        }
        Self { shared, threads: started }
    }

    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    /// Hashes tried since the start.
    pub(super) fn hashes(&self) -> u64 {
        self.shared.hashes.load(Ordering::Relaxed)
    }

    /// From now on this block is searched, or nothing; the number of the search.
    pub(super) fn set(&self, block: Option<Block>) -> u64 {
        let mut job = lock(&self.shared.job);
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        *job = block.and_then(|block| {
            let search = Search::new(block.header)?;
            Some(Arc::new(Job { number, search, block, next: AtomicU64::new(0) }))
        });
        self.shared.changed.notify_all();
        number
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.set(None);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Shared, tell: &impl Fn(u64, Find)) {
    // Whoever cannot step back works all the same.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    let mut last = 0;
    while let Some(job) = wait(shared, last) {
        last = job.number;
        if let Some(find) = search(shared, &job) {
            tell(job.number, find);
        }
    }
}

/// The next job after the one of that number; `None` at the end.
fn wait(shared: &Shared, last: u64) -> Option<Arc<Job>> {
    let mut job = lock(&shared.job);
    loop {
        if shared.ending.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(found) = job.as_ref().filter(|job| job.number != last) {
            return Some(Arc::clone(found));
        }
        job = shared.changed.wait(job).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Tries chunks of nonces that nobody else tries. One thread alone tells what came of it.
fn search(shared: &Shared, job: &Job) -> Option<Find> {
    while shared.number.load(Ordering::Relaxed) == job.number {
        let from = job.next.fetch_add(CHUNK.into(), Ordering::Relaxed);
        let Ok(start) = u32::try_from(from) else {
            return (from == NONCES).then_some(Find::Nothing);
        };
        let found = job.search.step(start, CHUNK);
        shared.hashes.fetch_add(CHUNK.into(), Ordering::Relaxed);
        if let Some(header) = found {
            let first =
                shared.number.compare_exchange(job.number, job.number + 1, Ordering::Relaxed, Ordering::Relaxed);
            let block = Block { header, transactions: job.block.transactions.clone() };
            return first.is_ok().then(|| Find::Block(Box::new(block)));
        }
    }
    None
}
