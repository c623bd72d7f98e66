//! Transactions that came before what they spend. Each peer has its own room, so that none can push out another's.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;

use crate::hash::Txid;
use crate::sync::limits::{MAX_ORPHAN_BYTES, MAX_ORPHANS, ORPHAN_FOR};
use crate::transaction::Transaction;

#[derive(Debug)]
struct Orphan {
    transaction: Transaction,
    from: NodeId,
    until: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    waiting: BTreeMap<Txid, Orphan>,
    /// Those that spend an output of a transaction.
    children: BTreeMap<Txid, BTreeSet<Txid>>,
    /// How many of a peer, and their bytes.
    held: BTreeMap<NodeId, (usize, usize)>,
}

impl Orphans {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.waiting.contains_key(txid)
    }

    /// Keeps one; `false` if its peer's room is full.
    pub(super) fn insert(&mut self, txid: Txid, transaction: Transaction, from: NodeId, now: u64) -> bool {
        let size = transaction.size();
        let (count, bytes) = self.held.get(&from).copied().unwrap_or_default();
        if count >= MAX_ORPHANS || bytes + size > MAX_ORPHAN_BYTES || self.contains(&txid) {
            return false;
        }
        self.held.insert(from, (count + 1, bytes + size));
        for outpoint in transaction.spends() {
            self.children.entry(outpoint.txid).or_default().insert(txid);
        }
        self.waiting.insert(txid, Orphan { transaction, from, until: now.saturating_add(ORPHAN_FOR) });
        true
    }

    fn remove(&mut self, txid: &Txid) -> Option<Orphan> {
        let orphan = self.waiting.remove(txid)?;
        for outpoint in orphan.transaction.spends() {
            if let Some(children) = self.children.get_mut(&outpoint.txid) {
                children.remove(txid);
                if children.is_empty() {
                    self.children.remove(&outpoint.txid);
                }
            }
        }
        if let Some((count, bytes)) = self.held.get_mut(&orphan.from) {
            (*count, *bytes) = (count.saturating_sub(1), bytes.saturating_sub(orphan.transaction.size()));
            if *count == 0 {
                self.held.remove(&orphan.from);
            }
        }
        Some(orphan)
    }

    /// Those that waited for a transaction, and who brought them.
    pub(super) fn take_children(&mut self, parent: &Txid) -> Vec<(NodeId, Transaction)> {
        let children = self.children.get(parent).cloned().unwrap_or_default();
        let taken = children.iter().filter_map(|txid| self.remove(txid));
        taken.map(|orphan| (orphan.from, orphan.transaction)).collect()
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, id: &NodeId) {
        self.remove_if(|orphan| orphan.from == *id);
    }

    /// Those that nobody needed.
    pub(super) fn expire(&mut self, now: u64) {
        self.remove_if(|orphan| orphan.until <= now);
    }

    fn remove_if(&mut self, is_done: impl Fn(&Orphan) -> bool) {
        let done: Vec<Txid> =
            self.waiting.iter().filter(|(_, orphan)| is_done(orphan)).map(|(txid, _)| *txid).collect();
        for txid in done {
            self.remove(&txid);
        }
    }
}
