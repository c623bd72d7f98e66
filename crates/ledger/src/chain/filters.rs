//! Filters of the blocks of the active chain: made some at a time behind the tip, kept by the block's hash, so that a
//! reorganisation loses none. Nobody has to wait for them but light clients.

use crate::chain::Chain;
use crate::consensus::Block;
use crate::filter::{Filter, FilterHash, FilterHeader};
use crate::hash::BlockHash;
use crate::store::{Store, StoreError, Table};

/// The last block that has its filter.
const FILTERED: &[u8] = b"filtered";
/// Behind a block's hash: the record of its filter, and that of the hashes.
const WHOLE: u8 = 0;
const HASHES: u8 = 1;

/// A filter's hash and its place in the chain of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterPlace {
    /// Its hash.
    pub hash: FilterHash,
    /// Its header.
    pub header: FilterHeader,
}

impl<S: Store> Chain<S> {
    pub(super) fn load_filtered(&mut self) -> Result<(), StoreError> {
        let known = self.record(Table::Meta, FILTERED)?;
        self.filtered = known.and_then(|hash| hash.try_into().ok()).map(BlockHash);
        Ok(())
    }

    /// Height of the last active block that has its filter, as all before it have; `None` before the first.
    pub fn filtered_height(&self) -> Option<u32> {
        let mut slot = self.tree.slot(&self.filtered?)?;
        while !self.tree.is_active(slot) {
            slot = self.tree.entry(slot)?.parent?;
        }
        self.tree.entry(slot).map(|entry| entry.height)
    }

    /// Whether active blocks have no filter yet.
    pub fn lacks_filters(&self) -> bool {
        self.filtered != Some(self.tip())
    }

    /// Makes the filters of up to `limit` active blocks, from the lowest on that has none. They are written with the next
    /// block or flush; those that a crash takes are made again.
    ///
    /// # Errors
    /// If the store fails.
    pub fn make_filters(&mut self, limit: usize) -> Result<(), StoreError> {
        let first = self.filtered_height().map_or(0, |height| height.saturating_add(1));
        for height in (first..=self.height()).take(limit) {
            let Some(hash) = self.hash_at(height) else { break };
            let before = self.header_before(height)?;
            let block = self.block(&hash)?.ok_or_else(|| StoreError::corrupt(Table::Blocks, &hash.0))?;
            self.keep_filter(&hash, &block, &before);
        }
        if self.hash_at(first).is_none() {
            // The tip is below what was filtered: a branch that was left.
            self.note_filtered(self.tip());
        }
        self.flush_if_full()
    }

    /// The header of the filter below a height, which was made.
    ///
    /// # Errors
    /// If the store fails, or lacks it.
    pub fn header_before(&self, height: u32) -> Result<FilterHeader, StoreError> {
        let Some(below) = height.checked_sub(1).and_then(|below| self.hash_at(below)) else {
            return Ok(FilterHeader::default());
        };
        let place = self.filter_place(&below)?;
        place.map(|place| place.header).ok_or_else(|| StoreError::corrupt(Table::Filters, &below.0))
    }

    fn keep_filter(&mut self, hash: &BlockHash, block: &Block, before: &FilterHeader) {
        let filter = Filter::of(block);
        let own = filter.hash();
        let header = own.follow(before);
        self.keep(Table::Filters, key(hash, HASHES), [own.0, header.0].concat());
        self.keep(Table::Filters, key(hash, WHOLE), filter.bytes().to_vec());
        self.note_filtered(*hash);
    }

    fn note_filtered(&mut self, hash: BlockHash) {
        self.filtered = Some(hash);
        self.keep(Table::Meta, FILTERED.to_vec(), hash.0.to_vec());
    }

    /// The filter of a block, if it was made.
    ///
    /// # Errors
    /// If the store fails.
    pub fn filter(&self, hash: &BlockHash) -> Result<Option<Filter>, StoreError> {
        Ok(self.record(Table::Filters, &key(hash, WHOLE))?.map(Filter::from_bytes))
    }

    /// Its hash and header, if it was made.
    ///
    /// # Errors
    /// If the store fails.
    pub fn filter_place(&self, hash: &BlockHash) -> Result<Option<FilterPlace>, StoreError> {
        let key = key(hash, HASHES);
        let Some(record) = self.record(Table::Filters, &key)? else { return Ok(None) };
        let place = || {
            let (own, header) = record.split_first_chunk()?;
            Some(FilterPlace { hash: FilterHash(*own), header: FilterHeader(header.try_into().ok()?) })
        };
        place().map(Some).ok_or_else(|| StoreError::corrupt(Table::Filters, &key))
    }
}

fn key(hash: &BlockHash, record: u8) -> Vec<u8> {
    let mut key = hash.0.to_vec();
    key.push(record);
    key
}
