//! What a node answers, how fast, and what handling it costs, as one peer sees it that does not read, or asks for much.

use meshline_ledger::consensus::Rule;
use meshline_ledger::encode::Encode;
use meshline_ledger::sync::effort::*;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{Input, Reason};
use meshline_ledger::{Block, OutPoint};
use meshline_protocol::limits::MAX_LEDGER_IDS;
use meshline_protocol::message::*;
use meshline_protocol::{Bounded, LedgerHash, Message};

use crate::net::{chain_of, node_id};
use crate::support::*;
use crate::sync_bounds::{Hand, PEER, asked_for_headers, headers};

fn name_of(block: &Block) -> LedgerHash {
    LedgerHash(block.hash().0)
}

fn getblocks(request: u32, from: &[LedgerHash], stop: Option<LedgerHash>) -> Ledger {
    Ledger::Getblocks(LedgerLocate { request, locator: Bounded::from_first(from.iter().copied()), stop })
}

/// The answers with names of blocks, each with the number of its question.
fn named(hand: &Hand) -> Vec<(u32, Vec<LedgerHash>)> {
    let answers = hand.sent.iter().filter_map(|(_, message, _)| {
        let Ledger::Inv(line) = message else { return None };
        assert_eq!(line.kind, LedgerKind::Block);
        Some((line.request.unwrap(), line.ids.iter().copied().collect()))
    });
    answers.collect()
}

/// A node with so many blocks, and a peer.
fn with_blocks(count: usize) -> (Vec<Block>, Hand) {
    let mut world = World::new();
    let blocks = chain_of(&mut world, count);
    let mut hand = Hand::new(&world);
    for block in &blocks {
        hand.chain.accept_block(block, NOW, &meshline_ledger::sighash::BatchVerifier).unwrap();
    }
    hand.meet(&world, Vec::new());
    hand.sent.clear();
    (blocks, hand)
}

#[test]
fn getblocks_is_answered_with_the_names_after_the_first_known_one_five_hundred_at_most() {
    let (blocks, mut hand) = with_blocks(MAX_BLOCK_NAMES + 1);
    let names: Vec<LedgerHash> = blocks.iter().map(name_of).collect();
    let unknown = LedgerHash([9; 32]);
    hand.say(getblocks(1, &[unknown], None), None);
    hand.say(getblocks(2, &[unknown, names[MAX_BLOCK_NAMES - 1]], None), None);
    hand.say(getblocks(3, &[names[0]], Some(names[3])), None);
    hand.say(getblocks(4, &[names[MAX_BLOCK_NAMES]], None), None);
    let answers = named(&hand);
    assert_eq!(answers[0], (1, names[..MAX_BLOCK_NAMES].to_vec()));
    assert_eq!(answers[1], (2, names[MAX_BLOCK_NAMES..].to_vec()), "the rest");
    assert_eq!(answers[2], (3, names[1..=3].to_vec()), "up to where it was to stop");
    assert_eq!(answers[3], (4, Vec::new()), "nothing more is an answer");
    assert_eq!(hand.blamed, []);
}

/// Asks again and again without reading: answers at once, then none until they are read, then it is too much.
fn asks_without_reading(hand: &mut Hand, ask: impl Fn(u32) -> Ledger, is: impl Fn(&Ledger) -> bool) {
    let bytes = |hand: &Hand| -> usize {
        let lines = hand.sent.iter().map(|(_, message, _)| Message::Ledger(message.clone()));
        lines.map(|message| serde_json::to_vec(&message).unwrap().len()).sum()
    };
    let mut asked = 0;
    let mut ask_again = |hand: &mut Hand| {
        asked += 1;
        hand.say(ask(asked), None);
    };
    ask_again(hand);
    let one = bytes(hand);
    for _ in 1..SERVE_AT_ONCE.div_ceil(one) + MAX_QUESTIONS {
        ask_again(hand);
    }
    assert_eq!(hand.blamed, []);
    let most = SERVE_AT_ONCE + 2 * one;
    let at_first = bytes(hand);
    assert!((SERVE_AT_ONCE..=most).contains(&at_first), "{at_first} bytes at once");
    let answers = hand.count(&is);
    hand.hear(Input::Drained { peer: node_id(PEER) });
    assert_eq!(hand.count(&is), 2 * answers, "what was read makes room");
    assert!(bytes(hand) <= 2 * most);
    for _ in 0..=answers {
        ask_again(hand);
    }
    assert_eq!(hand.blamed.last(), Some(&(node_id(PEER), Reason::TooManyQuestions, false)));
}

#[test]
fn names_of_blocks_wait_for_the_asker_to_read() {
    let (blocks, mut hand) = with_blocks(MAX_BLOCK_NAMES);
    let first = LedgerHash(blocks[0].header.previous.0);
    asks_without_reading(
        &mut hand,
        |request| getblocks(request, &[first], None),
        |sent| matches!(sent, Ledger::Inv(_)),
    );
}

#[test]
fn what_is_not_here_waits_for_the_asker_to_read_too() {
    let (_, mut hand) = with_blocks(1);
    let ask = |request: u32| {
        let ids = Bounded::from_first(
            (0..MAX_LEDGER_IDS).map(|number| LedgerHash([u8::try_from(number % 251).unwrap(); 32])),
        );
        Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Transaction, ids })
    };
    asks_without_reading(&mut hand, ask, |sent| matches!(sent, Ledger::Notfound(_)));
}

#[test]
fn a_frame_costs_what_is_to_be_judged_in_it_valid_or_not() {
    let mut world = World::new();
    let split = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(1_000), &Owner::new(1)); 50]);
    let first = world.extend(&Owner::new(2), vec![split.clone()]);
    let at = |index| OutPoint { txid: split.txid(), index };
    let payment = |index| world.pay(&Owner::new(1), &[at(index)], vec![output(units(1_000), &Owner::new(3))]);
    let mut payments: Vec<_> = (0..50).map(payment).collect();
    payments[49].outputs[0].amount = units(999);
    let bad = world.block(&Owner::new(2), payments);
    let mut hand = Hand::new(&World::new());
    hand.meet(&world, vec![first.header, bad.header]);
    let question = hand.asked();
    hand.sync.take_effort();
    hand.say_headers(question, &[first.header, bad.header]);
    assert_eq!(hand.sync.take_effort(), FRAME_EFFORT + 2 * HEADER_EFFORT + 1);
    let question = hand.asked();
    hand.say_block(question, &first);
    let bytes = |block: &Block| 2 * (block.encode().len() / BYTES_A_UNIT) as u64 + 1;
    let judged = hand.sync.take_effort();
    assert!((FRAME_EFFORT + SIGNATURE_EFFORT..=FRAME_EFFORT + SIGNATURE_EFFORT + bytes(&first)).contains(&judged));
    hand.say_block(question, &bad);
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::BadBlock(Rule::Signature), true)]);
    let judged = hand.sync.take_effort();
    assert!(judged >= FRAME_EFFORT + 50 * SIGNATURE_EFFORT, "{judged}");
    hand.say_block(question, &bad);
    let ignored = hand.sync.take_effort();
    assert!(ignored <= FRAME_EFFORT + bytes(&bad), "nothing of it is judged any more: {ignored}");
}

#[test]
fn answers_cost_what_is_read_for_them() {
    let (blocks, mut hand) = with_blocks(MAX_BLOCK_NAMES);
    hand.sync.take_effort();
    let locator = Bounded::from_first([LedgerHash(blocks[0].header.previous.0)]);
    hand.say(Ledger::Getheaders(LedgerLocate { request: 1, locator, stop: None }), None);
    let sent: usize = hand.sent.iter().filter_map(|(_, _, body)| body.as_ref()).map(bytes::Bytes::len).sum();
    assert_eq!(sent, 80 * MAX_BLOCK_NAMES);
    let cost = hand.sync.take_effort();
    let most = FRAME_EFFORT + (sent / BYTES_A_UNIT) as u64;
    assert!(cost <= most && cost + 3 >= most, "{cost}: the parts are rounded down each");
    let (_, _, mut silent) = asked_for_headers(5);
    silent.sync.take_effort();
    silent.hear(Input::Tick);
    assert_eq!(
        (silent.sync.take_effort(), headers(&blocks).len()),
        (0, MAX_BLOCK_NAMES),
        "the time costs nobody anything"
    );
}
