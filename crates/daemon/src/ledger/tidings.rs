//! What happens in the ledger, for whoever listens and for the log.

use meshline_ledger::sync::Reason;
use meshline_ledger::{Amount, BlockHash, Txid};
use meshline_protocol::NodeId;
use tracing::{debug, error, info, warn};

/// So many replaced blocks happen by chance about once in a thousand thousand blocks; more than that somebody should see.
const DEEP: usize = 6;

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
    /// A peer has the same chain.
    Joined {
        /// Who.
        peer: NodeId,
        /// Height of its last block, as it says.
        height: u32,
    },
    /// A peer has another chain.
    Foreign {
        /// Who.
        peer: NodeId,
        /// Which.
        chain: BlockHash,
    },
    /// All that any peer has is here.
    Synced {
        /// Height of the last block.
        height: u32,
    },
    /// A peer did something wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        reason: Reason,
        /// The ledger is not spoken with it any more.
        ended: bool,
    },
    /// Something could not be written or read; it is tried again.
    StoreFailed {
        /// What the system says.
        detail: String,
    },
}

impl Tidings {
    /// Says it in the log.
    pub(super) fn log(&self) {
        match self {
            Self::Tip { height, hash, connected, undone, .. } if *undone >= DEEP => {
                warn!(target: "meshline", count = undone, "the last {undone} blocks of the ledger were replaced by {connected} others: height {height}, {hash}");
            }
            Self::Tip { height, hash, undone, .. } if *undone > 0 => {
                info!(target: "meshline", count = undone, "a better chain takes the place of {undone} blocks: height {height}, {hash}");
            }
            // Its own are told as the tutorial does.
            Self::Tip { own: true, .. } => {}
            Self::Tip { height, hash, connected, .. } => {
                debug!(target: "meshline", count = connected, "received blocks of the ledger: height {height}, {hash}");
            }
            Self::Transaction { txid, .. } => debug!(target: "meshline", "a payment waits: {txid}"),
            Self::Joined { peer, height } => {
                debug!(target: "meshline", peer = %peer, "has the same ledger, at height {height}");
            }
            Self::Foreign { peer, chain } => {
                debug!(target: "meshline", peer = %peer, "has another ledger: chain {chain}");
            }
            Self::Synced { height } => info!(target: "meshline", "the ledger is complete at height {height}"),
            Self::Misbehaved { peer, reason, ended: false } => {
                debug!(target: "meshline", peer = %peer, reason = reason.name(), "broke a rule of the ledger's messages: {reason}");
            }
            Self::Misbehaved { peer, reason, ended: true } => {
                warn!(target: "meshline", peer = %peer, reason = reason.name(), "the ledger is not spoken with it any more: {reason}");
            }
            Self::StoreFailed { detail } => {
                error!(target: "meshline", detail, "the ledger could not be written or read; it is tried again");
            }
        }
    }
}
