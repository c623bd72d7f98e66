//! What happened to a wallet, transaction by transaction.

use meshline_ledger::amount::Total;
use meshline_ledger::{Amount, Lock, Txid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chain::{BlockPlace, Movement};

/// What a transaction was for the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A reward for a block.
    Mined,
    /// Somebody paid.
    Received,
    /// Somebody was paid.
    Sent,
    /// From own addresses to own addresses.
    Moved,
}

/// A transaction as the owner of some locks sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The transaction.
    pub txid: Txid,
    /// What it was.
    pub kind: Kind,
    /// What came in or, for [`Kind::Sent`], went to others; for [`Kind::Moved`] nothing did.
    pub amount: Total,
    /// What it cost, if it was paid by oneself alone.
    pub fee: Option<Total>,
    /// Whom it paid: own locks if it came in, others' if it went out, in the order of the outputs.
    pub to: Vec<Lock>,
    /// The block that holds it.
    pub block: Option<BlockPlace>,
}

impl Entry {
    /// How the owner of the locks for which `is_own` holds sees a transaction; `None` if it does not concern them.
    pub fn of(movement: &Movement, is_own: impl Fn(&Lock) -> bool) -> Option<Self> {
        let Movement { transaction, spent, block } = movement;
        let (outputs, own_out) = (sum(transaction.outputs.iter().map(|out| out.amount)), {
            let own = transaction.outputs.iter().filter(|out| is_own(&out.lock));
            sum(own.map(|out| out.amount))
        });
        let (inputs, own_in) = (
            sum(spent.iter().map(|out| out.amount)),
            sum(spent.iter().filter(|out| is_own(&out.lock)).map(|out| out.amount)),
        );
        let paid = spent.iter().any(|out| is_own(&out.lock));
        let paid_alone = paid && spent.iter().all(|out| is_own(&out.lock));
        let (kind, amount) = match (paid, own_out > own_in) {
            _ if transaction.outputs.iter().all(|out| is_own(&out.lock)) && paid_alone => (Kind::Moved, 0),
            (true, false) if paid_alone => (Kind::Sent, outputs - own_out),
            (true, false) => (Kind::Sent, own_in - own_out),
            (_, true) if transaction.is_coinbase() => (Kind::Mined, own_out),
            (_, true) => (Kind::Received, own_out - own_in),
            (false, false) => return None,
        };
        let incoming = matches!(kind, Kind::Mined | Kind::Received | Kind::Moved);
        let to = transaction.outputs.iter().map(|out| out.lock).filter(|lock| is_own(lock) == incoming).collect();
        let fee = paid_alone.then(|| Total(inputs.saturating_sub(outputs)));
        Some(Self { txid: transaction.txid(), kind, amount: Total(amount), fee, to, block: *block })
    }

    /// Blocks that stand on it, its own included; 0 while none holds it.
    #[must_use]
    pub fn confirmations(&self, tip: u32) -> u32 {
        self.block.map_or(0, |block| tip.saturating_sub(block.height).saturating_add(1))
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> u128 {
    amounts.sum::<Total>().0
}
