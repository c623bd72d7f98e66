//! The scenario of the tutorial, with wallets on four nodes and one chain.

use meshline_wallet::verbs::{self, SendOrder};
use meshline_wallet::{Address, WalletError};

use crate::ledger::Ledger;
use crate::support::{Home, coins, prefix};

fn new(home: &mut Home) -> Address {
    let document = home.open(|access| verbs::new(access, prefix(), None)).unwrap();
    Address::parse(&document.address, prefix()).unwrap()
}

fn send(home: &mut Home, chain: &mut Ledger, from: Address, to: Address, amount: &str) {
    let order = SendOrder { from: Some(from), to, amount: coins(amount), rate: None };
    let document = home.open(|access| verbs::send(access, chain, &order)).unwrap();
    assert_eq!(document.fee, "0");
    assert!(document.words().starts_with("Success!\n"));
}

/// What the tutorial prints for each address.
fn balances(chain: &Ledger, addresses: &[Address]) -> Vec<String> {
    let balance = |address| verbs::balance(chain, address).unwrap().words();
    let prefix = |address: &Address| format!("Balance of '{address}': ");
    addresses.iter().map(|address| balance(address).strip_prefix(&prefix(address)).unwrap().to_owned()).collect()
}

#[test]
fn the_balances_of_the_tutorial_come_out() {
    let mut chain = Ledger::new(0);
    let (mut central, mut wallets, mut miner) = (Home::seeded(1), Home::seeded(2), Home::seeded(3));
    let (central_address, miner_address) = (new(&mut central), new(&mut miner));
    let w: Vec<Address> = (0..4).map(|_| new(&mut wallets)).collect();
    chain.mine(central_address.lock, "10");
    send(&mut central, &mut chain, central_address, w[0], "10");
    chain.mine(central_address.lock, "10");
    send(&mut central, &mut chain, central_address, w[1], "10");
    chain.mine(central_address.lock, "10");
    assert_eq!(balances(&chain, &[w[0], w[1], central_address]), ["10", "10", "10"]);
    send(&mut wallets, &mut chain, w[0], w[2], "1");
    send(&mut wallets, &mut chain, w[1], w[3], "1");
    chain.mine(miner_address.lock, "10");
    let all = [w[0], w[1], w[2], w[3], miner_address, central_address];
    assert_eq!(balances(&chain, &all), ["9", "9", "1", "1", "10", "10"]);
}

#[test]
fn what_was_sent_and_not_mined_is_gone_at_once_and_its_change_is_there() {
    let mut chain = Ledger::new(0);
    let (mut home, mut other) = (Home::seeded(1), Home::seeded(2));
    let (from, to) = (new(&mut home), new(&mut other));
    chain.mine(from.lock, "10");
    send(&mut home, &mut chain, from, to, "1");
    send(&mut home, &mut chain, from, to, "2");
    let mine = verbs::balance(&chain, &from).unwrap();
    assert_eq!((mine.balance.as_str(), mine.unconfirmed.as_str(), mine.pending.as_str()), ("7", "7", "0"));
    let theirs = verbs::balance(&chain, &to).unwrap();
    assert_eq!((theirs.balance.as_str(), theirs.pending.as_str()), ("0", "3"));
    assert_eq!(theirs.words(), format!("Balance of '{to}': 0\n3 more waits for a block"));
    let order = SendOrder { from: Some(to), to: from, amount: coins("1"), rate: None };
    let refusal = other.open(|access| verbs::send(access, &mut chain, &order)).unwrap_err();
    assert!(matches!(refusal, WalletError::Refused(_)));
    assert_eq!(refusal.to_string(), format!("{to} has 0, needs 1; 3 more waits for a block"));
}
