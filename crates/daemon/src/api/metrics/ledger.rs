//! The ledger of this node, if it has one.

use std::collections::BTreeMap;

use super::family;
use crate::ledger::{NodeLedger, StatusDocument, SyncStatus};

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
        + &status.sync.as_ref().map(sync).unwrap_or_default()
}

/// What is shared with others.
fn sync(sync: &SyncStatus) -> String {
    let gauge = |name: &str, help: &str, value: String| family("gauge", name, help, &[format!(" {value}")]);
    let by = |counts: &BTreeMap<String, u64>| -> Vec<String> {
        counts.iter().map(|(reason, count)| format!("{{reason=\"{reason}\"}} {count}")).collect()
    };
    let states = ["alone", "headers", "blocks", "synced"];
    let states = states.map(|state| format!("{{state=\"{state}\"}} {}", u8::from(sync.state == state)));
    [
        family("gauge", "ledger_sync", "1 at what the synchronisation does", &states),
        gauge("ledger_sync_target", "height to come to", sync.target.to_string()),
        gauge("ledger_sync_blocks_per_second", "blocks that come in a second", sync.blocks_per_s.to_string()),
        sync.remaining_s.map_or_else(String::new, |seconds| {
            gauge("ledger_sync_remaining_seconds", "time until all is here at that rate", seconds.to_string())
        }),
        gauge("ledger_peers", "linked members with the same chain", sync.peers.len().to_string()),
        family("counter", "ledger_offences_total", "what peers did wrong, by name", &by(&sync.offences)),
        family("counter", "ledger_late_total", "answers that came too late", &[format!(" {}", sync.late)]),
        family("counter", "ledger_dropped_total", "frames that found no room, by name", &by(&sync.dropped)),
    ]
    .concat()
}
