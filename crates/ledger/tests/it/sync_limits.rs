//! What happens at the bounds of relaying and of fetching blocks: just below each, and just beyond.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meshline_ledger::mempool::Origin;
use meshline_ledger::sighash::{SignatureCheck, SignatureVerifier};
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{Input, Reason};
use meshline_ledger::{Block, OutPoint, Transaction};
use meshline_protocol::message::*;
use meshline_protocol::{Bounded, LedgerHash, NodeId};

use crate::liar::Liar;
use crate::net::{SECOND, chain_of, node_id};
use crate::support::*;
use crate::sync_bounds::{Hand, PEER, cheap_headers, getdata, headers, questions, say_names};

/// The questions about blocks or transactions so far, and whom they were asked.
fn wants(hand: &Hand) -> Vec<(NodeId, LedgerWant)> {
    hand.sent.iter().filter_map(|(peer, message, _)| Some((*peer, getdata(message)?.clone()))).collect()
}

/// A peer by its number, with this chain.
fn meet(hand: &mut Hand, number: usize, version: Ledger) {
    hand.speaker = number;
    hand.hear(Input::LinkUp { peer: node_id(number) });
    hand.say(version, None);
}

#[test]
fn eight_headers_are_taken_unasked_and_nine_end_it() {
    for (count, ends) in [(MAX_ANNOUNCED_HEADERS, false), (MAX_ANNOUNCED_HEADERS + 1, true)] {
        let mut world = World::new();
        let mut hand = Hand::new(&world);
        hand.meet(&world, Vec::new());
        let blocks = chain_of(&mut world, count);
        hand.say_headers(None, &headers(&blocks));
        let held = if ends { 1 } else { 1 + count };
        assert_eq!(hand.chain.headers_held(), held);
        assert_eq!(hand.last_blame(), ends.then_some(Reason::TooLarge));
    }
}

#[test]
fn transactions_of_more_than_two_bodies_end_it() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    say_names(&mut hand, [LedgerHash([9; 32])].into_iter());
    let request = wants(&hand).last().map(|(_, line)| line.request);
    let part = |part: u8| Ledger::Tx(LedgerPart { request, place: LedgerPlace { part, of: 3 } });
    hand.say(part(1), Some(Bytes::from(vec![0; MAX_TX_BYTES / 2])));
    hand.say(part(2), Some(Bytes::from(vec![0; MAX_TX_BYTES / 2])));
    assert_eq!(hand.blamed, []);
    hand.say(part(3), Some(Bytes::from(vec![0; 1])));
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::TooLarge, true)]);
}

#[test]
fn three_peers_push_and_the_one_that_was_asked_first_is_told_to_stop_for_the_fourth() {
    let mut world = World::new();
    let mut hand = Hand::new(&world);
    let version = Liar::with_headers(&world.genesis, Vec::new()).version();
    let peers = 1..=MAX_PUSHING + 1;
    for number in peers.clone() {
        meet(&mut hand, number, version.clone());
    }
    for number in peers {
        hand.speaker = number;
        let block = world.extend(&Owner::new(1), Vec::new());
        hand.say_headers(None, &[block.header]);
        let request = wants(&hand).last().map(|(_, line)| line.request);
        hand.say_block(request, &block);
        assert_eq!(hand.chain.tip(), block.hash());
    }
    let told = hand.sent.iter().filter_map(|(peer, message, _)| {
        let Ledger::Sendcmpct(line) = message else { return None };
        Some((*peer, line.push))
    });
    let all = (1..=MAX_PUSHING + 1).map(|number| (node_id(number), true)).chain([(node_id(1), false)]);
    assert_eq!(told.collect::<Vec<_>>(), all.collect::<Vec<_>>());
}

#[test]
fn ten_blocks_below_the_tip_one_is_served_in_short_and_by_its_transactions_and_further_down_it_is_not() {
    let mut world = World::new();
    let blocks = chain_of(&mut world, 12);
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let deepest = blocks.len() - 1 - MAX_COMPACT_DEPTH as usize;
    for (at, is_young) in [(deepest, true), (deepest - 1, false)] {
        hand.sent.clear();
        let block = LedgerHash(blocks[at].hash().0);
        let ids = Bounded::from_first([block]);
        hand.say(Ledger::Getdata(LedgerWant { request: 1, kind: LedgerKind::Compact, ids }), None);
        let indexes = Bounded::from_first([0]);
        hand.say(Ledger::Getblocktxn(LedgerIndexes { request: 2, block, indexes }), None);
        let [(_, short, _), (_, single, _)] = &hand.sent[..] else { panic!("{:?}", hand.sent) };
        assert_eq!(matches!(short, Ledger::Cmpctblock(_)), is_young);
        assert_eq!(matches!(short, Ledger::Block(_)), !is_young, "whole instead");
        assert_eq!(matches!(single, Ledger::Blocktxn(_)), is_young);
        assert_eq!(matches!(single, Ledger::Notfound(_)), !is_young);
    }
    assert_eq!(hand.blamed, []);
}

#[test]
fn a_branch_144_blocks_down_is_taken_in_and_one_further_down_is_not() {
    let margin = usize::try_from(BRANCH_MARGIN).unwrap();
    let mut world = World::new();
    let blocks = chain_of(&mut world, margin + 10);
    for (fork, is_taken) in [(9, true), (8, false)] {
        let mut hand = Hand::new(&world);
        hand.meet(&world, Vec::new());
        // Its work is that of the block of the same height.
        let branch = world.block_after(blocks[fork - 1].hash(), &Owner::new(7), Vec::new());
        hand.say_headers(None, &[branch.header]);
        assert_eq!(hand.chain.header(&branch.hash()).is_some(), is_taken, "after block {fork}");
        assert_eq!(hand.blamed, [], "nobody needs it, and it is no offence");
    }
}

#[test]
fn blocks_are_asked_for_a_window_ahead_and_each_of_one_peer() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.unix_s = u64::from(START) + 3_000;
    let far = cheap_headers(&world, u32::try_from(WINDOW + 100).unwrap());
    let peers = WINDOW / MAX_IN_FLIGHT + 3;
    let version = Liar::with_headers(&world.genesis, far.clone()).version();
    for number in 1..=peers {
        meet(&mut hand, number, version.clone());
    }
    let [(asked, request)] = questions(&hand)[..] else { panic!("one is asked for headers: {:?}", questions(&hand)) };
    hand.speaker = usize::from(asked.as_bytes()[0]) - 1;
    hand.say_headers(Some(request), &far);
    let wants = wants(&hand);
    assert!(wants.iter().all(|(_, line)| line.ids.len() <= MAX_IN_FLIGHT));
    let names: Vec<[u8; 32]> = wants.iter().flat_map(|(_, line)| line.ids.iter().map(|name| name.0)).collect();
    let first: BTreeSet<[u8; 32]> = far[..WINDOW].iter().map(|header| header.hash().0).collect();
    assert_eq!(names.len(), WINDOW, "no block twice");
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), first, "the lowest ones");
    assert_eq!(wants.len(), WINDOW / MAX_IN_FLIGHT, "for the last peers there is none");
}

#[test]
fn whoever_holds_up_the_lowest_block_is_passed_over_after_twice_the_time_each_time() {
    let mut world = World::new();
    let empty = World::new();
    let blocks = chain_of(&mut world, 5);
    let mut hand = Hand::new(&empty);
    let version = Liar::with_headers(&world.genesis, headers(&blocks)).version();
    for number in 1..=5 {
        meet(&mut hand, number, version.clone());
    }
    let (asked, request) = questions(&hand)[0];
    hand.speaker = usize::from(asked.as_bytes()[0]) - 1;
    hand.say_headers(Some(request), &headers(&blocks));
    for (round, stall) in [2, 4, 8, 16].into_iter().enumerate() {
        assert_eq!(wants(&hand).len(), round + 1, "all blocks are asked of one");
        hand.now += stall * SECOND - 1;
        hand.hear(Input::Tick);
        assert_eq!(wants(&hand).len(), round + 1, "not before {stall} s");
        hand.now += 1;
        hand.hear(Input::Tick);
    }
    let asked: BTreeSet<NodeId> = wants(&hand).iter().map(|(peer, _)| *peer).collect();
    // The pause of the first is over by then, that of the others is not.
    assert_eq!((asked.len(), hand.blamed.len()), (4, 0), "each time of another");
    assert_eq!(LEAST_STALL, 2 * SECOND);
}

/// Judges nothing.
struct Trusting;

impl SignatureVerifier for Trusting {
    fn all_valid(&self, _: &[SignatureCheck]) -> bool {
        true
    }
}

#[test]
fn of_more_than_five_thousand_that_wait_a_new_peer_is_told_those_that_pay_most() {
    let mut world = World::new();
    let (mut coin, mut coins) = (world.first_coin(), Vec::new());
    let mut left = coins_left(&world);
    // Payments of some tens of kilobytes, whose last output goes to the next one.
    while coins.len() <= MAX_TOLD_AT_FIRST {
        let mut outputs = vec![output(units(20_000), &Owner::new(0)); 1_700];
        left -= 1_700 * 20_000;
        outputs.push(output(units(left), &Owner::new(0)));
        let split = world.pay(&Owner::new(0), &[coin], outputs);
        coins.extend((0..1_700).map(|index| OutPoint { txid: split.txid(), index }));
        coin = OutPoint { txid: split.txid(), index: 1_700 };
        world.extend(&Owner::new(2), vec![split]);
    }
    let mut hand = Hand::new(&world);
    let spend = |(fee, at): (u64, &OutPoint)| {
        let input = meshline_ledger::TxIn::Spend { outpoint: *at, key: Owner::new(0).key(), signature: [0; 64] };
        let outputs = vec![output(units(20_000 - fee), &Owner::new(1))];
        Transaction { version: 1, inputs: vec![input], outputs, lock_time: 0 }
    };
    let mut by_fee = BTreeMap::new();
    for (fee, at) in (0..).zip(&coins[..=MAX_TOLD_AT_FIRST]) {
        let payment = spend((fee, at));
        by_fee.insert(payment.txid().0, fee);
        hand.pool.add(&hand.chain, &payment, (Origin::Local, NOW), &Trusting).unwrap();
    }
    hand.meet(&world, Vec::new());
    for _ in 0..20 {
        hand.now += SECOND;
        hand.hear(Input::Tick);
    }
    let told = hand.sent.iter().filter_map(|(_, message, _)| {
        let Ledger::Inv(line) = message else { return None };
        Some(line.ids.iter().map(|name| name.0).collect::<Vec<_>>())
    });
    let told: BTreeSet<u64> = told.flatten().map(|name| by_fee[&name]).collect();
    assert_eq!((told.len(), told.first()), (MAX_TOLD_AT_FIRST, Some(&1)), "all but the one that pays nothing");
}

fn coins_left(world: &World) -> u64 {
    let block: &Block = &world.genesis.block;
    block.transactions[0].outputs[0].amount.units()
}
