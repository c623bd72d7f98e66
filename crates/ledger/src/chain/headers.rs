//! Headers: their rules, locators, and what is sent to others.

use crate::chain::tree::{GENESIS, HeaderTree, Inserted, Slot};
use crate::chain::{Chain, load};
use crate::consensus::{BLOCK_VERSION, CompactBits, Header, Parent, Refusal, Rule, meets, next_bits};
use crate::hash::BlockHash;
use crate::store::{Store, Table};

/// Blocks of which the median time is taken, as in Bitcoin.
pub const MEDIAN_SPAN: usize = 11;
/// How far ahead of the clock a block may be, in seconds, as in Bitcoin.
pub const FUTURE_LIMIT_S: u64 = 2 * 3_600;
/// Hashes in a locator: ten one by one, then doubling steps, come to fewer for any height.
pub const MAX_LOCATOR: usize = 101;
/// Headers in one reply, as in Bitcoin.
pub const MAX_HEADERS_REPLY: usize = 2_000;

impl<S: Store> Chain<S> {
    /// Takes a header; `true` if it was new. `now_s` is the time, in seconds since 1970. It is written with the next
    /// block, with [`Chain::flush`], or when [`crate::chain::MAX_PENDING_BYTES`] is reached: headers that a crash takes
    /// are asked for again.
    pub fn accept_header(&mut self, header: &Header, now_s: u64) -> Result<bool, Refusal> {
        let known = self.tree.len();
        let slot = self.accept_header_slot(header, now_s)?;
        self.flush_if_full()?;
        let is_new = self.tree.len() > known || self.tree.entry(slot).is_some_and(|entry| !entry.status.has_body);
        Ok(is_new)
    }

    pub(super) fn accept_header_slot(&mut self, header: &Header, now_s: u64) -> Result<Slot, Refusal> {
        let hash = header.hash();
        if let Some(slot) = self.tree.slot(&hash) {
            let invalid = self.tree.entry(slot).is_some_and(|entry| entry.status.invalid);
            return if invalid { Err(Rule::InvalidParent.into()) } else { Ok(slot) };
        }
        let parent = self.tree.slot(&header.previous).ok_or(Rule::UnknownParent)?;
        self.check_header(header, &hash, parent, now_s)?;
        let Inserted { slot, gone } = self.tree.insert(*header, hash, parent)?;
        if let Some(gone) = gone {
            self.drop_record(Table::Headers, load::header_key(&gone));
        }
        self.keep_header(slot);
        Ok(slot)
    }

    pub(super) fn check_header(&self, header: &Header, hash: &BlockHash, parent: Slot, now_s: u64) -> Result<(), Rule> {
        if self.tree.entry(parent).is_none_or(|above| above.status.invalid) {
            return Err(Rule::InvalidParent);
        }
        if header.version != BLOCK_VERSION {
            return Err(Rule::BlockVersion);
        }
        if header.bits != self.bits_after(parent) {
            return Err(Rule::Bits);
        }
        if !header.bits.target().is_ok_and(|target| meets(hash, target)) {
            return Err(Rule::ProofOfWork);
        }
        if header.time <= median_time(&self.tree, parent) {
            return Err(Rule::MedianTime);
        }
        if u64::from(header.time) > now_s.saturating_add(FUTURE_LIMIT_S) {
            return Err(Rule::FutureTime);
        }
        Ok(())
    }

    /// The bits due in the next block.
    pub fn next_bits(&self) -> CompactBits {
        self.bits_after(self.tree.tip())
    }

    fn bits_after(&self, parent: Slot) -> CompactBits {
        let Some(entry) = self.tree.entry(parent) else { return self.params.bits };
        let above = Parent { height: entry.height, time: entry.header.time, bits: entry.header.bits };
        let time_at = |height| self.tree.entry(self.tree.ancestor(parent, height)?).map(|entry| entry.header.time);
        // Not by way of the ancestors: during a first synchronisation that would be all headers for each.
        let genesis_time = self.tree.entry(GENESIS).map_or(0, |entry| entry.header.time);
        next_bits(&self.params, genesis_time, above, time_at)
    }

    /// The last header with the most work behind it: what is left to be fetched leads there.
    pub fn best_header(&self) -> (BlockHash, u32) {
        self.tree.entry(self.tree.best_header()).map_or((self.id, 0), |entry| (entry.hash, entry.height))
    }

    /// Headers that are held.
    pub fn headers_held(&self) -> usize {
        self.tree.len()
    }

    /// Up to `limit` blocks of the best chain of headers whose bodies are missing, from the lowest on.
    pub fn missing_blocks(&self, limit: usize) -> Vec<BlockHash> {
        let bare = self.tree.best_unconnected().filter(|entry| !entry.status.has_body);
        bare.take(limit).map(|entry| entry.hash).collect()
    }

    /// Hashes of the active chain from its tip down, first one by one, then in doubling steps, the genesis block last.
    pub fn locator(&self) -> Vec<BlockHash> {
        let (mut hashes, mut height, mut step) = (Vec::new(), self.height(), 1);
        while height > 0 {
            hashes.extend(self.hash_at(height));
            if hashes.len() >= 10 {
                step *= 2;
            }
            height = height.saturating_sub(step);
        }
        hashes.push(self.id);
        hashes
    }

    /// The active headers after the first hash of the locator that is active, at most [`MAX_HEADERS_REPLY`], up to the
    /// block `stop`.
    pub fn headers_after(&self, locator: &[BlockHash], stop: Option<&BlockHash>) -> Vec<Header> {
        let known = locator.iter().take(MAX_LOCATOR).filter_map(|hash| self.tree.slot(hash));
        let fork = known.filter_map(|slot| self.tree.entry(slot).filter(|_| self.tree.is_active(slot))).next();
        let mut headers = Vec::new();
        let mut height = fork.map_or(0, |entry| entry.height) + 1;
        while let Some(entry) = self.tree.active_at(height).and_then(|slot| self.tree.entry(slot)) {
            headers.push(entry.header);
            if headers.len() >= MAX_HEADERS_REPLY || stop == Some(&entry.hash) {
                break;
            }
            height += 1;
        }
        headers
    }
}

/// The median time of a block and the ten before it, in seconds since 1970.
pub(super) fn median_time(tree: &HeaderTree, tip: Slot) -> u32 {
    let mut times = Vec::with_capacity(MEDIAN_SPAN);
    let mut next = Some(tip);
    while let Some(entry) = next.and_then(|slot| tree.entry(slot)).filter(|_| times.len() < MEDIAN_SPAN) {
        times.push(entry.header.time);
        next = entry.parent;
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
