//! `wallet send`: a payment, made, signed and handed in.

use meshline_ledger::Amount;
use serde::Serialize;

use super::Access;
use crate::address::Address;
use crate::chain::Chain;
use crate::fee::FeeRate;
use crate::payment::{Order, Payment};
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

/// What was sent; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SendDocument {
    /// `meshline/wallet-send/1`.
    pub schema: &'static str,
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
}

impl SendDocument {
    fn new(order: &SendOrder, payment: &Payment) -> Self {
        Self {
            schema: "meshline/wallet-send/1",
            txid: payment.transaction.txid().to_string(),
            fee: payment.fee.to_string(),
            amount: order.amount.to_string(),
            to: order.to.to_string(),
            change: payment.change.map_or(Amount::ZERO, |change| change.amount).to_string(),
            size: payment.transaction.size(),
        }
    }

    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { txid, fee, .. } = self;
        if fee == "0" {
            format!("Success!\nTransaction {txid}")
        } else {
            format!("Success!\nTransaction {txid}, fee {fee}")
        }
    }
}

/// Pays. What the wallet hands out for it is on the disk before the transaction leaves.
///
/// # Errors
/// [`WalletError`]; nothing was handed in then, except perhaps where the ledger stopped answering meanwhile.
pub fn send(access: &mut Access<'_>, chain: &mut dyn Chain, order: &SendOrder) -> Result<SendDocument, WalletError> {
    let mut vault = Vault::open_with(access.path, access.passphrase, chain, access.random)?;
    let coins = chain.coins(&vault.wallet().locks())?;
    let terms = chain.terms()?;
    let wanted = Order {
        from: order.from.map(|address| address.lock),
        to: order.to.lock,
        amount: order.amount,
        rate: order.rate,
    };
    let handed_out = vault.wallet().secrets().change;
    let payment = vault.wallet_mut().pay(&coins, &wanted, &terms)?;
    if vault.wallet().secrets().change != handed_out {
        vault.save(access.random)?;
    }
    chain.submit(&payment.transaction)?;
    Ok(SendDocument::new(order, &payment))
}
