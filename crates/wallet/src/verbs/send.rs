//! `wallet send`: a payment, made, signed and handed in.

use std::borrow::Cow;

use meshline_ledger::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Access;
use crate::address::Address;
use crate::chain::Chain;
use crate::fee::FeeRate;
use crate::payment::{Order, Payment, Refusal};
use crate::vault::{Vault, WalletError};

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOrder {
    /// Whose coins are spent, which also gets the change; `None` for all of the wallet.
    pub from: Option<Address>,
    /// Who is paid.
    pub to: Address,
    /// How much.
    pub amount: Amount,
    /// What it may cost; `None` for what the ledger thinks right.
    pub rate: Option<FeeRate>,
}

impl SendOrder {
    pub(super) fn wanted(&self) -> Order {
        Order { from: self.from.map(|address| address.lock), to: self.to.lock, amount: self.amount, rate: self.rate }
    }
}

/// What was sent; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendDocument {
    /// `meshline/wallet-send/1`.
    pub schema: Cow<'static, str>,
    /// The transaction.
    pub txid: String,
    /// What the miner gets.
    pub fee: String,
    /// What was paid.
    pub amount: String,
    /// To whom.
    pub to: String,
    /// What came back; `0` if nothing.
    pub change: String,
    /// Bytes of the transaction.
    pub size: usize,
    /// The block that was mined for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl SendDocument {
    fn new(order: &SendOrder, payment: &Payment) -> Self {
        Self {
            schema: Cow::Borrowed("meshline/wallet-send/1"),
            txid: payment.transaction.txid().to_string(),
            fee: payment.fee.to_string(),
            amount: order.amount.to_string(),
            to: order.to.to_string(),
            change: payment.change.map_or(Amount::ZERO, |change| change.amount).to_string(),
            size: payment.transaction.size(),
            block: None,
            note: None,
        }
    }

    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { txid, fee, block, note, .. } = self;
        let mut text = format!("Success!\nTransaction {txid}");
        if fee != "0" {
            text.push_str(&format!(", fee {fee}"));
        }
        if let Some(block) = block {
            text.push_str(&format!("\nBlock {block}"));
        }
        if let Some(note) = note {
            text.push_str(&format!("\n{note}"));
        }
        text
    }
}

/// Pays. What the wallet hands out for it is on the disk before the transaction leaves.
///
/// # Errors
/// [`WalletError`]; nothing was handed in then, except perhaps where the ledger stopped answering meanwhile.
pub fn send(access: &mut Access<'_>, chain: &mut dyn Chain, order: &SendOrder) -> Result<SendDocument, WalletError> {
    send_within(access, chain, order, None)
}

/// As [`send`], unless the fee would be more than `most`: what somebody agreed to a moment ago.
///
/// # Errors
/// [`WalletError`], as there.
pub fn send_within(
    access: &mut Access<'_>,
    chain: &mut dyn Chain,
    order: &SendOrder,
    most: Option<Amount>,
) -> Result<SendDocument, WalletError> {
    let mut vault = Vault::open_with(access.path, access.passphrase, chain, access.random)?;
    let coins = chain.coins(&vault.wallet().locks())?;
    let terms = chain.terms()?;
    let handed_out = vault.wallet().secrets().change;
    let payment = vault.wallet_mut().pay(&coins, &order.wanted(), &terms)?;
    if let Some(most) = most.filter(|most| payment.fee > *most) {
        return Err(Refusal::FeeAbove { fee: payment.fee, most }.into());
    }
    if vault.wallet().secrets().change != handed_out {
        vault.save(access.random)?;
    }
    chain.submit(&payment.transaction)?;
    Ok(SendDocument::new(order, &payment))
}
