//! Filters: what they say, and how they, their hashes and proofs are served.

use std::collections::BTreeSet;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use meshline_ledger::chain::Chain;
use meshline_ledger::consensus::root_of_branch;
use meshline_ledger::encode::{Decode, Decoder, Encode};
use meshline_ledger::filter::{FALSE_POSITIVES, Filter, FilterHash, FilterHeader, locks_of};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{Config, Input, Reason, Sync};
use meshline_ledger::{Block, BlockHash, Lock, OutPoint, Transaction, TxOut, Txid};
use meshline_protocol::message::*;
use meshline_protocol::{Bounded, LedgerHash};
use rand_chacha::rand_core::Rng;

use crate::net::{SECOND, chain_of};
use crate::support::*;
use crate::sync_bounds::Hand;

const BIP_158: &str = include_str!("../data/filters.tsv");

fn header(text: &str) -> FilterHeader {
    FilterHeader(text.parse::<BlockHash>().unwrap().0)
}

#[test]
fn filters_and_their_chain_are_those_of_bip_158() {
    let mut count = 0;
    for row in BIP_158.lines().filter(|line| !line.starts_with('#')) {
        let [_, block, items, before, filter, after] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let block: BlockHash = block.parse().unwrap();
        let items = items.split(',').filter(|item| *item != "-");
        let items: Vec<Vec<u8>> = items.map(|item| HEXLOWER.decode(item.as_bytes()).unwrap()).collect();
        let made = Filter::over(&block, items.iter().cloned());
        assert_eq!(HEXLOWER.encode(made.bytes()), filter, "{row}");
        assert_eq!(made.hash().follow(&header(before)), header(after), "{row}");
        for item in &items {
            assert_eq!(made.matches(&block, [item].into_iter()), Ok(true), "{row}");
        }
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn no_lock_of_a_block_is_left_out_and_others_match_as_rarely_as_reckoned() {
    const STRANGERS: u64 = 20_000;
    const FILTERS: u64 = 400;
    let seed = 158;
    eprintln!("seed {seed}");
    let mut rng = rng(seed);
    let mut item = || {
        let mut bytes = vec![0; Lock::SIZE];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    // Each block has a key of its own: for every filter they are others.
    let strangers: Vec<Vec<u8>> = (0..STRANGERS).map(|_| item()).collect();
    let mut matched = 0_u32;
    let mut sizes = 0;
    for round in 0..FILTERS {
        let mut block = BlockHash::ZERO;
        block.0[..8].copy_from_slice(&round.to_le_bytes());
        let items: Vec<Vec<u8>> = (0..50).map(|_| item()).collect();
        let filter = Filter::over(&block, items.iter().cloned());
        sizes += filter.bytes().len();
        assert!(items.iter().all(|item| filter.matches(&block, [item].into_iter()) == Ok(true)));
        matched += u32::from(filter.matches(&block, strangers.iter()).unwrap());
    }
    let expected = (STRANGERS * FILTERS) as f64 / FALSE_POSITIVES as f64;
    eprintln!("{matched} false positives, {expected:.1} expected; {:.2} bytes an item", sizes as f64 / 20_000.0);
    assert!((2..=25).contains(&matched), "{matched} where {expected:.1} are expected");
    assert!(sizes < 20_000 * 27 / 10, "a lock takes 2.6 bytes");
}

#[test]
fn the_filter_of_a_block_is_over_what_it_pays_and_what_it_spends() {
    let mut world = World::new();
    let (payer, payee) = (Owner::new(0), Owner::new(5));
    let payment = world.pay(&payer, &[world.first_coin()], vec![output(coins(50), &payee)]);
    let block = world.extend(&Owner::new(1), vec![payment]);
    let filter = Filter::of(&block);
    for (owner, is_in) in [(payer, true), (payee, true), (Owner::new(1), true), (Owner::new(6), false)] {
        let lock = owner.lock().encode();
        assert_eq!(filter.matches(&block.hash(), [&lock].into_iter()), Ok(is_in));
    }
    let locks: BTreeSet<Lock> = block.transactions.iter().flat_map(locks_of).collect();
    assert_eq!(locks.len(), 3);
}

#[test]
fn bytes_that_are_no_filter_are_none() {
    let block = BlockHash([3; 32]);
    let items: Vec<Vec<u8>> = (0..50_u8).map(|item| vec![item; 21]).collect();
    let good = Filter::over(&block, items.iter().cloned()).bytes().to_vec();
    let is_filter = |bytes: Vec<u8>| Filter::from_bytes(bytes).matches(&block, items.iter()).is_ok();
    assert!(is_filter(good.clone()));
    for length in 0..good.len() {
        assert!(!is_filter(good[..length].to_vec()), "cut to {length} bytes");
    }
    assert!(!is_filter([good.as_slice(), &[0]].concat()), "something follows");
    // More items than any block has locks, claimed in five bytes and all ones behind.
    assert!(!is_filter([&[0xfe, 0xff, 0xff, 0xff, 0xff][..], &[0xff; 100]].concat()));
    assert!(!is_filter([&[0xfd, 0xff, 0xff][..], &[0xff; 100_000]].concat()));
    let mut rng = rng(9);
    for _ in 0..2_000 {
        let mut bytes = vec![0; 40];
        rng.fill_bytes(&mut bytes);
        let _ = is_filter(bytes);
    }
}

#[test]
fn filters_are_made_behind_the_tip_and_follow_a_reorganisation() {
    let mut world = World::new();
    let common = chain_of(&mut world, 20);
    let mut chain = Chain::open(&world.genesis, MemoryStore::default()).unwrap();
    for block in &common {
        chain.accept_block(block, NOW, &BatchVerifier).unwrap();
    }
    assert_eq!((chain.filtered_height(), chain.lacks_filters()), (None, true));
    chain.make_filters(8).unwrap();
    assert_eq!(chain.filtered_height(), Some(7));
    chain.make_filters(100).unwrap();
    assert_eq!((chain.filtered_height(), chain.lacks_filters()), (Some(20), false));
    is_whole(&chain);
    // Another branch from height 15 on, longer by two.
    let mut parent = common[14].hash();
    let mut branch = Vec::new();
    for _ in 0..7 {
        let block = world.block_after(parent, &Owner::new(9), Vec::new());
        world.chain.accept_block(&block, NOW, &BatchVerifier).unwrap();
        parent = block.hash();
        branch.push(block);
    }
    for block in &branch {
        chain.accept_block(block, NOW, &BatchVerifier).unwrap();
    }
    assert_eq!((chain.tip(), chain.filtered_height()), (parent, Some(15)));
    chain.make_filters(100).unwrap();
    chain.flush().unwrap();
    is_whole(&chain);
    // It is known after a start how far they are.
    let again = Chain::open(&world.genesis, chain.into_store()).unwrap();
    assert_eq!((again.filtered_height(), again.lacks_filters()), (Some(22), false));
    is_whole(&again);
}

/// Every filter is that of its block, and their headers follow each other.
fn is_whole(chain: &Chain<MemoryStore>) {
    let mut before = FilterHeader::default();
    for height in 0..=chain.filtered_height().expect("some") {
        let hash = chain.hash_at(height).unwrap();
        let filter = Filter::of(&chain.block(&hash).unwrap().unwrap());
        assert_eq!(chain.filter(&hash).unwrap().as_ref(), Some(&filter), "at {height}");
        let place = chain.filter_place(&hash).unwrap().unwrap();
        assert_eq!((place.hash, place.header), (filter.hash(), filter.hash().follow(&before)), "at {height}");
        before = place.header;
    }
}

/// A node with so many blocks and their filters, and a peer.
fn serving(count: usize) -> (World, Hand) {
    let mut world = World::new();
    chain_of(&mut world, count);
    let mut hand = met(&world);
    while hand.chain.lacks_filters() {
        hand.now += SECOND / 10;
        hand.hear(Input::Tick);
    }
    (world, hand)
}

fn met(world: &World) -> Hand {
    let mut hand = Hand::new(world);
    let headers = (1..=world.chain.height()).map(|height| world.chain.hash_at(height).unwrap());
    let headers = headers.map(|hash| world.chain.header(&hash).unwrap().0).collect();
    hand.meet(world, headers);
    hand.sent.clear();
    hand
}

fn span(request: u32, start: u32, stop: BlockHash) -> LedgerSpan {
    LedgerSpan { request, start, stop: LedgerHash(stop.0) }
}

/// The bytes of all parts that were sent last, and whether it was a refusal.
fn answered(hand: &mut Hand) -> Option<Vec<u8>> {
    let sent = std::mem::take(&mut hand.sent);
    let is_refused = sent.iter().any(|(_, message, _)| matches!(message, Ledger::Notfound(_)));
    let bodies = sent.into_iter().filter_map(|(_, _, body)| body).flatten().collect();
    (!is_refused).then_some(bodies)
}

fn read_filters(bytes: &[u8]) -> Vec<Filter> {
    let mut input = Decoder::new(bytes);
    let mut filters = Vec::new();
    while !input.rest().is_empty() {
        let length = input.count(1 << 20).unwrap();
        filters.push(Filter::from_bytes(input.bytes(length).unwrap().to_vec()));
    }
    filters
}

fn read_hashes(bytes: &[u8]) -> (FilterHeader, Vec<FilterHash>) {
    let (before, rest) = bytes.split_first_chunk::<32>().unwrap();
    let (hashes, rest) = rest.as_chunks::<32>();
    assert!(rest.is_empty());
    (FilterHeader(*before), hashes.iter().copied().map(FilterHash).collect())
}

#[test]
fn filters_and_hashes_are_served_as_far_as_the_caps() {
    let (world, mut hand) = serving(2_100);
    assert!(hand.sync.report(&hand.chain).peers.len() == 1, "{:?}", hand.blamed);
    let at = |height| world.chain.hash_at(height).unwrap();
    hand.say(Ledger::Getcfilters(span(1, 5, at(1_004))), None);
    let filters = read_filters(&answered(&mut hand).expect("1,000 filters"));
    assert_eq!(filters.len(), 1_000);
    assert_eq!(filters[0], Filter::of(&world.chain.block(&at(5)).unwrap().unwrap()));
    hand.say(Ledger::Getcfheaders(span(2, 1, at(2_000))), None);
    let (before, hashes) = read_hashes(&answered(&mut hand).expect("2,000 hashes"));
    assert_eq!(hashes.len(), 2_000);
    assert_eq!(before, Filter::of(&world.genesis.block).hash().follow(&FilterHeader::default()));
    assert_eq!(hashes[4..1_004], filters.iter().map(Filter::hash).collect::<Vec<_>>());
    // What is not in the active chain, or ends before it begins, is not found; neither is an offence.
    for asked in [span(3, 0, BlockHash([7; 32])), span(4, 9, at(8))] {
        hand.say(Ledger::Getcfilters(asked.clone()), None);
        assert_eq!(answered(&mut hand), None);
        hand.say(Ledger::Getcfheaders(asked), None);
        assert_eq!(answered(&mut hand), None);
    }
    assert!(hand.blamed.is_empty());
    hand.say(Ledger::Getcfilters(span(5, 5, at(1_005))), None);
    assert_eq!(hand.last_blame(), Some(Reason::TooManyNames), "one filter more than an answer holds");
    let mut hand = met(&world);
    hand.say(Ledger::Getcfheaders(span(6, 0, at(2_000))), None);
    assert_eq!(hand.last_blame(), Some(Reason::TooManyNames), "one hash more than an answer holds");
}

#[test]
fn an_answer_of_filters_ends_where_its_bytes_are_full() {
    let mut world = World::new();
    // The locks are what counts, not whether anybody may spend: each block pays to 3,400 new ones.
    let miner = Owner::new(1);
    let mut next = 0_u64;
    for _ in 0..70 {
        let locks = (0..3_400).map(|_| {
            next += 1;
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&next.to_le_bytes());
            TxOut { amount: units(0), lock: Lock::KeyHash(bytes) }
        });
        let mut block = world.block(&miner, Vec::new());
        block.transactions[0].outputs = locks.collect();
        seal(&mut block);
        world.accept(&block).unwrap();
    }
    let mut hand = met(&world);
    while hand.chain.lacks_filters() {
        hand.now += SECOND / 10;
        hand.hear(Input::Tick);
    }
    hand.say(Ledger::Getcfilters(span(1, 1, world.chain.tip())), None);
    let bytes = answered(&mut hand).unwrap();
    let filters = read_filters(&bytes);
    assert!(bytes.len() <= MAX_FILTERS_BYTES && bytes.len() > MAX_FILTERS_BYTES / 2, "{}", bytes.len());
    assert!((40..70).contains(&filters.len()), "{} filters", filters.len());
}

/// Reads a proof: places, branches and transactions.
fn read_proof(bytes: &[u8]) -> Vec<(u32, Vec<[u8; 32]>, Transaction)> {
    let mut input = Decoder::new(bytes);
    let mut proofs = Vec::new();
    while !input.rest().is_empty() {
        let place = input.u32().unwrap();
        let count = input.count(16).unwrap();
        let branch = (0..count).map(|_| input.array().unwrap()).collect();
        proofs.push((place, branch, Transaction::decode_from(&mut input).unwrap()));
    }
    proofs
}

fn prove(request: u32, block: BlockHash, names: &[Txid]) -> Ledger {
    let ids = Bounded::from_first(names.iter().map(|name| LedgerHash(name.0)));
    Ledger::Getproof(LedgerProve { request, block: LedgerHash(block.0), ids })
}

/// A block with a payment that was split into so many, each spent again.
fn busy(count: u64) -> (World, Block) {
    let mut world = World::new();
    let owner = Owner::new(0);
    let outputs = (0..count).map(|_| output(units(1_000), &owner)).collect();
    let split = world.pay(&owner, &[world.first_coin()], outputs);
    let txid = split.txid();
    world.extend(&Owner::new(1), vec![split]);
    let spend = |index| {
        let coin = OutPoint { txid, index };
        world.pay(&owner, &[coin], vec![output(units(1_000), &Owner::new(u64::from(index) + 10))])
    };
    let payments: Vec<Transaction> = (0..count as u32).map(spend).collect();
    let block = world.extend(&Owner::new(1), payments);
    (world, block)
}

#[test]
fn proofs_lead_to_the_block_and_name_nothing_that_is_not_in_it() {
    let (world, block) = busy(70);
    let mut hand = met(&world);
    let names: Vec<Txid> = block.transactions.iter().map(Transaction::txid).collect();
    let asked = [names[3], Txid([9; 32]), names[70], names[3]];
    hand.say(prove(1, block.hash(), &asked), None);
    let proofs = read_proof(&answered(&mut hand).unwrap());
    assert_eq!(proofs.iter().map(|(place, ..)| *place).collect::<Vec<_>>(), [3, 70]);
    for (place, branch, transaction) in &proofs {
        assert_eq!(transaction, &block.transactions[*place as usize]);
        let root = root_of_branch(transaction.wtxid().0, *place as usize, branch);
        assert_eq!(root, block.header.merkle_root);
    }
    // As many as may be asked for at once.
    hand.say(prove(2, block.hash(), &names[..64]), None);
    assert_eq!(read_proof(&answered(&mut hand).unwrap()).len(), 64);
    for absent in [prove(3, block.hash(), &[Txid([9; 32])]), prove(4, BlockHash([4; 32]), &names[..1])] {
        hand.say(absent, None);
        assert_eq!(answered(&mut hand), None);
    }
    assert!(hand.blamed.is_empty());
    let too_many: Result<Ledger, _> = {
        let ids: Vec<LedgerHash> = (0..65).map(|_| LedgerHash([1; 32])).collect();
        serde_json::from_value(serde_json::json!({"getproof": {"request": 1, "block": ids[0], "ids": ids}}))
    };
    assert!(too_many.is_err(), "one more cannot even be said");
}

#[test]
fn whoever_serves_no_filters_says_so_and_makes_none() {
    let mut world = World::new();
    chain_of(&mut world, 10);
    let mut hand = Hand::new(&world);
    let config = Config { serve_filters: false, ..Config::default() };
    hand.sync = Sync::new(config, BatchVerifier, [6; 32]);
    hand.meet(&world, Vec::new());
    let says = |(_, message, _): &(_, Ledger, Option<Bytes>)| matches!(message, Ledger::Version(line) if !line.filters);
    assert!(hand.sent.iter().any(says));
    hand.sent.clear();
    let tip = world.chain.tip();
    let questions =
        [Ledger::Getcfilters(span(1, 1, tip)), Ledger::Getcfheaders(span(2, 1, tip)), prove(3, tip, &[Txid([1; 32])])];
    for question in questions {
        hand.say(question, None);
        assert_eq!(answered(&mut hand), None);
    }
    hand.now += SECOND;
    hand.hear(Input::Tick);
    assert_eq!(hand.chain.filtered_height(), None);
    assert!(hand.blamed.is_empty());
}
