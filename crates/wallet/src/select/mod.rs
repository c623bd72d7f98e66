//! Which coins pay: those that need no change, found by branch and bound, or else few ones.
//!
//! The answer depends on the coins alone, not on their order: they are sorted by amount, equal ones by outpoint. What is
//! chosen always equals payment, change and fee together; [`Selection`] cannot be made otherwise.

mod exact;

use meshline_ledger::transaction::{MAX_INPUTS, MAX_TRANSACTION_SIZE};
use meshline_ledger::{Amount, OutPoint};

use crate::fee::{FeeRate, INPUT_SIZE, OUTPUT_SIZE, size};

/// Most inputs of one payment: what the ledger allows, and what fits beside two outputs.
pub const MAX_SELECTED: usize = {
    let fitting = (MAX_TRANSACTION_SIZE as u64 - size(0, 2) - 2) / INPUT_SIZE;
    (if fitting < MAX_INPUTS { fitting } else { MAX_INPUTS }) as usize
};

/// A coin that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// How much it holds.
    pub amount: Amount,
    /// Which one it is.
    pub outpoint: OutPoint,
}

/// What is to be paid, and at which cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// To the one who is paid, in one output.
    pub amount: Amount,
    /// What the transaction costs.
    pub rate: FeeRate,
    /// The least change worth an output; less is added to the fee.
    pub least_change: Amount,
}

/// Coins and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What is spent, in the order of outpoints.
    pub inputs: Vec<Candidate>,
    /// What comes back.
    pub change: Option<Amount>,
    /// What remains for the miner.
    pub fee: Amount,
}

/// Why no coins were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectError {
    /// All coins together do not suffice; the fee would be this.
    NotEnough(Amount),
    /// They would, but not in one transaction; this is the most it can carry.
    TooMany(Amount),
    /// The fee would be more than there is money.
    FeeTooHigh,
}

/// Chooses coins for a payment.
///
/// # Errors
/// [`SelectError`].
pub fn select(candidates: &[Candidate], wanted: &Wanted) -> Result<Selection, SelectError> {
    let costs = Costs::new(wanted, candidates.len()).ok_or(SelectError::FeeTooHigh)?;
    let mut coins: Vec<Candidate> =
        candidates.iter().filter(|coin| coin.amount.units() > costs.input).copied().collect();
    coins.sort_by(|a, b| b.amount.cmp(&a.amount).then(a.outpoint.cmp(&b.outpoint)));
    let chosen = exact::search(&coins, &costs);
    if let Some(selection) = chosen.and_then(|chosen| Selection::new(chosen, wanted, Change::None)) {
        return Ok(selection);
    }
    let chosen = smallest_single(&coins, &costs).or_else(|| largest_first(&coins, wanted));
    chosen
        .and_then(|chosen| Selection::new(chosen, wanted, Change::IfWorthIt))
        .ok_or_else(|| refuse(&coins, candidates, wanted))
}

/// What the parts of a transaction cost, in base units.
struct Costs {
    /// What the chosen coins must hold beyond what they cost themselves.
    target: u64,
    /// One more input.
    input: u64,
    /// What may be given to the miner instead of as change: what change costs now and once it is spent.
    window: u64,
    /// Beyond the target: enough for a change output and the least in it.
    change: u64,
}

impl Costs {
    fn new(wanted: &Wanted, candidates: usize) -> Option<Self> {
        let fee = |bytes| wanted.rate.fee(bytes).map(Amount::units);
        // As if the count of inputs were long where it may be.
        let longer = if candidates < 253 { 0 } else { 2 };
        let (input, output) = (fee(INPUT_SIZE)?, fee(OUTPUT_SIZE)?);
        Some(Self {
            target: wanted.amount.units() + fee(size(0, 1) + longer)?,
            input,
            window: output + input,
            change: output + wanted.least_change.units(),
        })
    }
}

/// The smallest coin that pays alone and leaves change worth having.
fn smallest_single(coins: &[Candidate], costs: &Costs) -> Option<Vec<Candidate>> {
    let enough = costs.target + costs.input + costs.change;
    coins.iter().rev().find(|coin| coin.amount.units() >= enough).map(|coin| vec![*coin])
}

/// The fewest coins that pay: the largest ones.
fn largest_first(coins: &[Candidate], wanted: &Wanted) -> Option<Vec<Candidate>> {
    let mut sum = Amount::ZERO;
    for (number, coin) in (1..).zip(coins).take(MAX_SELECTED) {
        sum = sum.checked_add(coin.amount)?;
        let needed = wanted.amount.checked_add(wanted.rate.fee(size(number, 1))?)?;
        if sum >= needed {
            return coins.get(..usize::try_from(number).ok()?).map(<[Candidate]>::to_vec);
        }
    }
    None
}

/// Whether a change output is considered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    IfWorthIt,
}

impl Selection {
    /// Divides what the inputs hold; `None` if it is less than payment and fee.
    fn new(mut inputs: Vec<Candidate>, wanted: &Wanted, change: Change) -> Option<Self> {
        inputs.sort_by_key(|coin| coin.outpoint);
        let count = u64::try_from(inputs.len()).ok()?;
        let sum = Amount::checked_sum(inputs.iter().map(|coin| coin.amount))?;
        let left = sum.checked_sub(wanted.amount)?;
        let with_change = wanted.rate.fee(size(count, 2)).and_then(|fee| Some((fee, left.checked_sub(fee)?)));
        match with_change.filter(|(_, rest)| change == Change::IfWorthIt && *rest >= wanted.least_change) {
            Some((fee, rest)) => Some(Self { inputs, change: Some(rest), fee }),
            None if left >= wanted.rate.fee(size(count, 1))? => Some(Self { inputs, change: None, fee: left }),
            None => None,
        }
    }
}

fn refuse(coins: &[Candidate], all: &[Candidate], wanted: &Wanted) -> SelectError {
    let fee_of = |count: usize| u64::try_from(count).ok().and_then(|count| wanted.rate.fee(size(count.max(1), 1)));
    let sum = |coins: &[Candidate]| coins.iter().map(|coin| u128::from(coin.amount.units())).sum::<u128>();
    // Without a coin that pays for itself the fee is told as if there were one.
    let Some(fee) = fee_of(coins.len().min(MAX_SELECTED)) else { return SelectError::FeeTooHigh };
    let needed = u128::from(wanted.amount.units()) + u128::from(fee.units());
    if coins.len() <= MAX_SELECTED || sum(all) < needed {
        return SelectError::NotEnough(fee);
    }
    let most = coins.get(..MAX_SELECTED).map(sum).unwrap_or_default().saturating_sub(fee.units().into());
    let most = u64::try_from(most).ok().and_then(|units| Amount::from_units(units).ok());
    SelectError::TooMany(most.unwrap_or(Amount::MAX))
}
