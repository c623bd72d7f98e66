//! Coin selection over random purses: never too little, never lost, always the same.

use meshline_ledger::{Amount, OutPoint, Txid};
use meshline_wallet::fee::{FeeRate, INPUT_SIZE, OUTPUT_SIZE, size};
use meshline_wallet::select::{Candidate, MAX_SELECTED, SelectError, Selection, Wanted, select};

use crate::support::{Seeded, units};

fn coin(number: u64, amount: u64) -> Candidate {
    let mut txid = [0; 32];
    txid[..8].copy_from_slice(&number.to_le_bytes());
    Candidate { amount: units(amount), outpoint: OutPoint { txid: Txid(txid), index: 0 } }
}

fn purse(amounts: &[u64]) -> Vec<Candidate> {
    (0..).zip(amounts).map(|(number, amount)| coin(number, *amount)).collect()
}

fn wanted(amount: u64, rate: u64) -> Wanted {
    let least_change = FeeRate(rate).fee(INPUT_SIZE).unwrap().max(units(1));
    Wanted { amount: units(amount), rate: FeeRate(rate), least_change }
}

fn total(coins: &[Candidate]) -> u64 {
    coins.iter().map(|coin| coin.amount.units()).sum()
}

/// What must hold of every selection.
fn check(selection: &Selection, coins: &[Candidate], wanted: &Wanted) {
    let Selection { inputs, change, fee } = selection;
    let change_units = change.map_or(0, Amount::units);
    assert_eq!(total(inputs), wanted.amount.units() + change_units + fee.units(), "inputs are outputs and fee");
    assert!(inputs.iter().all(|input| coins.contains(input)), "only what is there");
    assert!(inputs.windows(2).all(|pair| pair[0].outpoint < pair[1].outpoint), "in order and none twice");
    assert!(!inputs.is_empty() && inputs.len() <= MAX_SELECTED);
    assert!(change.is_none_or(|change| change >= wanted.least_change), "change is worth having");
    let outputs = 1 + u64::from(change.is_some());
    let due = wanted.rate.fee(size(inputs.len() as u64, outputs)).unwrap();
    assert!(*fee >= due, "the fee is paid");
    // With change the fee is what is due; without, at most what change would have cost or been too little for.
    let spare = if change.is_some() { 0 } else { spare(wanted) + inputs.len() as u64 + 2 };
    assert!(fee.units() <= due.units() + spare, "{fee} for {due}");
}

fn spare(wanted: &Wanted) -> u64 {
    let fee = |bytes| wanted.rate.fee(bytes).unwrap().units();
    fee(OUTPUT_SIZE) + fee(INPUT_SIZE).max(wanted.least_change.units()) + fee(2)
}

/// A purse and a payment of every kind: few coins and many, equal ones, dust, with and without a fee.
fn random_case(random: &mut Seeded) -> (Vec<Candidate>, Wanted) {
    let count = 1 + random.below(60);
    let step = [1, 50_000_000, 1_000_000_000][random.below(3) as usize];
    let amounts: Vec<u64> = (0..count).map(|_| step * random.below(1 + 10_000 / step.min(2_000))).collect();
    let coins = purse(&amounts);
    let rate = [0, 1, 999, 1_000, 25_000, 3_000_000][random.below(6) as usize];
    let amount = 1 + random.below(2 + total(&coins));
    (coins, wanted(amount, rate))
}

#[test]
fn what_is_chosen_pays_exactly_and_what_is_refused_could_not_be_paid() {
    println!("seed 21");
    let mut random = Seeded::new(21);
    let (mut paid, mut without_change) = (0, 0);
    for _ in 0..3_000 {
        let (coins, wanted) = random_case(&mut random);
        match select(&coins, &wanted) {
            Ok(selection) => {
                check(&selection, &coins, &wanted);
                paid += 1;
                without_change += u32::from(selection.change.is_none());
            }
            Err(SelectError::NotEnough(_)) => assert!(cannot_pay(&coins, &wanted), "{coins:?} {wanted:?}"),
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("{paid} paid, {without_change} without change");
    assert!(paid > 1_000 && without_change > 50 && paid < 2_900, "{paid} {without_change}");
}

/// Whether even all coins that are worth their input do not pay.
fn cannot_pay(coins: &[Candidate], wanted: &Wanted) -> bool {
    let cost = wanted.rate.fee(INPUT_SIZE).unwrap();
    let mut useful: Vec<Candidate> = coins.iter().filter(|coin| coin.amount > cost).copied().collect();
    useful.sort_by_key(|coin| std::cmp::Reverse(coin.amount));
    (1..=useful.len()).all(|count| {
        let fee = wanted.rate.fee(size(count as u64, 1)).unwrap();
        total(&useful[..count]) < wanted.amount.units() + fee.units()
    })
}

#[test]
fn the_order_of_the_coins_does_not_matter() {
    println!("seed 22");
    let mut random = Seeded::new(22);
    for _ in 0..300 {
        let (mut coins, wanted) = random_case(&mut random);
        let first = select(&coins, &wanted);
        for _ in 0..3 {
            for index in (1..coins.len()).rev() {
                coins.swap(index, random.below(index as u64 + 1) as usize);
            }
            assert_eq!(select(&coins, &wanted), first);
        }
    }
}

/// Small purses can be tried out wholly: if some coins come to the payment within the window, so do the chosen ones, and
/// none leave less over.
#[test]
fn no_other_coins_leave_less_over() {
    println!("seed 23");
    let mut random = Seeded::new(23);
    let mut exact = 0;
    for _ in 0..800 {
        let amounts: Vec<u64> = (0..1 + random.below(10)).map(|_| 500 + random.below(40) * 100).collect();
        let coins = purse(&amounts);
        let wanted = wanted(1 + random.below(1 + total(&coins)), [0, 1_000][random.below(2) as usize]);
        let least = least_over(&coins, &wanted);
        let chosen = select(&coins, &wanted);
        let Some(least) = least else { continue };
        let selection = chosen.unwrap();
        assert_eq!(selection.change, None, "{amounts:?} {wanted:?}");
        assert_eq!(over(&selection.inputs, &wanted), Some(least), "{amounts:?} {wanted:?}");
        exact += 1;
    }
    println!("{exact} without change");
    assert!(exact > 100);
}

/// What the coins are worth beyond the payment; `None` if less.
fn over(coins: &[Candidate], wanted: &Wanted) -> Option<u64> {
    let input = wanted.rate.fee(INPUT_SIZE).unwrap().units();
    let target = wanted.amount.units() + wanted.rate.fee(size(0, 1)).unwrap().units();
    (total(coins) - input * coins.len() as u64).checked_sub(target)
}

fn least_over(coins: &[Candidate], wanted: &Wanted) -> Option<u64> {
    let fee = |bytes| wanted.rate.fee(bytes).unwrap().units();
    let window = fee(INPUT_SIZE) + fee(OUTPUT_SIZE);
    let subsets = (1_u32..1 << coins.len()).filter_map(|mask| {
        let chosen: Vec<Candidate> =
            (0..coins.len()).filter(|bit| mask & (1 << bit) != 0).map(|bit| coins[bit]).collect();
        over(&chosen, wanted)
    });
    subsets.filter(|over| *over <= window).min()
}

#[test]
fn equal_coins_are_chosen_by_their_outpoints() {
    let coins = purse(&[1_000; 40]);
    let selection = select(&coins, &wanted(3_000, 0)).unwrap();
    assert_eq!(selection.inputs, coins[..3]);
    assert_eq!((selection.change, selection.fee), (None, Amount::ZERO));
}

#[test]
fn the_smallest_single_coin_that_leaves_change_pays() {
    let coins = purse(&[9_000, 700, 5_000, 2_500, 300]);
    let selection = select(&coins, &wanted(2_000, 0)).unwrap();
    assert_eq!((selection.inputs, selection.change), (vec![coins[3]], Some(units(500))));
}

#[test]
fn coins_that_cost_more_than_they_hold_are_left() {
    // An input costs 132 at this rate, so each of these would make the payer poorer.
    let mut coins = purse(&[132; 50]);
    assert!(matches!(select(&coins, &wanted(1, 1_000)), Err(SelectError::NotEnough(_))));
    coins.push(coin(99, 1_000));
    assert_eq!(select(&coins, &wanted(300, 1_000)).unwrap().inputs, [coin(99, 1_000)]);
}

#[test]
fn change_is_kept_from_the_least_on_and_given_to_the_miner_below() {
    // One input and two outputs: 200 bytes, at one unit each; a further input would cost 132.
    let rest = |rest: u64| {
        let coins = purse(&[10_000 + size(1, 2) + rest]);
        select(&coins, &Wanted { least_change: units(500), ..wanted(10_000, 1_000) }).unwrap()
    };
    assert_eq!((rest(500).change, rest(500).fee), (Some(units(500)), units(size(1, 2))));
    assert_eq!((rest(499).change, rest(499).fee), (None, units(size(1, 2) + 499)));
}

#[test]
fn one_transaction_takes_the_most_inputs_and_says_what_it_can_carry() {
    let coins = purse(&vec![1_000; MAX_SELECTED + 200]);
    let most = MAX_SELECTED as u64 * 1_000;
    assert_eq!(select(&coins, &wanted(most, 0)).unwrap().inputs.len(), MAX_SELECTED);
    assert_eq!(select(&coins, &wanted(most + 1, 0)), Err(SelectError::TooMany(units(most))));
    assert_eq!(select(&coins, &wanted(most + 200_001, 0)), Err(SelectError::NotEnough(Amount::ZERO)));
    let carried = match select(&coins, &wanted(most, 1_000)) {
        Err(SelectError::TooMany(carried)) => carried,
        other => panic!("{other:?}"),
    };
    check(&select(&coins, &wanted(carried.units(), 1_000)).unwrap(), &coins, &wanted(carried.units(), 1_000));
}

#[test]
fn a_full_transaction_is_as_large_as_the_ledger_allows_and_no_larger() {
    use meshline_ledger::transaction::MAX_TRANSACTION_SIZE;
    assert!(size(MAX_SELECTED as u64, 2) <= MAX_TRANSACTION_SIZE as u64);
    assert!(size(MAX_SELECTED as u64 + 1, 2) > MAX_TRANSACTION_SIZE as u64);
}

/// What nobody can find in time must end all the same: many coins that nearly fit, and no exact sum.
#[test]
fn a_search_without_end_is_ended() {
    let amounts: Vec<u64> = (0..4_000).map(|number| 2 * (1_000_000 + number)).collect();
    let coins = purse(&amounts);
    let wanted = wanted(1_001 + total(&coins[..700]), 0);
    check(&select(&coins, &wanted).unwrap(), &coins, &wanted);
}

#[test]
fn a_rate_beyond_all_money_is_refused() {
    let coins = purse(&[1_000_000]);
    let wanted = Wanted { rate: FeeRate(u64::MAX), ..wanted(1, 0) };
    assert_eq!(select(&coins, &wanted), Err(SelectError::FeeTooHigh));
}

#[test]
fn fees_are_rounded_up() {
    assert_eq!([0, 1, 1_000, 1_001].map(|bytes| FeeRate(1).fee(bytes).unwrap().units()), [0, 1, 1, 2]);
    assert_eq!(FeeRate(0).fee(1_000_000), Some(Amount::ZERO));
    assert_eq!(FeeRate(u64::MAX).fee(u64::MAX), None);
}
