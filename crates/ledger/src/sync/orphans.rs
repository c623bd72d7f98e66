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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Amount;
    use crate::transaction::{Lock, OutPoint, TxIn, TxOut};

    /// One with so many outputs of 29 bytes.
    fn orphan(number: u32, outputs: usize) -> Transaction {
        let outpoint = OutPoint { txid: Txid([7; 32]), index: number };
        let output = TxOut { amount: Amount::ZERO, lock: Lock::to_key(&[1; 32]) };
        let inputs = vec![TxIn::Spend { outpoint, key: [0; 32], signature: [0; 64] }];
        Transaction { version: 1, inputs, outputs: vec![output; outputs], lock_time: 0 }
    }

    #[test]
    fn each_peer_has_room_for_so_many_bytes_and_none_pushes_out_anothers() {
        let (one, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let mut orphans = Orphans::default();
        let modest = orphan(1_000, 1);
        assert!(orphans.insert(modest.txid(), modest.clone(), other, 0));
        let large = |number| orphan(number, 2_000);
        let size = large(0).size();
        let fitting = u32::try_from(MAX_ORPHAN_BYTES / size).unwrap_or_default();
        for number in 0..fitting + 3 {
            let taken = orphans.insert(large(number).txid(), large(number), one, 0);
            assert_eq!(taken, number < fitting, "{number} of {fitting}");
        }
        // What fits exactly is taken, a byte more is not: an output has more.
        let left = MAX_ORPHAN_BYTES - fitting as usize * size;
        let bare = orphan(1_001, 0).size() + 2;
        let outputs = (left - bare) / 29;
        let (fits, too_large) = (orphan(1_002, outputs), orphan(1_003, outputs + 1));
        assert!(fits.size() <= left && too_large.size() > left, "{} and {} of {left}", fits.size(), too_large.size());
        assert!(!orphans.insert(too_large.txid(), too_large.clone(), one, 0));
        assert!(orphans.insert(fits.txid(), fits, one, 0));
        assert!(orphans.contains(&modest.txid()) && orphans.insert(too_large.txid(), too_large.clone(), other, 0));
        let held = orphans.len();
        orphans.forget(&one);
        assert_eq!((held, orphans.len()), (fitting as usize + 3, 2));
        assert!(orphans.insert(large(0).txid(), large(0), one, 0), "its room is free again");
    }

    #[test]
    fn what_one_peer_brought_first_is_not_kept_twice_and_counts_for_nobody_else() {
        let mut orphans = Orphans::default();
        let peers: Vec<NodeId> = (1..=3).map(|number| NodeId::from_bytes([number; 32])).collect();
        for (number, peer) in (0_u32..).zip(&peers) {
            for at in 0..MAX_ORPHANS as u32 {
                let own = orphan(number * 1_000 + at, 1);
                assert!(orphans.insert(own.txid(), own, *peer, 0));
            }
            let same = orphan(0, 1);
            assert!(!orphans.insert(same.txid(), same, *peer, 0));
        }
        assert_eq!(orphans.len(), 3 * MAX_ORPHANS);
    }
}
