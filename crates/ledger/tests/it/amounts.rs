//! Amounts: written with eight decimals, read strictly, never above the limit.

use meshline_ledger::amount::{AmountError, COIN, MAX_MONEY, Total};
use meshline_ledger::{Amount, Params};

use crate::support::{coins, params, units};

#[test]
fn amounts_are_written_without_needless_zeros() {
    for (amount, text) in [(0, "0"), (1, "0.00000001"), (COIN / 10, "0.1"), (10 * COIN, "10"), (MAX_MONEY, "21000000")]
    {
        assert_eq!(units(amount).to_string(), text);
    }
    assert_eq!(units(100_100_000).to_string(), "1.001");
}

#[test]
fn amounts_are_read_exactly() {
    for (text, amount) in
        [("10", 10 * COIN), ("0.001", 100_000), ("0.10000000", COIN / 10), ("21000000", MAX_MONEY), ("007", 7 * COIN)]
    {
        assert_eq!(text.parse::<Amount>().map(Amount::units), Ok(amount), "{text}");
    }
    for text in ["", ".", "1.", ".5", "-1", "+1", " 1", "1e3", "1_000", "1,5", "0x1", "NaN", "١"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::NotANumber), "{text:?}");
    }
    assert_eq!("0.000000001".parse::<Amount>(), Err(AmountError::TooManyDecimals));
    for text in ["21000000.00000001", "184467440737.09551616", "99999999999999999999999999"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::TooLarge), "{text}");
    }
}

#[test]
fn sums_end_at_the_limit() {
    assert_eq!(Amount::MAX.checked_add(units(0)), Some(Amount::MAX));
    assert_eq!(Amount::MAX.checked_add(units(1)), None);
    assert_eq!(Amount::checked_sum([Amount::MAX, units(1)]), None);
    assert_eq!(Amount::from_units(MAX_MONEY + 1), Err(AmountError::TooLarge));
    assert_eq!(units(1).checked_sub(units(2)), None);
    // What many outputs come to in all has no such limit.
    let total: Total = [Amount::MAX, Amount::MAX].into_iter().sum();
    assert_eq!(total.to_string(), "42000000");
}

#[test]
fn the_subsidy_is_halved_until_nothing_is_left() {
    let halving = Params { halving_interval: 10, ..params() };
    let at = |height| halving.subsidy_at(height);
    assert_eq!(
        [at(0), at(9), at(10), at(19), at(20)],
        [coins(50), coins(50), coins(25), coins(25), units(1_250_000_000)]
    );
    assert_eq!(at(10 * 33), Amount::ZERO);
    assert_eq!(at(10 * 64), Amount::ZERO);
    assert_eq!(at(u32::MAX), Amount::ZERO);
    assert_eq!(params().subsidy_at(u32::MAX), coins(50), "0 stands for never");
}
