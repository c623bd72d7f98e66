//! What a transaction was, seen by whoever owns part of it.

use meshline_ledger::amount::Total;
use meshline_ledger::{Lock, OutPoint, Transaction, TxIn, TxOut, Txid};
use meshline_wallet::chain::{BlockPlace, Movement};
use meshline_wallet::history::{Entry, Kind};

use crate::support::{stranger, units};

const US: [u8; 2] = [1, 2];

fn outs(list: &[(u8, u64)]) -> Vec<TxOut> {
    list.iter().map(|(owner, amount)| TxOut { amount: units(*amount), lock: stranger(*owner) }).collect()
}

fn entry(spent: &[(u8, u64)], outputs: &[(u8, u64)]) -> Option<Entry> {
    let spend =
        |index| TxIn::Spend { outpoint: OutPoint { txid: Txid([3; 32]), index }, key: [0; 32], signature: [0; 64] };
    let inputs = match spent.len() {
        0 => vec![TxIn::Coinbase { height: 5, extra: Vec::new() }],
        count => (0..count as u32).map(spend).collect(),
    };
    let transaction = Transaction { version: 1, inputs, outputs: outs(outputs), lock_time: 0 };
    let block = Some(BlockPlace { height: 5, time: 77 });
    let own = |lock: &Lock| US.map(stranger).contains(lock);
    Entry::of(&Movement { transaction, spent: outs(spent), block }, own)
}

fn seen(entry: &Entry) -> (Kind, u128, Option<u128>) {
    (entry.kind, entry.amount.0, entry.fee.map(|fee| fee.0))
}

#[test]
fn each_kind_is_told_with_its_amount_and_fee() {
    let cases = [
        (entry(&[], &[(1, 10)]), (Kind::Mined, 10, None)),
        (entry(&[(8, 10)], &[(1, 4), (8, 5)]), (Kind::Received, 4, None)),
        (entry(&[(8, 10)], &[(1, 4), (2, 5)]), (Kind::Received, 9, None)),
        (entry(&[(1, 10)], &[(8, 4), (1, 5)]), (Kind::Sent, 4, Some(1))),
        (entry(&[(1, 10), (2, 10)], &[(8, 20)]), (Kind::Sent, 20, Some(0))),
        (entry(&[(1, 10)], &[(2, 4), (1, 5)]), (Kind::Moved, 0, Some(1))),
        // Somebody else paid part of it: what it cost us is all that can be said.
        (entry(&[(1, 10), (8, 10)], &[(9, 15), (1, 4)]), (Kind::Sent, 6, None)),
        (entry(&[(1, 10), (8, 10)], &[(1, 15), (9, 4)]), (Kind::Received, 5, None)),
    ];
    for (entry, expected) in cases {
        assert_eq!(seen(&entry.unwrap()), expected);
    }
    assert_eq!(entry(&[(8, 10)], &[(9, 10)]), None);
    assert_eq!(entry(&[], &[(9, 10)]), None);
}

#[test]
fn it_names_whom_it_paid() {
    let to = |entry: Option<Entry>| entry.unwrap().to;
    assert_eq!(to(entry(&[(8, 10)], &[(1, 4), (8, 5), (2, 1)])), [stranger(1), stranger(2)]);
    assert_eq!(to(entry(&[(1, 10)], &[(8, 4), (1, 5)])), [stranger(8)]);
    assert_eq!(to(entry(&[(1, 10)], &[(2, 9)])), [stranger(2)]);
}

#[test]
fn confirmations_count_the_block_itself_and_never_wrap() {
    let mut entry = entry(&[], &[(1, 10)]).unwrap();
    assert_eq!([4, 5, 6, u32::MAX].map(|tip| entry.confirmations(tip)), [1, 1, 2, u32::MAX - 4]);
    entry.block = None;
    assert_eq!(entry.confirmations(9), 0);
    assert_eq!(entry.amount, Total(10));
}
