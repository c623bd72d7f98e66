//! The ledger of this node, if it has one.

use super::family;
use crate::ledger::{NodeLedger, StatusDocument};

/// Nothing where there is no ledger, or it has no time to answer.
pub(super) async fn text(ledger: &NodeLedger) -> String {
    let Ok(handle) = ledger.handle() else { return String::new() };
    let status = match handle.ask(|engine| engine.status()).await {
        Ok(status) => status,
        Err(_) => handle.last_known(),
    };
    of(&status)
}

fn of(status: &StatusDocument) -> String {
    let gauge = |name: &str, help: &str, value: String| family("gauge", name, help, &[format!(" {value}")]);
    let mining = status.mining.as_ref();
    [
        gauge("ledger_height", "height of the last block", status.height.to_string()),
        gauge("ledger_headers", "height of the best header known", status.headers.to_string()),
        gauge("ledger_mempool_transactions", "payments that wait for a block", status.mempool.transactions.to_string()),
        gauge("ledger_mempool_bytes", "bytes of payments that wait", status.mempool.bytes.to_string()),
        gauge(
            "ledger_hash_rate",
            "hashes a second in search of a block",
            mining.map_or(0.0, |mining| mining.hash_rate).to_string(),
        ),
        family(
            "counter",
            "ledger_blocks_found_total",
            "blocks that this node found",
            &[format!(" {}", mining.map_or(0, |mining| mining.blocks))],
        ),
    ]
    .concat()
}
