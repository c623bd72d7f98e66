//! The tutorial's weaknesses that the rules answer, each by the name it has in the notes: A for those it admits, F for
//! those found in it. Tests with such a name elsewhere: `a2_` and `a4_` in `crates/sim`, `a14_` and `f13_` in `crates/mesh`,
//! `a17_` in `crates/protocol`, `f7_` and `f11_` in `crates/wallet`.

use meshline_ledger::chain::{Accepted, Chain, ChainEvent};
use meshline_ledger::consensus::{check_transaction, merkle_branch, root_of_branch};
use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::mempool::{Mempool, Origin, PoolRefusal, Template};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::verified::Verified;
use meshline_ledger::{Amount, Block, BlockHash, Coin, GenesisFile, OutPoint, Params, Preset, Rule, Transaction, TxIn};
use rand_chacha::rand_core::Rng;

use crate::support::{NOW, Owner, World, coinbase, coins, mine, output, params, rng, seal, units};

fn payment(world: &World) -> Transaction {
    world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(1))])
}

/// A node as far as the ledger goes: a chain and what waits for it.
struct Node {
    world: World,
    pool: Mempool,
}

impl Node {
    fn new() -> Self {
        Self { world: World::new(), pool: Mempool::new(0) }
    }

    fn take(&mut self, block: &Block) {
        self.world.accept(block).unwrap();
        self.pool.on_connected(block);
    }

    /// The next block, with what waits.
    fn mine(&self, miner: u64) -> Block {
        let mut template = Template::new(&self.world.chain, &self.pool, Owner::new(miner).lock(), NOW, b"");
        mine(&mut template.block.header);
        template.block
    }
}

#[test]
fn a1_each_of_five_relays_mines_and_serves_and_any_of_them_may_be_gone() {
    for gone in 0..5 {
        let mut nodes: Vec<Node> = (0..5).map(|_| Node::new()).collect();
        let there: Vec<usize> = (0..5).filter(|number| *number != gone).collect();
        let mut at = nodes[0].world.first_coin();
        for miner in &there {
            let payment = nodes[*miner].world.pay(&Owner::new(0), &[at], vec![output(coins(50), &Owner::new(0))]);
            at = OutPoint { txid: payment.txid(), index: 0 };
            for number in &there {
                let Node { world, pool } = &mut nodes[*number];
                pool.add(&world.chain, &payment, (Origin::Peer(1), NOW), &BatchVerifier).unwrap();
            }
            let block = nodes[*miner].mine(9);
            assert_eq!(block.transactions.len(), 2);
            there.iter().for_each(|number| nodes[*number].take(&block));
        }
        let sets: Vec<_> = there.iter().map(|number| nodes[*number].world.chain.set_hash().unwrap()).collect();
        assert!(sets.iter().all(|set| *set == sets[0]));
        // Who was gone asks any of the others.
        let source = there[gone % 4];
        let headers = nodes[source].world.chain.headers_after(&nodes[gone].world.chain.locator(), None);
        assert_eq!(headers.len(), 4);
        for header in headers {
            let block = nodes[source].world.chain.block(&header.hash()).unwrap().unwrap();
            nodes[gone].take(&block);
        }
        assert_eq!(nodes[gone].world.chain.set_hash().unwrap(), sets[0]);
    }
}

#[test]
fn a3_a_chain_is_known_by_a_genesis_file_and_no_parameter_of_it_can_be_changed_unnoticed() {
    let world = World::new();
    let file = world.genesis.to_file();
    let text = serde_json::to_vec(&file).unwrap();
    assert_eq!(meshline_ledger::Genesis::from_json(&text).unwrap(), world.genesis);
    let other = GenesisFile { maturity: file.maturity + 1, ..file.clone() };
    assert!(other.genesis().unwrap_err().to_string().contains("a parameter was changed"));
    for (from, to) in [
        ("\"maturity\"", "\"Maturity\""),
        ("\"bits\":\"203fffff\"", "\"bits\":\"+03fffff\""),
        ("{\"schema\"", "{\"name\":\"x\",\"schema\""),
    ] {
        let changed = String::from_utf8(text.clone()).unwrap().replace(from, to);
        assert!(meshline_ledger::Genesis::from_json(changed.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn a5_headers_are_answered_in_bounds_however_many_there_are() {
    let mut world = World::new();
    for _ in 0..meshline_ledger::chain::MAX_HEADERS_REPLY + 5 {
        world.extend(&Owner::new(1), Vec::new());
    }
    assert_eq!(world.chain.headers_after(&[], None).len(), meshline_ledger::chain::MAX_HEADERS_REPLY);
    let far: Vec<BlockHash> = (0..1_000).map(|_| BlockHash([9; 32])).collect();
    assert_eq!(world.chain.headers_after(&far, None).len(), meshline_ledger::chain::MAX_HEADERS_REPLY);
}

/// Announcements on the wire have bounds of their own; this is what is behind them.
#[test]
fn a6_payments_come_in_any_number_and_each_has_its_own_answer() {
    let mut world = World::new();
    let pieces = vec![output(units(1_000), &Owner::new(0)); 300];
    let split = world.pay(&Owner::new(0), &[world.first_coin()], pieces);
    world.extend(&Owner::new(9), vec![split.clone()]);
    let pay = |index| {
        let at = OutPoint { txid: split.txid(), index };
        world.pay(&Owner::new(0), &[at], vec![output(units(1_000), &Owner::new(1))])
    };
    let payments: Vec<Transaction> = (0..300).map(pay).collect();
    let (mut pool, verified) = (Mempool::new(0), Verified::new(BatchVerifier));
    let mut taken = 0;
    for count in [0, 1, 2, 300] {
        let answers = pool.add_all(&world.chain, &payments[..count], (Origin::Peer(1), NOW), &verified);
        let known = answers.iter().filter(|answer| **answer == Err(PoolRefusal::Known)).count();
        assert_eq!((answers.len(), known, pool.len()), (count, taken, count.max(taken)));
        taken = pool.len();
    }
}

#[test]
fn a7_what_is_not_there_is_answered_as_such_and_never_by_something_empty() {
    let (world, pool) = (World::new(), Mempool::new(0));
    let (hash, txid) = (BlockHash([9; 32]), meshline_ledger::Txid([9; 32]));
    assert_eq!((world.chain.block(&hash), world.chain.header(&hash), pool.get(&txid)), (Ok(None), None, None));
    assert_eq!(world.chain.coin(&OutPoint { txid, index: 0 }), Ok(None));
    let empty = Transaction { version: 1, inputs: Vec::new(), outputs: Vec::new(), lock_time: 0 };
    assert_eq!(check_transaction(&empty), Err(Rule::NoInputs));
}

#[test]
fn a8_nothing_of_an_invalid_block_is_kept() {
    let mut world = World::new();
    let before = (world.chain.tip(), world.chain.set_hash().unwrap());
    let mut block = world.block(&Owner::new(9), vec![payment(&world)]);
    block.transactions[0].outputs[0].amount = coins(51);
    seal(&mut block);
    assert_eq!(world.accept(&block), Err(Rule::CoinbaseValue));
    assert_eq!((world.chain.tip(), world.chain.set_hash().unwrap()), before);
    assert_eq!(world.chain.block(&block.hash()).unwrap(), None);
}

#[test]
fn a9_the_unspent_outputs_follow_each_block_and_equal_a_rebuild() {
    let mut world = World::new();
    let paid = payment(&world);
    world.extend(&Owner::new(9), vec![paid]);
    let incremental = world.chain.set_hash().unwrap();
    assert_eq!(world.chain.reindex().unwrap(), incremental);
}

#[test]
fn a10_the_mempool_judges_by_the_rules_of_a_block() {
    let world = World::new();
    let mut pool = Mempool::new(0);
    let mut bad = payment(&world);
    bad.outputs[0].amount = coins(51);
    let mut add = |payment: &Transaction| pool.add(&world.chain, payment, (Origin::Peer(1), NOW), &BatchVerifier);
    assert_eq!(add(&bad), Err(PoolRefusal::Rule(Rule::Overspent)));
    let mut bad = payment(&world);
    bad.outputs[0].amount = coins(49);
    assert_eq!(add(&bad), Err(PoolRefusal::Rule(Rule::Signature)));
    assert!(add(&payment(&world)).is_ok());
}

/// Who asks whom, and when it asks another, is up to the synchronisation; the chain takes blocks from anybody in any order.
#[test]
fn a11_blocks_come_from_four_of_whom_one_stalls_one_lies_and_one_dies() {
    let mut origin = World::new();
    let blocks: Vec<Block> = (0..40).map(|number| origin.extend(&Owner::new(number % 3), Vec::new())).collect();
    let mut world = World::new();
    blocks.iter().for_each(|block| assert_eq!(world.chain.accept_header(&block.header, NOW), Ok(true)));
    let (mut asked, mut refused) = (0, 0);
    while world.chain.tip() != origin.chain.tip() {
        let missing = world.chain.missing_blocks(16);
        assert!(missing.len() <= 16 && asked < 200, "{asked}");
        for (number, hash) in missing.iter().enumerate() {
            asked += 1;
            let mut block = origin.chain.block(hash).unwrap().unwrap();
            match number % 4 {
                0 => {}
                // It lies: other transactions under the same header. That is the copy's fault and not the block's.
                1 => block.transactions[0].outputs[0].amount = coins(49),
                // It stalls.
                2 => continue,
                // It dies.
                _ if asked > 30 => continue,
                _ => {}
            }
            match world.accept(&block) {
                Ok(_) => {}
                Err(Rule::MerkleRoot) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused > 5, "{refused}");
    assert_eq!(world.chain.set_hash(), origin.chain.set_hash());
}

#[test]
fn a12_empty_blocks_can_be_mined_and_a_template_follows_the_tip() {
    let mut world = World::new();
    for _ in 0..3 {
        let mut template = Template::new(&world.chain, &Mempool::new(0), Owner::new(1).lock(), NOW, b"");
        assert_eq!(template.block.header.previous, world.chain.tip());
        mine(&mut template.block.header);
        assert!(matches!(world.accept(&template.block), Ok(Accepted::Active(_))));
    }
}

/// A light client holds headers and asks for a payment with its branch.
#[test]
fn a13_a_payment_is_verified_with_headers_and_a_branch_in_less_than_a_hundredth_of_the_bytes() {
    let mut world = World::new();
    let pieces = vec![output(coins(5), &Owner::new(0)); 10];
    let split = world.pay(&Owner::new(0), &[world.first_coin()], pieces);
    let first = world.extend(&Owner::new(9), vec![split.clone()]);
    let pay = |index, outputs| world.pay(&Owner::new(0), &[OutPoint { txid: split.txid(), index }], outputs);
    let mut payments: Vec<Transaction> =
        (0..9).map(|index| pay(index, vec![output(units(1_000), &Owner::new(2)); 1_500])).collect();
    payments.insert(4, pay(9, vec![output(coins(5), &Owner::new(1))]));
    let second = world.extend(&Owner::new(9), payments.clone());
    let mut light = Chain::open(&world.genesis, meshline_ledger::store::MemoryStore::default()).unwrap();
    for block in [&first, &second] {
        light.accept_header(&block.header, NOW).unwrap();
    }
    let leaves: Vec<[u8; 32]> = second.transactions.iter().map(|transaction| transaction.wtxid().0).collect();
    let (payment, branch) = (&payments[4], merkle_branch(&leaves, 5));
    let (header, height) = light.header(&second.hash()).unwrap();
    let proves = |payment: &Transaction| root_of_branch(payment.wtxid().0, 5, &branch) == header.merkle_root;
    assert!(height == 2 && light.best_header().0 == second.hash() && proves(payment) && !proves(&payments[3]));
    let mut changed = payment.clone();
    changed.outputs[0].lock = Owner::new(3).lock();
    assert!(!proves(&changed));
    let light_bytes = 2 * 80 + payment.size() + 32 * branch.len();
    let all_bytes = first.encode().len() + second.encode().len();
    assert!(light_bytes * 100 < all_bytes, "{light_bytes} of {all_bytes}");
}

#[test]
fn a15_balances_are_read_between_blocks_of_a_running_chain_and_follow_each_at_once() {
    use meshline_ledger::chain::Flush;
    for flush in [Flush::EachBlock, Flush::BlocksFirst, Flush::BySize] {
        let mut world = World::new();
        world.chain.set_flush(flush);
        for height in 1..20 {
            let block = world.extend(&Owner::new(1), Vec::new());
            assert_eq!(world.chain.balance(&Owner::new(1).lock()).unwrap().0, u128::from(coins(50).units()) * height);
            if height % 5 == 0 {
                let at = OutPoint { txid: block.transactions[0].txid(), index: 0 };
                let paid = world.pay(&Owner::new(1), &[at], vec![output(coins(50), &Owner::new(1))]);
                let before = world.chain.tip();
                let with = world.block(&Owner::new(2), vec![paid]);
                world.accept(&with).unwrap();
                assert_ne!(world.chain.tip(), before);
            }
        }
    }
}

#[test]
fn a16_an_invalid_payment_does_not_end_the_miner() {
    let mut world = World::new();
    let mut pool = Mempool::new(0);
    pool.add(&world.chain, &payment(&world), (Origin::Local, NOW), &BatchVerifier).unwrap();
    // What it spends is gone before the block is built.
    let other = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(2))]);
    let block = world.extend(&Owner::new(9), vec![other]);
    pool.on_connected(&block);
    assert!(pool.is_empty());
    let mut template = Template::new(&world.chain, &pool, Owner::new(1).lock(), NOW, b"");
    mine(&mut template.block.header);
    assert!(world.accept(&template.block).is_ok());
}

#[test]
fn f1_a_signature_covers_every_field() {
    let world = World::new();
    let good = payment(&world);
    let judge = |changed: Transaction| {
        let mut world = World::new();
        let block = world.block(&Owner::new(9), vec![changed]);
        world.accept(&block)
    };
    assert!(judge(good.clone()).is_ok());
    let change = |edit: &dyn Fn(&mut Transaction)| {
        let mut changed = good.clone();
        edit(&mut changed);
        judge(changed)
    };
    assert_eq!(change(&|payment| payment.outputs[0].amount = units(1)), Err(Rule::Signature));
    assert_eq!(change(&|payment| payment.outputs[0].lock = Owner::new(5).lock()), Err(Rule::Signature));
    assert_eq!(change(&|payment| payment.outputs.push(payment.outputs[0])), Err(Rule::Overspent));
    assert_eq!(change(&|payment| payment.lock_time = 1_000_000_000), Err(Rule::Signature));
    assert_eq!(change(&|payment| payment.version = 2), Err(Rule::TransactionVersion));
    // Every single bit.
    let bytes = good.encode();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = Transaction::decode(&changed) {
            assert!(judge(changed).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn f2_nobody_spends_what_is_not_theirs() {
    let mut world = World::new();
    let stolen = world.pay(&Owner::new(5), &[world.first_coin()], vec![output(coins(50), &Owner::new(5))]);
    let block = world.block(&Owner::new(9), vec![stolen]);
    assert_eq!(world.accept(&block), Err(Rule::WrongKey));
}

#[test]
fn f3_money_does_not_come_from_sums() {
    let mut world = World::new();
    let million = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(1_000_000), &Owner::new(5))]);
    let block = world.block(&Owner::new(9), vec![million]);
    assert_eq!(world.accept(&block), Err(Rule::Overspent));
    let mut overflow = payment(&world);
    overflow.outputs = vec![output(Amount::MAX, &Owner::new(1)); 2];
    assert_eq!(check_transaction(&overflow), Err(Rule::OutputSum));
    assert!("-5".parse::<Amount>().is_err());
}

#[test]
fn f4_the_same_payment_is_not_mined_twice() {
    let mut world = World::new();
    let paid = payment(&world);
    world.extend(&Owner::new(9), vec![paid.clone()]);
    let block = world.block(&Owner::new(9), vec![paid]);
    assert_eq!(world.accept(&block), Err(Rule::MissingInput));
}

#[test]
fn f5_blocks_of_any_number_of_payments_have_a_merkle_tree() {
    let mut world = World::new();
    let split = vec![output(coins(1), &Owner::new(0)); 50];
    let first = world.pay(&Owner::new(0), &[world.first_coin()], split);
    world.extend(&Owner::new(9), vec![first.clone()]);
    let mut next = 0;
    for count in 1..=9 {
        let pay = |index| {
            let at = OutPoint { txid: first.txid(), index };
            world.pay(&Owner::new(0), &[at], vec![output(coins(1), &Owner::new(1))])
        };
        let payments = (next..next + count).map(pay).collect();
        next += count;
        world.extend(&Owner::new(9), payments);
    }
}

#[test]
fn f6_hash_and_height_are_computed_and_covered_by_the_work() {
    let mut world = World::new();
    let mut block = world.block(&Owner::new(9), Vec::new());
    block.transactions[0].inputs = coinbase(1 << 30, Vec::new()).inputs;
    assert_eq!(world.accept(&block), Err(Rule::MerkleRoot));
    seal(&mut block);
    assert_eq!(world.accept(&block), Err(Rule::CoinbaseHeight));
}

#[test]
fn f8_keys_have_a_fixed_width() {
    for number in 0..5_000 {
        let owner = Owner::new(number);
        assert!(owner.lock().is_opened_by(&owner.key()));
        assert_eq!(owner.lock().encode().len(), 21);
    }
}

#[test]
fn f9_outputs_keep_their_numbers_when_others_are_spent() {
    let mut world = World::new();
    let split = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(25), &Owner::new(1)); 2]);
    let at = |index| OutPoint { txid: split.txid(), index };
    world.extend(&Owner::new(9), vec![split.clone()]);
    let spend = world.pay(&Owner::new(1), &[at(0)], vec![output(coins(25), &Owner::new(2))]);
    world.extend(&Owner::new(9), vec![spend]);
    let owned: Vec<OutPoint> = world.chain.owned(&Owner::new(1).lock()).unwrap().into_keys().collect();
    assert_eq!(owned, [at(1)]);
}

#[test]
fn f10_no_bytes_end_the_process() {
    let (mut rng, mut world) = (rng(10), World::new());
    let good = world.block(&Owner::new(9), vec![payment(&world)]).encode();
    for _ in 0..3_000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            let at = usize::try_from(rng.next_u64() % bytes.len() as u64).unwrap();
            bytes[at] = rng.next_u32() as u8;
        }
        let Ok(mut block) = Block::decode(&bytes) else { continue };
        let _ = world.accept(&block);
        // Past the header's rules too.
        block.header = world.block(&Owner::new(9), Vec::new()).header;
        seal(&mut block);
        let _ = world.accept(&block);
    }
    assert!(world.chain.verify(&BatchVerifier, |_| {}).is_ok());
}

#[test]
fn f12_the_tip_follows_the_work_and_never_a_number_in_a_block() {
    let mut world = World::new();
    let id = world.chain.id();
    let short = world.extend(&Owner::new(1), Vec::new());
    let one = world.block_after(id, &Owner::new(2), Vec::new());
    world.accept(&one).unwrap();
    assert_eq!(world.chain.tip(), short.hash());
    let two = world.block_after(one.hash(), &Owner::new(2), Vec::new());
    assert!(
        matches!(world.accept(&two), Ok(Accepted::Active(events)) if matches!(events[0], ChainEvent::Disconnected(_)))
    );
    // A block whose parent is not there cannot become the tip.
    let mut orphan = world.block(&Owner::new(3), Vec::new());
    orphan.header.previous = BlockHash([3; 32]);
    mine(&mut orphan.header);
    assert_eq!(world.accept(&orphan), Err(Rule::UnknownParent));
}

#[test]
fn f14_a_coinbase_takes_what_is_due_waits_and_is_unlike_all_others() {
    let mut world = World::with(Params { maturity: 2, ..params() });
    let first = world.extend(&Owner::new(1), Vec::new());
    let at = OutPoint { txid: first.transactions[0].txid(), index: 0 };
    let coin: Coin = world.chain.coin(&at).unwrap().unwrap();
    let early = world.pay_coins(&Owner::new(1), &[at], &[coin], vec![output(coins(50), &Owner::new(2))]);
    let block = world.block(&Owner::new(1), vec![early.clone()]);
    assert_eq!(world.accept(&block), Err(Rule::Immature));
    let second = world.extend(&Owner::new(1), Vec::new());
    assert_ne!(first.transactions[0].txid(), second.transactions[0].txid());
    world.extend(&Owner::new(1), vec![early]);
}

#[test]
fn the_presets_are_chains() {
    for preset in [Preset::Tutorial, Preset::Test, Preset::Main] {
        let params = preset.params();
        assert_eq!(params.check(), Ok(()));
        assert_eq!(Preset::by_name(preset.name()), Some(preset));
        let block = meshline_ledger::Genesis::unmined(&params, 1, Owner::new(0).lock(), None).unwrap();
        let Some(TxIn::Coinbase { extra, .. }) = block.transactions[0].inputs.first() else { panic!() };
        assert!(extra.ends_with(b"Chancellor on brink of second bailout for banks"));
    }
    let tutorial = Preset::Tutorial.params();
    assert_eq!((tutorial.subsidy_at(0), tutorial.subsidy_at(5_000_000), tutorial.maturity), (coins(10), coins(10), 1));
}

/// A store that was opened with one chain's file is not opened with another's.
#[test]
fn a3_a_foreign_chain_is_refused() {
    let world = World::new();
    let other = World::with(Params { maturity: 7, ..params() });
    assert!(Chain::open(&other.genesis, world.chain.into_store()).is_err());
}
