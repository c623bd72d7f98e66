//! What it costs to handle what a peer sends, in units of about a microsecond of one thread: whoever hands in the frames
//! gives no peer more than its share while others wait.
//!
//! It is decided by what is to be done and not by a clock, before it is done, and more is charged than is spent where that
//! cannot be known: signatures that were judged before cost as much as new ones.

use crate::consensus::{Block, Header};
use crate::sighash::SignatureVerifier;
use crate::sync::Sync;
use crate::transaction::Transaction;

/// A frame, whatever is in it.
pub const FRAME_EFFORT: u64 = 10;
/// A signature, judged by itself: 26,988 of them took a second (`docs/BENCHMARKS.md`).
pub const SIGNATURE_EFFORT: u64 = 37;
/// A header that is judged.
pub const HEADER_EFFORT: u64 = 2;
/// Bytes that are read, hashed, copied or fetched from the disk for a unit.
pub const BYTES_A_UNIT: usize = 100;

/// Bytes of a block, but for the count of its transactions.
pub(super) fn size_of(block: &Block) -> usize {
    Header::SIZE + block.transactions.iter().map(Transaction::size).sum::<usize>()
}

impl<V: SignatureVerifier> Sync<V> {
    /// What was spent since this was asked last.
    pub const fn take_effort(&mut self) -> u64 {
        std::mem::replace(&mut self.effort, 0)
    }

    pub(super) const fn spend(&mut self, units: u64) {
        self.effort = self.effort.saturating_add(units);
    }

    /// So many bytes are handled.
    pub(super) const fn spend_on_bytes(&mut self, bytes: usize) {
        self.spend((bytes / BYTES_A_UNIT) as u64);
    }

    /// A transaction is judged.
    pub(super) fn spend_on_transaction(&mut self, transaction: &Transaction) {
        self.spend(SIGNATURE_EFFORT * transaction.spends().count() as u64);
    }

    /// A block of so many bytes is judged.
    pub(super) fn spend_on_block(&mut self, block: &Block, size: usize) {
        self.spend_on_bytes(size);
        block.transactions.iter().for_each(|transaction| self.spend_on_transaction(transaction));
    }
}
