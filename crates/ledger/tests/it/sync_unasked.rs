//! Answers that are late, second, wrong or that nobody asked for, of every kind, and offences that only one kind can have.

use bytes::Bytes;
use meshline_ledger::encode::Encode;
use meshline_ledger::light::Light;
use meshline_ledger::mempool::Mempool;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{CompactBlock, Config, Input, Now, Output, Reason, Sync, light};
use meshline_ledger::{Block, Transaction};
use meshline_protocol::limits::MAX_INTEGER;
use meshline_protocol::message::*;
use meshline_protocol::{Bounded, LedgerHash};

use crate::liar::Liar;
use crate::net::{SECOND, chain_of, node_id};
use crate::support::*;
use crate::sync_bounds::{Hand, PEER, asked_for_headers, getdata, headers, say_names};

const fn whole(request: Option<u32>) -> LedgerPart {
    LedgerPart { request, place: LedgerPlace::WHOLE }
}

fn name(block: &Block) -> LedgerHash {
    LedgerHash(block.hash().0)
}

/// A node that is synchronised, and a peer that brought the last block and was asked to push the next ones.
pub(crate) fn with_a_pushing_peer() -> (World, Hand) {
    let mut world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let first = world.extend(&Owner::new(1), Vec::new());
    hand.say_headers(None, &[first.header]);
    let request = hand.asked();
    hand.say_block(request, &first);
    assert_eq!(hand.count(|message| matches!(message, Ledger::Sendcmpct(line) if line.push)), 1);
    (world, hand)
}

/// The next block, with a payment that the node does not have.
fn with_a_secret(world: &World) -> Block {
    let secret = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(10), &Owner::new(1))]);
    world.block(&Owner::new(2), vec![secret])
}

fn push(hand: &mut Hand, block: &Block) {
    hand.say(Ledger::Cmpctblock(whole(None)), Some(CompactBlock::of(block, 7).encode().into()));
}

/// The number of the last question about transactions of a block.
fn asked_places(hand: &Hand) -> Option<u32> {
    hand.sent.iter().rev().find_map(|(_, message, _)| {
        let Ledger::Getblocktxn(line) = message else { return None };
        Some(line.request)
    })
}

fn list(transactions: &[Transaction]) -> Bytes {
    let mut bytes = vec![u8::try_from(transactions.len()).unwrap()];
    transactions.iter().for_each(|transaction| transaction.encode_to(&mut bytes));
    bytes.into()
}

#[test]
fn a_block_in_short_from_a_peer_that_was_not_asked_to_push_is_unasked() {
    let mut world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    hand.sent.clear();
    let block = world.extend(&Owner::new(1), Vec::new());
    for round in 1..=5 {
        push(&mut hand, &block);
        assert_eq!(hand.blamed.last(), Some(&(node_id(PEER), Reason::Unasked, round == 5)));
    }
    assert_eq!((hand.chain.headers_held(), hand.sent.len()), (1, 0), "nothing of it was looked at");
}

#[test]
fn missing_transactions_of_a_block_are_taken_once_and_only_where_they_were_asked_for() {
    let (world, mut hand) = with_a_pushing_peer();
    let block = with_a_secret(&world);
    let rest = || Some(list(&block.transactions[1..]));
    hand.say(Ledger::Blocktxn(whole(None)), rest());
    hand.say(Ledger::Blocktxn(whole(Some(4_000))), rest());
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::Unasked, false); 2]);
    push(&mut hand, &block);
    let request = asked_places(&hand);
    assert!(request.is_some());
    // What they were asked for in is no answer of another kind.
    hand.say(Ledger::Tx(whole(request)), Some(block.transactions[1].encode().into()));
    hand.say(Ledger::Block(whole(request)), Some(block.encode().into()));
    assert_eq!((hand.blamed.len(), hand.last_blame(), hand.chain.height()), (4, Some(Reason::Unasked), 1));
    hand.blamed.clear();
    hand.say(Ledger::Blocktxn(whole(request)), rest());
    assert_eq!((hand.chain.height(), hand.blamed.len()), (2, 0));
    hand.say(Ledger::Blocktxn(whole(request)), rest());
    assert_eq!(hand.last_blame(), Some(Reason::Doubled));
    assert_eq!(hand.chain.height(), 2);
}

#[test]
fn missing_transactions_that_come_late_are_only_late_and_the_block_is_fetched_whole() {
    let (world, mut hand) = with_a_pushing_peer();
    let block = with_a_secret(&world);
    push(&mut hand, &block);
    let request = asked_places(&hand);
    hand.now += COMPACT_TIMEOUT;
    hand.hear(Input::Tick);
    let again = hand.sent.iter().rev().find_map(|(_, message, _)| getdata(message).cloned()).unwrap();
    assert_eq!((again.kind, again.ids.iter().copied().collect::<Vec<_>>()), (LedgerKind::Block, vec![name(&block)]));
    hand.say(Ledger::Blocktxn(whole(request)), Some(list(&block.transactions[1..])));
    assert_eq!((hand.blamed.len(), hand.sync.report(&hand.chain).late, hand.chain.height()), (0, 1, 1));
    hand.say_block(Some(again.request), &block);
    assert_eq!(hand.chain.height(), 2);
}

#[test]
fn a_block_in_short_that_cannot_be_read_or_completed_ends_it() {
    let bad_compact = |say: &dyn Fn(&mut Hand, &Block)| {
        let (world, mut hand) = with_a_pushing_peer();
        let block = with_a_secret(&world);
        say(&mut hand, &block);
        assert_eq!(hand.blamed, [(node_id(PEER), Reason::BadCompactBlock, true)]);
        assert_eq!(hand.chain.height(), 1);
    };
    let answer = |hand: &mut Hand, block: &Block, body: Bytes| {
        push(hand, block);
        let request = asked_places(hand);
        hand.say(Ledger::Blocktxn(whole(request)), Some(body));
    };
    bad_compact(&|hand, _| hand.say(Ledger::Cmpctblock(whole(None)), Some(Bytes::from(vec![1; 79]))));
    // A header, a nonce, and neither names nor transactions.
    bad_compact(&|hand, block| {
        let bytes = [&block.header.to_bytes()[..], &[0; 10]].concat();
        hand.say(Ledger::Cmpctblock(whole(None)), Some(bytes.into()));
    });
    bad_compact(&|hand, block| answer(hand, block, list(&[])));
    bad_compact(&|hand, block| answer(hand, block, list(&vec![block.transactions[1].clone(); 2])));
    bad_compact(&|hand, block| answer(hand, block, Bytes::from(vec![1; 9])));
}

/// A node with something waiting that asks for a new block in short; the number of the question.
fn asked_in_short() -> (World, Block, Hand, Option<u32>) {
    let mut world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let payment = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(10), &Owner::new(1))]);
    let now = Now { mono_us: hand.now, unix_s: hand.unix_s };
    hand.sync.submit_transaction(&payment, now, (&mut hand.chain, &mut hand.pool)).unwrap();
    let block = world.extend(&Owner::new(2), vec![payment]);
    hand.say_headers(None, &[block.header]);
    let line = hand.sent.iter().rev().find_map(|(_, message, _)| getdata(message).cloned()).unwrap();
    assert_eq!(line.kind, LedgerKind::Compact);
    (world, block, hand, Some(line.request))
}

fn in_short(hand: &mut Hand, request: Option<u32>, block: &Block) {
    hand.say(Ledger::Cmpctblock(whole(request)), Some(CompactBlock::of(block, 7).encode().into()));
}

#[test]
fn a_block_in_short_that_was_asked_for_is_taken_once_and_no_other_in_its_place() {
    let (_, block, mut hand, request) = asked_in_short();
    in_short(&mut hand, Some(4_000), &block);
    assert_eq!(hand.last_blame(), Some(Reason::Unasked));
    hand.blamed.clear();
    in_short(&mut hand, request, &block);
    assert_eq!((hand.chain.height(), hand.blamed.len()), (1, 0));
    in_short(&mut hand, request, &block);
    assert_eq!(hand.last_blame(), Some(Reason::Doubled));
    let (world, _, mut hand, request) = asked_in_short();
    in_short(&mut hand, request, &world.block(&Owner::new(3), Vec::new()));
    assert_eq!((hand.last_blame(), hand.chain.height()), (Some(Reason::Unasked), 0));
    let (_, block, mut hand, request) = asked_in_short();
    hand.now += COMPACT_TIMEOUT;
    hand.hear(Input::Tick);
    in_short(&mut hand, request, &block);
    assert_eq!((hand.blamed.len(), hand.sync.report(&hand.chain).late, hand.chain.height()), (0, 1, 0));
}

/// A node that asks for two announced payments; the payments, and the number of the question.
fn asked_for_payments() -> (Vec<Transaction>, Hand, Option<u32>) {
    let mut world = World::new();
    let split = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(1_000), &Owner::new(1)); 3]);
    let txid = split.txid();
    world.extend(&Owner::new(2), vec![split]);
    let at = |index| meshline_ledger::OutPoint { txid, index };
    let payment = |index| world.pay(&Owner::new(1), &[at(index)], vec![output(units(900), &Owner::new(3))]);
    let payments: Vec<Transaction> = (0..3).map(payment).collect();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    say_names(&mut hand, payments[..2].iter().map(|payment| LedgerHash(payment.txid().0)));
    let line = hand.sent.iter().rev().find_map(|(_, message, _)| getdata(message).cloned()).unwrap();
    assert_eq!((line.kind, line.ids.len()), (LedgerKind::Transaction, 2));
    (payments, hand, Some(line.request))
}

fn say_payment(hand: &mut Hand, request: Option<u32>, payment: &Transaction) {
    hand.say(Ledger::Tx(whole(request)), Some(payment.encode().into()));
}

#[test]
fn payments_are_taken_once_and_only_where_they_were_asked_for() {
    let (payments, mut hand, request) = asked_for_payments();
    say_payment(&mut hand, None, &payments[0]);
    say_payment(&mut hand, Some(4_000), &payments[0]);
    say_payment(&mut hand, request, &payments[2]);
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::Unasked, false); 3]);
    assert!(hand.pool.is_empty());
    say_payment(&mut hand, request, &payments[0]);
    assert_eq!((hand.blamed.len(), hand.pool.len()), (3, 1));
    say_payment(&mut hand, request, &payments[0]);
    assert_eq!(hand.last_blame(), Some(Reason::Unasked), "of this question another one is due");
    let (payments, mut hand, request) = asked_for_payments();
    payments[..2].iter().for_each(|payment| say_payment(&mut hand, request, payment));
    assert_eq!((hand.blamed.len(), hand.pool.len()), (0, 2));
    say_payment(&mut hand, request, &payments[1]);
    assert_eq!(hand.last_blame(), Some(Reason::Doubled));
    let (payments, mut hand, request) = asked_for_payments();
    hand.now += TRANSACTION_TIMEOUT;
    hand.hear(Input::Tick);
    say_payment(&mut hand, request, &payments[0]);
    assert_eq!((hand.blamed.len(), hand.sync.report(&hand.chain).late, hand.pool.len()), (0, 1, 0));
}

fn not_found(request: u32, names: &[LedgerHash]) -> Ledger {
    Ledger::Notfound(LedgerNotFound { request, ids: Bounded::from_first(names.iter().copied()) })
}

#[test]
fn that_something_is_not_there_counts_where_it_was_asked_for_and_by_its_name() {
    let unasked = |hand: &mut Hand, message: Ledger| {
        hand.say(message, None);
        assert_eq!(hand.last_blame(), Some(Reason::Unasked));
        hand.blamed.clear();
    };
    let (_, blocks, mut hand) = asked_for_headers(5);
    let (stranger, first) = (LedgerHash([9; 32]), name(&blocks[0]));
    let request = hand.asked().unwrap();
    unasked(&mut hand, not_found(request, &[first]));
    hand.say_headers(Some(request), &headers(&blocks));
    let request = hand.asked().unwrap();
    unasked(&mut hand, not_found(request, &[]));
    unasked(&mut hand, not_found(request, &[first, stranger]));
    let (payments, mut hand, request) = asked_for_payments();
    let (request, one) = (request.unwrap(), LedgerHash(payments[0].txid().0));
    unasked(&mut hand, not_found(4_000, &[one]));
    unasked(&mut hand, not_found(request, &[]));
    unasked(&mut hand, not_found(request, &[one, stranger]));
    hand.say(not_found(request, &[one]), None);
    assert_eq!(hand.blamed, []);
    unasked(&mut hand, not_found(request, &[one]));
}

#[test]
fn that_something_is_not_there_counts_once() {
    let (payments, mut hand, request) = asked_for_payments();
    let names: Vec<LedgerHash> = payments[..2].iter().map(|payment| LedgerHash(payment.txid().0)).collect();
    let request = request.unwrap();
    hand.say(not_found(request, &names), None);
    assert_eq!(hand.blamed, []);
    hand.say(not_found(request, &names), None);
    assert_eq!(hand.last_blame(), Some(Reason::Doubled));
}

#[test]
fn headers_that_lead_nowhere_are_named_and_five_times_are_enough() {
    let (world, _, mut hand) = asked_for_headers(5);
    let mut elsewhere = World::new();
    let strange = chain_of(&mut elsewhere, 3);
    let mut lost: Vec<_> = headers(&strange[1..]);
    lost[0].previous = meshline_ledger::BlockHash([8; 32]);
    mine(&mut lost[0]);
    lost[1].previous = lost[0].hash();
    mine(&mut lost[1]);
    let more = Liar::with_headers(&world.genesis, headers(&chain_of(&mut World::new(), 9))).version();
    for round in 1..=5 {
        let request = hand.asked();
        // Headers of which nobody knows the first, or none on the way to a block that is not known.
        let said = if round % 2 == 1 { &lost[..] } else { &[] };
        hand.say_headers_on_the_way_to(LedgerHash([7; 32]), request, said);
        assert_eq!(hand.blamed.last(), Some(&(node_id(PEER), Reason::Unconnected, round == 5)), "round {round}");
        assert_eq!(hand.chain.headers_held(), 1);
        // It claims to have more again, and is asked again.
        hand.say(more.clone(), None);
    }
    assert_eq!(hand.blamed.len(), 5);
}

#[test]
fn what_only_light_clients_ask_is_unasked_at_a_node() {
    for answer in [Ledger::Cfilter, Ledger::Cfheaders, Ledger::Proof] {
        let (_, _, mut hand) = asked_for_headers(5);
        for (round, request) in [None, Some(4_000), hand.asked(), None, None].into_iter().enumerate() {
            hand.say(answer(whole(request)), Some(Bytes::from(vec![0; 32])));
            assert_eq!(hand.blamed.last(), Some(&(node_id(PEER), Reason::Unasked, round == 4)));
        }
    }
}

/// A light client, and a node that answers it.
struct Pair {
    light: Light,
    chain: meshline_ledger::chain::Chain<meshline_ledger::store::MemoryStore>,
    node: Hand,
    now: u64,
    /// What the node answered.
    told: Vec<(Ledger, Option<Bytes>)>,
    blamed: Vec<(Reason, bool)>,
}

impl Pair {
    fn new() -> Self {
        let mut world = World::new();
        chain_of(&mut world, 5);
        world.extend(&Owner::new(77), Vec::new());
        let node = Hand::new(&world);
        let empty = World::new();
        let chain = meshline_ledger::chain::Chain::open(&empty.genesis, empty.chain.store().clone()).unwrap();
        let mut light = Light::new(&chain, [3; 32]);
        light.watch(&[Owner::new(77).lock()], 0, &chain).unwrap();
        Self { light, chain, node, now: 0, told: Vec::new(), blamed: Vec::new() }
    }

    fn hear(&mut self, input: Input) {
        let now = Now { mono_us: self.now, unix_s: self.node.unix_s };
        self.light.handle(input, now, &mut self.chain);
        while let Some(output) = self.light.poll_output() {
            match output {
                Output::Send { message, body, .. } => self.node.say(message, body),
                Output::Misbehaved { reason, ended, .. } => self.blamed.push((reason, ended)),
                Output::Event(event) => drop::<light::Event>(event),
            }
        }
    }

    /// The node says this to the light client.
    fn say(&mut self, message: Ledger, body: Option<Bytes>) {
        self.hear(Input::Frame { peer: node_id(PEER), message, body });
    }

    /// Until both have nothing to say.
    fn talk(&mut self) {
        while !self.node.sent.is_empty() {
            let (_, message, body) = self.node.sent.remove(0);
            self.told.push((message.clone(), body.clone()));
            self.say(message, body);
        }
    }

    /// Has it look through all blocks with one node.
    fn sync(&mut self) {
        self.node.hear(Input::LinkUp { peer: node_id(PEER) });
        self.hear(Input::LinkUp { peer: node_id(PEER) });
        for _ in 0..20 {
            self.talk();
            self.now += SECOND;
            self.node.now += SECOND;
            self.node.hear(Input::Tick);
            self.hear(Input::Tick);
        }
        self.talk();
        let report = self.light.report(&self.chain);
        assert_eq!((report.scanned, report.blocks, self.blamed.len()), (Some(6), 1, 0), "{report:?}");
    }
}

#[test]
fn filters_their_hashes_proofs_and_blocks_are_taken_once_and_only_where_they_were_asked_for() {
    let mut synced = Pair::new();
    synced.sync();
    let is_own = |told: &&(Ledger, Option<Bytes>)| {
        matches!(told.0, Ledger::Cfilter(_) | Ledger::Cfheaders(_) | Ledger::Block(_))
    };
    let told: Vec<_> = synced.told.iter().filter(is_own).cloned().collect();
    assert!(told.len() >= 3, "{told:?}");
    for (message, body) in told {
        let mut pair = Pair::new();
        pair.sync();
        let found = pair.light.movements().count();
        pair.say(message.clone(), body.clone());
        assert_eq!(pair.blamed, [(Reason::Doubled, false)], "{message:?}");
        let renamed = |request| {
            let mut message = message.clone();
            if let Ledger::Cfilter(line) | Ledger::Cfheaders(line) | Ledger::Block(line) = &mut message {
                line.request = request;
            }
            message
        };
        for request in [None, Some(4_000)] {
            pair.blamed.clear();
            pair.say(renamed(request), body.clone());
            assert_eq!(pair.blamed, [(Reason::Unasked, false)], "{message:?}");
        }
        pair.blamed.clear();
        pair.say(Ledger::Proof(whole(Some(4_000))), body.clone());
        assert_eq!(pair.blamed, [(Reason::Unasked, false)]);
        assert_eq!(pair.light.movements().count(), found, "nothing of it was looked at");
    }
}

/// The fee filters that a node sent.
fn filters(hand: &Hand) -> Vec<u64> {
    let told = hand.sent.iter().filter_map(|(_, message, _)| {
        let Ledger::Feefilter(line) = message else { return None };
        Some(line.rate)
    });
    told.collect()
}

#[test]
fn what_a_payment_must_pay_is_told_to_each_new_peer() {
    for (least_fee_rate, told) in [(0, vec![]), (1_234, vec![1_234]), (u64::MAX, vec![MAX_INTEGER])] {
        let world = World::new();
        let mut hand = Hand::new(&world);
        hand.sync = Sync::new(Config { least_fee_rate, ..Config::default() }, BatchVerifier, [5; 32]);
        hand.meet(&world, Vec::new());
        // The second version of one that is known already is no news.
        hand.say(Liar::with_headers(&world.genesis, Vec::new()).version(), None);
        hand.now += FEES_EVERY;
        hand.hear(Input::Tick);
        assert_eq!(filters(&hand), told, "no number on the wire is larger than {MAX_INTEGER}");
    }
}

#[test]
fn where_the_pool_is_full_more_is_asked_of_whoever_filled_it_and_less_again_when_there_is_room() {
    let mut world = World::new();
    let split = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(1), &Owner::new(1)); 4]);
    let txid = split.txid();
    world.extend(&Owner::new(2), vec![split]);
    // Payments of 73 kB each, of which three are more than half of what a peer can count on.
    let payment = |index: u32| {
        let pieces = vec![output(units(10_000), &Owner::new(3)); 2_500];
        world.pay(&Owner::new(1), &[meshline_ledger::OutPoint { txid, index }], pieces)
    };
    let payments: Vec<Transaction> = (0..3).map(payment).collect();
    let mut hand = Hand::new(&world);
    hand.pool = Mempool::with_room(0, 3 * payments[0].size());
    hand.meet(&world, Vec::new());
    hand.speaker = PEER + 1;
    hand.hear(Input::LinkUp { peer: node_id(PEER + 1) });
    hand.say(Liar::with_headers(&world.genesis, Vec::new()).version(), None);
    hand.speaker = PEER;
    for (at, payment) in payments.iter().enumerate() {
        hand.now += FEES_EVERY;
        hand.hear(Input::Tick);
        assert_eq!((filters(&hand), hand.pool.len()), (vec![], at), "there is room");
        say_names(&mut hand, [LedgerHash(payment.txid().0)].into_iter());
        let line = hand.sent.iter().rev().find_map(|(_, message, _)| getdata(message).cloned()).unwrap();
        for (place, body) in crate::liar::cut(&payment.encode()) {
            hand.say(Ledger::Tx(LedgerPart { request: Some(line.request), place }), Some(body));
        }
    }
    hand.now += FEES_EVERY;
    hand.hear(Input::Tick);
    let rate = hand.pool.get(&payments[0].txid()).unwrap().rate().div_ceil(1_000);
    let told: Vec<_> = hand.sent.iter().filter(|(_, message, _)| matches!(message, Ledger::Feefilter(_))).collect();
    assert!(
        rate > 0 && matches!(told[..], [(to, Ledger::Feefilter(line), _)] if *to == node_id(PEER) && line.rate == rate)
    );
    hand.now += FEES_EVERY;
    hand.hear(Input::Tick);
    assert_eq!(filters(&hand), [rate], "nothing changed");
    hand.pool = Mempool::new(0);
    hand.now += FEES_EVERY;
    hand.hear(Input::Tick);
    assert_eq!(filters(&hand), [rate, 0]);
    assert_eq!(hand.blamed, []);
}
