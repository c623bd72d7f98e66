//! What happens in the ledger.

use std::sync::Arc;

use meshline_protocol::NodeId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Lagged, put};
use crate::feed::Feed;
use crate::ledger::Tidings;

/// Encodes what the ledger tells, once for all readers, until it ends.
pub(in crate::api) async fn fill_ledger(feed: Arc<Feed>, mut tidings: broadcast::Receiver<Tidings>) {
    loop {
        match tidings.recv().await {
            Ok(tidings) => keep_tidings(&feed, tidings),
            Err(RecvError::Lagged(missed)) => put(&feed, "lagged", &Lagged { missed }),
            Err(RecvError::Closed) => return,
        }
    }
}

fn keep_tidings(feed: &Feed, tidings: Tidings) {
    match tidings {
        Tidings::Tip { height, hash, connected, undone, own } => {
            let hash = hash.to_string();
            put(feed, "ledger_tip", &LedgerTip { height, hash, connected, undone, own });
        }
        Tidings::Transaction { txid, fee, own } => {
            let (txid, fee) = (txid.to_string(), fee.to_string());
            put(feed, "ledger_transaction", &LedgerTransaction { txid, fee, own });
        }
        Tidings::Joined { peer, height } => put(feed, "ledger_peer", &LedgerPeer { peer, height }),
        Tidings::Foreign { peer, chain } => {
            put(feed, "ledger_foreign", &LedgerForeign { peer, chain: chain.to_string() });
        }
        Tidings::Synced { height } => put(feed, "ledger_synced", &LedgerSynced { height }),
        Tidings::Misbehaved { peer, reason, ended } => {
            put(feed, "ledger_misbehaved", &LedgerMisbehaved { peer, reason: reason.name(), ended });
        }
        Tidings::StoreFailed { detail } => put(feed, "ledger_store_failed", &LedgerStoreFailed { detail }),
    }
}

/// The form of the data of each event.
pub(super) fn shapes(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    vec![
        ("ledger_tip", schemas.subschema_for::<LedgerTip>()),
        ("ledger_transaction", schemas.subschema_for::<LedgerTransaction>()),
        ("ledger_peer", schemas.subschema_for::<LedgerPeer>()),
        ("ledger_foreign", schemas.subschema_for::<LedgerForeign>()),
        ("ledger_synced", schemas.subschema_for::<LedgerSynced>()),
        ("ledger_misbehaved", schemas.subschema_for::<LedgerMisbehaved>()),
        ("ledger_store_failed", schemas.subschema_for::<LedgerStoreFailed>()),
    ]
}

/// `ledger_tip`: the chain ends with another block.
#[derive(Serialize, JsonSchema)]
struct LedgerTip {
    height: u32,
    hash: String,
    /// Blocks that were added.
    connected: usize,
    /// Blocks that are no longer part of it.
    undone: usize,
    /// Whether this node found it.
    own: bool,
}

/// `ledger_transaction`: a payment waits for a block.
#[derive(Serialize, JsonSchema)]
struct LedgerTransaction {
    txid: String,
    /// What it pays, in coins.
    fee: String,
    /// Whether this node's wallet sent it.
    own: bool,
}

/// `ledger_peer`: a linked member has the same chain.
#[derive(Serialize, JsonSchema)]
struct LedgerPeer {
    peer: NodeId,
    /// Height of its last block, as it says.
    height: u32,
}

/// `ledger_foreign`: a linked member has another chain; nothing of the ledger is said to it.
#[derive(Serialize, JsonSchema)]
struct LedgerForeign {
    peer: NodeId,
    /// Which.
    chain: String,
}

/// `ledger_synced`: all that any linked member has is here.
#[derive(Serialize, JsonSchema)]
struct LedgerSynced {
    height: u32,
}

/// `ledger_misbehaved`: a linked member broke a rule.
#[derive(Serialize, JsonSchema)]
struct LedgerMisbehaved {
    peer: NodeId,
    /// Which, by its name.
    reason: &'static str,
    /// Nothing of the ledger is said to it any more.
    ended: bool,
}

/// `ledger_store_failed`: the disk did not take or give something; it is tried again.
#[derive(Serialize, JsonSchema)]
struct LedgerStoreFailed {
    detail: String,
}
