//! Synchronisation: the best chain is found, from whoever tells the truth.

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::consensus::{Difficulty, Rule, work};
use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{Event, Input, Phase, Reason};
use meshline_ledger::u256::U256;
use meshline_ledger::{Amount, Block, CompactBits, Header, Params};
use meshline_protocol::message::Ledger;

use crate::liar::Liar;
use crate::net::*;
use crate::support::*;

/// A chain that was synchronised before, by its store.
fn reopened(world: &World) -> Chain<MemoryStore> {
    Chain::open(&world.genesis, world.chain.store().clone()).unwrap()
}

fn has_all(node: usize, height: u32) -> impl Fn(&Net) -> bool {
    move |net| net.nodes[node].chain.height() == height
}

#[test]
fn a_new_node_gets_the_chain_from_all_its_peers() {
    let mut world = World::new();
    chain_of(&mut world, 300);
    let mut net = Net::new(&world.genesis, 1);
    let newcomer = net.add(&[]);
    for _ in 0..4 {
        let peer = net.add_chain(reopened(&world));
        net.link(newcomer, peer);
    }
    net.run("the chain", 60, has_all(newcomer, 300));
    let report = net.nodes[newcomer].sync.report(&net.nodes[newcomer].chain);
    assert_eq!((report.phase, report.height, report.target), (Phase::Synced, 300, 300));
    assert_eq!(report.peers.len(), 4);
    assert!(report.peers.iter().all(|peer| peer.blocks >= 30), "{report:?}");
    assert_eq!(net.nodes[newcomer].chain.set_hash(), world.chain.set_hash());
    assert!(net.nodes[newcomer].events.contains(&Event::Synced { height: 300 }));
    assert!(net.nodes.iter().all(|node| node.offences.is_empty()));
}

#[test]
fn whoever_has_caught_up_tells_those_behind_it() {
    let mut world = World::new();
    chain_of(&mut world, 300);
    let mut net = Net::new(&world.genesis, 71);
    let source = net.add_chain(reopened(&world));
    let (middle, last) = (net.add(&[]), net.add(&[]));
    // The last one meets the middle one before that has anything, and nobody else ever.
    net.link(source, middle);
    net.link(middle, last);
    net.run("the chain at the end of the line", 60, has_all(last, 300));
    assert!(net.nodes.iter().all(|node| node.offences.is_empty()));
}

#[test]
fn it_is_the_same_from_yesterday() {
    let mut world = World::new();
    let old = chain_of(&mut world, 100);
    chain_of(&mut world, 50);
    let mut net = Net::new(&world.genesis, 2);
    net.base_s = u64::from(START) + 200;
    let returning = net.add(&old);
    let peer = net.add_chain(reopened(&world));
    net.link(returning, peer);
    net.run("the rest", 60, has_all(returning, 150));
    assert_eq!(net.nodes[peer].sent.get("ledger.headers"), Some(&1), "what is known is not fetched again");
}

#[test]
fn one_stalls_one_lies_one_dies_and_the_chain_is_found() {
    let mut world = World::new();
    chain_of(&mut world, 300);
    let mut net = Net::new(&world.genesis, 3);
    let newcomer = net.add(&[]);
    let peers: Vec<usize> = (0..4).map(|_| net.add_chain(reopened(&world))).collect();
    let [_, stalling, lying, dying] = peers[..] else { panic!("four peers") };
    net.nodes[stalling].twist =
        Some(Box::new(|message, body| (!matches!(message, Ledger::Block(_))).then_some((message, body))));
    net.nodes[lying].twist = Some(Box::new(|message, body| match (&message, body) {
        (Ledger::Block(_), Some(body)) => Some((message, Some(spoiled(&body)))),
        (_, body) => Some((message, body)),
    }));
    for peer in peers {
        net.link(newcomer, peer);
    }
    net.run("a part", 60, |net| net.nodes[newcomer].chain.height() > 10);
    net.kill(dying);
    net.run("the chain", 60, has_all(newcomer, 300));
    assert_eq!(net.ended(newcomer, lying), Some(Reason::BadBlock(Rule::MerkleRoot)));
    assert_eq!(net.nodes[newcomer].chain.set_hash(), world.chain.set_hash());
}

/// The same block with another amount in its coinbase.
fn spoiled(body: &Bytes) -> Bytes {
    let mut block = Block::decode(body).unwrap();
    block.transactions[0].outputs[0].amount = Amount::ZERO;
    block.encode().into()
}

#[test]
fn a_peer_with_bad_headers_is_dropped_by_name() {
    let mut world = World::new();
    chain_of(&mut world, 40);
    let mut net = Net::new(&world.genesis, 4);
    let newcomer = net.add(&[]);
    let (lying, honest) = (net.add_chain(reopened(&world)), net.add_chain(reopened(&world)));
    net.nodes[lying].twist = Some(Box::new(|message, body| match (&message, body) {
        (Ledger::Headers(_), Some(body)) => {
            let mut bytes = body.to_vec();
            // The time of the tenth: neither its work nor the link to it is good any more.
            bytes[9 * Header::SIZE + 68] ^= 1;
            Some((message, Some(bytes.into())))
        }
        (_, body) => Some((message, body)),
    }));
    net.link(newcomer, lying);
    net.run("the lie", 60, |net| net.ended(newcomer, lying).is_some());
    assert!(matches!(net.ended(newcomer, lying), Some(Reason::BadHeader(_))));
    net.link(newcomer, honest);
    net.run("the chain", 60, has_all(newcomer, 40));
}

#[test]
fn whoever_follows_an_invalid_chain_is_dropped_and_the_honest_one_found() {
    let mut world = World::new();
    chain_of(&mut world, 20);
    let forged = forged_chain(25);
    let mut net = Net::new(&world.genesis, 5);
    let newcomer = net.add(&[]);
    let lying = net.add_script(Liar::with_blocks(&world.genesis, forged).script());
    let honest = net.add_chain(reopened(&world));
    net.link(newcomer, lying);
    net.link(newcomer, honest);
    net.run("the chain", 60, has_all(newcomer, 20));
    assert_eq!(net.ended(newcomer, lying), Some(Reason::BadBlock(Rule::CoinbaseValue)));
    assert!(net.ended(newcomer, honest).is_none());
}

#[test]
fn headers_whose_blocks_nobody_has_do_not_stop_the_others() {
    let mut world = World::new();
    chain_of(&mut world, 30);
    let headers: Vec<Header> = forged_chain(50).iter().map(|block| block.header).collect();
    let mut net = Net::new(&world.genesis, 32);
    let newcomer = net.add(&[]);
    let teller = net.add_script(Liar::with_headers(&world.genesis, headers).script());
    net.link(newcomer, teller);
    net.run("the headers", 30, |net| net.nodes[newcomer].chain.best_header().1 == 50);
    net.kill(teller);
    let honest = net.add_chain(reopened(&world));
    net.link(newcomer, honest);
    net.run("the other chain", 30, has_all(newcomer, 30));
}

/// A chain whose third block takes too much, as a miner without rules would make it.
fn forged_chain(count: u32) -> Vec<Block> {
    let mut forge = World::new();
    let (mut forged, mut parent) = (Vec::new(), forge.genesis.block.hash());
    for height in 1..=count {
        let mut block = forge.block_after(parent, &Owner::new(2), Vec::new());
        if height == 3 {
            block.transactions[0].outputs[0].amount = coins(51);
            seal(&mut block);
        }
        forge.chain.accept_header(&block.header, NOW).unwrap();
        parent = block.hash();
        forged.push(block);
    }
    forged
}

#[test]
fn nine_of_ten_peers_lie_and_all_of_them_are_dropped_by_name() {
    let mut world = World::new();
    chain_of(&mut world, 60);
    let forged = forged_chain(80);
    let headers: Vec<Header> = forged.iter().map(|block| block.header).collect();
    let mut claims = Liar::with_headers(&world.genesis, headers[..10].to_vec());
    claims.work = U256::MAX;
    let mut broken = headers.clone();
    broken[5].bits = CompactBits(0x2000_ffff);
    let liars = [claims, Liar::with_headers(&world.genesis, broken), Liar::with_blocks(&world.genesis, forged)];
    let mut net = Net::new(&world.genesis, 31);
    let newcomer = net.add(&[]);
    let mut lying = Vec::new();
    for liar in &liars {
        for _ in 0..3 {
            lying.push(net.add_script(liar.clone().script()));
        }
    }
    let honest = net.add_chain(reopened(&world));
    lying.iter().chain([&honest]).for_each(|peer| net.link(newcomer, *peer));
    net.run("the chain", 120, has_all(newcomer, 60));
    net.run("the end of all liars", 120, |net| lying.iter().all(|peer| net.ended(newcomer, *peer).is_some()));
    assert_eq!(net.ended(newcomer, honest), None);
    assert_eq!(net.nodes[newcomer].chain.set_hash(), world.chain.set_hash());
}

/// A newcomer among so many honest peers and these liars: the seconds until it has the chain.
fn time_among(world: &World, honest: usize, liars: &[(Liar, usize)], spoiling: usize, blame: &[&str]) -> f64 {
    let mut net = Net::new(&world.genesis, 33);
    let newcomer = net.add(&[]);
    let mut lying: Vec<usize> = Vec::new();
    for (liar, count) in liars {
        lying.extend((0..*count).map(|_| net.add_script(liar.clone().script())));
    }
    for _ in 0..spoiling {
        let peer = net.add_chain(reopened(world));
        net.nodes[peer].twist = Some(Box::new(|message, body| match (&message, body) {
            (Ledger::Block(_), Some(body)) => Some((message, Some(spoiled(&body)))),
            (_, body) => Some((message, body)),
        }));
        lying.push(peer);
    }
    let honest: Vec<usize> = (0..honest).map(|_| net.add_chain(reopened(world))).collect();
    lying.iter().chain(&honest).for_each(|peer| net.link(newcomer, *peer));
    let height = world.chain.height();
    net.run("the chain", 120, has_all(newcomer, height));
    let took = net.now as f64 / SECOND as f64;
    net.run("the end of all liars", 60, |net| lying.iter().all(|peer| net.ended(newcomer, *peer).is_some()));
    for peer in &lying {
        let reason = net.ended(newcomer, *peer).unwrap();
        assert!(blame.contains(&reason.name()), "{reason}");
    }
    assert!(honest.iter().all(|peer| net.ended(newcomer, *peer).is_none()));
    assert_eq!(net.nodes[newcomer].chain.set_hash(), world.chain.set_hash());
    took
}

#[test]
fn nine_liars_of_ten_peers_do_not_double_the_time() {
    let mut world = World::new();
    chain_of(&mut world, 400);
    let forged = forged_chain(410);
    let headers: Vec<Header> = forged.iter().map(|block| block.header).collect();
    let mut claims = Liar::with_headers(&world.genesis, headers[..10].to_vec());
    claims.work = U256::MAX;
    let mut broken = headers.clone();
    broken[5].bits = CompactBits(0x2000_ffff);
    let broken = Liar::with_headers(&world.genesis, broken);
    let forged = Liar::with_blocks(&world.genesis, forged);
    let alone = time_among(&world, 1, &[], 0, &[]);
    let all = time_among(&world, 10, &[], 0, &[]);
    println!("{alone:.2} s with one honest peer, {all:.2} s with ten");
    let kinds = [
        ("false_claim", time_among(&world, 1, &[(claims.clone(), 9)], 0, &["false_claim"])),
        ("bad_header", time_among(&world, 1, &[(broken.clone(), 9)], 0, &["bad_header"])),
        ("bad_block", time_among(&world, 1, &[(forged.clone(), 9)], 0, &["bad_block", "invalid_chain"])),
        ("bad_block", time_among(&world, 1, &[], 9, &["bad_block"])),
        ("all", {
            let liars = [(claims, 2), (broken, 2), (forged, 2)];
            time_among(&world, 1, &liars, 3, &["false_claim", "bad_header", "bad_block", "invalid_chain"])
        }),
    ];
    for (kind, took) in kinds {
        println!("{kind}: {took:.2} s, {:.2} times as long", took / alone);
        assert!(took <= 2.0 * alone, "{kind}: {took} s instead of {alone}");
    }
}

/// Headers that get harder when they come quickly: with few of them much work can be shown.
fn asert() -> Params {
    Params { difficulty: Difficulty::Asert { spacing_s: 15, half_life_s: 7_000 }, ..params() }
}

/// So many headers after the genesis block, each so many seconds after the one before.
fn headers_of(world: &mut World, count: usize, spacing_s: u32) -> Vec<Header> {
    let mut headers = Vec::new();
    let mut above = world.genesis.block.header;
    for number in 0..count {
        let bits = if number == 0 { world.chain.next_bits() } else { next_bits(world, &above, number) };
        let root = [u8::try_from(spacing_s % 251).unwrap(); 32];
        let time = above.time + spacing_s;
        let mut header = Header { version: 1, previous: above.hash(), merkle_root: root, time, bits, nonce: 0 };
        mine(&mut header);
        headers.push(header);
        above = header;
    }
    headers
}

fn next_bits(world: &World, above: &Header, height: usize) -> CompactBits {
    let params = &world.genesis.params;
    let parent = meshline_ledger::consensus::Parent {
        height: u32::try_from(height).unwrap(),
        time: above.time,
        bits: above.bits,
    };
    meshline_ledger::consensus::next_bits(params, START, parent, |_| None)
}

fn work_of(world: &World, headers: &[Header]) -> U256 {
    let first = world.chain.work();
    let each = headers.iter().map(|header| work(header.bits.target().unwrap()));
    each.fold(first, |sum, work| sum.saturating_add(work))
}

#[test]
fn a_chain_from_far_away_is_judged_before_it_is_held() {
    let mut world = World::new();
    let headers = headers_of(&mut world, 4_500, 1);
    let mut net = Net::new(&world.genesis, 6);
    let newcomer = net.add(&[]);
    let peer = net.add_script(Liar::with_headers(&world.genesis, headers.clone()).script());
    net.link(newcomer, peer);
    net.run("three answers", 60, |net| net.nodes[newcomer].sent.get("ledger.getheaders") == Some(&4));
    assert_eq!(net.nodes[newcomer].chain.headers_held(), 1, "nothing is held in the first pass");
    net.run("the headers", 60, |net| net.nodes[newcomer].chain.best_header().1 == 4_500);
    assert_eq!(net.nodes[newcomer].chain.best_header().0, headers.last().unwrap().hash());
    assert!(net.nodes[newcomer].offences.is_empty());
}

#[test]
fn other_headers_the_second_time_are_not_taken() {
    let mut world = World::new();
    let headers = headers_of(&mut world, 4_500, 1);
    let others = headers_of(&mut world, 4_500, 2);
    let mut net = Net::new(&world.genesis, 7);
    let newcomer = net.add(&[]);
    let mut liar = Liar::with_headers(&world.genesis, headers);
    // The first three answers are the first pass.
    liar.then(3, others);
    let peer = net.add_script(liar.script());
    net.link(newcomer, peer);
    net.run("the lie", 60, |net| net.ended(newcomer, peer).is_some());
    assert_eq!(net.ended(newcomer, peer), Some(Reason::HeadersChanged));
    assert_eq!(net.nodes[newcomer].chain.headers_held(), 1);
}

#[test]
fn more_work_than_is_shown_is_a_false_claim() {
    let mut world = World::new();
    let headers = headers_of(&mut world, 100, 1);
    for count in [100, 2_100] {
        let headers = if count == 100 { headers.clone() } else { headers_of(&mut world, count, 1) };
        let mut net = Net::new(&world.genesis, 8);
        let newcomer = net.add(&[]);
        let mut liar = Liar::with_headers(&world.genesis, headers);
        liar.work = U256::from_u64(u64::MAX);
        let peer = net.add_script(liar.script());
        net.link(newcomer, peer);
        net.run("the lie", 60, |net| net.ended(newcomer, peer).is_some());
        assert_eq!(net.ended(newcomer, peer), Some(Reason::FalseClaim));
    }
}

#[test]
fn a_flood_of_cheap_headers_is_not_held_and_the_chain_with_more_work_is_found() {
    let mut world = World::with(asert());
    // Three liars with 6,000 headers of the least work each; the honest chain has fewer, and more work.
    let cheap = headers_of(&mut world, 6_000, 15);
    let honest = headers_of(&mut world, 2_300, 1);
    assert!(work_of(&world, &honest) > work_of(&world, &cheap));
    let mut net = Net::new(&world.genesis, 9);
    let newcomer = net.add(&[]);
    let mut liar = Liar::with_headers(&world.genesis, cheap);
    liar.work = work_of(&world, &honest);
    for _ in 0..3 {
        let peer = net.add_script(liar.clone().script());
        net.link(newcomer, peer);
    }
    let peer = net.add_script(Liar::with_headers(&world.genesis, honest.clone()).script());
    net.link(newcomer, peer);
    let last = honest.last().unwrap().hash();
    net.run("the honest chain", 120, |net| net.nodes[newcomer].chain.best_header().0 == last);
    assert!(net.nodes[newcomer].cheap <= MAX_CHEAP_HEADER_BYTES, "{} bytes", net.nodes[newcomer].cheap);
    assert_eq!(net.nodes[newcomer].chain.headers_held(), 2_301, "of the cheap ones none is held");
}

#[test]
fn another_chain_disables_the_ledger_and_not_the_link() {
    let world = World::new();
    let other = World::with(Params { subsidy: coins(1), ..params() });
    let mut net = Net::new(&world.genesis, 10);
    let node = net.add(&[]);
    let peer = net.add_chain(Chain::open(&other.genesis, MemoryStore::default()).unwrap());
    net.link(node, peer);
    net.pass(5 * SECOND);
    assert!(net.nodes[node].events.contains(&Event::Foreign { peer: node_id(peer), chain: other.chain.id() }));
    assert!(net.nodes[node].offences.is_empty() && net.nodes[peer].offences.is_empty());
    let sent = &net.nodes[node].sent;
    assert_eq!(sent.len(), 1, "versions alone: {sent:?}");
}

#[test]
fn a_ledger_that_begins_while_links_are_up_is_heard() {
    let mut world = World::new();
    chain_of(&mut world, 3);
    let mut net = Net::new(&world.genesis, 11);
    let (node, peer) = (net.add(&[]), net.add_chain(reopened(&world)));
    net.link(node, peer);
    net.run("the chain", 10, has_all(node, 3));
    // The node forgets all it was told, as if its ledger had begun now.
    net.input(node, Input::LinkDown { peer: node_id(peer) });
    net.input(node, Input::LinkUp { peer: node_id(peer) });
    let more = chain_of(&mut world, 2);
    for block in &more {
        net.nodes[peer].chain.accept_block(block, NOW, &meshline_ledger::sighash::BatchVerifier).unwrap();
    }
    net.input(node, Input::LinkDown { peer: node_id(peer) });
    net.input(node, Input::LinkUp { peer: node_id(peer) });
    net.run("the new blocks", 10, has_all(node, 5));
}

#[test]
fn headers_are_judged_alike_with_and_without_the_tree() {
    let schedules = [
        Difficulty::Fixed,
        Difficulty::Bitcoin { spacing_s: 10, interval: 8 },
        Difficulty::Asert { spacing_s: 10, half_life_s: 500 },
    ];
    for difficulty in schedules {
        let mut world = World::with(Params { difficulty, ..params() });
        let mut random = rng(12);
        let mut judge = world.chain.judge_after(&world.chain.id()).unwrap();
        for round in 0..300 {
            let above = world.chain.header(&judge.hash()).unwrap().0;
            let spread = u32::try_from(below(&mut random, 40)).unwrap();
            let bits = if below(&mut random, 8) == 0 { EASY } else { due(&world, judge.hash()) };
            let time = (above.time + spread).saturating_sub(8);
            let mut header = Header { version: 1, previous: judge.hash(), merkle_root: [3; 32], time, bits, nonce: 0 };
            mine(&mut header);
            let by_tree = world.chain.accept_header(&header, NOW).map(drop).map_err(rule_of);
            assert_eq!(judge.clone().take(&header, NOW), by_tree, "round {round}, {difficulty:?}");
            if by_tree.is_ok() {
                judge.take(&header, NOW).unwrap();
                assert_eq!(Some(judge.work()), world.chain.work_at(&header.hash()));
                if below(&mut random, 20) == 0 {
                    judge = world.chain.judge_after(&header.hash()).unwrap();
                }
            }
        }
    }
}

/// The bits that are due after a header.
fn due(world: &World, after: meshline_ledger::BlockHash) -> CompactBits {
    let (header, height) = world.chain.header(&after).unwrap();
    let parent = meshline_ledger::consensus::Parent { height, time: header.time, bits: header.bits };
    let time_at = |wanted: u32| {
        let mut at = after;
        loop {
            let (header, height) = world.chain.header(&at)?;
            if height == wanted {
                return Some(header.time);
            }
            at = header.previous;
        }
    };
    meshline_ledger::consensus::next_bits(&world.genesis.params, START, parent, time_at)
}
