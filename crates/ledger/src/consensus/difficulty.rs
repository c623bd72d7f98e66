//! Which bits are due: fixed, Bitcoin's retarget, or ASERT.
//!
//! ASERT (Bitcoin Cash's aserti3-2d) is the rule for small networks: it looks only at how far the chain is ahead of or
//! behind its schedule, so it has no window to be gamed, does not swing when a large miner comes and goes (LWMA does,
//! a little), and recovers by itself when most of the hash rate is gone.

use crate::consensus::compact::CompactBits;
use crate::consensus::params::Params;
use crate::u256::U256;

/// How bits follow from the blocks before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difficulty {
    /// Always the same.
    Fixed,
    /// Bitcoin's: once every `interval` blocks by the time those took, at most by a factor of four.
    Bitcoin {
        /// Seconds a block shall take.
        spacing_s: u32,
        /// Blocks between two changes.
        interval: u32,
    },
    /// At every block, by how far the chain is from its schedule since the genesis block.
    Asert {
        /// Seconds a block shall take.
        spacing_s: u32,
        /// So many seconds behind schedule halve the work.
        half_life_s: u32,
    },
}

/// The block before the one that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its height.
    pub height: u32,
    /// Its time, in seconds since 1970.
    pub time: u32,
    /// Its bits.
    pub bits: CompactBits,
}

/// Bitcoin lets the target change at most by this factor.
const MAX_CHANGE: u32 = 4;

/// The bits due after `parent`. `time_at` tells the time of its ancestor at a height.
pub fn next_bits(
    params: &Params,
    genesis_time: u32,
    parent: Parent,
    time_at: impl Fn(u32) -> Option<u32>,
) -> CompactBits {
    let limit = params.limit();
    match params.difficulty {
        Difficulty::Fixed => params.bits,
        Difficulty::Bitcoin { spacing_s, interval } => {
            let Some(first) = first_of_interval(parent.height, interval) else { return parent.bits };
            let first_time = time_at(first).unwrap_or(genesis_time);
            retarget(parent.bits, first_time, parent.time, spacing_s.saturating_mul(interval), limit)
        }
        Difficulty::Asert { spacing_s, half_life_s } => {
            let elapsed_s = i64::from(parent.time) - i64::from(genesis_time) + i64::from(spacing_s);
            let schedule = Schedule { elapsed_s, height: parent.height, spacing_s, half_life_s };
            asert(limit, schedule, limit)
        }
    }
}

/// The height at which the interval began that ends with `height`; `None` within an interval. As in Bitcoin the first
/// of its blocks is counted and the step into it is not: 2,015 steps for 2,016 blocks.
pub(crate) const fn first_of_interval(height: u32, interval: u32) -> Option<u32> {
    match height.checked_add(1) {
        Some(next) if interval > 0 && next.is_multiple_of(interval) => Some(next - interval),
        _ => None,
    }
}

/// Bitcoin's retarget: the target times what the interval took over what it should have taken (`timespan_s`), that ratio
/// between a quarter and four, at most `limit`.
pub fn retarget(bits: CompactBits, first_time: u32, last_time: u32, timespan_s: u32, limit: U256) -> CompactBits {
    let shortest = i64::from(timespan_s / MAX_CHANGE);
    let longest = i64::from(timespan_s) * i64::from(MAX_CHANGE);
    let took = (i64::from(last_time) - i64::from(first_time)).clamp(shortest, longest);
    let took = u64::try_from(took).unwrap_or(0);
    let old = bits.target().unwrap_or(limit);
    let new = multiply_divide(old, took, timespan_s.max(1)).map_or(limit, |target| target.min(limit));
    CompactBits::from_target(new)
}

/// `value` × `factor` / `divisor`, rounded down, without losing bits on the way.
fn multiply_divide(value: U256, factor: u64, divisor: u32) -> Option<U256> {
    let quotient = value.checked_div(U256::from_u64(divisor.into()))?;
    let whole = quotient.checked_mul(divisor.into())?;
    let rest = value.saturating_sub(whole).low_u64();
    let rest = u128::from(rest) * u128::from(factor) / u128::from(divisor);
    quotient.checked_mul(factor)?.checked_add(U256::from_u64(u64::try_from(rest).ok()?))
}

/// How far a chain is from its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds from the parent of the anchor to the parent of the block that is judged.
    pub elapsed_s: i64,
    /// Blocks from the anchor to the parent.
    pub height: u32,
    /// Seconds a block shall take.
    pub spacing_s: u32,
    /// So many seconds behind schedule halve the work.
    pub half_life_s: u32,
}

/// ASERT: the anchor's target times 2 to the power of (seconds behind schedule / half-life), in integers as published
/// for aserti3-2d, at least 1 and at most `limit`.
pub fn asert(anchor: U256, schedule: Schedule, limit: U256) -> CompactBits {
    let Schedule { elapsed_s, height, spacing_s, half_life_s } = schedule;
    let due = i128::from(spacing_s) * (i128::from(height) + 1);
    let exponent = (i128::from(elapsed_s) - due) * 65_536 / i128::from(half_life_s.max(1));
    let shift = exponent >> 16;
    let fraction = (exponent & 0xffff) as u128;
    // 65536 × 2^(fraction / 65536), as a polynomial of third degree.
    let cubic = 195_766_423_245_049 * fraction + 971_821_376 * fraction * fraction + 5_127 * fraction.pow(3);
    let factor = 65_536 + ((cubic + (1 << 47)) >> 48) as u64;
    let target = scale(anchor, factor, shift - 16).map_or(limit, |target| target.min(limit));
    CompactBits::from_target(target.max(U256::ONE))
}

/// `value` × `factor` × 2^`shift`, rounded down; `None` from 2^256 on.
fn scale(value: U256, factor: u64, shift: i128) -> Option<U256> {
    let (carry, low) = value.widening_mul(factor);
    if shift >= 0 {
        let shift = u32::try_from(shift).ok()?;
        let fits = carry == 0 && low.bit_length().checked_add(shift)? <= 256;
        return (fits || low == U256::ZERO).then(|| low.shifted_up(shift));
    }
    let down = u32::try_from(-shift).unwrap_or(u32::MAX);
    if down < 64 && carry >> down != 0 {
        return None;
    }
    let high = if down < 256 {
        U256::from_u64(carry).shifted_up(256 - down)
    } else {
        U256::from_u64(carry).shifted_down(down - 256)
    };
    low.shifted_down(down).checked_add(high)
}
