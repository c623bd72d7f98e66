//! Outputs that can be spent, or soon can, and what they come to.

use meshline_ledger::amount::Total;
use meshline_ledger::{Amount, Lock, OutPoint};

/// An output that nothing in the chain or the mempool spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    /// Which output it is.
    pub outpoint: OutPoint,
    /// How much it holds.
    pub amount: Amount,
    /// Whose it is.
    pub lock: Lock,
    /// Whether it can be spent.
    pub state: CoinState,
}

/// Whether an output can be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoinState {
    /// In a block, and free to be spent in the next one.
    Confirmed {
        /// The block's height.
        height: u32,
    },
    /// A reward for a block, which has to rest first.
    Immature {
        /// The least height of a block that may spend it.
        spendable_at: u32,
    },
    /// In the mempool only.
    Pending {
        /// Whose outputs its transaction spends.
        from: Vec<Lock>,
    },
}

/// How far an output can be relied on, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// In a block.
    Confirmed,
    /// Not in a block yet, but it comes from oneself alone, as change does: nobody else can take it back.
    Own,
    /// It may still be taken back, or has to rest.
    NotYet,
}

impl Coin {
    /// How far it can be relied on by whoever owns the locks for which `is_own` holds.
    pub fn trust(&self, is_own: impl Fn(&Lock) -> bool) -> Trust {
        match &self.state {
            CoinState::Confirmed { .. } => Trust::Confirmed,
            CoinState::Pending { from } if !from.is_empty() && from.iter().all(is_own) => Trust::Own,
            CoinState::Immature { .. } | CoinState::Pending { .. } => Trust::NotYet,
        }
    }
}

/// What some outputs come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// What can be spent now: in blocks, or change of own payments.
    pub spendable: Total,
    /// Of that, what is not in a block yet.
    pub change: Total,
    /// Rewards that have to rest.
    pub immature: Total,
    /// The height at which the first of these can be spent.
    pub mature_at: Option<u32>,
    /// What others have sent and no block holds yet.
    pub pending: Total,
}

impl Balance {
    /// Adds the coins up for whoever owns the locks for which `is_own` holds.
    pub fn of<'a>(coins: impl IntoIterator<Item = &'a Coin>, is_own: impl Fn(&Lock) -> bool) -> Self {
        let mut balance = Self::default();
        for coin in coins {
            balance.add(coin, &is_own);
        }
        balance
    }

    fn add(&mut self, coin: &Coin, is_own: impl Fn(&Lock) -> bool) {
        let units = u128::from(coin.amount.units());
        match (coin.trust(is_own), &coin.state) {
            (Trust::Confirmed, _) => self.spendable.0 += units,
            (Trust::Own, _) => {
                self.spendable.0 += units;
                self.change.0 += units;
            }
            (Trust::NotYet, CoinState::Immature { spendable_at }) => {
                self.immature.0 += units;
                self.mature_at = Some(self.mature_at.map_or(*spendable_at, |first| first.min(*spendable_at)));
            }
            (Trust::NotYet, CoinState::Confirmed { .. } | CoinState::Pending { .. }) => self.pending.0 += units,
        }
    }
}
