//! Stores: what a crash leaves is a chain that was, and a disk that fails costs nothing but time.

use std::ops::ControlFlow;

use meshline_ledger::chain::{Accepted, Chain, ChainEvent, Flush, MAX_COINS_BEHIND};
use meshline_ledger::consensus::Refusal;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{Batch, Durability, FaultyStore, MemoryStore, PlannedFault, Store, StoreError, Table};
use meshline_ledger::{Block, BlockHash, OutPoint};

use crate::support::{NOW, Owner, World, coins, genesis_of, output, params, units};

/// A dozen blocks with payments and a reorganisation in their middle.
fn blocks() -> Vec<Block> {
    let mut world = World::new();
    let mut blocks = Vec::new();
    for number in 0..10 {
        let payments = match number {
            3 => vec![world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(1))])],
            _ => Vec::new(),
        };
        blocks.push(world.extend(&Owner::new(number % 3), payments));
        if number == 5 {
            let mut parent = world.chain.hash_at(2).unwrap();
            for _ in 0..5 {
                let block = world.block_after(parent, &Owner::new(9), Vec::new());
                world.accept(&block).unwrap();
                parent = block.hash();
                blocks.push(block);
            }
        }
    }
    blocks
}

#[test]
fn a_disk_that_fails_once_costs_nothing() {
    let genesis = genesis_of(params(), &Owner::new(0));
    let blocks = blocks();
    let mut expected = World::new();
    blocks.iter().for_each(|block| drop(expected.accept(block)));
    let errors = [StoreError::Full, StoreError::Io("EIO".to_owned())];
    for (error, flush) in errors.iter().flat_map(|error| [(error, Flush::EachBlock), (error, Flush::BlocksFirst)]) {
        for at_commit in 1..20 {
            let fault = PlannedFault { at_commit, error: error.clone() };
            let mut chain = Chain::open(&genesis, FaultyStore::new(MemoryStore::default(), vec![fault])).unwrap();
            chain.set_flush(flush);
            let mut told = vec![chain.id()];
            for block in &blocks {
                // Whoever gave the block gives it again.
                let accepted = match chain.accept_block(block, NOW, &BatchVerifier) {
                    Err(Refusal::Store(_)) => chain.accept_block(block, NOW, &BatchVerifier).unwrap(),
                    other => other.unwrap(),
                };
                follow(&mut told, accepted);
            }
            if chain.flush().is_err() {
                chain.flush().unwrap();
            }
            assert_eq!(chain.tip(), expected.chain.tip(), "{error} at {at_commit}");
            let active: Vec<BlockHash> = (0..=chain.height()).filter_map(|height| chain.hash_at(height)).collect();
            assert_eq!(told, active, "{error} at {at_commit}: every change was told once");
            let left = chain.store().crash(0);
            let again = Chain::open(&genesis, left).unwrap();
            assert_eq!(again.tip(), expected.chain.tip());
            assert_eq!(again.verify(&BatchVerifier, |_| {}), Ok(expected.chain.set_hash().unwrap()));
        }
    }
}

/// Follows the chain by what it tells.
fn follow(told: &mut Vec<BlockHash>, accepted: Accepted) {
    let Accepted::Active(events) = accepted else { return };
    for event in events {
        match event {
            ChainEvent::Connected(block) => told.push(block.hash()),
            ChainEvent::Disconnected(block) => assert_eq!(told.pop(), Some(block.hash())),
        }
    }
}

#[test]
fn what_a_crash_leaves_is_a_chain_that_was() {
    let genesis = genesis_of(params(), &Owner::new(0));
    for flush in [Flush::EachBlock, Flush::BlocksFirst, Flush::BySize] {
        let mut chain = Chain::open(&genesis, FaultyStore::default()).unwrap();
        chain.set_flush(flush);
        for (number, block) in blocks().iter().enumerate() {
            chain.accept_block(block, NOW, &BatchVerifier).unwrap();
            if flush != Flush::EachBlock && number % 4 == 3 {
                chain.flush().unwrap();
            }
            for kept in 0..=chain.store().unsynced() {
                let again = Chain::open(&genesis, chain.store().crash(kept)).unwrap();
                assert!(chain.header(&again.tip()).is_some(), "its tip is a block that was taken");
                assert!(again.verify(&BatchVerifier, |_| {}).is_ok());
                if flush != Flush::BySize {
                    assert_eq!(again.tip(), chain.tip(), "an acknowledged block is there");
                    assert_eq!(again.set_hash(), chain.set_hash());
                }
            }
        }
    }
}

/// Blocks that were written and then damaged are no tip any more; the rest is.
#[test]
fn opening_goes_on_through_the_blocks_that_are_ahead_of_the_outputs() {
    let mut world = World::new();
    let below = world.extend(&Owner::new(1), Vec::new());
    world.chain.set_flush(Flush::BlocksFirst);
    let blocks: Vec<Block> = (0..3).map(|_| world.extend(&Owner::new(1), Vec::new())).collect();
    assert!(world.chain.lacks_coins());
    let (genesis, expected) = (world.genesis.clone(), world.chain.set_hash());
    let store = world.chain.into_store();
    assert_eq!(store.count(Table::Coins), 2, "of the genesis block and the next one");
    let again = Chain::open(&genesis, store.clone()).unwrap();
    assert_eq!((again.tip(), again.set_hash()), (blocks[2].hash(), expected));
    assert!(again.verify(&BatchVerifier, |_| {}).is_ok());
    for (damaged, tip) in [(0, below.hash()), (1, blocks[0].hash()), (2, blocks[1].hash())] {
        let (mut store, mut batch) = (store.clone(), Batch::default());
        batch.put(Table::Undo, &blocks[damaged].hash().0, b"damaged".to_vec());
        store.commit(&batch, Durability::Synced).unwrap();
        let again = Chain::open(&genesis, store).unwrap();
        assert_eq!(again.tip(), tip);
        assert!(again.verify(&BatchVerifier, |_| {}).is_ok());
    }
}

#[test]
fn no_more_outputs_than_the_bound_wait_to_be_written() {
    let mut world = World::new();
    world.chain.set_flush(Flush::BlocksFirst);
    // Each block adds its outputs, one of them the coinbase's, and takes one that was not written either.
    let (each, mut at) = (3_000, world.first_coin());
    let amount = |left: usize| units(coins(50).units() - (left * each) as u64);
    for number in 1..=(MAX_COINS_BEHIND / each) + 1 {
        assert!(world.chain.store().count(Table::Coins) <= 1, "nothing was written before block {number}");
        let mut outputs = vec![output(amount(number), &Owner::new(0))];
        outputs.extend(vec![output(units(1), &Owner::new(3)); each]);
        let payment = world.pay(&Owner::new(0), &[at], outputs);
        at = OutPoint { txid: payment.txid(), index: 0 };
        world.extend(&Owner::new(2), vec![payment]);
    }
    assert!(world.chain.store().count(Table::Coins) > MAX_COINS_BEHIND, "all of them were");
    assert!(!world.chain.lacks_coins());
    assert!(world.chain.verify(&BatchVerifier, |_| {}).is_ok());
}

/// Every record of every table, one bit flipped: it is noticed and named, or has no say in what is read.
#[test]
fn a_flipped_bit_is_noticed_and_its_record_named() {
    let mut world = World::new();
    for _ in 0..3 {
        world.extend(&Owner::new(0), Vec::new());
    }
    let (genesis, store) = (world.genesis.clone(), world.chain.into_store());
    for table in Table::ALL {
        let mut records = Vec::new();
        store
            .scan(table, &[], &mut |key, value| {
                records.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
        for (key, mut value) in records {
            let middle = value.len() / 2;
            value[middle] ^= 0x10;
            let mut damaged = store.clone();
            let mut batch = Batch::default();
            batch.put(table, &key, value);
            damaged.commit(&batch, Durability::Synced).unwrap();
            let error = read_all(&genesis, damaged).expect_err("noticed");
            assert!(error.contains(table.name()), "{error}");
        }
    }
}

/// Reads whatever the store has; the error if something is damaged.
fn read_all(genesis: &meshline_ledger::Genesis, store: MemoryStore) -> Result<(), String> {
    let chain = Chain::open(genesis, store).map_err(|error| error.to_string())?;
    for height in 0..=chain.height() {
        chain.block(&chain.hash_at(height).unwrap()).map_err(|error| error.to_string())?;
    }
    chain.set_hash().map_err(|error| error.to_string())?;
    chain.owned(&Owner::new(0).lock()).map_err(|error| error.to_string())?;
    let mut chain = chain;
    let other = World::new();
    let (mut parent, mut branch) = (chain.id(), World::with(*chain.params()));
    assert_eq!(other.chain.id(), parent);
    // A longer chain disconnects all blocks, which reads their undo records.
    for _ in 0..=chain.height() {
        let block = branch.block_after(parent, &Owner::new(5), Vec::new());
        branch.accept(&block).unwrap();
        chain.accept_block(&block, NOW, &BatchVerifier).map_err(|error| error.to_string())?;
        parent = block.hash();
    }
    Ok(())
}
