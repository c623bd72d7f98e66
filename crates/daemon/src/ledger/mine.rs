//! The search for a nonce on all cores, while somebody waits for it: the genesis block, and a payment that is to be
//! mined at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use meshline_ledger::miner::{Search, expected_hashes};
use meshline_ledger::{Block, Header, Lock};

use super::teller::Desk;
use super::{LedgerError, book::now_s};

/// Nonces tried between two looks at whether to stop: half a millisecond, in which counting them costs nothing.
pub(super) const CHUNK: u32 = 1 << 12;

/// Nonces there are.
pub(super) const NONCES: u64 = 1 << 32;

/// How often whoever waits is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Times that a block is begun again because another one came first.
const MAX_BEGINNINGS: u32 = 100;

/// Threads that search: one a core.
#[must_use]
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How far a search is: hashes tried, and hashes expected.
pub type Told<'a> = &'a mut dyn FnMut(f64, f64);

/// Searches all nonces of a header. `None` if none is good, or `keep_on` said so.
pub(super) fn search(header: Header, told: Told<'_>, keep_on: &dyn Fn() -> bool) -> Option<Header> {
    let search = Search::new(header)?;
    let expected = expected_hashes(&header);
    let (next, stop, found) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(None));
    let (ended, end) = sync_channel(cores());
    thread::scope(|scope| {
        for _ in 0..cores() {
            let (search, next, stop, found, ended) = (&search, &next, &stop, &found, ended.clone());
            scope.spawn(move || {
                try_all(search, next, stop, found);
                let _ = ended.send(());
            });
        }
        drop(ended);
        while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(TELL_EVERY) {
            told(next.load(Ordering::Relaxed) as f64, expected);
            if !keep_on() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    found.into_inner().unwrap_or_default()
}

fn try_all(search: &Search, next: &AtomicU64, stop: &AtomicBool, found: &Mutex<Option<Header>>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(from) = u32::try_from(next.fetch_add(CHUNK.into(), Ordering::Relaxed)) else { return };
        if let Some(header) = search.step(from, CHUNK) {
            stop.store(true, Ordering::Relaxed);
            if let Ok(mut found) = found.lock() {
                *found = Some(header);
            }
        }
    }
}

/// Gives a block its proof of work; where no nonce is good, with a later time.
#[must_use]
pub(super) fn seal(mut block: Block, told: Told<'_>) -> Block {
    loop {
        match search(block.header, told, &|| true) {
            Some(header) => return Block { header, ..block },
            None => block.header.time = block.header.time.saturating_add(1),
        }
    }
}

/// Mines a block with what waits, and the reward for `owner`.
///
/// # Errors
/// If the ledger does not answer or does not take the block.
pub(super) fn mine_block<D: Desk>(desk: &D, owner: Lock, told: Told<'_>) -> Result<Block, LedgerError> {
    for _ in 0..MAX_BEGINNINGS {
        let template = desk.with(move |book| book.template(owner).block)?;
        let previous = template.header.previous;
        let stays = || desk.with(move |book| book.chain.tip() == previous).unwrap_or(false);
        let Some(header) = search(template.header, told, &stays) else { continue };
        let block = Block { header, ..template };
        let handed = block.clone();
        let taken = desk.with(move |book| {
            // Only what became the tip has brought the payment into the chain.
            book.submit_block(&handed, true).map(|_| book.chain.is_active(&handed.hash()))
        })?;
        match taken {
            Ok(true) => return Ok(block),
            Ok(false) => {}
            Err(refusal) => return Err(LedgerError::Wrong(format!("the block was not taken: {refusal}"))),
        }
    }
    Err(LedgerError::Silent("other blocks came first, again and again"))
}

/// The time for a new genesis block.
#[must_use]
pub(super) fn genesis_time() -> u32 {
    u32::try_from(now_s()).unwrap_or(u32::MAX)
}
