//! Bitcoin's compact bits: a target as one byte of length and three of mantissa, and the work a target stands for.

use crate::hash::BlockHash;
use crate::u256::U256;

/// A target in the form headers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompactBits(pub u32);

/// Why bits stand for no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBits {
    /// The sign is set and the mantissa is not 0.
    #[error("negative")]
    Negative,
    /// 2^256 or more.
    #[error("more than 256 bits")]
    Overflow,
    /// No hash is that small.
    #[error("zero")]
    Zero,
}

const SIGN: u32 = 0x0080_0000;
const MANTISSA: u32 = 0x007f_ffff;
/// Bytes of the mantissa: at this length it stands unshifted.
const MANTISSA_BYTES: u32 = 3;

impl CompactBits {
    /// The target. Bits that are negative, too large or zero are refused, as Bitcoin does.
    pub fn target(self) -> Result<U256, BadBits> {
        let length = self.0 >> 24;
        let mut mantissa = self.0 & MANTISSA;
        if length <= MANTISSA_BYTES {
            mantissa >>= 8 * (MANTISSA_BYTES - length);
        }
        if mantissa == 0 {
            return Err(BadBits::Zero);
        }
        if self.0 & SIGN != 0 {
            return Err(BadBits::Negative);
        }
        let overflows = length > 34 || (length > 33 && mantissa > 0xff) || (length > 32 && mantissa > 0xffff);
        if overflows {
            return Err(BadBits::Overflow);
        }
        let shift = 8 * length.saturating_sub(MANTISSA_BYTES);
        Ok(U256::from_u64(mantissa.into()).shifted_up(shift))
    }

    /// The shortest form of a target; digits below the mantissa are cut off.
    pub fn from_target(target: U256) -> Self {
        let mut length = target.bit_length().div_ceil(8);
        let mut mantissa = if length <= MANTISSA_BYTES {
            (target.low_u64() as u32) << (8 * (MANTISSA_BYTES - length))
        } else {
            target.shifted_down(8 * (length - MANTISSA_BYTES)).low_u64() as u32
        };
        // The highest bit would be read as a sign.
        if mantissa & SIGN != 0 {
            mantissa >>= 8;
            length += 1;
        }
        Self(length << 24 | mantissa)
    }
}

/// The work a target stands for: the hashes expected until one meets it, 2^256 / (target + 1).
pub fn work(target: U256) -> U256 {
    match target.checked_add(U256::ONE) {
        // 2^256 does not fit; (2^256 − 1 − target) / (target + 1) + 1 is the same.
        Some(divisor) => {
            let quotient = target.complement().checked_div(divisor).unwrap_or(U256::MAX);
            quotient.saturating_add(U256::ONE)
        }
        None => U256::ONE,
    }
}

/// Whether a block's hash meets the target.
pub fn meets(hash: &BlockHash, target: U256) -> bool {
    U256::from_le_bytes(hash.0) <= target
}
