//! Payments: signed, conserving, and refused in words that help.

use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::{Amount, Lock, Transaction, TxIn};
use meshline_wallet::chain::Chain;
use meshline_wallet::coin::{Coin, CoinState};
use meshline_wallet::fee::FeeRate;
use meshline_wallet::keys::Branch;
use meshline_wallet::payment::{MAX_FEE, Order, Payment, Refusal};
use meshline_wallet::{Terms, Wallet};

use crate::ledger::Ledger;
use crate::support::{Seeded, address, coins, stranger, units, wallet};

fn order(from: Option<Lock>, amount: Amount) -> Order {
    Order { from, to: stranger(1), amount, rate: None }
}

/// A wallet with some rewards on its first addresses, of which all can be spent.
fn funded(ledger: &mut Ledger, rewards: &[&str]) -> (Wallet, Vec<Lock>) {
    let mut wallet = wallet();
    let locks: Vec<Lock> = rewards.iter().map(|_| wallet.next(Branch::Receive).unwrap()).collect();
    for (lock, reward) in locks.iter().zip(rewards) {
        ledger.mine(*lock, reward);
    }
    (wallet, locks)
}

fn pay(wallet: &mut Wallet, ledger: &Ledger, order: &Order) -> Result<Payment, Refusal> {
    let coins = ledger.coins(&wallet.locks()).unwrap();
    wallet.pay(&coins, order, &ledger.terms().unwrap())
}

fn conserved(payment: &Payment) {
    let sum = |amounts: Vec<Amount>| amounts.into_iter().map(Amount::units).sum::<u64>();
    let inputs = sum(payment.spent.iter().map(|output| output.amount).collect());
    let outputs = sum(payment.transaction.outputs.iter().map(|output| output.amount).collect());
    assert_eq!(inputs, outputs + payment.fee.units());
}

#[test]
fn random_payments_are_accepted_and_no_unit_is_lost() {
    println!("seed 31");
    let mut random = Seeded::new(31);
    let mut ledger = Ledger::new(20_000);
    let (mut wallet, locks) = funded(&mut ledger, &["10", "0.5", "0.0001", "3", "7.00000001"]);
    let (mut paid, mut refused) = (0, 0);
    for round in 0_u32..120 {
        let from = (random.below(2) == 0).then(|| locks[random.below(5) as usize]);
        let most = [2_000, 200_000_000, 900_000_000][random.below(3) as usize];
        let amount = units(1 + random.below(most));
        match pay(&mut wallet, &ledger, &order(from, amount)) {
            Ok(payment) => {
                conserved(&payment);
                let change = payment.change.map(|change| change.lock);
                assert!(change.is_none_or(|lock| wallet.is_own(&lock) && from.is_none_or(|from| from == lock)));
                assert_eq!(Transaction::decode(&payment.transaction.encode()).unwrap(), payment.transaction);
                ledger.submit(&payment.transaction).unwrap();
                paid += 1;
            }
            Err(Refusal::NotEnough(_) | Refusal::Dust { .. }) => refused += 1,
            Err(refusal) => panic!("{refusal}"),
        }
        if round % 4 == 3 {
            ledger.mine(locks[random.below(5) as usize], "2");
        }
    }
    println!("{paid} paid, {refused} refused");
    assert!(paid > 60 && refused > 5, "{paid} {refused}");
    ledger.mine(stranger(9), "0");
    let rewards = coins("20.50010001").units() + 30 * coins("2").units();
    assert_eq!(ledger.total(), rewards, "fees go to miners, so all rewards are still there");
}

#[test]
fn the_same_payment_is_the_same_bytes_at_every_run() {
    let bytes = || {
        let mut ledger = Ledger::new(1_000);
        let (mut wallet, _) = funded(&mut ledger, &["1", "1", "1", "4"]);
        pay(&mut wallet, &ledger, &order(None, coins("2.5"))).unwrap().transaction.encode()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn no_field_of_a_signed_transaction_can_be_altered() {
    let mut ledger = Ledger::new(1_000);
    let (mut wallet, _) = funded(&mut ledger, &["5", "5"]);
    let good = pay(&mut wallet, &ledger, &order(None, coins("8"))).unwrap().transaction;
    let mut alterations: Vec<Transaction> = Vec::new();
    let mut altered = |change: &dyn Fn(&mut Transaction)| {
        let mut transaction = good.clone();
        change(&mut transaction);
        alterations.push(transaction);
    };
    altered(&|transaction| transaction.version = 2);
    altered(&|transaction| transaction.lock_time = 1);
    altered(&|transaction| transaction.outputs[0].amount = units(1));
    altered(&|transaction| transaction.outputs[0].lock = stranger(7));
    altered(&|transaction| transaction.outputs.swap(0, 1));
    altered(&|transaction| transaction.outputs.truncate(1));
    altered(&|transaction| transaction.inputs.truncate(1));
    altered(&|transaction| transaction.inputs.swap(0, 1));
    for transaction in alterations {
        assert!(ledger.submit(&transaction).is_err(), "{transaction:?}");
    }
    ledger.terms.chain.0[0] ^= 1;
    assert!(ledger.submit(&good).is_err(), "on another chain");
    ledger.terms.chain.0[0] ^= 1;
    ledger.submit(&good).unwrap();
}

#[test]
fn change_goes_back_to_the_payer_or_to_a_new_address() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, locks) = funded(&mut ledger, &["10", "10"]);
    let from = pay(&mut wallet, &ledger, &order(Some(locks[1]), coins("1"))).unwrap();
    assert_eq!(from.change.map(|change| (change.lock, change.amount)), Some((locks[1], coins("9"))));
    assert_eq!(wallet.secrets().change, 0);
    let any = pay(&mut wallet, &ledger, &order(None, coins("11"))).unwrap();
    let change = any.change.unwrap();
    assert_eq!((wallet.handed_out(Branch::Change), change.amount), ([change.lock].as_slice(), coins("9")));
}

#[test]
fn only_the_payers_coins_are_spent() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, locks) = funded(&mut ledger, &["10", "4"]);
    let payment = pay(&mut wallet, &ledger, &order(Some(locks[1]), coins("3"))).unwrap();
    assert!(payment.spent.iter().all(|output| output.lock == locks[1]));
}

#[test]
fn confirmed_coins_come_first_and_own_change_is_used_when_it_must() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, locks) = funded(&mut ledger, &["10", "5"]);
    let first = pay(&mut wallet, &ledger, &order(Some(locks[0]), coins("1"))).unwrap().transaction;
    ledger.submit(&first).unwrap();
    let spends = |payment: &Payment, txid| payment.transaction.spends().any(|outpoint| outpoint.txid == txid);
    let small = pay(&mut wallet, &ledger, &order(None, coins("4"))).unwrap();
    assert!(!spends(&small, first.txid()));
    let large = pay(&mut wallet, &ledger, &order(None, coins("12"))).unwrap();
    assert!(spends(&large, first.txid()));
    ledger.submit(&large.transaction).unwrap();
}

#[test]
fn what_a_stranger_has_only_announced_is_not_spent() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, locks) = funded(&mut ledger, &["9"]);
    let mut announced = pay(&mut wallet, &ledger, &order(None, coins("9"))).unwrap();
    announced.transaction.outputs[0].lock = locks[0];
    announced.spent[0].lock = stranger(3);
    let mut ledger = Ledger::new(0);
    ledger.mine(locks[0], "1");
    ledger.push_pending(announced.transaction, announced.spent);
    let refusal = pay(&mut wallet, &ledger, &order(None, coins("2"))).unwrap_err();
    assert_eq!(refusal.to_string(), "the wallet has 1, needs 2; 9 more waits for a block");
}

#[test]
fn a_shortage_is_told_with_what_is_there_and_what_it_takes() {
    let mut ledger = Ledger::new(500_000);
    let (mut wallet, locks) = funded(&mut ledger, &["9"]);
    let refusal = pay(&mut wallet, &ledger, &order(Some(locks[0]), coins("10"))).unwrap_err();
    assert_eq!(refusal.to_string(), format!("{} has 9, needs 10 and 0.000855 fee", address(locks[0])));
    let mut rich = Order { rate: Some(FeeRate(584_796)), ..order(Some(locks[0]), coins("10")) };
    let refusal = pay(&mut wallet, &ledger, &rich).unwrap_err();
    assert!(refusal.to_string().ends_with(" has 9, needs 10 and 0.00100001 fee"), "{refusal}");
    rich.rate = Some(FeeRate(0));
    let refusal = pay(&mut wallet, &ledger, &rich).unwrap_err();
    assert!(refusal.to_string().ends_with(" has 9, needs 10"), "{refusal}");
}

#[test]
fn the_fee_alone_can_be_what_is_missing() {
    let mut ledger = Ledger::new(500_000);
    let (mut wallet, locks) = funded(&mut ledger, &["10"]);
    let refusal = pay(&mut wallet, &ledger, &order(Some(locks[0]), coins("10"))).unwrap_err();
    assert!(refusal.to_string().ends_with(" has 10, needs 10 and 0.000855 fee"), "{refusal}");
    let all = order(Some(locks[0]), coins("9.999145"));
    let payment = pay(&mut wallet, &ledger, &all).unwrap();
    assert_eq!((payment.fee, payment.change), (coins("0.000855"), None));
    ledger.submit(&payment.transaction).unwrap();
}

#[test]
fn rewards_that_have_to_rest_are_told_and_not_spent() {
    let mut ledger = Ledger::new(0);
    ledger.maturity = 100;
    let (mut wallet, _) = funded(&mut ledger, &["10", "10"]);
    let refusal = pay(&mut wallet, &ledger, &order(None, coins("1"))).unwrap_err();
    assert_eq!(refusal.to_string(), "the wallet has 0, needs 1; 20 more can be spent from block 101 on");
    (0..98).for_each(|_| ledger.mine(stranger(1), "0"));
    let payment = pay(&mut wallet, &ledger, &order(None, coins("1"))).unwrap();
    ledger.submit(&payment.transaction).unwrap();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut ledger = Ledger::new(10_000);
    let (mut wallet, _) = funded(&mut ledger, &["10"]);
    let refusal = pay(&mut wallet, &ledger, &order(Some(stranger(5)), coins("1"))).unwrap_err();
    assert_eq!(refusal.to_string(), format!("{} is not an address of this wallet", address(stranger(5))));
    assert_eq!(pay(&mut wallet, &ledger, &order(None, Amount::ZERO)), Err(Refusal::Nothing));
    // At the least rate of 1,000 an input costs 132.
    let dust = pay(&mut wallet, &ledger, &order(None, units(131))).unwrap_err();
    assert_eq!(dust.to_string(), "0.00000131 is too little to send: to spend it again would cost 0.00000132");
    assert!(pay(&mut wallet, &ledger, &order(None, units(132))).is_ok());
}

#[test]
fn a_fee_above_the_highest_is_refused() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, _) = funded(&mut ledger, &["10"]);
    // One input and two outputs: 200 bytes.
    let rate = |units: u64| Order { rate: Some(FeeRate(units)), ..order(None, coins("1")) };
    let highest = pay(&mut wallet, &ledger, &rate(MAX_FEE * 5)).unwrap();
    assert_eq!(highest.fee.units(), MAX_FEE);
    let refusal = pay(&mut wallet, &ledger, &rate(MAX_FEE * 5 + 5)).unwrap_err();
    assert_eq!(refusal.to_string(), "the fee would be more than 0.1: choose a lower rate");
    assert_eq!(pay(&mut wallet, &ledger, &rate(u64::MAX)), Err(Refusal::FeeTooHigh));
}

#[test]
fn outputs_and_inputs_stand_in_an_order_that_tells_nothing() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, _) = funded(&mut ledger, &["1", "2", "3", "4"]);
    for amount in ["0.4", "5.5", "9.9"] {
        let transaction = pay(&mut wallet, &ledger, &order(None, coins(amount))).unwrap().transaction;
        assert!(transaction.outputs.is_sorted() && transaction.spends().is_sorted());
    }
}

#[test]
fn each_input_is_signed_with_its_own_key() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, _) = funded(&mut ledger, &["1", "2"]);
    let payment = pay(&mut wallet, &ledger, &order(None, coins("3"))).unwrap();
    for (input, output) in payment.transaction.inputs.iter().zip(&payment.spent) {
        let TxIn::Spend { key, .. } = input else { panic!("a coinbase") };
        assert!(output.lock.is_opened_by(key));
    }
}

#[test]
fn coins_of_others_are_left_alone_whatever_the_ledger_says() {
    let mut ledger = Ledger::new(0);
    let (mut wallet, _) = funded(&mut ledger, &["1"]);
    let terms: Terms = ledger.terms().unwrap();
    let mut all = ledger.coins(&wallet.locks()).unwrap();
    let foreign =
        Coin { lock: stranger(4), amount: coins("50"), state: CoinState::Confirmed { height: 1 }, ..all[0].clone() };
    all.push(foreign);
    let refusal = wallet.pay(&all, &order(None, coins("2")), &terms).unwrap_err();
    assert_eq!(refusal.to_string(), "the wallet has 1, needs 2");
}
