//! `wallet list`: the addresses and what they hold.

use std::borrow::Cow;

use meshline_ledger::Lock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Access;
use crate::address::{Address, Prefix};
use crate::chain::Chain;
use crate::coin::{Balance, Coin};
use crate::keys::Branch;
use crate::vault::{Vault, WalletError};
use crate::wallet::Wallet;

/// The addresses of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDocument {
    /// `meshline/wallet-list/1`.
    pub schema: Cow<'static, str>,
    /// Those handed out, then those used for change, each in order.
    pub addresses: Vec<AddressRow>,
    /// What the whole wallet can spend now, in coins; missing without a ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
}

/// An address of the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressRow {
    /// The address.
    pub address: String,
    /// The path of its key, below the phrase.
    pub path: String,
    /// Whether it serves for change.
    pub change: bool,
    /// What it can spend now, in coins; missing without a ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
}

impl ListDocument {
    /// For a person: one address a line, as in the tutorial, with what it holds where that is known.
    #[must_use]
    pub fn words(&self) -> String {
        let line = |row: &AddressRow| match &row.balance {
            Some(balance) => format!("{}  {balance}", row.address),
            None => row.address.clone(),
        };
        self.addresses.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Lists the addresses.
///
/// # Errors
/// [`WalletError`].
pub fn list(access: &mut Access<'_>, prefix: Prefix, chain: Option<&dyn Chain>) -> Result<ListDocument, WalletError> {
    let vault = match chain {
        Some(chain) => Vault::open_with(access.path, access.passphrase, chain, access.random)?,
        None => Vault::open(access.path, access.passphrase)?,
    };
    let wallet = vault.wallet();
    let coins = chain.map(|chain| chain.coins(&wallet.locks())).transpose()?;
    let rows = |branch| wallet.handed_out(branch).iter().map(move |lock| (branch, *lock));
    let addresses = rows(Branch::Receive)
        .chain(rows(Branch::Change))
        .map(|(branch, lock)| AddressRow {
            address: Address { prefix, lock }.to_string(),
            path: wallet.keys().place(&lock).map(|place| place.to_string()).unwrap_or_default(),
            change: branch == Branch::Change,
            balance: coins.as_ref().map(|coins| spendable(coins, wallet, Some(lock))),
        })
        .collect();
    let balance = coins.as_ref().map(|coins| spendable(coins, wallet, None));
    Ok(ListDocument { schema: Cow::Borrowed("meshline/wallet-list/1"), addresses, balance })
}

/// What one address, or all of the wallet, can spend.
fn spendable(coins: &[Coin], wallet: &Wallet, lock: Option<Lock>) -> String {
    let counted = coins.iter().filter(|coin| wallet.is_own(&coin.lock) && lock.is_none_or(|lock| lock == coin.lock));
    Balance::of(counted, |lock| wallet.is_own(lock)).spendable.to_string()
}
