//! Where the chain is kept: ordered tables of bytes behind one trait.
//!
//! What a store promises, and what the chain relies on:
//!
//! 1. A commit is atomic: after a crash at any moment all of it is there or nothing.
//! 2. Commits take effect in order: after a crash what is there is the work of the first `n` commits, for some `n`.
//! 3. When a commit with [`Durability::Synced`] has returned, it and all before it survive a crash.
//! 4. After a commit that failed the store holds what the last synced commit left, or more, and the next may succeed.
//! 5. A record that comes back is the record that was written, or the answer is [`StoreError::Corrupt`].

mod memory;
#[cfg(feature = "redb")]
mod redb;
mod seal;

pub use memory::{FaultyStore, MemoryStore, PlannedFault};
#[cfg(feature = "redb")]
pub use redb::RedbStore;
pub(crate) use seal::{seal, unseal, unsealed};

use std::ops::ControlFlow;

/// The tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What there is one of: the chain's id, the tip.
    Meta,
    /// Headers by height and hash.
    Headers,
    /// Whole blocks by hash.
    Blocks,
    /// What a block spent, by its hash.
    Undo,
    /// Unspent outputs by outpoint.
    Coins,
    /// Unspent outputs by owner and outpoint.
    Owners,
    /// Filters of blocks, and apart from them their hashes, by the block's hash.
    Filters,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 7] =
        [Self::Meta, Self::Headers, Self::Blocks, Self::Undo, Self::Coins, Self::Owners, Self::Filters];

    /// Its name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Headers => "headers",
            Self::Blocks => "blocks",
            Self::Undo => "undo",
            Self::Coins => "coins",
            Self::Owners => "owners",
            Self::Filters => "filters",
        }
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space is left (ENOSPC), or none that this process may use (EDQUOT, EFBIG).
    #[error("the disk is full")]
    Full,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(String),
    /// A record is not what was written.
    #[error("a record of the table {table} is damaged: {key}")]
    Corrupt {
        /// Of which table.
        table: &'static str,
        /// Its key in hexadecimal.
        key: String,
    },
}

impl StoreError {
    /// A damaged record.
    pub(crate) fn corrupt(table: Table, key: &[u8]) -> Self {
        Self::Corrupt { table: table.name(), key: data_encoding::HEXLOWER.encode(key) }
    }
}

/// Whether a commit has to survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// May be lost in a crash, with all commits after it.
    Lazy,
    /// Is on disk when the commit returns.
    Synced,
}

/// One change: a record, or `None` to delete it.
pub type Change = (Table, Vec<u8>, Option<Vec<u8>>);

/// Changes that take effect together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the order they are made.
    pub changes: Vec<Change>,
}

impl Batch {
    /// Writes a record.
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.changes.push((table, key.to_vec(), Some(value)));
    }

    /// Deletes a record, if it exists.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.changes.push((table, key.to_vec(), None));
    }
}

/// What a scan does with a record; breaking ends it.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Ordered tables of records; see the module for what it promises.
pub trait Store {
    /// A record.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the records of several keys, each with the place of its key. Sorted keys are found faster.
    fn get_each<K: AsRef<[u8]>>(
        &self,
        table: Table,
        keys: &[K],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StoreError> {
        for (place, key) in keys.iter().enumerate() {
            visit(place, self.get(table, key.as_ref())?.as_deref());
        }
        Ok(())
    }

    /// Shows all records from the key `from` on, in the order of their keys, until `visit` breaks.
    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// Makes all changes or none.
    fn commit(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;
}
