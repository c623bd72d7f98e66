//! One node and a peer that does what no honest one does, by hand: every bound, and late, second and unasked answers.

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::encode::Encode;
use meshline_ledger::mempool::Mempool;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{CompactBlock, Config, Input, Now, Output, Reason, Sync};
use meshline_ledger::{Block, Header};
use meshline_protocol::message::*;
use meshline_protocol::{Bounded, LedgerHash, NodeId};

use crate::liar::{Liar, cut};
use crate::net::{SECOND, chain_of, node_id};
use crate::support::*;
use crate::sync_unasked::with_a_pushing_peer;

/// A node, and what it says to one peer.
pub(crate) struct Hand {
    pub(crate) chain: Chain<MemoryStore>,
    pub(crate) pool: Mempool,
    pub(crate) sync: Sync<BatchVerifier>,
    pub(crate) now: u64,
    pub(crate) unix_s: u64,
    /// Who says what is said.
    pub(crate) speaker: usize,
    pub(crate) sent: Vec<(NodeId, Ledger, Option<Bytes>)>,
    pub(crate) blamed: Vec<(NodeId, Reason, bool)>,
}

pub(crate) const PEER: usize = 1;

impl Hand {
    pub(crate) fn new(world: &World) -> Self {
        let chain = Chain::open(&world.genesis, world.chain.store().clone()).unwrap();
        let sync = Sync::new(Config::default(), BatchVerifier, [5; 32]);
        let (unix_s, speaker) = (u64::from(START) + 1_000, PEER);
        Self { chain, pool: Mempool::new(0), sync, now: 0, unix_s, speaker, sent: Vec::new(), blamed: Vec::new() }
    }

    pub(crate) fn hear(&mut self, input: Input) {
        let now = Now { mono_us: self.now, unix_s: self.unix_s };
        self.sync.handle(input, now, &mut self.chain, &mut self.pool);
        while let Some(output) = self.sync.poll_output() {
            match output {
                Output::Send { peer, message, body } => self.sent.push((peer, message, body)),
                Output::Misbehaved { peer, reason, ended } => self.blamed.push((peer, reason, ended)),
                Output::Event(_) => {}
            }
        }
    }

    pub(crate) fn say(&mut self, message: Ledger, body: Option<Bytes>) {
        self.hear(Input::Frame { peer: node_id(self.speaker), message, body });
    }

    /// A peer that says it has these headers.
    pub(crate) fn meet(&mut self, world: &World, headers: Vec<Header>) {
        self.hear(Input::LinkUp { peer: node_id(PEER) });
        let version = Liar::with_headers(&world.genesis, headers).version();
        self.say(version, None);
    }

    pub(crate) fn say_headers(&mut self, request: Option<u32>, headers: &[Header]) {
        let tip = headers.last().map_or(LedgerHash([0; 32]), |last| LedgerHash(last.hash().0));
        self.say_headers_on_the_way_to(tip, request, headers);
    }

    pub(crate) fn say_headers_on_the_way_to(&mut self, tip: LedgerHash, request: Option<u32>, headers: &[Header]) {
        let bytes: Vec<u8> = headers.iter().flat_map(|header| header.to_bytes()).collect();
        for (place, body) in cut(&bytes) {
            self.say(Ledger::Headers(LedgerHeaders { request, place, tip, height: 9 }), Some(body));
        }
    }

    pub(crate) fn say_block(&mut self, request: Option<u32>, block: &Block) {
        for (place, body) in cut(&block.encode()) {
            self.say(Ledger::Block(LedgerPart { request, place }), Some(body));
        }
    }

    /// The number of the last question about headers or blocks.
    pub(crate) fn asked(&self) -> Option<u32> {
        self.sent.iter().rev().find_map(|(_, message, _)| {
            if let Ledger::Getheaders(line) = message {
                return Some(line.request);
            }
            getdata(message).map(|line| line.request)
        })
    }

    pub(crate) fn last_blame(&self) -> Option<Reason> {
        self.blamed.last().map(|(_, reason, _)| *reason)
    }

    pub(crate) fn count(&self, is: impl Fn(&Ledger) -> bool) -> usize {
        self.sent.iter().filter(|(_, message, _)| is(message)).count()
    }
}

/// A node that knows nothing, a peer with some blocks, and the question the node asked it.
pub(crate) fn asked_for_headers(count: usize) -> (World, Vec<Block>, Hand) {
    let mut world = World::new();
    let empty = World::new();
    let blocks = chain_of(&mut world, count);
    let mut hand = Hand::new(&empty);
    hand.meet(&world, blocks.iter().map(|block| block.header).collect());
    (world, blocks, hand)
}

pub(crate) fn getdata(message: &Ledger) -> Option<&LedgerWant> {
    if let Ledger::Getdata(line) = message { Some(line) } else { None }
}

pub(crate) fn headers(blocks: &[Block]) -> Vec<Header> {
    blocks.iter().map(|block| block.header).collect()
}

#[test]
fn an_answer_that_nobody_asked_for_is_blamed_and_five_of_them_are_enough() {
    let (_, blocks, mut hand) = asked_for_headers(5);
    for round in 1..=5 {
        hand.say_headers(Some(4_000 + round), &headers(&blocks));
        assert_eq!(hand.last_blame(), Some(Reason::Unasked));
    }
    assert_eq!(hand.blamed.last(), Some(&(node_id(PEER), Reason::Unasked, true)));
    assert_eq!(hand.chain.headers_held(), 1, "nothing of it was looked at");
    hand.say_block(None, &blocks[0]);
    assert_eq!(hand.blamed.len(), 5, "it is not listened to any more");
}

#[test]
fn a_second_answer_is_blamed() {
    let (_, blocks, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    hand.say_headers(request, &headers(&blocks));
    assert_eq!(hand.chain.best_header().1, 5);
    hand.say_headers(request, &headers(&blocks));
    assert_eq!(hand.last_blame(), Some(Reason::Doubled));
    let request = hand.asked();
    hand.say_block(request, &blocks[0]);
    hand.say_block(request, &blocks[0]);
    assert_eq!(hand.last_blame(), Some(Reason::Unasked), "of this question other blocks are due");
    assert_eq!(hand.chain.height(), 1);
}

#[test]
fn a_late_answer_is_only_late() {
    let (_, blocks, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    hand.now += HEADERS_TIMEOUT;
    hand.hear(Input::Tick);
    assert_ne!(hand.asked(), request, "it is asked once more");
    hand.say_headers(request, &headers(&blocks));
    assert_eq!(hand.blamed, []);
    assert_eq!(hand.sync.report(&hand.chain).late, 1);
    let request = hand.asked();
    hand.say_headers(request, &headers(&blocks));
    assert_eq!(hand.chain.best_header().1, 5);
}

#[test]
fn whoever_never_answers_is_asked_three_times() {
    let (_, _, mut hand) = asked_for_headers(5);
    for round in 1..=MAX_UNANSWERED {
        assert_eq!(hand.blamed, [], "round {round}");
        hand.now += HEADERS_TIMEOUT;
        hand.hear(Input::Tick);
    }
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::Unanswered, true)]);
    assert_eq!(hand.count(|message| matches!(message, Ledger::Getheaders(_))), MAX_UNANSWERED as usize);
}

#[test]
fn an_ended_peer_stays_ended_over_a_new_link_until_it_is_forgotten() {
    let (world, blocks, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    let mut bad = headers(&blocks);
    bad[2].version = 7;
    bad[2].nonce = 0;
    hand.say_headers(request, &bad[..3]);
    assert!(matches!(hand.blamed[..], [(_, Reason::BadHeader(_), true)]), "{:?}", hand.blamed);
    hand.hear(Input::LinkDown { peer: node_id(PEER) });
    hand.sent.clear();
    hand.meet(&world, headers(&blocks));
    assert_eq!(hand.sent, []);
    hand.now += SHUNNED_FOR;
    hand.hear(Input::LinkDown { peer: node_id(PEER) });
    hand.meet(&world, headers(&blocks));
    assert_eq!(hand.count(|message| matches!(message, Ledger::Getheaders(_))), 1);
}

#[test]
fn parts_come_in_order_or_count_as_broken() {
    let (_, blocks, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    let body = || Some(Bytes::from(blocks[0].header.to_bytes().to_vec()));
    let line =
        |part, of| LedgerHeaders { request, place: LedgerPlace { part, of }, tip: LedgerHash([0; 32]), height: 1 };
    for (part, of) in [(2, 2), (3, 3)] {
        hand.say(Ledger::Headers(line(part, of)), body());
        assert_eq!(hand.last_blame(), Some(Reason::BrokenParts));
    }
    hand.say(Ledger::Headers(line(1, 3)), body());
    hand.say(Ledger::Headers(line(3, 3)), body());
    assert_eq!(hand.blamed.len(), 3);
}

#[test]
fn more_bytes_than_a_thing_may_have_end_it() {
    let (_, blocks, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    let line =
        |part| LedgerHeaders { request, place: LedgerPlace { part, of: 64 }, tip: LedgerHash([0; 32]), height: 1 };
    let body = || Some(Bytes::from(vec![0; 65_536]));
    hand.say(Ledger::Headers(line(1)), body());
    hand.say(Ledger::Headers(line(2)), body());
    assert_eq!(hand.blamed, []);
    assert!(hand.sync.cheap_header_bytes(&hand.chain) >= 131_072);
    hand.say(Ledger::Headers(line(3)), body());
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::TooLarge, true)], "2,000 headers are 160,000 bytes");
    assert_eq!(hand.sync.cheap_header_bytes(&hand.chain), 0, "what it sent is forgotten");
    let _ = blocks;
}

#[test]
fn a_body_that_is_not_what_it_should_be_ends_it() {
    let (_, _, mut hand) = asked_for_headers(5);
    let request = hand.asked();
    let (place, tip) = (LedgerPlace::WHOLE, LedgerHash([0; 32]));
    hand.say(Ledger::Headers(LedgerHeaders { request, place, tip, height: 1 }), Some(Bytes::from(vec![0; 79])));
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::Malformed, true)]);
}

#[test]
fn questions_wait_for_the_asker_to_read_and_only_so_many_of_them() {
    let mut world = World::new();
    // Blocks of 30 kB each.
    let miner = Owner::new(1);
    let first = world.first_coin();
    let outputs = (0..1_000).map(|number| output(units(10), &Owner::new(number))).collect();
    let payment = world.pay(&Owner::new(0), &[first], outputs);
    world.extend(&miner, Vec::new());
    let block = world.extend(&miner, vec![payment]);
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    hand.sent.clear();
    let name = LedgerHash(block.hash().0);
    let ask = |request: u32, names: usize| {
        let ids = Bounded::from_first(std::iter::repeat_n(name, names));
        Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Block, ids })
    };
    hand.say(ask(1, MAX_IN_FLIGHT), None);
    let is_block = |message: &Ledger| matches!(message, Ledger::Block(line) if line.place.is_last());
    let at_first = hand.count(is_block);
    let most = SERVE_AT_ONCE / block.encode().len() + 1;
    assert_eq!(at_first, most, "what one peer is sent at once is bounded");
    hand.hear(Input::Drained { peer: node_id(PEER) });
    assert_eq!(hand.count(is_block), MAX_IN_FLIGHT.min(2 * most));
    for request in 2..200 {
        hand.say(ask(request, MAX_IN_FLIGHT), None);
    }
    assert_eq!(hand.last_blame(), Some(Reason::TooManyQuestions));
}

#[test]
fn more_than_sixteen_blocks_in_a_question_end_it() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let name = LedgerHash(world.genesis.block.hash().0);
    let ids = Bounded::from_first(std::iter::repeat_n(name, MAX_IN_FLIGHT + 1));
    hand.say(Ledger::Getdata(LedgerWant { request: 1, kind: LedgerKind::Block, ids }), None);
    assert_eq!(hand.blamed, [(node_id(PEER), Reason::TooManyNames, true)]);
}

#[test]
fn unknown_names_are_answered_by_notfound() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    hand.sent.clear();
    let ids = Bounded::from_first([LedgerHash([9; 32]), LedgerHash(world.genesis.block.hash().0)]);
    hand.say(Ledger::Getdata(LedgerWant { request: 4, kind: LedgerKind::Block, ids: ids.clone() }), None);
    hand.say(Ledger::Getdata(LedgerWant { request: 5, kind: LedgerKind::Transaction, ids }), None);
    let missing: Vec<(u32, usize)> = hand
        .sent
        .iter()
        .filter_map(|(_, message, _)| {
            let Ledger::Notfound(line) = message else { return None };
            Some((line.request, line.ids.len()))
        })
        .collect();
    assert_eq!(missing, [(4, 1), (5, 2)]);
    assert_eq!(hand.count(|message| matches!(message, Ledger::Block(_))), 1);
}

#[test]
fn no_more_than_sixteen_blocks_are_under_way_from_a_peer_and_a_named_part_of_them_is_asked_again() {
    let (_, blocks, mut hand) = asked_for_headers(40);
    let request = hand.asked();
    hand.say_headers(request, &headers(&blocks));
    let question = |hand: &Hand| hand.sent.iter().rev().find_map(|(_, message, _)| getdata(message).cloned());
    let line = question(&hand).unwrap();
    assert_eq!(line.ids.len(), MAX_IN_FLIGHT);
    let ids = Bounded::from_first(line.ids.iter().copied());
    hand.say(Ledger::Notfound(LedgerNotFound { request: line.request, ids }), None);
    assert_eq!(question(&hand).unwrap().request, line.request, "not at once");
    hand.now += 2 * SECOND;
    hand.hear(Input::Tick);
    let again = question(&hand).unwrap();
    assert_ne!(again.request, line.request);
    for block in &blocks[..MAX_IN_FLIGHT] {
        hand.say_block(Some(again.request), block);
    }
    assert_eq!(hand.chain.height(), u32::try_from(MAX_IN_FLIGHT).unwrap());
    assert_eq!(hand.blamed, []);
}

pub(crate) fn say_names(hand: &mut Hand, names: impl Iterator<Item = LedgerHash>) {
    let names: Vec<LedgerHash> = names.collect();
    for some in names.chunks(meshline_protocol::limits::MAX_LEDGER_IDS) {
        let ids = Bounded::from_first(some.iter().copied());
        hand.say(Ledger::Inv(LedgerInv { request: None, kind: LedgerKind::Transaction, ids }), None);
    }
}

#[test]
fn of_what_a_peer_announces_only_so_much_is_remembered() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let name = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        LedgerHash(bytes)
    };
    say_names(&mut hand, (1..=6_400).map(name));
    let (mut asked, mut at) = (0, 0);
    while let Some(line) = hand.sent.iter().skip(at).find_map(|(_, message, _)| getdata(message).cloned()) {
        at = hand.sent.iter().position(|(_, message, _)| getdata(message) == Some(&line)).unwrap() + 1;
        assert!(line.ids.len() <= MAX_ASKED_TRANSACTIONS);
        asked += line.ids.len();
        hand.say(Ledger::Notfound(LedgerNotFound { request: line.request, ids: line.ids }), None);
    }
    assert_eq!(asked, MAX_ANNOUNCED);
    assert_eq!(hand.blamed, []);
}

#[test]
fn of_transactions_before_their_parents_a_peer_has_its_own_room() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.meet(&world, Vec::new());
    let coin = meshline_ledger::Coin { output: output(units(10), &Owner::new(1)), height: 1, coinbase: false };
    let orphan = |number: u32| {
        let txid = meshline_ledger::Txid([7; 32]);
        let at = meshline_ledger::OutPoint { txid, index: number };
        world.pay_coins(&Owner::new(1), &[at], &[coin], vec![output(units(5), &Owner::new(2))])
    };
    let orphans: Vec<_> = (0..130).map(orphan).collect();
    say_names(&mut hand, orphans.iter().map(|orphan| LedgerHash(orphan.txid().0)));
    while let Some((at, line)) =
        hand.sent.iter().enumerate().find_map(|(at, (_, message, _))| Some((at, getdata(message).cloned()?)))
    {
        hand.sent.drain(..=at);
        for name in line.ids.iter() {
            let request = Some(line.request);
            match orphans.iter().find(|orphan| orphan.txid().0 == name.0) {
                Some(orphan) => {
                    let line = LedgerPart { request, place: LedgerPlace::WHOLE };
                    hand.say(Ledger::Tx(line), Some(orphan.encode().into()));
                }
                None => {
                    let ids = Bounded::from_first([*name]);
                    hand.say(Ledger::Notfound(LedgerNotFound { request: line.request, ids }), None);
                }
            }
        }
    }
    assert_eq!(hand.sync.orphans(), MAX_ORPHANS);
    assert_eq!(hand.blamed, []);
    hand.now += ORPHAN_FOR;
    hand.hear(Input::Tick);
    assert_eq!(hand.sync.orphans(), 0, "they are forgotten");
}

/// Cheap headers after the genesis block, a second apart.
pub(crate) fn cheap_headers(world: &World, count: u32) -> Vec<Header> {
    let mut made: Vec<Header> = Vec::new();
    for number in 1..=count {
        let previous = made.last().map_or_else(|| world.genesis.block.hash(), Header::hash);
        let (version, bits) = (world.genesis.block.header.version, world.genesis.params.bits);
        let mut header = Header { version, previous, merkle_root: [0; 32], time: START + number, bits, nonce: 0 };
        mine(&mut header);
        made.push(header);
    }
    made
}

/// The questions about headers so far, and whom they were asked.
pub(crate) fn questions(hand: &Hand) -> Vec<(NodeId, u32)> {
    let asked = hand.sent.iter().filter_map(|(peer, message, _)| {
        let Ledger::Getheaders(line) = message else { return None };
        Some((*peer, line.request))
    });
    asked.collect()
}

#[test]
fn beyond_eight_chains_that_are_judged_the_one_begun_first_gives_way() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    hand.unix_s = u64::from(START) + 2 * BEHIND_S;
    let far = cheap_headers(&world, 2_000);
    for peer in 1..=MAX_FIRST_PASSES + 1 {
        hand.speaker = peer;
        let mut liar = Liar::with_headers(&world.genesis, far.clone());
        // Each claims more than those before it, so that it is asked at once.
        liar.work =
            liar.work.saturating_add(liar.work).saturating_add(meshline_ledger::u256::U256::from_u64(peer as u64));
        hand.hear(Input::LinkUp { peer: node_id(peer) });
        hand.say(liar.version(), None);
        let (asked, request) = *questions(&hand).last().unwrap();
        assert_eq!(asked, node_id(peer));
        hand.say_headers(Some(request), &far);
        // A bit of every 64th header of each chain that is judged.
        let bits = 2_000_usize.div_ceil(COMMITMENT_EVERY as usize).div_ceil(8);
        let held = hand.sync.cheap_header_bytes(&hand.chain);
        assert!(held <= peer.min(MAX_FIRST_PASSES) * bits, "{held} bytes with {peer} peers");
        assert!(held >= peer.min(MAX_FIRST_PASSES) * (bits - 1));
    }
    let before = questions(&hand).len();
    let answer = |hand: &mut Hand, peer: usize| {
        let (_, request) = *questions(hand).iter().rfind(|(asked, _)| *asked == node_id(peer)).unwrap();
        hand.speaker = peer;
        hand.say_headers(Some(request), &[]);
    };
    // Whoever had its time is asked no more; the next one has come to its end and is held to its word.
    answer(&mut hand, 1);
    assert_eq!((hand.blamed.len(), questions(&hand).len()), (0, before));
    answer(&mut hand, 2);
    assert_eq!(hand.blamed, [(node_id(2), Reason::FalseClaim, true)]);
}

#[test]
fn headers_without_blocks_are_taken_to_a_bound_and_then_judged_first() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    // Not behind: what is far ahead would be judged first anyway.
    hand.unix_s = u64::from(START) + BEHIND_S - 1;
    let far = cheap_headers(&world, MAX_UNPROVEN_HEADERS + 2_001);
    hand.meet(&world, far.clone());
    let (mut rest, tip) = (far.chunks(2_000), LedgerHash(far.last().unwrap().hash().0));
    let answer = |hand: &mut Hand, headers: &[Header]| {
        let (_, request) = *questions(hand).last().unwrap();
        hand.say_headers_on_the_way_to(tip, Some(request), headers);
        hand.chain.best_header().1
    };
    for taken in 1..=MAX_UNPROVEN_HEADERS / 2_000 {
        assert_eq!(answer(&mut hand, rest.next().unwrap()), taken * 2_000);
    }
    let (full, last) = (rest.next().unwrap(), rest.next().unwrap());
    for headers in [full, last] {
        assert_eq!(answer(&mut hand, headers), MAX_UNPROVEN_HEADERS, "judged, not held");
    }
    assert!(hand.sync.cheap_header_bytes(&hand.chain) <= MAX_CHEAP_HEADER_BYTES);
    answer(&mut hand, full);
    assert_eq!(answer(&mut hand, last), MAX_UNPROVEN_HEADERS + 2_001, "the second time they are taken");
    assert_eq!(hand.blamed, []);
}

#[test]
fn of_peers_that_were_ended_the_one_ended_first_is_forgotten() {
    let world = World::new();
    let mut hand = Hand::new(&world);
    let version = Liar::with_headers(&world.genesis, Vec::new()).version();
    let id = |number: u32| {
        let mut bytes = [3; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        NodeId::from_bytes(bytes)
    };
    let most = u32::try_from(MAX_SHUNNED).unwrap();
    for number in 0..=most {
        hand.now += 1;
        let peer = id(number);
        hand.hear(Input::LinkUp { peer });
        hand.hear(Input::Frame { peer, message: version.clone(), body: None });
        let bad =
            LedgerInv { request: None, kind: LedgerKind::Compact, ids: Bounded::from_first([LedgerHash([1; 32])]) };
        hand.hear(Input::Frame { peer, message: Ledger::Inv(bad), body: None });
        assert_eq!(hand.blamed.last(), Some(&(peer, Reason::Malformed, true)));
        hand.hear(Input::LinkDown { peer });
    }
    let mut is_spoken_to = |number| {
        hand.sent.clear();
        hand.hear(Input::LinkUp { peer: id(number) });
        hand.count(|message| matches!(message, Ledger::Version(_))) > 0
    };
    assert!(is_spoken_to(0), "there was no room for it any more");
    assert!(!is_spoken_to(1) && !is_spoken_to(most));
}

#[test]
fn of_what_a_peer_has_the_oldest_name_is_forgotten_and_told_again() {
    for newer in [MAX_KNOWN - 1, MAX_KNOWN] {
        let world = World::new();
        let mut hand = Hand::new(&world);
        hand.meet(&world, Vec::new());
        let payment = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(10), &Owner::new(1))]);
        let name = LedgerHash(payment.txid().0);
        let number = |number: usize| {
            let mut bytes = [9; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            LedgerHash(bytes)
        };
        say_names(&mut hand, [name].into_iter().chain((0..newer).map(number)));
        let now = Now { mono_us: hand.now, unix_s: hand.unix_s };
        hand.sync.submit_transaction(&payment, now, (&mut hand.chain, &mut hand.pool)).unwrap();
        hand.sent.clear();
        hand.now += 2 * SECOND;
        hand.hear(Input::Tick);
        let told = hand.count(|message| matches!(message, Ledger::Inv(line) if line.ids.contains(&name)));
        assert_eq!(told, usize::from(newer == MAX_KNOWN), "after {newer} newer names");
    }
}

#[test]
fn four_blocks_at_once_are_put_together_and_no_more() {
    let (world, mut hand) = with_a_pushing_peer();
    let secret = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(units(10), &Owner::new(1))]);
    let rivals: Vec<Block> =
        (2..8).map(|miner| world.block_after(world.chain.tip(), &Owner::new(miner), vec![secret.clone()])).collect();
    let push = |hand: &mut Hand, block: &Block| {
        let line = LedgerPart { request: None, place: LedgerPlace::WHOLE };
        hand.say(Ledger::Cmpctblock(line), Some(CompactBlock::of(block, 7).encode().into()));
        hand.count(|message| matches!(message, Ledger::Getblocktxn(_)))
    };
    for (before, rival) in rivals.iter().take(MAX_COMPLETING).enumerate() {
        assert_eq!(push(&mut hand, rival), before + 1);
    }
    assert_eq!(push(&mut hand, &rivals[MAX_COMPLETING]), MAX_COMPLETING);
    hand.now += COMPACT_TIMEOUT;
    hand.hear(Input::Tick);
    assert_eq!(push(&mut hand, &rivals[MAX_COMPLETING]), MAX_COMPLETING + 1, "those that did not come made room");
    assert_eq!(hand.blamed, []);
}
