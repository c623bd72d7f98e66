//! What a wallet asks of the ledger, running or not. Whoever has a ledger implements it thinly.

use std::collections::BTreeSet;

use meshline_ledger::{ChainId, Lock, Transaction, TxOut};

use crate::address::Prefix;
use crate::coin::Coin;
use crate::fee::FeeRate;

/// The ledger as a wallet sees it. All answers of one verb should be of one moment.
pub trait Chain {
    /// What the chain's parameters and its present state say.
    ///
    /// # Errors
    /// If the ledger does not answer.
    fn terms(&self) -> Result<Terms, ChainError>;

    /// The outputs with these locks that nothing in the chain or the mempool spends, in any order.
    ///
    /// # Errors
    /// If the ledger does not answer.
    fn coins(&self, locks: &[Lock]) -> Result<Vec<Coin>, ChainError>;

    /// Which of these locks any output in the chain or the mempool ever had, spent or not.
    ///
    /// # Errors
    /// If the ledger does not answer.
    fn used(&self, locks: &[Lock]) -> Result<BTreeSet<Lock>, ChainError>;

    /// The transactions that pay to these locks or spend from them: in the order of the chain, then the mempool's.
    ///
    /// # Errors
    /// If the ledger does not answer.
    fn movements(&self, locks: &[Lock]) -> Result<Vec<Movement>, ChainError>;

    /// Hands in a transaction: to the mempool, from where it is announced.
    ///
    /// # Errors
    /// If the ledger refuses it or does not answer.
    fn submit(&mut self, transaction: &Transaction) -> Result<(), ChainError>;
}

/// What a chain asks of payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What its addresses begin with.
    pub prefix: Prefix,
    /// Which chain it is: signatures are for this one alone.
    pub chain: ChainId,
    /// Height of its tip.
    pub height: u32,
    /// What gets a transaction into a block soon.
    pub rate: FeeRate,
    /// What the mempool asks for at least. An output that costs more to spend at this rate than it holds is dust.
    pub least_rate: FeeRate,
}

/// A transaction and what is needed to tell what it moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The transaction.
    pub transaction: Transaction,
    /// The outputs it spends, in the order of its inputs; none for a coinbase.
    pub spent: Vec<TxOut>,
    /// The block that holds it; `None` while none does.
    pub block: Option<BlockPlace>,
}

/// Where a transaction came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// Height of the block.
    pub height: u32,
    /// What its header says, in seconds since 1970.
    pub time: u32,
}

/// Why the ledger gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It cannot be asked.
    #[error("the ledger does not answer: {0}")]
    Unreachable(String),
    /// It does not take the transaction.
    #[error("the ledger refuses the transaction: {0}")]
    Refused(String),
}
