//! Headers whose blocks are still to come: kept over a restart, dropped where there are too many, and what is missing
//! found without walking all of them.

use meshline_ledger::chain::{Chain, Flush, MAX_SIDE_HEADERS};
use meshline_ledger::store::{MemoryStore, Table};
use meshline_ledger::{Block, BlockHash, Header};
use rand_chacha::rand_core::Rng;

use crate::support::{NOW, Owner, World, below, coins, mine, rng, seal};

/// Blocks on top of `parent`, of which only the headers are taken.
fn announce(world: &mut World, parent: BlockHash, count: usize, miner: u64) -> Vec<Block> {
    let (mut parent, mut blocks) = (parent, Vec::new());
    for _ in 0..count {
        let block = world.block_after(parent, &Owner::new(miner), Vec::new());
        assert_eq!(world.chain.accept_header(&block.header, NOW), Ok(true));
        parent = block.hash();
        blocks.push(block);
    }
    blocks
}

fn names(blocks: &[Block]) -> Vec<BlockHash> {
    blocks.iter().map(Block::hash).collect()
}

fn again(world: World) -> World {
    let genesis = world.genesis.clone();
    World { chain: Chain::open(&genesis, world.chain.into_store()).unwrap(), ..World::new() }
}

#[test]
fn headers_without_blocks_are_there_after_a_restart() {
    let mut world = World::new();
    world.extend(&Owner::new(1), Vec::new());
    let tip = world.chain.tip();
    let coming = announce(&mut world, tip, 40, 2);
    world.accept(&coming[3]).unwrap();
    world.chain.flush().unwrap();
    let mut world = again(world);
    assert_eq!((world.chain.height(), world.chain.best_header()), (1, (coming[39].hash(), 41)));
    let missing = world.chain.missing_blocks(100);
    assert_eq!(missing, [&names(&coming)[..3], &names(&coming)[4..]].concat());
    coming.iter().for_each(|block| drop(world.accept(block).unwrap()));
    assert_eq!((world.chain.tip(), world.chain.missing_blocks(1)), (coming[39].hash(), Vec::new()));
    // The block's own record takes the place of the bare header's.
    world.chain.flush().unwrap();
    assert_eq!(world.chain.store().count(Table::Headers), 42);
}

#[test]
fn headers_wait_for_the_next_block_and_are_written_with_it() {
    let mut world = World::new();
    let id = world.chain.id();
    let coming = announce(&mut world, id, 5, 2);
    let lost = Chain::open(&world.genesis, world.chain.store().clone()).unwrap();
    assert_eq!(lost.headers_held(), 1, "what a crash takes is asked for again");
    world.accept(&coming[0]).unwrap();
    assert_eq!(again(world).chain.headers_held(), 6);
}

/// What a flood pushed out does not come back with the next start, and the store does not grow with it.
#[test]
fn headers_that_made_room_are_gone_from_the_store_too() {
    let mut world = World::new();
    world.chain.set_flush(Flush::BySize);
    for _ in 0..3 {
        world.extend(&Owner::new(1), Vec::new());
    }
    let id = world.chain.id();
    let mut header = world.block_after(id, &Owner::new(9), Vec::new()).header;
    for number in 0..MAX_SIDE_HEADERS {
        header.merkle_root[..8].copy_from_slice(&number.to_le_bytes());
        mine(&mut header);
        world.chain.accept_header(&header, NOW).unwrap();
    }
    world.chain.flush().unwrap();
    let above = world.chain.hash_at(2).unwrap();
    let better = world.block_after(above, &Owner::new(9), Vec::new()).header;
    world.chain.accept_header(&better, NOW).unwrap();
    world.chain.flush().unwrap();
    assert_eq!(world.chain.store().count(Table::Headers), MAX_SIDE_HEADERS + 4);
    let world = again(world);
    assert_eq!(world.chain.headers_held(), MAX_SIDE_HEADERS + 4);
    assert!(world.chain.header(&better.hash()).is_some());
}

/// As it is defined: from the best header down to a block that is active.
fn missing_by_walking(chain: &Chain<MemoryStore>) -> Vec<BlockHash> {
    let (mut hash, mut missing) = (chain.best_header().0, Vec::new());
    while !chain.is_active(&hash) {
        if chain.block(&hash).unwrap().is_none() {
            missing.push(hash);
        }
        let (header, _): (Header, u32) = chain.header(&hash).unwrap();
        hash = header.previous;
    }
    missing.reverse();
    missing
}

#[test]
fn what_is_missing_is_what_a_walk_finds_whatever_comes_in_which_order() {
    for seed in 0..4 {
        let (mut rng, mut world) = (rng(seed), World::new());
        let (mut known, mut waiting, mut longest) = (vec![world.chain.id()], Vec::<Block>::new(), 0);
        for _ in 0..150 {
            let parent = known[known.len() - 1 - below(&mut rng, known.len().min(5))];
            let mut block = world.block_after(parent, &Owner::new(rng.next_u64()), Vec::new());
            if below(&mut rng, 15) == 0 {
                // Found out when it is connected: it and all after it are out.
                block.transactions[0].outputs[0].amount = coins(51);
                seal(&mut block);
            }
            if world.chain.accept_header(&block.header, NOW).is_ok() {
                known.push(block.hash());
                waiting.push(block);
            }
            if below(&mut rng, 3) > 0 {
                let block = waiting.swap_remove(below(&mut rng, waiting.len()));
                let _ = world.accept(&block);
            }
            let expected = missing_by_walking(&world.chain);
            assert_eq!(world.chain.missing_blocks(usize::MAX), expected, "seed {seed}");
            assert_eq!(world.chain.missing_blocks(2), expected[..expected.len().min(2)], "seed {seed}");
            longest = longest.max(expected.len());
        }
        assert!(world.chain.height() > 2 && longest > 5, "seed {seed}: {} and {longest}", world.chain.height());
    }
}
