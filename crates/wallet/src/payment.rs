//! Payments: coins chosen, outputs arranged, inputs signed; or a refusal that says what is missing.

use std::fmt;

use meshline_ledger::amount::COIN;
use meshline_ledger::sighash::sighash;
use meshline_ledger::transaction::TRANSACTION_VERSION;
use meshline_ledger::{Amount, Lock, Transaction, TxIn, TxOut};

use crate::address::Address;
use crate::chain::Terms;
use crate::coin::{Balance, Coin, Trust};
use crate::fee::{FeeRate, INPUT_SIZE};
use crate::keys::{Keys, MAX_ADDRESSES};
use crate::select::{Candidate, SelectError, Selection, Wanted, select};

/// The highest fee of a payment, in base units: a tenth of a coin, as in Bitcoin Core. More is a mistake, or somebody
/// drives the rate up.
pub const MAX_FEE: u64 = COIN / 10;

/// What is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Whose coins are spent and who gets the change; `None` for all of the wallet, with change to a new address.
    pub from: Option<Lock>,
    /// Who is paid.
    pub to: Lock,
    /// How much.
    pub amount: Amount,
    /// What it may cost; `None` for what the ledger thinks right.
    pub rate: Option<FeeRate>,
}

/// A signed transaction and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// What is handed in.
    pub transaction: Transaction,
    /// The outputs it spends, in the order of its inputs.
    pub spent: Vec<TxOut>,
    /// What the miner gets.
    pub fee: Amount,
    /// What comes back.
    pub change: Option<TxOut>,
}

/// Why nothing was paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is less than it takes.
    #[error("{0}")]
    NotEnough(Box<Shortage>),
    /// An address whose key is elsewhere.
    #[error("{0} is not an address of this wallet")]
    NotOurs(String),
    /// Nothing at all.
    #[error("nothing to send: the amount is 0")]
    Nothing,
    /// Less than it would cost to spend it again.
    #[error("{amount} is too little to send: to spend it again would cost {cost}")]
    Dust {
        /// What was to be sent.
        amount: Amount,
        /// What it costs to spend it.
        cost: Amount,
    },
    /// More outputs would be spent than fit.
    #[error("the money lies in too many small outputs for one transaction: at most {0} can be sent at once")]
    TooManyCoins(Amount),
    /// No address is left to be handed out.
    #[error("the wallet has handed out all of its {MAX_ADDRESSES} addresses")]
    Full,
    /// Above [`MAX_FEE`].
    #[error("the fee would be more than {}: choose a lower rate", Amount::from_units(MAX_FEE).unwrap_or(Amount::MAX))]
    FeeTooHigh,
    /// Above what was agreed to.
    #[error("the fee would now be {fee}, more than the {most} that was agreed to")]
    FeeAbove {
        /// What it would be.
        fee: Amount,
        /// What was agreed to.
        most: Amount,
    },
}

/// What is there and what it would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Who pays, in words.
    pub who: String,
    /// What is there.
    pub balance: Balance,
    /// What was to be sent.
    pub amount: Amount,
    /// What that would have cost.
    pub fee: Amount,
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, balance, amount, fee } = self;
        write!(out, "{who} has {}, needs {amount}", balance.spendable)?;
        if *fee > Amount::ZERO {
            write!(out, " and {fee} fee")?;
        }
        if let Some(height) = balance.mature_at {
            write!(out, "; {} more can be spent from block {height} on", balance.immature)?;
        }
        if balance.pending.0 > 0 {
            write!(out, "; {} more waits for a block", balance.pending)?;
        }
        Ok(())
    }
}

/// Makes and signs a transaction. `change_to` gets what is left over.
///
/// # Errors
/// [`Refusal`].
pub fn pay(keys: &Keys, coins: &[Coin], order: &Order, change_to: Lock, terms: &Terms) -> Result<Payment, Refusal> {
    judge(order, keys, terms)?;
    let coins: Vec<&Coin> = coins.iter().filter(|coin| is_payable(coin, order, keys)).collect();
    let selection = choose(&coins, order, keys, terms)?;
    if selection.fee.units() > MAX_FEE {
        return Err(Refusal::FeeTooHigh);
    }
    let (mut transaction, spent) = arrange(&selection, &coins, order, change_to, keys);
    sign(&mut transaction, &spent, keys, terms);
    let change = selection.change.map(|amount| TxOut { amount, lock: change_to });
    Ok(Payment { transaction, spent, fee: selection.fee, change })
}

fn judge(order: &Order, keys: &Keys, terms: &Terms) -> Result<(), Refusal> {
    if let Some(lock) = order.from.filter(|lock| keys.place(lock).is_none()) {
        return Err(Refusal::NotOurs(address(lock, terms)));
    }
    if order.amount == Amount::ZERO {
        return Err(Refusal::Nothing);
    }
    match terms.least_rate.fee(INPUT_SIZE) {
        Some(cost) if cost > order.amount => Err(Refusal::Dust { amount: order.amount, cost }),
        Some(_) => Ok(()),
        None => Err(Refusal::FeeTooHigh),
    }
}

fn is_payable(coin: &Coin, order: &Order, keys: &Keys) -> bool {
    order.from.is_none_or(|from| from == coin.lock) && keys.place(&coin.lock).is_some()
}

/// From confirmed coins if they suffice, else from own change as well.
fn choose(coins: &[&Coin], order: &Order, keys: &Keys, terms: &Terms) -> Result<Selection, Refusal> {
    let rate = order.rate.unwrap_or(terms.rate);
    let spend_later = rate.max(terms.least_rate).fee(INPUT_SIZE).ok_or(Refusal::FeeTooHigh)?;
    let least_change = spend_later.max(Amount::from_units(1).unwrap_or(Amount::MAX));
    let wanted = Wanted { amount: order.amount, rate, least_change };
    let is_own = |lock: &Lock| keys.place(lock).is_some();
    let up_to = |trust: Trust| -> Vec<Candidate> {
        let trusted = coins.iter().filter(|coin| coin.trust(is_own) <= trust);
        trusted.map(|coin| Candidate { amount: coin.amount, outpoint: coin.outpoint }).collect()
    };
    select(&up_to(Trust::Confirmed), &wanted).or_else(|_| select(&up_to(Trust::Own), &wanted)).map_err(|error| {
        match error {
            SelectError::NotEnough(fee) => {
                let balance = Balance::of(coins.iter().copied(), is_own);
                let who = order.from.map_or_else(|| "the wallet".to_owned(), |lock| address(lock, terms));
                Refusal::NotEnough(Box::new(Shortage { who, balance, amount: order.amount, fee }))
            }
            SelectError::TooMany(most) => Refusal::TooManyCoins(most),
            SelectError::FeeTooHigh => Refusal::FeeTooHigh,
        }
    })
}

fn address(lock: Lock, terms: &Terms) -> String {
    Address { prefix: terms.prefix, lock }.to_string()
}

/// The transaction without signatures, and what it spends. Inputs stand in the order of their outpoints and outputs in
/// that of their amounts and locks (BIP-69), so that the order does not tell which one is change.
fn arrange(
    selection: &Selection,
    coins: &[&Coin],
    order: &Order,
    change_to: Lock,
    keys: &Keys,
) -> (Transaction, Vec<TxOut>) {
    let mut inputs = Vec::with_capacity(selection.inputs.len());
    let mut spent = Vec::with_capacity(selection.inputs.len());
    for chosen in &selection.inputs {
        let coin = coins.iter().find(|coin| coin.outpoint == chosen.outpoint);
        let Some((coin, place)) = coin.and_then(|coin| Some((coin, keys.place(&coin.lock)?))) else { continue };
        let key = keys.public_key(place);
        inputs.push(TxIn::Spend { outpoint: coin.outpoint, key, signature: [0; 64] });
        spent.push(TxOut { amount: coin.amount, lock: coin.lock });
    }
    let change = selection.change.map(|amount| TxOut { amount, lock: change_to });
    let mut outputs = vec![TxOut { amount: order.amount, lock: order.to }];
    outputs.extend(change);
    outputs.sort_unstable();
    (Transaction { version: TRANSACTION_VERSION, inputs, outputs, lock_time: 0 }, spent)
}

/// All inputs sign the same 32 bytes: the chain, the transaction and the outputs it spends.
fn sign(transaction: &mut Transaction, spent: &[TxOut], keys: &Keys, terms: &Terms) {
    let message = sighash(terms.chain, transaction, spent);
    for (input, output) in transaction.inputs.iter_mut().zip(spent) {
        if let (TxIn::Spend { signature, .. }, Some(place)) = (input, keys.place(&output.lock)) {
            *signature = keys.sign(place, &message);
        }
    }
}
