//! Amounts of money: whole base units, checked, never floating point.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// Base units in one coin: eight decimals, as in Bitcoin.
pub const COIN: u64 = 100_000_000;

/// The largest amount an output, or a sum inside one transaction, may have, in base units. Bitcoin's 21 million coins:
/// a thousand such sums still fit into 64 bits, and the number is exact in JSON readers that only know doubles.
pub const MAX_MONEY: u64 = 21_000_000 * COIN;

/// Decimals of a coin.
const DECIMALS: usize = 8;

/// An amount of at most [`MAX_MONEY`] base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u64);

/// Why a text or a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// More than [`MAX_MONEY`].
    #[error("more than 21000000 coins")]
    TooLarge,
    /// Not digits with at most one point between them.
    #[error("not an amount: write digits, as in 10 or 0.001")]
    NotANumber,
    /// More than eight digits behind the point.
    #[error("a coin has 8 decimals")]
    TooManyDecimals,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// [`MAX_MONEY`] as an amount.
    pub const MAX: Self = Self(MAX_MONEY);

    /// An amount of so many base units.
    pub const fn from_units(units: u64) -> Result<Self, AmountError> {
        if units > MAX_MONEY { Err(AmountError::TooLarge) } else { Ok(Self(units)) }
    }

    /// An amount of so many whole coins.
    pub const fn from_coins(coins: u64) -> Result<Self, AmountError> {
        match coins.checked_mul(COIN) {
            Some(units) => Self::from_units(units),
            None => Err(AmountError::TooLarge),
        }
    }

    /// In base units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The sum, unless it is more than [`MAX_MONEY`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Two amounts cannot overflow 64 bits.
        match Self::from_units(self.0 + other.0) {
            Ok(sum) => Some(sum),
            Err(_) => None,
        }
    }

    /// The difference, unless `other` is more.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The sum of all, unless it is more than [`MAX_MONEY`] on the way.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// In coins, without needless zeros: `10`, `0.001`.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Total(self.0.into()).fmt(out)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (coins, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(coins) || !digits(decimals) {
            return Err(AmountError::NotANumber);
        }
        if decimals.len() > DECIMALS {
            return Err(AmountError::TooManyDecimals);
        }
        let units = format!("{coins}{decimals:0<DECIMALS$}");
        units.parse().map_err(|_| AmountError::TooLarge).and_then(Self::from_units)
    }
}

/// What an owner has in all: a sum over any number of outputs, in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Total(pub u128);

impl Sum<Amount> for Total {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Self {
        Self(amounts.map(|amount| u128::from(amount.units())).sum())
    }
}

impl fmt::Display for Total {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coins, units) = (self.0 / u128::from(COIN), self.0 % u128::from(COIN));
        if units == 0 {
            return write!(out, "{coins}");
        }
        let decimals = format!("{units:0DECIMALS$}");
        write!(out, "{coins}.{}", decimals.trim_end_matches('0'))
    }
}
