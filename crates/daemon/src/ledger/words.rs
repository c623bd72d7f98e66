//! The documents of the ledger in words: the tutorial's where it has them.

use super::documents::{
    BlockRow, BlocksDocument, CreateDocument, HeadersDocument, MineDocument, MiningStatus, ReindexDocument,
    StatusDocument, SyncStatus, TransactionRow, VerifyDocument, Words,
};

impl Words for CreateDocument {
    fn words(&self) -> String {
        let mut text = format!(
            "Done!\nChain {}\nGenesis file {}\nThe first money belongs to {}",
            self.chain, self.genesis, self.address
        );
        if let Some(phrase) = &self.phrase {
            text.push_str(
                "\n\nA wallet was made for it. Write these words down and keep them apart from this machine. Whoever",
            );
            text.push_str(
                "\nhas them has the money, and nothing else brings the wallet back. They are not shown again.\n\n    ",
            );
            text.push_str(phrase);
        }
        text
    }
}

impl Words for StatusDocument {
    fn words(&self) -> String {
        let mut lines = vec![
            format!("chain    {} ({})", self.name, self.chain),
            format!("height   {}{}", self.height, self.behind()),
            format!("tip      {}", self.tip),
            format!("mempool  {} transactions, {} bytes", self.mempool.transactions, self.mempool.bytes),
        ];
        lines.push(match &self.mining {
            Some(mining) => format!("mining   {}", mining.words()),
            None => "mining   off: the node does not run".to_owned(),
        });
        if let Some(sync) = &self.sync {
            lines.push(format!("sync     {}", sync.words_at(self.height)));
        }
        if let Some(task) = &self.task {
            lines.push(format!("{:<8} {} of {} blocks", task.name, task.done, task.of));
        }
        lines.join("\n")
    }
}

impl StatusDocument {
    fn behind(&self) -> String {
        let missing = self.headers.saturating_sub(self.height);
        if missing == 0 { String::new() } else { format!(", {missing} more blocks are to come") }
    }
}

impl SyncStatus {
    /// For a person, of a ledger at this height.
    #[must_use]
    pub fn words_at(&self, height: u32) -> String {
        let peers = match self.peers.len() {
            1 => "1 peer".to_owned(),
            count => format!("{count} peers"),
        };
        if self.state == "alone" {
            return "no linked member has this chain".to_owned();
        }
        if self.state == "synced" {
            return format!("all is here, with {peers}");
        }
        let left = self.remaining_s.map(|seconds| format!(", {} left", span(seconds as f64))).unwrap_or_default();
        let (of, rate) = (self.target, self.blocks_per_s);
        format!("{}: {height} of {of} blocks, {rate:.0} blocks/s{left}, from {peers}", self.state)
    }
}

impl Words for MiningStatus {
    fn words(&self) -> String {
        if !self.on {
            return "off".to_owned();
        }
        let to = self.to.as_deref().unwrap_or("nobody");
        let found = format!("{} blocks found", self.blocks);
        if !self.searching {
            return format!("on, to {to}; waits for payments; {found}");
        }
        let expected = self.expected_s.map(|seconds| format!(", a block every {} expected", span(seconds)));
        let rate = rate(self.hash_rate);
        format!("on, to {to}; {rate}{}; {found}", expected.unwrap_or_default())
    }
}

impl Words for MineDocument {
    fn words(&self) -> String {
        match &self.mining.to {
            // Two spaces, as the tutorial prints it.
            Some(to) if self.mining.on => format!("Mining is on. Address to receive rewards:  {to}"),
            Some(_) | None => "Mining is off.".to_owned(),
        }
    }
}

/// Hashes a second.
pub(crate) fn rate(hashes: f64) -> String {
    match hashes {
        rate if rate >= 1e9 => format!("{:.2} GH/s", rate / 1e9),
        rate if rate >= 1e6 => format!("{:.2} MH/s", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} kH/s", rate / 1e3),
        rate => format!("{rate:.0} H/s"),
    }
}

/// A time in seconds as people read it.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        seconds => format!("{:.0} d", seconds / 86_400.0),
    }
}

impl Words for BlocksDocument {
    fn words(&self) -> String {
        self.blocks.iter().map(block).collect::<Vec<_>>().join("\n\n")
    }
}

fn block(row: &BlockRow) -> String {
    let mut lines = vec![
        format!("============ Block {} ============", row.hash),
        format!("Height: {}", row.height),
        format!("Prev. block: {}", row.previous),
        format!("PoW: {}", row.pow),
        String::new(),
    ];
    lines.extend(row.transactions.iter().map(transaction));
    lines.join("\n")
}

fn transaction(row: &TransactionRow) -> String {
    let mut lines = vec![format!("--- Transaction {}:", row.txid)];
    if row.coinbase {
        lines.push("     Reward of the block".to_owned());
    }
    for (number, input) in row.inputs.iter().enumerate() {
        lines.push(format!("     Input {number}: {}:{} of {}", input.txid, input.index, input.address));
    }
    for (number, output) in row.outputs.iter().enumerate() {
        lines.push(format!("     Output {number}: {} to {}", output.amount, output.address));
    }
    lines.join("\n")
}

impl Words for VerifyDocument {
    fn words(&self) -> String {
        match &self.fault {
            None => {
                format!("Valid: {} blocks, {} unspent outputs", u64::from(self.height) + 1, self.outputs.unwrap_or(0))
            }
            Some(fault) => format!("Not valid: {}", fault.detail),
        }
    }
}

impl Words for HeadersDocument {
    fn words(&self) -> String {
        let good = format!("{} headers are good, with work {}", self.count, self.work);
        match &self.fault {
            None => good,
            Some(fault) => format!("{good}; the one at height {} is not: {}", fault.height, fault.rule),
        }
    }
}

impl Words for ReindexDocument {
    fn words(&self) -> String {
        format!("Done! There are {} transactions in the UTXO set.", self.transactions)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_line_of_a_synchronisation_has_rate_and_time_left() {
        let sync = |state: &'static str, remaining_s| SyncStatus {
            state: state.into(),
            target: 100_000,
            blocks_per_s: 1_519.6,
            remaining_s,
            peers: Vec::new(),
            offences: BTreeMap::new(),
            late: 0,
            dropped: BTreeMap::new(),
        };
        let line = |state, remaining_s| sync(state, remaining_s).words_at(8_000);
        assert_eq!(line("blocks", Some(61)), "blocks: 8000 of 100000 blocks, 1520 blocks/s, 61 s left, from 0 peers");
        assert_eq!(line("headers", None), "headers: 8000 of 100000 blocks, 1520 blocks/s, from 0 peers");
        assert_eq!(line("synced", Some(0)), "all is here, with 0 peers");
        assert_eq!(line("alone", None), "no linked member has this chain");
    }
}
