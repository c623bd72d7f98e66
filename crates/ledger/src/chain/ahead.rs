//! What a synchronisation asks of the headers ahead of the active chain, and how a chain of headers is judged without
//! keeping it.

use std::collections::VecDeque;

use crate::chain::headers::{FUTURE_LIMIT_S, MEDIAN_SPAN};
use crate::chain::tree::{GENESIS, Slot};
use crate::chain::{Chain, MAX_LOCATOR};
use crate::consensus::{BLOCK_VERSION, Difficulty, Header, Params, Parent, Rule, meets, next_bits, work};
use crate::hash::BlockHash;
use crate::store::{Store, StoreError, Table};
use crate::u256::U256;

impl<S: Store> Chain<S> {
    /// Whether the body of a block is in the store.
    pub fn has_block(&self, hash: &BlockHash) -> bool {
        self.status(hash).is_some_and(|status| status.has_body)
    }

    /// Whether a block is known to break a rule, or to build on one that does.
    pub fn is_invalid(&self, hash: &BlockHash) -> bool {
        self.status(hash).is_some_and(|status| status.invalid)
    }

    fn status(&self, hash: &BlockHash) -> Option<crate::chain::tree::Status> {
        Some(self.tree.entry(self.tree.slot(hash)?)?.status)
    }

    /// The hash of the best header at a height, whether its block is here or not.
    pub fn best_hash_at(&self, height: u32) -> Option<BlockHash> {
        self.tree.entry(self.tree.best_at(height)?).map(|entry| entry.hash)
    }

    /// Work of the chain that ends with a block of which at least the header is known.
    pub fn work_at(&self, hash: &BlockHash) -> Option<U256> {
        Some(self.tree.entry(self.tree.slot(hash)?)?.work)
    }

    /// The canonical bytes of a block, active or not.
    pub fn block_bytes(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.record(Table::Blocks, &hash.0)
    }

    /// Up to `limit` blocks whose bodies are missing on the way to a known header, from the lowest on.
    pub fn missing_to(&self, hash: &BlockHash, limit: usize) -> Vec<BlockHash> {
        let mut missing = Vec::new();
        let mut next = self.tree.slot(hash);
        while let Some((slot, entry)) = next.and_then(|slot| Some((slot, self.tree.entry(slot)?))) {
            if entry.connectable || self.tree.is_active(slot) {
                break;
            }
            if !entry.status.has_body {
                missing.push(entry.hash);
            }
            next = entry.parent;
        }
        missing.into_iter().rev().take(limit).collect()
    }

    /// As [`Chain::locator`], from the last of the best headers down: what was fetched already is not fetched again.
    pub fn header_locator(&self) -> Vec<BlockHash> {
        self.locator_from(&self.best_header().0)
    }

    /// Hashes from a known header down, first one by one, then in doubling steps, the genesis block last.
    pub fn locator_from(&self, hash: &BlockHash) -> Vec<BlockHash> {
        let (mut hashes, mut step) = (Vec::new(), 1);
        let mut next = self.tree.slot(hash);
        while let Some((slot, entry)) = next.and_then(|slot| Some((slot, self.tree.entry(slot)?))) {
            if entry.height == 0 || hashes.len() + 1 >= MAX_LOCATOR {
                break;
            }
            hashes.push(entry.hash);
            if hashes.len() >= 10 {
                step *= 2;
            }
            next = self.tree.ancestor(slot, entry.height.saturating_sub(step));
        }
        hashes.push(self.id);
        hashes
    }

    /// Height of the last header that two known ones have in common.
    pub fn fork_height(&self, one: &BlockHash, other: &BlockHash) -> Option<u32> {
        let (mut one, mut other) = (self.tree.slot(one)?, self.tree.slot(other)?);
        let height = self.tree.entry(one)?.height.min(self.tree.entry(other)?.height);
        (one, other) = (self.tree.ancestor(one, height)?, self.tree.ancestor(other, height)?);
        while one != other {
            (one, other) = (self.tree.entry(one)?.parent?, self.tree.entry(other)?.parent?);
        }
        Some(self.tree.entry(one)?.height)
    }

    /// What is needed to judge headers that follow a known one.
    pub fn judge_after(&self, hash: &BlockHash) -> Option<HeaderJudge> {
        let slot = self.tree.slot(hash)?;
        let entry = self.tree.entry(slot)?;
        let mut times = VecDeque::with_capacity(MEDIAN_SPAN);
        let mut next = Some(slot);
        while let Some(above) = next.and_then(|slot| self.tree.entry(slot)).filter(|_| times.len() < MEDIAN_SPAN) {
            times.push_front(above.header.time);
            next = above.parent;
        }
        Some(HeaderJudge {
            params: self.params,
            genesis_time: self.time_of(GENESIS),
            interval_time: self.interval_time(slot, entry.height),
            hash: entry.hash,
            height: entry.height,
            work: entry.work,
            last: entry.header,
            known_work: (0, U256::ZERO),
            times,
        })
    }

    fn time_of(&self, slot: Slot) -> u32 {
        self.tree.entry(slot).map_or(0, |entry| entry.header.time)
    }

    /// The time of the block with which the interval of a block began.
    fn interval_time(&self, slot: Slot, height: u32) -> u32 {
        let Difficulty::Bitcoin { interval, .. } = self.params.difficulty else { return 0 };
        let first = height - height.checked_rem(interval).unwrap_or(0);
        self.tree.ancestor(slot, first).map_or(0, |first| self.time_of(first))
    }
}

/// Judges headers one after the other, by the rules that [`Chain::accept_header`] keeps, and holds only the last few.
#[derive(Debug, Clone)]
pub struct HeaderJudge {
    params: Params,
    genesis_time: u32,
    interval_time: u32,
    hash: BlockHash,
    height: u32,
    work: U256,
    last: Header,
    known_work: (u32, U256),
    /// Of the last blocks, at most [`MEDIAN_SPAN`].
    times: VecDeque<u32>,
}

impl HeaderJudge {
    /// The last header that was found good.
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }

    /// Its height.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Work of the chain that ends with it.
    pub const fn work(&self) -> U256 {
        self.work
    }

    /// Takes the next header, or tells which rule it breaks. `now_s` is the time, in seconds since 1970.
    pub fn take(&mut self, header: &Header, now_s: u64) -> Result<(), Rule> {
        let hash = header.hash();
        if header.previous != self.hash {
            return Err(Rule::Link);
        }
        if header.version != BLOCK_VERSION {
            return Err(Rule::BlockVersion);
        }
        if header.bits != self.bits_due() {
            return Err(Rule::Bits);
        }
        let target = header.bits.target().map_err(|_| Rule::ProofOfWork)?;
        if !meets(&hash, target) {
            return Err(Rule::ProofOfWork);
        }
        if header.time <= self.median() {
            return Err(Rule::MedianTime);
        }
        if u64::from(header.time) > now_s.saturating_add(FUTURE_LIMIT_S) {
            return Err(Rule::FutureTime);
        }
        self.keep(header, hash)
    }

    fn keep(&mut self, header: &Header, hash: BlockHash) -> Result<(), Rule> {
        let height = self.height.checked_add(1).ok_or(Rule::Link)?;
        let work = self.work.checked_add(self.work_of(header)).ok_or(Rule::Link)?;
        if self.times.len() >= MEDIAN_SPAN {
            self.times.pop_front();
        }
        self.times.push_back(header.time);
        if let Difficulty::Bitcoin { interval, .. } = self.params.difficulty
            && height.checked_rem(interval) == Some(0)
        {
            self.interval_time = header.time;
        }
        (self.hash, self.height, self.work, self.last) = (hash, height, work, *header);
        Ok(())
    }

    fn work_of(&mut self, header: &Header) -> U256 {
        if self.known_work.0 != header.bits.0 {
            self.known_work = (header.bits.0, header.bits.target().map_or(U256::ZERO, work));
        }
        self.known_work.1
    }

    fn bits_due(&self) -> crate::consensus::CompactBits {
        let above = Parent { height: self.height, time: self.last.time, bits: self.last.bits };
        next_bits(&self.params, self.genesis_time, above, |_| Some(self.interval_time))
    }

    fn median(&self) -> u32 {
        let mut times: Vec<u32> = self.times.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}
