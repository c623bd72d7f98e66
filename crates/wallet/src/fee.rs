//! What a transaction costs: its size times a rate, rounded up.

use meshline_ledger::{Amount, OutPoint, TxOut};

/// Bytes of an input: which output, the key, the signature.
pub const INPUT_SIZE: u64 = OutPoint::SIZE as u64 + 32 + 64;

/// Bytes of an output.
pub const OUTPUT_SIZE: u64 = TxOut::SIZE as u64;

/// Version and lock time.
const FRAME_SIZE: u64 = 4 + 4;

/// From this many items on their count takes three bytes.
const LONG_COUNT: u64 = 253;

/// Base units for 1,000 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FeeRate(pub u64);

impl FeeRate {
    /// The fee for so many bytes, rounded up; `None` if it is more than there is money.
    #[must_use]
    pub fn fee(self, bytes: u64) -> Option<Amount> {
        let units = (u128::from(self.0) * u128::from(bytes)).div_ceil(1_000);
        Amount::from_units(u64::try_from(units).ok()?).ok()
    }
}

/// Bytes of a transaction with so many inputs and outputs.
#[must_use]
pub const fn size(inputs: u64, outputs: u64) -> u64 {
    FRAME_SIZE + count_size(inputs) + inputs * INPUT_SIZE + count_size(outputs) + outputs * OUTPUT_SIZE
}

const fn count_size(count: u64) -> u64 {
    if count < LONG_COUNT { 1 } else { 3 }
}
