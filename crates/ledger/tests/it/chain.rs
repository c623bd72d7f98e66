//! The chain: most work wins, what is unspent follows it exactly, and headers cannot fill memory.

use std::collections::BTreeSet;

use meshline_ledger::chain::{
    Accepted, Chain, ChainEvent, Flush, MAX_LOCATOR, MAX_SIDE_BODIES, MAX_SIDE_HEADERS, OpenError,
};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{MemoryStore, Table};
use meshline_ledger::{Block, Coin, Lock, OutPoint, Params, Rule};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::support::{NOW, Owner, World, below, coins, genesis_of, mine, output, params, rng, seal};

/// Blocks on top of each other, without payments.
fn branch(world: &mut World, from: meshline_ledger::BlockHash, length: usize, miner: u64) -> Vec<Block> {
    let (mut parent, mut blocks) = (from, Vec::new());
    for _ in 0..length {
        let block = world.block_after(parent, &Owner::new(miner), Vec::new());
        world.chain.accept_header(&block.header, NOW).unwrap();
        parent = block.hash();
        blocks.push(block);
    }
    blocks
}

#[test]
fn a_payment_moves_money_and_its_change() {
    let (mut world, owner, other) = (World::new(), Owner::new(0), Owner::new(1));
    let payment = world.pay(&owner, &[world.first_coin()], vec![output(coins(10), &other), output(coins(40), &owner)]);
    world.extend(&Owner::new(2), vec![payment]);
    let balance = |who: &Owner| world.chain.balance(&who.lock()).unwrap().to_string();
    assert_eq!([balance(&owner), balance(&other), balance(&Owner::new(2))], ["40", "10", "50"]);
    assert_eq!(world.chain.coin(&world.first_coin()).unwrap(), None);
    let set = world.chain.verify(&BatchVerifier, |_| {}).unwrap();
    assert_eq!((set.outputs, set.transactions, set.total.to_string()), (3, 2, "100".to_owned()));
}

#[test]
fn the_chain_with_more_work_wins_and_the_first_seen_of_equals() {
    let (mut world, id) = (World::new(), World::new().chain.id());
    let first = world.extend(&Owner::new(1), Vec::new());
    let others = branch(&mut world, id, 2, 2);
    assert_eq!(world.accept(&others[0]), Ok(Accepted::Kept), "a tie changes nothing");
    assert_eq!(world.chain.tip(), first.hash());
    let Ok(Accepted::Active(events)) = world.accept(&others[1]) else { panic!("more work wins") };
    let expected = [
        ChainEvent::Disconnected(first.into()),
        ChainEvent::Connected(others[0].clone().into()),
        ChainEvent::Connected(others[1].clone().into()),
    ];
    assert_eq!(events, expected);
    assert_eq!(world.chain.balance(&Owner::new(1).lock()).unwrap().to_string(), "0");
    assert_eq!(world.chain.balance(&Owner::new(2).lock()).unwrap().to_string(), "100");
}

#[test]
fn blocks_may_come_in_any_order_once_their_headers_are_known() {
    let (mut world, id) = (World::new(), World::new().chain.id());
    let blocks = branch(&mut world, id, 8, 1);
    assert_eq!(world.chain.missing_blocks(3), blocks[..3].iter().map(Block::hash).collect::<Vec<_>>());
    for block in blocks.iter().skip(1).rev() {
        assert_eq!(world.accept(block), Ok(Accepted::Kept));
    }
    assert_eq!(world.chain.height(), 0);
    assert_eq!(world.chain.missing_blocks(9), [blocks[0].hash()]);
    assert!(matches!(world.accept(&blocks[0]), Ok(Accepted::Active(events)) if events.len() == 8));
    assert_eq!(world.accept(&blocks[0]), Ok(Accepted::Known));
    assert_eq!(world.chain.missing_blocks(9), []);
}

#[test]
fn a_better_chain_with_a_bad_block_is_left_again() {
    let (mut world, id) = (World::new(), World::new().chain.id());
    let good = world.extend(&Owner::new(1), Vec::new());
    let before = world.chain.set_hash().unwrap();
    let mut first = world.block_after(id, &Owner::new(2), Vec::new());
    first.transactions[0].outputs[0].amount = coins(51);
    seal(&mut first);
    assert_eq!(world.accept(&first), Ok(Accepted::Kept), "not judged before it is needed");
    let mut second = world.block_after(first.hash(), &Owner::new(2), Vec::new());
    assert_eq!(world.accept(&second), Ok(Accepted::Kept), "the fault is the block's before");
    assert_eq!((world.chain.tip(), world.chain.set_hash().unwrap()), (good.hash(), before));
    second.header.nonce += 1;
    mine(&mut second.header);
    assert_eq!(world.accept(&second), Err(Rule::InvalidParent));
    world.extend(&Owner::new(1), Vec::new());
}

#[test]
fn a_million_cheap_headers_take_a_bounded_room() {
    let mut world = World::new();
    for _ in 0..3 {
        world.extend(&Owner::new(1), Vec::new());
    }
    let id = world.chain.id();
    let mut header = world.block_after(id, &Owner::new(9), Vec::new()).header;
    let mut refused = 0;
    for number in 0..MAX_SIDE_HEADERS + 500 {
        header.merkle_root[..8].copy_from_slice(&number.to_le_bytes());
        mine(&mut header);
        match world.chain.accept_header(&header, NOW) {
            Ok(_) => {}
            Err(_) => refused += 1,
        }
    }
    assert_eq!((refused, world.chain.headers_held()), (500, MAX_SIDE_HEADERS + 4));
    // One with more work behind it still finds room, and so does the best chain.
    let above = world.chain.hash_at(2).unwrap();
    let better = world.block_after(above, &Owner::new(9), Vec::new()).header;
    world.chain.accept_header(&better, NOW).unwrap();
    assert_eq!(world.chain.headers_held(), MAX_SIDE_HEADERS + 4);
    world.extend(&Owner::new(1), Vec::new());
}

#[test]
fn blocks_beside_the_chain_are_kept_up_to_a_bound_and_more_work_is_taken_beyond_it() {
    let mut world = World::new();
    world.extend(&Owner::new(1), Vec::new());
    world.extend(&Owner::new(1), Vec::new());
    let id = world.chain.id();
    let block = |world: &World, miner: usize| world.block_after(id, &Owner::new(miner as u64 + 100), Vec::new());
    for miner in 0..MAX_SIDE_BODIES {
        assert_eq!(world.accept(&block(&world, miner)), Ok(Accepted::Kept));
    }
    let mut branch = vec![block(&world, MAX_SIDE_BODIES)];
    assert_eq!(world.accept(&branch[0]), Ok(Accepted::NotKept));
    for _ in 0..2 {
        let next = world.block_after(branch[branch.len() - 1].hash(), &Owner::new(5), Vec::new());
        world.chain.accept_header(&next.header, NOW).unwrap();
        branch.push(next);
    }
    let accepted: Vec<_> = branch.iter().map(|block| world.accept(block)).collect();
    assert!(matches!(&accepted[2], Ok(Accepted::Active(events)) if events.len() == 5), "{accepted:?}");
}

#[test]
fn a_locator_is_short_and_headers_are_answered_in_bounds() {
    let (mut world, id) = (World::new(), World::new().chain.id());
    for block in branch(&mut world, id, 300, 1) {
        world.accept(&block).unwrap();
    }
    let locator = world.chain.locator();
    assert!(locator.len() <= MAX_LOCATOR && locator.len() < 20, "{}", locator.len());
    assert_eq!((locator[0], locator.last()), (world.chain.tip(), Some(&id)));
    let headers = world.chain.headers_after(&[Default::default(), world.chain.hash_at(100).unwrap()], None);
    assert_eq!(headers.len(), 200);
    let stop = world.chain.hash_at(105).unwrap();
    assert_eq!(world.chain.headers_after(&[world.chain.hash_at(100).unwrap()], Some(&stop)).len(), 5);
    assert_eq!(world.chain.headers_after(&[], None).len(), 300);
}

#[test]
fn a_store_is_opened_again_where_it_was() {
    let mut world = World::new();
    let id = world.chain.id();
    for _ in 0..5 {
        world.extend(&Owner::new(1), Vec::new());
    }
    let side = branch(&mut world, id, 2, 2);
    world.accept(&side[0]).unwrap();
    let (tip, set) = (world.chain.tip(), world.chain.set_hash().unwrap());
    let chain = Chain::open(&world.genesis, world.chain.into_store()).unwrap();
    assert_eq!((chain.tip(), chain.height(), chain.set_hash().unwrap()), (tip, 5, set));
    assert!(chain.block(&side[0].hash()).unwrap().is_some());
    let other = genesis_of(Params { maturity: 2, ..params() }, &Owner::new(0));
    assert_eq!(Chain::open(&other, chain.into_store()).err(), Some(OpenError::OtherChain(id)));
}

/// A few payments of random coins to random owners, each valid after those before.
pub(crate) fn random_payments(world: &World, rng: &mut ChaCha8Rng) -> Vec<meshline_ledger::Transaction> {
    let mut used = BTreeSet::<OutPoint>::new();
    let mut payments = Vec::new();
    for _ in 0..below(rng, 4) {
        let owner = Owner::new(below(rng, 4) as u64);
        let owned: Vec<(OutPoint, Coin)> = world.chain.owned(&owner.lock()).unwrap().into_iter().collect();
        let Some((outpoint, coin)) = owned.get(below(rng, owned.len().max(1))).filter(|(at, _)| used.insert(*at))
        else {
            continue;
        };
        let half = meshline_ledger::Amount::from_units(coin.output.amount.units() / 2).unwrap();
        let to = Owner::new(below(rng, 4) as u64);
        let outputs = vec![output(half, &to), output(half, &owner)];
        let payment = world.pay_coins(&owner, &[*outpoint], &[*coin], outputs);
        if below(rng, 2) == 0 {
            // Its first output is spent in the same block.
            let made = Coin { output: payment.outputs[0], height: 0, coinbase: false };
            let at = OutPoint { txid: payment.txid(), index: 0 };
            let next = world.pay_coins(&to, &[at], &[made], vec![output(half, &Owner::new(3))]);
            payments.extend([payment, next]);
        } else {
            payments.push(payment);
        }
    }
    payments
}

/// Whatever way a chain came about, what is unspent is what its blocks lead to.
#[test]
fn incremental_equals_reindex_over_random_reorganisations() {
    for seed in 0..6 {
        let mut rng = rng(seed);
        let mut world = World::new();
        world.chain.set_flush([Flush::EachBlock, Flush::BySize, Flush::BlocksFirst][seed as usize % 3]);
        for _ in 0..40 {
            let payments = random_payments(&world, &mut rng);
            world.extend(&Owner::new(rng.next_u64() % 4), payments);
            if below(&mut rng, 4) == 0 {
                let depth = below(&mut rng, world.chain.height().min(6) as usize) as u32;
                let fork = world.chain.hash_at(world.chain.height() - depth).unwrap();
                for block in branch(&mut world, fork, depth as usize + 1, 3) {
                    world.accept(&block).unwrap();
                }
                assert!(!world.chain.is_active(&Default::default()));
            }
        }
        let incremental = world.chain.set_hash().unwrap();
        assert_eq!(world.chain.verify(&BatchVerifier, |_| {}), Ok(incremental), "seed {seed}");
        assert_eq!(world.chain.reindex(), Ok(incremental), "seed {seed}");
        let owned: u128 = (0..4).map(|number| world.chain.balance(&Owner::new(number).lock()).unwrap().0).sum();
        assert_eq!(owned, incremental.total.0, "seed {seed}: the owner index holds all of it");
        world.chain.flush().unwrap();
        let store = world.chain.into_store();
        assert_eq!(store.count(Table::Owners), store.count(Table::Coins), "seed {seed}");
    }
}

#[test]
fn reindex_mends_a_store_whose_coins_are_gone() {
    let mut world = World::new();
    for _ in 0..5 {
        world.extend(&Owner::new(1), Vec::new());
    }
    let set = world.chain.set_hash().unwrap();
    let mut store = world.chain.into_store();
    lose_coins(&mut store);
    let mut chain = Chain::open(&world.genesis, store).unwrap();
    assert!(chain.verify(&BatchVerifier, |_| {}).is_err());
    assert_eq!(chain.reindex(), Ok(set));
    assert_eq!(chain.verify(&BatchVerifier, |_| {}), Ok(set));
    assert_eq!(chain.balance(&Lock::to_key(&Owner::new(1).key())).unwrap().to_string(), "250");
}

/// Some outputs are gone, one is of somebody else, and one never was: block by block it is put right, while blocks come and go.
#[test]
fn a_set_is_put_right_while_the_chain_goes_on() {
    use meshline_ledger::chain::Rebuilding;
    use meshline_ledger::store::{Batch, Durability, Store};
    let mut world = World::new();
    for number in 0..30 {
        world.extend(&Owner::new(number % 4), Vec::new());
    }
    let mut store = world.chain.store().clone();
    let mut keys = Vec::new();
    store
        .scan(Table::Coins, &[], &mut |key, value| {
            keys.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let mut batch = Batch::default();
    batch.delete(Table::Coins, &keys[3].0);
    batch.put(Table::Coins, &keys[5].0, keys[6].1.clone());
    batch.put(Table::Coins, &[9; 36], keys[6].1.clone());
    batch.put(Table::Owners, &[8; 57], keys[6].1.clone());
    store.commit(&batch, Durability::Synced).unwrap();
    let mut chain = Chain::open(&world.genesis, store).unwrap();
    let mut take = |chain: &mut Chain<MemoryStore>, parent, miner| {
        let block = world.block_after(parent, &Owner::new(miner), Vec::new());
        world.accept(&block).unwrap();
        chain.accept_block(&block, NOW, &BatchVerifier).unwrap();
        block.hash()
    };
    let (mut at, mut steps) = (Rebuilding::default(), 0);
    let rebuilt = loop {
        match chain.rebuild_some(&mut at, 4).unwrap() {
            Some(set) => break set,
            None => steps += 1,
        }
        match steps {
            2 => {
                let tip = chain.tip();
                take(&mut chain, tip, 7);
            }
            // Blocks that were gone through are left.
            6 => {
                let mut parent = chain.hash_at(15).unwrap();
                for _ in 16..=chain.height() + 1 {
                    parent = take(&mut chain, parent, 8);
                }
                assert_eq!(chain.tip(), parent);
            }
            _ => {}
        }
    };
    assert!(steps > 10, "it began anew");
    assert_eq!(rebuilt, world.chain.set_hash().unwrap());
    assert_eq!(chain.verify(&BatchVerifier, |_| {}), Ok(rebuilt));
    let store = chain.into_store();
    assert_eq!(store.count(Table::Owners), store.count(Table::Coins));
    let count = rebuilt.outputs;
    let mut again = Chain::open(&world.genesis, store).unwrap();
    let before = again.store().clone();
    assert_eq!(again.rebuild_some(&mut Rebuilding::default(), u32::MAX), Ok(Some(rebuilt)));
    assert!(count > 30 && *again.store() == before, "a good set is not written again");
}

fn lose_coins(store: &mut MemoryStore) {
    use meshline_ledger::store::{Batch, Durability, Store};
    use std::ops::ControlFlow;
    let mut batch = Batch::default();
    store
        .scan(Table::Coins, &[], &mut |key, _| {
            batch.delete(Table::Coins, key);
            ControlFlow::Continue(())
        })
        .unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}
