//! `wallet balance A`: what an address holds, whoever's it is. It needs no wallet.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::chain::Chain;
use crate::coin::Balance;
use crate::vault::WalletError;

/// What an address holds; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceDocument {
    /// `meshline/wallet-balance/1`.
    pub schema: Cow<'static, str>,
    /// The address.
    pub address: String,
    /// What can be spent now.
    pub balance: String,
    /// Of that, change of own payments that no block holds yet.
    pub unconfirmed: String,
    /// Rewards that have to rest.
    pub immature: String,
    /// The height of the first block in which one of them can be spent.
    pub mature_at: Option<u32>,
    /// What others have sent and no block holds yet.
    pub pending: String,
    /// Height of the tip this is true of.
    pub height: u32,
}

impl BalanceDocument {
    pub(super) fn new(address: &Address, balance: &Balance, height: u32) -> Self {
        Self {
            schema: Cow::Borrowed("meshline/wallet-balance/1"),
            address: address.to_string(),
            balance: balance.spendable.to_string(),
            unconfirmed: balance.change.to_string(),
            immature: balance.immature.to_string(),
            mature_at: balance.mature_at,
            pending: balance.pending.to_string(),
            height,
        }
    }

    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = format!("Balance of '{}': {}", self.address, self.balance);
        if let Some(height) = self.mature_at {
            text.push_str(&format!("\n{} more can be spent from block {height} on", self.immature));
        }
        if self.pending != "0" {
            text.push_str(&format!("\n{} more waits for a block", self.pending));
        }
        text
    }
}

/// What an address holds.
///
/// # Errors
/// If the ledger does not answer.
pub fn balance(chain: &dyn Chain, address: &Address) -> Result<BalanceDocument, WalletError> {
    let height = chain.terms()?.height;
    let coins = chain.coins(&[address.lock])?;
    let own = coins.iter().filter(|coin| coin.lock == address.lock);
    let balance = Balance::of(own, |lock| *lock == address.lock);
    Ok(BalanceDocument::new(address, &balance, height))
}
