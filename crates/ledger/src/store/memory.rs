//! Stores without a disk: one that keeps its promises, and one that fails on demand.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::store::{Batch, Durability, Store, StoreError, Table, Visit};

/// A store in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryStore {
    records: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

impl MemoryStore {
    /// How many records a table has.
    pub fn count(&self, table: Table) -> usize {
        self.records.keys().filter(|(in_table, _)| *in_table == table).count()
    }

    fn apply(&mut self, batch: &Batch) {
        for (table, key, value) in &batch.changes {
            match value {
                Some(value) => self.records.insert((*table, key.clone()), value.clone()),
                None => self.records.remove(&(*table, key.clone())),
            };
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let from = Bound::Included((table, from.to_vec()));
        for ((in_table, key), value) in self.records.range((from, Bound::Unbounded)) {
            if *in_table != table || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch, _: Durability) -> Result<(), StoreError> {
        self.apply(batch);
        Ok(())
    }
}

/// A commit that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Which commit, counted from 0.
    pub at_commit: u64,
    /// With which error.
    pub error: StoreError,
}

/// A store that fails when told to, and of which a crash takes what was not synced.
#[derive(Debug, Clone, Default)]
pub struct FaultyStore {
    now: MemoryStore,
    /// What is surely on disk.
    synced: MemoryStore,
    /// Commits since then.
    unsynced: Vec<Batch>,
    commits: u64,
    faults: Vec<PlannedFault>,
}

impl FaultyStore {
    /// A store that holds `content` and fails at the planned commits.
    pub fn new(content: MemoryStore, faults: Vec<PlannedFault>) -> Self {
        Self { now: content.clone(), synced: content, unsynced: Vec::new(), commits: 0, faults }
    }

    /// Commits that were tried.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Commits that a crash may take.
    pub const fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// What a crash leaves if `kept` of the commits that were not synced had reached the disk.
    pub fn crash(&self, kept: usize) -> MemoryStore {
        let mut left = self.synced.clone();
        self.unsynced.iter().take(kept).for_each(|batch| left.apply(batch));
        left
    }
}

impl Store for FaultyStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.now.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.now.scan(table, from, visit)
    }

    fn commit(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let number = self.commits;
        self.commits += 1;
        if let Some(fault) = self.faults.iter().find(|fault| fault.at_commit == number) {
            return Err(fault.error.clone());
        }
        self.now.apply(batch);
        match durability {
            Durability::Lazy => self.unsynced.push(batch.clone()),
            Durability::Synced => {
                self.synced = self.now.clone();
                self.unsynced.clear();
            }
        }
        Ok(())
    }
}
