//! Whole numbers of 256 bits: targets and sums of work. Only what the rules need, and nothing that can overflow
//! unnoticed.

use std::fmt;

const WORDS: usize = 4;
const WORD_BITS: u32 = 64;
const BITS: u32 = 256;

/// A whole number below 2^256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct U256 {
    /// Least significant first.
    words: [u64; WORDS],
}

impl U256 {
    /// 0.
    pub const ZERO: Self = Self { words: [0; WORDS] };
    /// 1.
    pub const ONE: Self = Self { words: [1, 0, 0, 0] };
    /// 2^256 − 1.
    pub const MAX: Self = Self { words: [u64::MAX; WORDS] };

    /// A number of 64 bits.
    pub const fn from_u64(value: u64) -> Self {
        Self { words: [value, 0, 0, 0] }
    }

    /// A hash read as a number, the last byte the most significant.
    pub fn from_le_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self { words }
    }

    /// 32 bytes, the last the most significant.
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.words) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// How many bits it takes to write the number; 0 for 0.
    pub fn bit_length(self) -> u32 {
        let mut length = 0;
        for (index, word) in (0..).zip(self.words) {
            if word != 0 {
                length = index * WORD_BITS + WORD_BITS - word.leading_zeros();
            }
        }
        length
    }

    /// The lowest 64 bits.
    pub const fn low_u64(self) -> u64 {
        let [low, ..] = self.words;
        low
    }

    /// The nearest double, for people to read.
    pub fn to_f64(self) -> f64 {
        self.words.iter().rev().fold(0.0, |sum, &word| sum * 2f64.powi(64) + word as f64)
    }

    /// The sum, unless it takes more than 256 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut carry = false;
        let mut words = self.words;
        for (word, add) in words.iter_mut().zip(other.words) {
            let (sum, first) = word.overflowing_add(add);
            let (sum, second) = sum.overflowing_add(carry.into());
            (*word, carry) = (sum, first || second);
        }
        (!carry).then_some(Self { words })
    }

    /// The sum, or the largest number.
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(Self::MAX)
    }

    /// The difference, or 0 if `other` is more.
    pub fn saturating_sub(self, other: Self) -> Self {
        if other >= self {
            return Self::ZERO;
        }
        self.wrapping_sub(other)
    }

    /// The product, unless it takes more than 256 bits.
    pub fn checked_mul(self, factor: u64) -> Option<Self> {
        let (carry, product) = self.widening_mul(factor);
        (carry == 0).then_some(product)
    }

    /// The product: what goes beyond 256 bits, and the rest.
    pub fn widening_mul(self, factor: u64) -> (u64, Self) {
        let mut carry = 0u128;
        let mut words = self.words;
        for word in &mut words {
            let product = u128::from(*word) * u128::from(factor) + carry;
            (*word, carry) = (product as u64, product >> WORD_BITS);
        }
        (carry as u64, Self { words })
    }

    /// Bits shifted up are lost, as in C.
    pub fn shifted_up(self, bits: u32) -> Self {
        let mut shifted = Self::ZERO;
        for bit in 0..self.bit_length() {
            let to = bit.saturating_add(bits);
            if self.bit(bit) && to < BITS {
                shifted.set_bit(to);
            }
        }
        shifted
    }

    /// Shifted down.
    pub fn shifted_down(self, bits: u32) -> Self {
        let mut shifted = Self::ZERO;
        for bit in bits..self.bit_length() {
            if self.bit(bit) {
                shifted.set_bit(bit - bits);
            }
        }
        shifted
    }

    /// The quotient rounded down; `None` for a division by 0.
    pub fn checked_div(self, divisor: Self) -> Option<Self> {
        if divisor == Self::ZERO {
            return None;
        }
        let (mut quotient, mut rest) = (Self::ZERO, Self::ZERO);
        for bit in (0..self.bit_length()).rev() {
            let overflows = rest.bit(BITS - 1);
            rest = rest.double();
            if self.bit(bit) {
                rest.set_bit(0);
            }
            if overflows || rest >= divisor {
                rest = rest.wrapping_sub(divisor);
                quotient.set_bit(bit);
            }
        }
        Some(quotient)
    }

    /// All bits turned over: 2^256 − 1 − the number.
    pub fn complement(self) -> Self {
        Self { words: self.words.map(|word| !word) }
    }

    fn bit(self, bit: u32) -> bool {
        let word = self.words.get((bit / WORD_BITS) as usize).copied().unwrap_or(0);
        word >> (bit % WORD_BITS) & 1 == 1
    }

    fn set_bit(&mut self, bit: u32) {
        if let Some(word) = self.words.get_mut((bit / WORD_BITS) as usize) {
            *word |= 1 << (bit % WORD_BITS);
        }
    }

    fn double(self) -> Self {
        let mut carry = 0;
        let mut words = self.words;
        for word in &mut words {
            (*word, carry) = (*word << 1 | carry, *word >> (WORD_BITS - 1));
        }
        Self { words }
    }

    fn wrapping_sub(self, other: Self) -> Self {
        let mut borrow = false;
        let mut words = self.words;
        for (word, sub) in words.iter_mut().zip(other.words) {
            let (difference, first) = word.overflowing_sub(sub);
            let (difference, second) = difference.overflowing_sub(borrow.into());
            (*word, borrow) = (difference, first || second);
        }
        Self { words }
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.words.iter().rev().cmp(other.words.iter().rev())
    }
}

impl PartialOrd for U256 {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// 64 hexadecimal digits, the most significant first.
impl fmt::LowerHex for U256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.iter().rev().try_for_each(|word| write!(out, "{word:016x}"))
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{self:x}")
    }
}
