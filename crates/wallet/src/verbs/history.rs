//! `wallet history`: what came in and went out.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Access;
use crate::address::Address;
use crate::chain::{Chain, Terms};
use crate::coin::Balance;
use crate::history::{Entry, Kind};
use crate::vault::{Vault, WalletError};

/// Most rows of one answer: what a person scrolls through, and about a MiB as JSON.
pub const MAX_ROWS: usize = 2_000;

/// The last transactions of a wallet, oldest first; what no block holds yet stands at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryDocument {
    /// `meshline/wallet-history/1`.
    pub schema: Cow<'static, str>,
    /// One row a transaction.
    pub history: Vec<HistoryRow>,
    /// Earlier ones that were left out.
    pub earlier: usize,
    /// What the wallet can spend now.
    #[serde(default)]
    pub balance: String,
    /// What others have sent and no block holds yet.
    #[serde(default)]
    pub pending: String,
    /// Rewards that have to rest.
    #[serde(default)]
    pub immature: String,
    /// Height of the tip this is true of.
    pub height: u32,
}

/// A transaction; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryRow {
    /// The transaction.
    pub txid: String,
    /// `mined`, `received`, `sent` or `moved` (from oneself to oneself).
    pub kind: Kind,
    /// What came in or went to others.
    pub amount: String,
    /// What it cost, if the wallet alone paid it.
    pub fee: Option<String>,
    /// Own addresses that were paid, or those of others if it was sent.
    pub to: Vec<String>,
    /// Height of the block that holds it.
    pub height: Option<u32>,
    /// What that block's header says, in seconds since 1970.
    pub time: Option<u32>,
    /// Blocks that stand on it, its own included.
    pub confirmations: u32,
}

impl HistoryRow {
    fn new(entry: &Entry, terms: &Terms) -> Self {
        let address = |lock| Address { prefix: terms.prefix, lock }.to_string();
        Self {
            txid: entry.txid.to_string(),
            kind: entry.kind,
            amount: entry.amount.to_string(),
            fee: entry.fee.map(|fee| fee.to_string()),
            to: entry.to.iter().copied().map(address).collect(),
            height: entry.block.map(|block| block.height),
            time: entry.block.map(|block| block.time),
            confirmations: entry.confirmations(terms.height),
        }
    }

    /// Where it stands, and how deep below the tip.
    fn place_at(&self, height: u32) -> String {
        let unit = if self.confirmations == 1 { "confirmation" } else { "confirmations" };
        format!("block {height} ({} {unit})", self.confirmations)
    }

    fn words(&self) -> String {
        let place = self.height.map_or_else(|| "waiting".to_owned(), |height| self.place_at(height));
        let (word, sign) = match self.kind {
            Kind::Mined => ("mined", "+"),
            Kind::Received => ("received", "+"),
            Kind::Sent => ("sent", "-"),
            Kind::Moved => ("moved", ""),
        };
        let fee = match self.fee.as_deref() {
            None | Some("0") => String::new(),
            Some(fee) => format!(" and {fee} fee"),
        };
        format!("{place}  {word} {sign}{}{fee}  {}", self.amount, self.txid)
    }
}

impl HistoryDocument {
    /// For a person: a line a transaction.
    #[must_use]
    pub fn words(&self) -> String {
        let earlier = (self.earlier > 0).then(|| format!("{} earlier ones", self.earlier));
        earlier.into_iter().chain(self.history.iter().map(HistoryRow::words)).collect::<Vec<_>>().join("\n")
    }
}

/// The last `limit` transactions, at most [`MAX_ROWS`].
///
/// # Errors
/// [`WalletError`].
pub fn history(access: &mut Access<'_>, chain: &dyn Chain, limit: usize) -> Result<HistoryDocument, WalletError> {
    let vault = Vault::open_with(access.path, access.passphrase, chain, access.random)?;
    let wallet = vault.wallet();
    let terms = chain.terms()?;
    let movements = chain.movements(&wallet.locks())?;
    let entries: Vec<Entry> =
        movements.iter().filter_map(|movement| Entry::of(movement, |lock| wallet.is_own(lock))).collect();
    let earlier = entries.len().saturating_sub(limit.min(MAX_ROWS));
    let history = entries.iter().skip(earlier).map(|entry| HistoryRow::new(entry, &terms)).collect();
    let coins = chain.coins(&wallet.locks())?;
    let balance = Balance::of(coins.iter().filter(|coin| wallet.is_own(&coin.lock)), |lock| wallet.is_own(lock));
    Ok(HistoryDocument {
        schema: Cow::Borrowed("meshline/wallet-history/1"),
        history,
        earlier,
        balance: balance.spendable.to_string(),
        pending: balance.pending.to_string(),
        immature: balance.immature.to_string(),
        height: terms.height,
    })
}
