//! The ledger of a node: its chain, its wallet, the search for blocks.
//!
//! A running node has them in one thread of its own (`engine`), which others hand their work to; without a node, a
//! command opens them itself. Either way one process has them at a time, and what is done with them is the same code.

mod book;
mod create;
mod documents;
mod engine;
mod exchange;
mod index;
mod light;
mod mine;
mod miner;
mod mining;
mod money;
mod place;
mod slot;
mod task;
mod teller;
mod thread;
mod tidings;
mod views;
mod words;

pub use book::{Book, NodeChain};
pub use create::{CreateOrder, create, refuse_present};
pub use documents::{
    AddressDocument, BlockDocument, BlocksDocument, CreateDocument, FindDocument, HeaderFault, HeadersDocument,
    MempoolDocument, MempoolSummary, MineDocument, MiningStatus, ReindexDocument, SearchDocument, SearchStatus,
    StatusDocument, SyncPeerRow, SyncStatus, TaskStatus, TransactionDocument, VerifyDocument, Words,
};
pub use engine::{Engine, Handle, MineOrder};
pub use light::{LightDocument, LightHandle};
pub use mine::Told;
pub use money::{MoneyError, Purse, SendRequest, balance};
pub use place::{LedgerError, LedgerPlace, prefix_of, read_genesis};
pub use slot::NodeLedger;
pub use teller::{Desk, Opened, Till};
pub use tidings::Tidings;
pub use views::{
    MAX_BLOCKS, MAX_ROWS, address, block, blocks, blocks_in_brief, find, mempool, reindexed, status, transaction,
    verified,
};
pub(crate) use words::{rate, span};

#[cfg(test)]
mod tests;
