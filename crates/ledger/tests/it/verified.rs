//! Signatures that are remembered: judged once, never taken for another, and no more of them than there is room for.

use std::sync::atomic::{AtomicUsize, Ordering};

use meshline_ledger::mempool::{Mempool, Origin, PoolRefusal};
use meshline_ledger::sighash::{BatchVerifier, SignatureCheck, SignatureVerifier};
use meshline_ledger::verified::{MAX_VERIFIED, Verified};
use meshline_ledger::{Coin, OutPoint, Rule, Transaction};

use crate::support::{NOW, Owner, World, coins, output, units};

/// Counts what reaches it.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn judged(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl SignatureVerifier for Counting {
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool {
        self.0.fetch_add(checks.len(), Ordering::Relaxed);
        BatchVerifier.all_valid(checks)
    }
}

/// Finds everything valid.
#[derive(Default)]
struct Credulous;

impl SignatureVerifier for Credulous {
    fn all_valid(&self, _: &[SignatureCheck]) -> bool {
        true
    }
}

fn check(number: u64) -> SignatureCheck {
    let (owner, mut sighash) = (Owner::new(1), [0; 32]);
    sighash[..8].copy_from_slice(&number.to_le_bytes());
    SignatureCheck { key: owner.key(), signature: owner.sign(&sighash), sighash }
}

#[test]
fn what_was_found_valid_is_not_judged_again_and_nothing_else_profits() {
    let counting = Counting::default();
    let verified = Verified::new(&counting);
    let good: Vec<_> = (0..10).map(check).collect();
    assert!(verified.all_valid(&good) && verified.all_valid(&good[3..]) && counting.judged() == 10);
    for byte in 0..32 {
        let (mut key, mut first, mut second, mut message) = (good[0], good[0], good[0], good[0]);
        key.key[byte] ^= 1;
        first.signature[byte] ^= 1;
        second.signature[32 + byte] ^= 1;
        message.sighash[byte] ^= 1;
        for wrong in [key, first, second, message] {
            assert!(!verified.all_valid(&[wrong]) && !verified.all_valid(&[wrong, good[1]]), "{byte}");
        }
    }
    assert_eq!(verified.len(), 10, "what is not valid is not remembered");
}

#[test]
fn a_bad_one_among_many_does_not_hide_the_good_ones() {
    let counting = Counting::default();
    let verified = Verified::new(&counting);
    let mut checks: Vec<_> = (0..20).map(check).collect();
    checks[7].signature[40] ^= 1;
    verified.judge(&checks);
    assert_eq!(verified.len(), 19);
    let before = counting.judged();
    assert!(verified.all_valid(&checks[..7]) && verified.all_valid(&checks[8..]));
    assert_eq!(counting.judged(), before);
    assert!(!verified.all_valid(&checks));
}

#[test]
fn no_more_are_remembered_than_there_is_room_for_and_the_latest_stay() {
    let verified = Verified::new(Credulous);
    let numbered = |number: usize| {
        let mut check = SignatureCheck { key: [0; 32], signature: [0; 64], sighash: [0; 32] };
        check.sighash[..8].copy_from_slice(&number.to_le_bytes());
        check
    };
    for number in 0..2 * MAX_VERIFIED + 1 {
        assert!(verified.all_valid(&[numbered(number)]));
    }
    assert_eq!(verified.len(), MAX_VERIFIED + 1, "the eldest are forgotten together");
    let held: Vec<SignatureCheck> = (MAX_VERIFIED..2 * MAX_VERIFIED + 1).map(numbered).collect();
    assert!(verified.all_valid(&held) && verified.len() == MAX_VERIFIED + 1);
}

/// A payment of the first coin into `count` parts for owner 0.
fn split(world: &World, count: u64) -> Transaction {
    let part = units(coins(50).units() / count);
    world.pay(&Owner::new(0), &[world.first_coin()], vec![output(part, &Owner::new(0)); count as usize])
}

/// Spends one part of it.
fn spend(world: &World, above: &Transaction, index: u32) -> Transaction {
    let coin = Coin { output: above.outputs[index as usize], height: 1, coinbase: false };
    let at = OutPoint { txid: above.txid(), index };
    world.pay_coins(&Owner::new(0), &[at], &[coin], vec![output(coin.output.amount, &Owner::new(1))])
}

#[test]
fn a_batch_is_admitted_like_its_payments_one_by_one() {
    let (mut world, counting) = (World::new(), Counting::default());
    let first = split(&world, 40);
    world.extend(&Owner::new(9), vec![first.clone()]);
    let mut payments: Vec<Transaction> = (0..40).map(|index| spend(&world, &first, index)).collect();
    // One builds on another of the batch, one has a bad signature, one spends nothing that exists, one comes twice.
    let coin = Coin { output: payments[0].outputs[0], height: 0, coinbase: false };
    let at = OutPoint { txid: payments[0].txid(), index: 0 };
    payments.push(world.pay_coins(&Owner::new(1), &[at], &[coin], vec![output(units(1), &Owner::new(2))]));
    payments[5].outputs[0].amount = units(1);
    payments.push(spend(&World::new(), &split(&World::new(), 39), 0));
    payments.push(payments[1].clone());
    let mut single = Mempool::new(0);
    let expected: Vec<_> = payments
        .iter()
        .map(|payment| single.add(&world.chain, payment, (Origin::Peer(1), NOW), &BatchVerifier))
        .collect();
    let (mut pool, verified) = (Mempool::new(0), Verified::new(&counting));
    let added = pool.add_all(&world.chain, &payments, (Origin::Peer(1), NOW), &verified);
    assert_eq!(added, expected);
    assert_eq!(added[5], Err(PoolRefusal::Rule(Rule::Signature)));
    assert!(added[40].is_ok() && added[41] == Err(PoolRefusal::Rule(Rule::MissingInput)));
    assert_eq!(added[42], Err(PoolRefusal::Known));
    assert_eq!((pool.len(), verified.len()), (40, 40));
}

#[test]
fn a_block_of_known_payments_and_its_reorganisation_judge_no_signature_twice() {
    let (mut world, counting) = (World::new(), Counting::default());
    let verified = Verified::new(&counting);
    let first = split(&world, 8);
    let block = world.block(&Owner::new(9), vec![first.clone()]);
    let payments: Vec<Transaction> = (0..8).map(|index| spend(&world, &first, index)).collect();
    let (mut pool, source) = (Mempool::new(0), (Origin::Peer(1), NOW));
    assert!(
        pool.add_all(&world.chain, [&first].into_iter().chain(&payments), source, &verified).iter().all(Result::is_ok)
    );
    assert_eq!(counting.judged(), 9);
    let accept = |world: &mut World, block: &_| world.chain.accept_block(block, NOW, &verified).map(drop).unwrap();
    let fork = world.chain.tip();
    accept(&mut world, &block);
    let next = world.block(&Owner::new(9), payments);
    accept(&mut world, &next);
    // Three empty blocks beside the two, and then two on top of the two.
    for (from, count) in [(fork, 3), (next.hash(), 2)] {
        let mut parent = from;
        for _ in 0..count {
            let block = world.block_after(parent, &Owner::new(3), Vec::new());
            accept(&mut world, &block);
            parent = block.hash();
        }
        assert_eq!(world.chain.tip(), parent);
    }
    assert!(world.chain.is_active(&next.hash()));
    assert_eq!(counting.judged(), 9, "each signature once, however often its block comes and goes");
    let set = world.chain.verify(&BatchVerifier, |_| {}).unwrap();
    assert_eq!(set, world.chain.set_hash().unwrap());
}
