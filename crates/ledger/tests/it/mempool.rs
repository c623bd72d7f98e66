//! The pool: what it takes, what replaces what, what goes when it is full, and the block it proposes.

use meshline_ledger::consensus::Policy;
use meshline_ledger::mempool::{
    EXPIRY_S, MAX_RELATIVES, MAX_REPLACED, Mempool, Origin, PoolRefusal, RESERVED_BYTES, SavedError, Template, due,
};
use meshline_ledger::miner::Search;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::{Amount, Coin, OutPoint, Params, Rule, Transaction, TxOut};

use crate::support::{NOW, Owner, World, coins, mine, output, params, units};

const PEER: (Origin, u64) = (Origin::Peer(1), NOW);

/// A world in which owner 0 has `count` outputs of a hundredth coin each.
fn split(count: u32) -> (World, Vec<OutPoint>) {
    let mut world = World::new();
    let pieces = vec![output(units(1_000_000), &Owner::new(0)); count as usize];
    let payment = world.pay(&Owner::new(0), &[world.first_coin()], pieces);
    let txid = payment.txid();
    world.extend(&Owner::new(9), vec![payment]);
    (world, (0..count).map(|index| OutPoint { txid, index }).collect())
}

/// Spends one such output with this fee.
fn spend(world: &World, at: OutPoint, fee: u64) -> Transaction {
    world.pay(&Owner::new(0), &[at], vec![output(units(1_000_000 - fee), &Owner::new(1))])
}

/// Spends the only output of a waiting payment of owner `from` with this fee.
fn child(world: &World, above: &Transaction, from: &Owner, fee: u64) -> Transaction {
    let coin = Coin { output: above.outputs[0], height: 0, coinbase: false };
    let left = units(above.outputs[0].amount.units() - fee);
    let at = OutPoint { txid: above.txid(), index: 0 };
    world.pay_coins(from, &[at], &[coin], vec![output(left, from)])
}

fn add(pool: &mut Mempool, world: &World, payment: &Transaction) -> Result<(), PoolRefusal> {
    pool.add(&world.chain, payment, PEER, &BatchVerifier).map(|_| ())
}

#[test]
fn a_payment_is_taken_once_and_for_its_least_fee() {
    let (world, at) = split(1);
    let mut pool = Mempool::new(1_000);
    let size = spend(&world, at[0], 0).size() as u64;
    let low = add(&mut pool, &world, &spend(&world, at[0], size - 1));
    assert_eq!(low, Err(PoolRefusal::Fee { fee: size - 1, least: size }));
    let good = spend(&world, at[0], size);
    assert_eq!(add(&mut pool, &world, &good), Ok(()));
    assert_eq!(add(&mut pool, &world, &good), Err(PoolRefusal::Known));
    assert_eq!((pool.len(), pool.bytes()), (1, size as usize));
    let nothing = world.pay(&Owner::new(0), &[at[0]], vec![TxOut { amount: Amount::ZERO, lock: Owner::new(1).lock() }]);
    assert_eq!(add(&mut pool, &world, &nothing), Err(PoolRefusal::Dust));
    assert_eq!(
        add(&mut pool, &world, &world.block(&Owner::new(1), Vec::new()).transactions[0]),
        Err(PoolRefusal::Rule(Rule::CoinbaseOnly))
    );
}

#[test]
fn a_replacement_pays_more_than_all_that_goes() {
    let (world, at) = split(1);
    let mut pool = Mempool::new(1_000);
    let first = spend(&world, at[0], 1_000);
    add(&mut pool, &world, &first).unwrap();
    let below = child(&world, &first, &Owner::new(1), 1_000);
    add(&mut pool, &world, &below).unwrap();
    for fee in [999, 1_000, 2_000, 2_100] {
        assert_eq!(
            add(
                &mut pool,
                &world,
                &world.pay(&Owner::new(0), &[at[0]], vec![output(units(1_000_000 - fee), &Owner::new(2))])
            ),
            Err(PoolRefusal::Conflict),
            "{fee}"
        );
    }
    let better = spend(&world, at[0], 2_300);
    let added = pool.add(&world.chain, &better, PEER, &BatchVerifier).unwrap();
    assert_eq!(added.removed.len(), 2);
    assert_eq!(pool.len(), 1);
    assert!(pool.is_spent(&at[0]) && !pool.is_spent(&OutPoint { txid: first.txid(), index: 0 }));
}

#[test]
fn lines_of_unconfirmed_payments_are_bounded() {
    let (world, at) = split(1);
    let mut pool = Mempool::new(0);
    let mut last = spend(&world, at[0], 1);
    add(&mut pool, &world, &last).unwrap();
    for _ in 1..MAX_RELATIVES {
        last = child(&world, &last, &Owner::new(1), 1);
        add(&mut pool, &world, &last).unwrap();
    }
    let one_more = child(&world, &last, &Owner::new(1), 1);
    assert_eq!(add(&mut pool, &world, &one_more), Err(PoolRefusal::TooManyRelatives));
    assert_eq!(pool.len(), MAX_RELATIVES);
}

#[test]
fn a_full_pool_keeps_what_pays_most() {
    let (world, at) = split(10);
    let size = spend(&world, at[0], 1).size();
    let mut pool = Mempool::with_room(0, 5 * size);
    for (fee, at) in (1..).zip(&at[..5]) {
        add(&mut pool, &world, &spend(&world, *at, fee * 100)).unwrap();
    }
    assert_eq!(add(&mut pool, &world, &spend(&world, at[5], 50)), Err(PoolRefusal::Full));
    let added = pool.add(&world.chain, &spend(&world, at[6], 900), PEER, &BatchVerifier).unwrap();
    assert_eq!(added.removed, [spend(&world, at[0], 100).txid()]);
    assert_eq!((pool.len(), pool.bytes()), (5, 5 * size));
}

#[test]
fn a_peer_cannot_push_out_anothers_few_payments() {
    let count = RESERVED_BYTES / 171 + 10;
    let (world, at) = split(3_000);
    let size = spend(&world, at[0], 1).size();
    let mut pool = Mempool::with_room(0, count * size);
    let modest = spend(&world, at[0], 1);
    pool.add(&world.chain, &modest, (Origin::Peer(7), NOW), &BatchVerifier).unwrap();
    for at in &at[1..count + 20] {
        let _ = pool.add(&world.chain, &spend(&world, *at, 500), PEER, &BatchVerifier);
    }
    assert!(pool.get(&modest.txid()).is_some(), "the cheapest of all is still there");
    assert!(pool.bytes() <= count * size);
}

#[test]
fn what_waits_too_long_is_forgotten_with_its_children() {
    let (world, at) = split(2);
    let mut pool = Mempool::new(0);
    let old = spend(&world, at[0], 1);
    pool.add(&world.chain, &old, PEER, &BatchVerifier).unwrap();
    let later = (Origin::Local, NOW + 10);
    pool.add(&world.chain, &child(&world, &old, &Owner::new(1), 1), later, &BatchVerifier).unwrap();
    pool.add(&world.chain, &spend(&world, at[1], 1), later, &BatchVerifier).unwrap();
    assert_eq!(pool.expire(NOW + EXPIRY_S - 1).len(), 0);
    assert_eq!(pool.expire(NOW + EXPIRY_S).len(), 2);
    assert_eq!(pool.len(), 1);
}

#[test]
fn a_reorganisation_brings_payments_back() {
    let (mut world, at) = split(2);
    let mut pool = Mempool::new(0);
    let (kept, mined) = (spend(&world, at[0], 5), spend(&world, at[1], 5));
    let fork = world.chain.tip();
    let reward = world.extend(&Owner::new(9), vec![mined.clone()]);
    let young = OutPoint { txid: reward.transactions[0].txid(), index: 0 };
    let from_reward = world.pay(&Owner::new(9), &[young], vec![output(coins(50), &Owner::new(1))]);
    for payment in [&kept, &from_reward] {
        add(&mut pool, &world, payment).unwrap();
    }
    let one = world.block_after(fork, &Owner::new(8), Vec::new());
    world.accept(&one).unwrap();
    let two = world.block_after(one.hash(), &Owner::new(8), Vec::new());
    world.accept(&two).unwrap();
    pool.on_disconnected(&world.chain, &[reward], NOW, &BatchVerifier);
    [&one, &two].into_iter().for_each(|block| pool.on_connected(block));
    assert!(pool.get(&kept.txid()).is_some() && pool.get(&mined.txid()).is_some());
    assert_eq!(pool.len(), 2, "what spent the reward that is gone is gone");
}

#[test]
fn a_saved_pool_is_read_again_and_judged_again() {
    let (mut world, at) = split(3);
    let mut pool = Mempool::new(0);
    let first = spend(&world, at[0], 1);
    let second = child(&world, &first, &Owner::new(1), 900);
    for payment in [&first, &second, &spend(&world, at[1], 3)] {
        add(&mut pool, &world, payment).unwrap();
    }
    let saved = pool.save();
    let mut again = Mempool::new(0);
    assert_eq!(again.load(&saved, &world.chain, &BatchVerifier), Ok(3));
    assert_eq!(again.save(), saved);
    let mined = spend(&world, at[1], 3);
    world.extend(&Owner::new(9), vec![mined]);
    assert_eq!(Mempool::new(0).load(&saved, &world.chain, &BatchVerifier), Ok(2));
    assert_eq!(Mempool::new(0).load(&[9], &world.chain, &BatchVerifier), Err(SavedError::Version(9)));
    for length in 0..saved.len() {
        assert!(Mempool::new(0).load(&saved[..length], &world.chain, &BatchVerifier).is_err());
    }
}

#[test]
fn a_template_takes_by_fee_rate_with_parents_first() {
    let (mut world, at) = split(4);
    let mut pool = Mempool::new(0);
    let cheap_parent = spend(&world, at[0], 1);
    let rich_child = child(&world, &cheap_parent, &Owner::new(1), 100_000);
    for payment in [&cheap_parent, &rich_child, &spend(&world, at[1], 300), &spend(&world, at[2], 200)] {
        add(&mut pool, &world, payment).unwrap();
    }
    let template = Template::new(&world.chain, &pool, Owner::new(5).lock(), NOW, b"miner");
    let order: Vec<_> = template.block.transactions.iter().skip(1).map(Transaction::txid).collect();
    assert_eq!(order[..2], [cheap_parent.txid(), rich_child.txid()]);
    assert_eq!((order.len(), template.fees), (4, units(100_501)));
    let mut block = template.block;
    mine(&mut block.header);
    world.accept(&block).unwrap();
    assert_eq!(world.chain.tip(), block.hash());
    pool.on_connected(&block);
    assert!(pool.is_empty() && pool.bytes() == 0);
}

#[test]
fn a_template_ends_where_the_block_is_full() {
    let narrow = Params { max_block_size: 1_000, max_signatures: 2, ..params() };
    let mut world = World::with(narrow);
    let pieces = vec![output(units(1_000_000), &Owner::new(0)); 5];
    let payment = world.pay(&Owner::new(0), &[world.first_coin()], pieces);
    world.extend(&Owner::new(9), vec![payment.clone()]);
    let mut pool = Mempool::new(0);
    for index in 0..5 {
        let at = OutPoint { txid: payment.txid(), index };
        add(&mut pool, &world, &spend(&world, at, 10)).unwrap();
    }
    let mut template = Template::new(&world.chain, &pool, Owner::new(5).lock(), NOW, &[0; 128]);
    assert_eq!(template.block.transactions.len(), 3, "two signatures and a coinbase");
    mine(&mut template.block.header);
    world.accept(&template.block).unwrap();
}

#[test]
fn when_a_block_is_due_is_the_chains_policy() {
    let tutorial = Policy { least_fee_rate: 0, mine_empty: false, template_from: 2 };
    assert_eq!([0, 1, 2, 3].map(|waiting| due(&tutorial, waiting)), [false, false, true, true]);
    let always = Policy { mine_empty: true, template_from: 0, ..tutorial };
    assert_eq!([0, 1].map(|waiting| due(&always, waiting)), [true, true]);
}

#[test]
fn the_search_finds_the_nonce_that_one_by_one_finds() {
    let world = World::new();
    for number in 0..50 {
        let mut header = world.block(&Owner::new(number), Vec::new()).header;
        (header.nonce, header.bits) = (0, meshline_ledger::CompactBits(0x2003_ffff));
        let search = Search::new(header).unwrap();
        let found = (0..).find_map(|step| search.step(step * 7, 7)).unwrap();
        mine(&mut header);
        assert_eq!(found, header);
        assert_eq!(search.step(0, header.nonce), None, "an end before it finds nothing");
    }
    let header = world.block(&Owner::new(1), Vec::new()).header;
    assert_eq!(Search::new(header).unwrap().step(0, 0), None);
    let _ = Search::new(header).unwrap().step(u32::MAX - 1, u32::MAX);
}

#[test]
fn a_payment_replaces_a_hundred_others_and_not_one_more() {
    let (world, at) = split(MAX_REPLACED as u32);
    let owner = Owner::new(0);
    for beyond in [0, 1] {
        let mut pool = Mempool::new(0);
        // Each of these takes others with it that build on it: four lines of 25, and a single one.
        let mut roots = Vec::new();
        for (line, coin) in at.iter().enumerate().take(MAX_REPLACED / MAX_RELATIVES + beyond) {
            let mut last = world.pay(&owner, &[*coin], vec![output(units(1_000_000), &owner)]);
            roots.push(*coin);
            add(&mut pool, &world, &last).unwrap();
            let count = if line < MAX_REPLACED / MAX_RELATIVES { MAX_RELATIVES - 1 } else { 0 };
            for _ in 0..count {
                last = child(&world, &last, &owner, 0);
                add(&mut pool, &world, &last).unwrap();
            }
        }
        assert_eq!(pool.len(), MAX_REPLACED + beyond);
        let rival = world.pay(&owner, &roots, vec![output(units(1_000), &owner)]);
        let taken = pool.add(&world.chain, &rival, PEER, &BatchVerifier).map(|added| added.removed.len());
        let expected = if beyond == 0 { Ok(MAX_REPLACED) } else { Err(PoolRefusal::TooManyReplaced) };
        assert_eq!(taken, expected);
        assert_eq!(pool.len(), if beyond == 0 { 1 } else { MAX_REPLACED + 1 });
    }
}
