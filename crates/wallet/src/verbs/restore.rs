//! `wallet restore`: a wallet from its phrase, with every address the chain knows of.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Access;
use crate::chain::Chain;
use crate::coin::Balance;
use crate::keys::GAP;
use crate::phrase::Phrase;
use crate::vault::{Making, Vault, WalletError};
use crate::wallet::Wallet;

/// Longest gap that can be asked for: half a second of deriving keys.
pub const MAX_GAP: u32 = 5_000;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreDocument {
    /// `meshline/wallet-restore/1`.
    pub schema: Cow<'static, str>,
    /// Addresses found in use, change included, and unused ones before them.
    pub addresses: u32,
    /// What they can spend now, in coins.
    pub balance: String,
    /// Height of the tip up to which was searched. What the ledger does not have yet is found by later verbs.
    pub height: u32,
}

impl RestoreDocument {
    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { addresses, balance, height, .. } = self;
        format!("Restored with {addresses} addresses and a balance of {balance}, searched up to block {height}")
    }
}

/// Makes the wallet of a phrase, where none may be, and looks for its addresses until `gap` in a row (20 if not told,
/// at most [`MAX_GAP`]) are unused.
///
/// # Errors
/// [`WalletError`]; no file is left then.
pub fn restore(
    access: &mut Access<'_>,
    chain: &dyn Chain,
    phrase: &Phrase,
    gap: Option<u32>,
) -> Result<RestoreDocument, WalletError> {
    let gap = gap.unwrap_or(GAP).clamp(1, MAX_GAP);
    let mut found = None;
    let mut fill = |wallet: &mut Wallet| {
        wallet.catch_up(chain, gap)?;
        found = Some((balance(wallet, chain)?, chain.terms()?.height));
        Ok(())
    };
    let mut making = Making { cost: access.cost, random: access.random, fill: &mut fill };
    let vault = Vault::create(access.path, access.passphrase, phrase, &mut making)?;
    let secrets = vault.wallet().secrets();
    let (balance, height) = found.unwrap_or_default();
    Ok(RestoreDocument {
        schema: Cow::Borrowed("meshline/wallet-restore/1"),
        addresses: secrets.receive.saturating_add(secrets.change),
        balance,
        height,
    })
}

/// What all known addresses can spend now, in coins.
fn balance(wallet: &Wallet, chain: &dyn Chain) -> Result<String, WalletError> {
    let coins = chain.coins(&wallet.locks())?;
    let own = coins.iter().filter(|coin| wallet.is_own(&coin.lock));
    Ok(Balance::of(own, |lock| wallet.is_own(lock)).spendable.to_string())
}
