//! The verbs: what they return, what they leave on the disk, and what they refuse.

use std::fs;

use meshline_wallet::file::{FileError, Place, PlaceError};
use meshline_wallet::history::Kind;
use meshline_wallet::keys::GAP;
use meshline_wallet::payment::Refusal;
use meshline_wallet::verbs::{self, Access, HistoryDocument, NewDocument, SendOrder};
use meshline_wallet::{Address, ChainError, Passphrase, Phrase, WalletError};
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::support::{Home, PHRASE, address, coins, phrase, prefix, stranger};

fn new(home: &mut Home, chain: Option<&Ledger>) -> NewDocument {
    let chain = chain.map(|chain| chain as &dyn meshline_wallet::Chain);
    home.open(|access| verbs::new(access, prefix(), chain)).unwrap()
}

fn parse(text: &str) -> Address {
    Address::parse(text, prefix()).unwrap()
}

fn order(to: Address, amount: &str) -> SendOrder {
    SendOrder { from: None, to, amount: coins(amount), rate: None }
}

fn history(home: &mut Home, chain: &Ledger, limit: usize) -> HistoryDocument {
    home.open(|access| verbs::history(access, chain, limit)).unwrap()
}

#[test]
fn the_first_new_makes_the_wallet_and_shows_its_phrase_once() {
    let mut home = Home::new();
    let first = new(&mut home, None);
    let phrase = first.phrase.clone().unwrap();
    assert_eq!(phrase.split(' ').count(), 12);
    let words = first.words();
    assert!(words.starts_with(&format!("Your new address: {}\n", first.address)) && words.ends_with(phrase.as_str()));
    let json = serde_json::to_value(&first).unwrap();
    let expected = json!({"schema": "meshline/wallet-new/1", "address": first.address, "phrase": phrase.as_str()});
    assert_eq!(json, expected);

    let second = new(&mut home, None);
    assert_ne!(second.address, first.address);
    assert_eq!(second.words().as_str(), format!("Your new address: {}", second.address));
    let json = serde_json::to_value(&second).unwrap();
    assert_eq!(json, json!({"schema": "meshline/wallet-new/1", "address": second.address}));

    let mut restored = Home::new();
    let phrase = Phrase::parse(&phrase).unwrap();
    restored.open(|access| verbs::restore(access, &Ledger::new(0), &phrase, None)).unwrap();
    assert_eq!(new(&mut restored, None).address, first.address);
}

#[test]
fn another_passphrase_neither_opens_nor_makes_anything_over_a_wallet() {
    let mut home = Home::new();
    new(&mut home, None);
    let before = fs::read(home.path()).unwrap();
    let other = Passphrase::new("another".to_owned()).unwrap();
    let error = home.open(|access| {
        let Access { path, cost, .. } = *access;
        let mut access = Access { path, passphrase: &other, cost, random: &mut *access.random };
        verbs::new(&mut access, prefix(), None).unwrap_err()
    });
    assert!(matches!(error, WalletError::File(FileError::WrongPassphrase)), "{error}");
    assert_eq!(fs::read(home.path()).unwrap(), before);
}

#[test]
fn a_wallet_in_use_elsewhere_is_left_alone() {
    let mut home = Home::new();
    let _elsewhere = Place::take(&home.path()).unwrap();
    let error = home.open(|access| verbs::new(access, prefix(), None)).unwrap_err();
    assert!(matches!(error, WalletError::Place(PlaceError::Busy(_))), "{error}");
}

#[test]
fn addresses_beyond_the_gap_are_warned_of() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let first = new(&mut home, Some(&chain));
    chain.mine(parse(&first.address).lock, "10");
    for _ in 0..GAP {
        assert_eq!(new(&mut home, Some(&chain)).warning, None);
    }
    let warning = new(&mut home, Some(&chain)).warning.unwrap();
    assert!(warning.contains("--gap 21"), "{warning}");
}

#[test]
fn the_list_has_every_address_with_its_path_and_what_it_holds() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let (a, b) = (new(&mut home, None).address, new(&mut home, None).address);
    chain.mine(parse(&a).lock, "10");
    chain.mine(parse(&b).lock, "2.5");
    home.open(|access| verbs::send(access, &mut chain, &order(address(stranger(1)), "11"))).unwrap();
    chain.mine(stranger(2), "10");
    let list = home.open(|access| verbs::list(access, prefix(), Some(&chain))).unwrap();
    assert_eq!((list.addresses.len(), list.balance.as_deref()), (3, Some("1.5")));
    let change = list.addresses[2].address.clone();
    let row = |address: &str, path: &str, change: bool, balance: &str| -> Value {
        json!({"address": address, "path": path, "change": change, "balance": balance})
    };
    let expected = json!({"schema": "meshline/wallet-list/1", "balance": "1.5", "addresses": [
        row(&a, "m/44'/1835365224'/0'/0'/0'", false, "0"),
        row(&b, "m/44'/1835365224'/0'/0'/1'", false, "0"),
        row(&change, "m/44'/1835365224'/0'/1'/0'", true, "1.5"),
    ]});
    assert_eq!(serde_json::to_value(&list).unwrap(), expected);
    assert_eq!(list.words(), format!("{a}  0\n{b}  0\n{change}  1.5"));
    let offline = home.open(|access| verbs::list(access, prefix(), None)).unwrap();
    assert_eq!(offline.words(), format!("{a}\n{b}\n{change}"));
}

#[test]
fn the_balance_of_any_address_is_told_without_a_wallet() {
    let mut chain = Ledger::new(0);
    chain.maturity = 3;
    chain.mine(stranger(1), "10");
    chain.mine(stranger(1), "0.00000001");
    let balance = verbs::balance(&chain, &address(stranger(1))).unwrap();
    let expected = json!({
        "schema": "meshline/wallet-balance/1", "address": address(stranger(1)).to_string(), "balance": "0",
        "unconfirmed": "0", "immature": "10.00000001", "mature_at": 4, "pending": "0", "height": 2,
    });
    assert_eq!(serde_json::to_value(&balance).unwrap(), expected);
    assert!(balance.words().ends_with(": 0\n10.00000001 more can be spent from block 4 on"));
    chain.mine(stranger(2), "0");
    assert_eq!(verbs::balance(&chain, &address(stranger(1))).unwrap().balance, "10");
}

#[test]
fn a_payment_is_told_with_its_fee_and_what_came_back() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(1_000));
    let from = new(&mut home, None).address;
    chain.mine(parse(&from).lock, "10");
    let to = address(stranger(1));
    let sent = SendOrder { from: Some(parse(&from)), ..order(to, "9.5") };
    let document = home.open(|access| verbs::send(access, &mut chain, &sent)).unwrap();
    let txid = chain.mempool[0].transaction.txid().to_string();
    let expected = json!({
        "schema": "meshline/wallet-send/1", "txid": txid, "fee": "0.000002", "amount": "9.5", "to": to.to_string(),
        "change": "0.499998", "size": 200,
    });
    assert_eq!(serde_json::to_value(&document).unwrap(), expected);
    assert_eq!(document.words(), format!("Success!\nTransaction {txid}, fee 0.000002"));
}

#[test]
fn change_to_a_new_address_is_on_the_disk_even_if_the_ledger_refuses() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(1_000));
    chain.mine(parse(&new(&mut home, None).address).lock, "10");
    let low = SendOrder { rate: Some(meshline_wallet::fee::FeeRate(1)), ..order(address(stranger(1)), "1") };
    let error = home.open(|access| verbs::send(access, &mut chain, &low)).unwrap_err();
    assert_eq!(error.to_string(), "the ledger refuses the transaction: the fee is too low");
    assert!(chain.mempool.is_empty());
    let list = home.open(|access| verbs::list(access, prefix(), None)).unwrap();
    assert_eq!(list.addresses.iter().filter(|row| row.change).count(), 1);
}

#[test]
fn a_refused_payment_changes_nothing() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let from = new(&mut home, None).address;
    chain.mine(parse(&from).lock, "9");
    let before = fs::read(home.path()).unwrap();
    let error = home.open(|access| verbs::send(access, &mut chain, &order(address(stranger(1)), "10"))).unwrap_err();
    assert!(matches!(error, WalletError::Refused(Refusal::NotEnough(_))));
    assert_eq!(error.to_string(), "the wallet has 9, needs 10");
    assert_eq!((fs::read(home.path()).unwrap(), chain.mempool.len()), (before, 0));
}

#[test]
fn a_quote_tells_what_a_payment_costs_and_changes_nothing() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(1_000));
    let from = new(&mut home, None).address;
    chain.mine(parse(&from).lock, "10");
    let before = fs::read(home.path()).unwrap();
    let to = address(stranger(1));
    let quote = home.open(|access| verbs::quote(access, &chain, &order(to, "9.5"))).unwrap();
    let expected = json!({
        "schema": "meshline/wallet-quote/1", "to": to.to_string(), "amount": "9.5", "fee": "0.000002",
        "total": "9.500002", "change": "0.499998", "size": 200,
    });
    assert_eq!(serde_json::to_value(&quote).unwrap(), expected);
    let low = SendOrder { rate: Some(meshline_wallet::fee::FeeRate(1)), ..order(to, "1") };
    let error = home.open(|access| verbs::quote(access, &chain, &low)).unwrap_err();
    assert!(error.to_string().contains("at least 0.0000002 is asked for 200 bytes"), "{error}");
    let error = home.open(|access| verbs::quote(access, &chain, &order(to, "10"))).unwrap_err();
    assert!(matches!(error, WalletError::Refused(Refusal::NotEnough(_))));
    assert_eq!((fs::read(home.path()).unwrap(), chain.mempool.len()), (before, 0));
}

#[test]
fn who_agreed_to_a_fee_pays_no_more() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(1_000));
    chain.mine(parse(&new(&mut home, None).address).lock, "10");
    let before = fs::read(home.path()).unwrap();
    let (order, fee) = (order(address(stranger(1)), "1"), coins("0.000002"));
    let less = Some(coins("0.00000199"));
    let error = home.open(|access| verbs::send_within(access, &mut chain, &order, less)).unwrap_err();
    assert_eq!(error.to_string(), "the fee would now be 0.000002, more than the 0.00000199 that was agreed to");
    assert_eq!((fs::read(home.path()).unwrap(), chain.mempool.len()), (before, 0));
    home.open(|access| verbs::send_within(access, &mut chain, &order, Some(fee))).unwrap();
    assert_eq!(chain.mempool.len(), 1);
}

#[test]
fn the_history_tells_everything_in_order() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(1_000));
    let a = parse(&new(&mut home, None).address);
    chain.mine(a.lock, "10");
    chain.mine(stranger(1), "10");
    let to = address(stranger(2));
    home.open(|access| verbs::send(access, &mut chain, &SendOrder { from: Some(a), ..order(to, "4") })).unwrap();
    chain.mine(stranger(1), "10");
    home.open(|access| verbs::send(access, &mut chain, &order(a, "1"))).unwrap();
    let all = history(&mut home, &chain, 100);
    let told: Vec<_> = all.history.iter().map(|row| (row.kind, row.amount.as_str(), row.confirmations)).collect();
    assert_eq!(told, [(Kind::Mined, "10", 3), (Kind::Sent, "4", 1), (Kind::Moved, "0", 0)]);
    let row = serde_json::to_value(&all.history[1]).unwrap();
    let expected = json!({
        "txid": all.history[1].txid, "kind": "sent", "amount": "4", "fee": "0.000002", "to": [to.to_string()],
        "height": 3, "time": 1_700_000_003, "confirmations": 1,
    });
    assert_eq!(row, expected);
    assert_eq!((all.balance.as_str(), all.pending.as_str(), all.immature.as_str()), ("5.999996", "0", "0"));
    let words = all.words();
    let lines: Vec<&str> = words.lines().collect();
    assert!(
        lines[0].starts_with("block 1 (3 confirmations)  mined +10  ")
            && lines[2].starts_with("waiting  moved 0 and 0.000002 fee  ")
    );
    assert!(lines[1].starts_with("block 3 (1 confirmation)  sent -4 and 0.000002 fee  "), "{words}");

    let last = history(&mut home, &chain, 1);
    assert_eq!((last.history.as_slice(), last.earlier), (&all.history[2..], 2));
    assert!(last.words().starts_with("2 earlier ones\n"));
    assert_eq!(serde_json::to_value(&last).unwrap()["schema"], "meshline/wallet-history/1");
}

#[test]
fn a_history_has_no_more_rows_than_the_most() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let lock = parse(&new(&mut home, None).address).lock;
    (0..=verbs::MAX_ROWS).for_each(|_| chain.mine(lock, "1"));
    let document = history(&mut home, &chain, usize::MAX);
    assert_eq!((document.history.len(), document.earlier), (verbs::MAX_ROWS, 1));
    assert_eq!(document.history[0].height, Some(2));
}

/// The wallet of the known phrase, with its addresses of these numbers in use, each holding a coin.
fn used(numbers: &[usize]) -> Ledger {
    let mut keys = meshline_wallet::keys::Keys::new(&phrase());
    keys.extend(meshline_wallet::keys::Branch::Receive, 200);
    let mut chain = Ledger::new(0);
    for number in numbers {
        chain.mine(keys.locks(meshline_wallet::keys::Branch::Receive)[*number], "1");
    }
    chain
}

fn restored(chain: &Ledger, gap: Option<u32>) -> (u32, String) {
    let document = Home::new().open(|access| verbs::restore(access, chain, &phrase(), gap)).unwrap();
    (document.addresses, document.balance)
}

#[test]
fn a_restore_finds_what_lies_within_the_gap_and_nothing_beyond() {
    let found = |count, balance: &str| (count, balance.to_owned());
    assert_eq!(restored(&used(&[]), None), found(0, "0"));
    assert_eq!(restored(&used(&[0, 19]), None), found(20, "2"));
    assert_eq!(restored(&used(&[20]), None), found(0, "0"));
    assert_eq!(restored(&used(&[19, 39, 59]), None), found(60, "3"));
    assert_eq!(restored(&used(&[19, 40]), None), found(20, "1"));
    assert_eq!(restored(&used(&[19, 40]), Some(21)), found(41, "2"));
    assert_eq!(restored(&used(&[150]), Some(u32::MAX)), found(151, "1"));
    assert_eq!(restored(&used(&[0, 1]), Some(0)), found(2, "2"));
}

#[test]
fn a_restore_finds_change_too_and_goes_on_where_it_was() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let first = new(&mut home, None);
    chain.mine(parse(&first.address).lock, "10");
    home.open(|access| verbs::send(access, &mut chain, &order(address(stranger(1)), "4"))).unwrap();
    chain.mine(stranger(1), "10");
    let phrase = Phrase::parse(first.phrase.as_ref().unwrap()).unwrap();
    let mut other = Home::new();
    let document = other.open(|access| verbs::restore(access, &chain, &phrase, None)).unwrap();
    let expected = json!({"schema": "meshline/wallet-restore/1", "addresses": 2, "balance": "6", "height": 2});
    assert_eq!(serde_json::to_value(&document).unwrap(), expected);
    assert_eq!(document.words(), "Restored with 2 addresses and a balance of 6, searched up to block 2");
    assert_eq!(new(&mut other, None).address, new(&mut home, None).address);
    home.open(|access| verbs::send(access, &mut chain, &order(address(stranger(1)), "6"))).unwrap();
}

#[test]
fn a_restore_never_takes_the_place_of_a_wallet() {
    let mut home = Home::new();
    new(&mut home, None);
    let before = fs::read(home.path()).unwrap();
    let error = home.open(|access| verbs::restore(access, &Ledger::new(0), &phrase(), None)).unwrap_err();
    assert!(matches!(error, WalletError::Place(PlaceError::Present(_))), "{error}");
    assert_eq!(fs::read(home.path()).unwrap(), before);
}

#[test]
fn a_restore_without_a_ledger_leaves_no_file() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    chain.is_up = false;
    let error = home.open(|access| verbs::restore(access, &chain, &phrase(), None)).unwrap_err();
    assert!(matches!(error, WalletError::Chain(ChainError::Unreachable(_))), "{error}");
    assert!(!home.path().exists());
}

/// The phrase may be in use elsewhere, or a restore came before the chain was here.
#[test]
fn addresses_that_come_into_use_later_are_found_by_the_next_verb() {
    let mut home = Home::new();
    let phrase = Phrase::parse(PHRASE).unwrap();
    home.open(|access| verbs::restore(access, &Ledger::new(0), &phrase, None)).unwrap();
    let chain = used(&[3, 15]);
    let list = home.open(|access| verbs::list(access, prefix(), Some(&chain))).unwrap();
    assert_eq!((list.addresses.len(), list.balance.as_deref()), (16, Some("2")));
    let offline = home.open(|access| verbs::list(access, prefix(), None)).unwrap();
    assert_eq!(offline.addresses.len(), 16, "it was saved");
}

#[test]
fn without_a_wallet_the_verbs_say_how_to_make_one() {
    let (mut home, mut chain) = (Home::new(), Ledger::new(0));
    let errors = [
        home.open(|access| verbs::list(access, prefix(), None)).map(drop).unwrap_err(),
        home.open(|access| verbs::history(access, &chain, 1)).map(drop).unwrap_err(),
        home.open(|access| verbs::send(access, &mut chain, &order(address(stranger(1)), "1"))).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().ends_with("there is no wallet yet; `wallet new` makes one"), "{error}");
    }
}
