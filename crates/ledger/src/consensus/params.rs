//! The parameters of a chain: all numbers its rules depend on.

use crate::amount::Amount;
use crate::consensus::compact::CompactBits;
use crate::consensus::difficulty::Difficulty;
use crate::consensus::prefix::AddressPrefix;
use crate::hash::tagged;
use crate::u256::U256;

/// The numbers of a chain's rules. The genesis block covers them by a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// How bits follow.
    pub difficulty: Difficulty,
    /// Bits of the genesis block, and the easiest there may be.
    pub bits: CompactBits,
    /// New money in each block before the first halving.
    pub subsidy: Amount,
    /// Blocks until the subsidy is halved; 0 for never.
    pub halving_interval: u32,
    /// So many blocks later the outputs of a coinbase may be spent; at least 1.
    pub maturity: u32,
    /// Largest block in bytes.
    pub max_block_size: u32,
    /// Most signatures in a block.
    pub max_signatures: u32,
    /// What addresses begin with. No rule depends on it, but all nodes of a chain spell them alike.
    pub prefix: AddressPrefix,
}

/// Why parameters make no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// The bits stand for no target, or one that leaves no room for sums.
    #[error("bits must stand for a target below 2^254")]
    Bits,
    /// A number out of its range.
    #[error("{name} must be between {least} and {most}")]
    Range {
        /// Of what.
        name: &'static str,
        /// Smallest.
        least: u32,
        /// Largest.
        most: u32,
    },
}

/// A block travels in at most 64 parts of 64 KiB.
const MAX_BLOCK_SIZE: u32 = 64 * 64 * 1024;
/// Room for a coinbase and some small transactions.
const MIN_BLOCK_SIZE: u32 = 1_000;
/// A day.
const MAX_SPACING_S: u32 = 86_400;
/// Bitcoin's maturity is 100; ten thousand blocks are more than anybody waits.
const MAX_MATURITY: u32 = 10_000;
/// Bits of a target that leave room for the sums of all rules.
const MAX_TARGET_BITS: u32 = 254;
/// After so many halvings nothing is left of 64 bits.
const MAX_HALVINGS: u32 = 64;

impl Params {
    /// That all numbers are in their ranges.
    pub fn check(&self) -> Result<(), ParamsError> {
        let fits = self.bits.target().is_ok_and(|target| target.bit_length() <= MAX_TARGET_BITS);
        if !fits || CompactBits::from_target(self.limit()) != self.bits {
            return Err(ParamsError::Bits);
        }
        range("maturity", self.maturity, 1, MAX_MATURITY)?;
        range("max_block_size", self.max_block_size, MIN_BLOCK_SIZE, MAX_BLOCK_SIZE)?;
        range("max_signatures", self.max_signatures, 1, MAX_BLOCK_SIZE)?;
        match self.difficulty {
            Difficulty::Fixed => Ok(()),
            Difficulty::Bitcoin { spacing_s, interval } => {
                range("spacing_s", spacing_s, 1, MAX_SPACING_S)?;
                // The timespan stays below 2^30 s, so that four of it are a u32.
                range("interval", interval, 2, 10_000)
            }
            Difficulty::Asert { spacing_s, half_life_s } => {
                range("spacing_s", spacing_s, 1, MAX_SPACING_S)?;
                range("half_life_s", half_life_s, 1, u32::MAX)
            }
        }
    }

    /// The easiest target.
    pub fn limit(&self) -> U256 {
        self.bits.target().unwrap_or(U256::ONE)
    }

    /// New money in the block at `height`.
    pub const fn subsidy_at(&self, height: u32) -> Amount {
        let halvings = match height.checked_div(self.halving_interval) {
            Some(halvings) => halvings,
            None => 0,
        };
        if halvings >= MAX_HALVINGS {
            return Amount::ZERO;
        }
        match Amount::from_units(self.subsidy.units() >> halvings) {
            Ok(amount) => amount,
            Err(_) => Amount::ZERO,
        }
    }

    /// The hash of all of them, for the genesis block.
    pub fn hash(&self) -> [u8; 32] {
        let (kind, first, second) = match self.difficulty {
            Difficulty::Fixed => (0u32, 0, 0),
            Difficulty::Bitcoin { spacing_s, interval } => (1, spacing_s, interval),
            Difficulty::Asert { spacing_s, half_life_s } => (2, spacing_s, half_life_s),
        };
        let mut bytes = Vec::with_capacity(64);
        for number in [kind, first, second, self.bits.0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.subsidy.units().to_le_bytes());
        for number in [self.halving_interval, self.maturity, self.max_block_size, self.max_signatures] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.prefix.as_str().as_bytes());
        tagged("meshline/params", &[&bytes])
    }
}

fn range(name: &'static str, value: u32, least: u32, most: u32) -> Result<(), ParamsError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(ParamsError::Range { name, least, most }) }
}
