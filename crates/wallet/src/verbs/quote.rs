//! What a payment would cost, before anybody agrees to it.

use std::borrow::Cow;

use meshline_ledger::Amount;
use meshline_ledger::amount::Total;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, SendOrder};
use crate::chain::{Chain, ChainError, Terms};
use crate::payment::Payment;
use crate::vault::{Vault, WalletError};

/// What a payment would be; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteDocument {
    /// `meshline/wallet-quote/1`.
    pub schema: Cow<'static, str>,
    /// Who would be paid.
    pub to: String,
    /// How much.
    pub amount: String,
    /// What the miner would get.
    pub fee: String,
    /// Both together.
    pub total: String,
    /// What would come back; `0` if nothing.
    pub change: String,
    /// Bytes of the transaction.
    pub size: usize,
}

/// Makes a payment and forgets it: nothing is handed in or written. What it says is true until the coins or the fees
/// change; [`send_within`](super::send_within) keeps to it.
///
/// # Errors
/// [`WalletError`], where the payment would be refused.
pub fn quote(access: &mut Access<'_>, chain: &dyn Chain, order: &SendOrder) -> Result<QuoteDocument, WalletError> {
    let mut vault = Vault::open_with(access.path, access.passphrase, chain, access.random)?;
    let coins = chain.coins(&vault.wallet().locks())?;
    let terms = chain.terms()?;
    let payment = vault.wallet_mut().pay(&coins, &order.wanted(), &terms)?;
    judge(&payment, &terms)?;
    Ok(QuoteDocument {
        schema: Cow::Borrowed("meshline/wallet-quote/1"),
        to: order.to.to_string(),
        amount: order.amount.to_string(),
        fee: payment.fee.to_string(),
        total: [order.amount, payment.fee].into_iter().sum::<Total>().to_string(),
        change: payment.change.map_or(Amount::ZERO, |change| change.amount).to_string(),
        size: payment.transaction.size(),
    })
}

/// Whether the ledger would take it: who chose a low fee should read so before agreeing.
fn judge(payment: &Payment, terms: &Terms) -> Result<(), ChainError> {
    let size = payment.transaction.size();
    match terms.least_rate.fee(size as u64) {
        Some(least) if payment.fee < least => {
            let fee = payment.fee;
            let text = format!("the fee would be {fee}, and at least {least} is asked for {size} bytes");
            Err(ChainError::Refused(text))
        }
        Some(_) | None => Ok(()),
    }
}
