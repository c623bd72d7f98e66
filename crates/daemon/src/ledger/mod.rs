//! The ledger of a node: its chain, its wallet, the search for blocks.
//!
//! A running node has them in one thread of its own (`engine`), which others hand their work to; without a node, a
//! command opens them itself. Either way one process has them at a time, and what is done with them is the same code.

mod book;
mod create;
mod documents;
mod engine;
mod index;
mod mine;
mod miner;
mod mining;
mod money;
mod place;
mod slot;
mod task;
mod teller;
mod views;
mod words;

use meshline_ledger::{Amount, BlockHash, Txid};

pub use book::{Book, NodeChain};
pub use create::{CreateOrder, create, refuse_present};
pub use documents::{
    AddressDocument, BlockDocument, BlocksDocument, CreateDocument, HeaderFault, HeadersDocument, MempoolDocument,
    MempoolSummary, MineDocument, MiningStatus, ReindexDocument, StatusDocument, TaskStatus, TransactionDocument,
    VerifyDocument, Words,
};
pub use engine::{Engine, Handle, MineOrder};
pub use mine::Told;
pub use money::{MoneyError, Purse, SendRequest, balance};
pub use place::{LedgerError, LedgerPlace, prefix_of, read_genesis};
pub use slot::NodeLedger;
pub use teller::{Desk, Opened};
pub use views::{MAX_BLOCKS, MAX_ROWS, address, block, blocks, mempool, reindexed, status, transaction, verified};
pub(crate) use words::{rate, span};

/// What happens in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tidings {
    /// The chain ends with another block.
    Tip {
        /// Its height.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Blocks that were added.
        connected: usize,
        /// Blocks that are no longer part of it.
        undone: usize,
        /// Whether this node found it.
        own: bool,
    },
    /// A payment waits for a block.
    Transaction {
        /// Its name.
        txid: Txid,
        /// What it pays.
        fee: Amount,
        /// Whether this node's wallet sent it.
        own: bool,
    },
}

#[cfg(test)]
mod tests;
