//! Nine of ten peers of a light client lie, and many agree about it: it finds the truth and names them. And what it keeps
//! has a bound.

use std::cell::Cell;
use std::rc::Rc;

use meshline_ledger::chain::Chain;
use meshline_ledger::encode::{Encode, put_count};
use meshline_ledger::filter::{Filter, FilterHeader};
use meshline_ledger::light::limits::*;
use meshline_ledger::light::{Event, Light};
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::Reason;
use meshline_ledger::u256::U256;
use meshline_ledger::{Header, Transaction, TxIn, TxOut};
use meshline_protocol::message::Ledger;

use crate::liar::Liar;
use crate::light::{Town, replaced};
use crate::net::*;
use crate::support::*;

/// The block in which the owner is paid by somebody.
const PAID: u32 = 12;

/// Leaves one block's locks out of its filter, and tells hashes and headers that fit.
fn leave_out(net: &mut Net, liar: usize) {
    let chain = &net.nodes[liar].chain;
    let mut pairs = Vec::new();
    let (mut good, mut bad) = (FilterHeader::default(), FilterHeader::default());
    for height in 0..=chain.height() {
        let hash = chain.hash_at(height).unwrap();
        let filter = Filter::of(&chain.block(&hash).unwrap().unwrap());
        let lie = if height == PAID { Filter::over(&hash, std::iter::empty()) } else { filter.clone() };
        (good, bad) = (filter.hash().follow(&good), lie.hash().follow(&bad));
        if height >= PAID {
            pairs.push((good.0.to_vec(), bad.0.to_vec()));
        }
        if height == PAID {
            pairs.push((filter.hash().0.to_vec(), lie.hash().0.to_vec()));
            pairs.push((framed(&filter), framed(&lie)));
        }
    }
    net.nodes[liar].twist = Some(Box::new(move |message, body| match (&message, body) {
        (Ledger::Cfilter(_) | Ledger::Cfheaders(_), Some(body)) => Some((message, Some(replaced(&body, &pairs)))),
        (_, body) => Some((message, body)),
    }));
}

fn framed(filter: &Filter) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_count(&mut bytes, filter.bytes().len() as u64);
    bytes.extend(filter.bytes());
    bytes
}

/// The headers of the chain.
fn headers(chain: &Chain<MemoryStore>) -> Vec<Header> {
    (1..=chain.height()).map(|height| chain.header(&chain.hash_at(height).unwrap()).unwrap().0).collect()
}

/// One whose last header breaks a rule.
fn with_a_bad_header(town: &mut Town) -> usize {
    let mut headers = headers(&town.world.chain);
    let last = *headers.last().unwrap();
    headers.push(Header { previous: last.hash(), time: 1, ..last });
    let number = town.net.add_script(Liar::with_headers(&town.world.genesis, headers).script());
    town.net.link(town.light, number);
    number
}

/// One that claims more work than it has headers for.
fn with_a_false_claim(town: &mut Town) -> usize {
    let mut liar = Liar::with_headers(&town.world.genesis, headers(&town.world.chain));
    liar.work = liar.work.saturating_add(U256::ONE);
    let number = town.net.add_script(liar.script());
    town.net.link(town.light, number);
    number
}

#[test]
fn where_nine_of_ten_lie_the_truth_is_found_in_twice_the_time_and_all_are_named() {
    let mut honest = Town::new(21);
    for _ in 0..20 {
        honest.full();
    }
    honest.run_until_synced(40);
    let mut town = Town::new(21);
    let mut liars = Vec::new();
    for _ in 0..3 {
        liars.push((with_a_bad_header(&mut town), "bad_header"));
        liars.push((with_a_false_claim(&mut town), "false_claim"));
    }
    // These agree with each other, and are the first to be asked.
    for _ in 0..12 {
        let number = town.full();
        leave_out(&mut town.net, number);
        liars.push((number, "bad_filter"));
    }
    let good = [town.full(), town.full()];
    town.run_until_synced(40);
    eprintln!("{} µs where all are honest, {} µs where eighteen of twenty lie", honest.net.now, town.net.now);
    assert_eq!(town.balance(), coins(70).units());
    for (liar, reason) in liars {
        assert_eq!(town.net.ended(town.light, liar).map(Reason::name), Some(reason), "{liar}");
    }
    assert!(good.iter().all(|peer| town.net.ended(town.light, *peer).is_none()));
    assert!(town.net.now <= 2 * honest.net.now, "{} and {}", town.net.now, honest.net.now);
}

#[test]
fn a_lie_that_all_who_are_compared_agree_about_is_noticed_by_one_more() {
    let mut town = Town::new(22);
    let liars: Vec<usize> = (0..COMPARED).map(|_| town.full()).collect();
    liars.iter().for_each(|liar| leave_out(&mut town.net, *liar));
    town.full();
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
    assert!(liars.iter().all(|liar| town.net.ended(town.light, *liar) == Some(Reason::BadFilter)));
}

#[test]
fn whoever_comes_late_and_knows_better_is_heard_and_all_who_lied_are_named() {
    let mut town = Town::new(26);
    let liars: Vec<usize> = (0..COMPARED).map(|_| town.full()).collect();
    liars.iter().for_each(|liar| leave_out(&mut town.net, *liar));
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(50).units(), "it was believed");
    let honest = town.full();
    let light = town.light;
    town.net.run("the lies", 60, |net| liars.iter().all(|liar| net.ended(light, *liar).is_some()));
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
    assert!(liars.iter().all(|liar| town.net.ended(light, *liar) == Some(Reason::BadFilter)));
    assert_eq!(town.net.ended(light, honest), None);
}

/// Frames of a kind that full nodes sent.
fn sent(town: &Town, kind: &str) -> u64 {
    town.net.nodes.iter().filter_map(|node| node.sent.get(kind)).sum()
}

#[test]
fn whoever_comes_late_and_lies_is_named_and_nothing_is_looked_through_again() {
    // So many blocks that the lie has to be narrowed down.
    let mut town = Town::new(27);
    chain_of(&mut town.world, MAX_SPAN as usize + 100);
    town.net.base_s = u64::from(town.world.chain.header(&town.world.chain.tip()).unwrap().0.time);
    let height = town.world.chain.height();
    let honest = [town.full(), town.full()];
    town.run_until_synced(height);
    let (filters, blocks) = (sent(&town, "ledger.cfilter"), sent(&town, "ledger.block"));
    for _ in 0..3 {
        let liar = town.full();
        leave_out(&mut town.net, liar);
        let light = town.light;
        town.net.run("the lie", 60, |net| net.ended(light, liar).is_some());
        assert_eq!(town.net.ended(light, liar), Some(Reason::BadFilter));
    }
    town.net.pass(5 * SECOND);
    town.run_until_synced(height);
    assert_eq!(town.balance(), coins(70).units());
    assert!(honest.iter().all(|peer| town.net.ended(town.light, *peer).is_none()));
    assert_eq!(sent(&town, "ledger.cfilter"), filters, "no filter is fetched again");
    assert!(sent(&town, "ledger.block") <= blocks + 3, "a block for each lie");
    let node = &town.net.nodes[town.light];
    assert!(!node.heard.iter().any(|event| matches!(event, Event::Undone { .. })));
}

#[test]
fn whoever_comes_late_and_does_not_prove_what_it_says_changes_nothing() {
    let mut town = Town::new(28);
    let honest = [town.full(), town.full()];
    town.run_until_synced(40);
    let asked = Rc::new(Cell::new(0));
    doubter(&mut town, &asked, false);
    town.net.pass(INQUIRY_PATIENCE + 20 * SECOND);
    assert!((1..=6).contains(&asked.get()), "asked {} times", asked.get());
    // Another one is heard all the same.
    let liar = town.full();
    leave_out(&mut town.net, liar);
    let light = town.light;
    town.net.run("the lie", 60, |net| net.ended(light, liar).is_some());
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
    assert!(honest.iter().all(|peer| town.net.ended(light, *peer).is_none()));
}

/// One that tells false ends of a span, and if asked for the hashes none or others; it counts how often it was asked.
fn doubter(town: &mut Town, asked: &Rc<Cell<usize>>, answers: bool) -> usize {
    let number = town.full();
    let asked = Rc::clone(asked);
    town.net.nodes[number].twist = Some(Box::new(move |message, body| match (&message, body) {
        (Ledger::Cfheaders(_), Some(body)) => {
            let is_end = body.len() == 64;
            asked.set(asked.get() + usize::from(!is_end));
            let mut bytes = body.to_vec();
            bytes[if is_end { 40 } else { 70 }] ^= 1;
            (is_end || answers).then(|| (message, Some(bytes.into())))
        }
        (_, body) => Some((message, body)),
    }));
    number
}

#[test]
fn so_many_doubters_are_heard_out_about_a_span_and_no_more() {
    for count in [MAX_VOICES, 2 * MAX_VOICES] {
        let mut town = Town::new(24);
        for _ in 0..COMPARED {
            town.full();
        }
        // Each is dropped when it has shown its hashes, and the next one has its place.
        let heard_out = Rc::new(Cell::new(0));
        let doubters: Vec<usize> = (0..count).map(|_| doubter(&mut town, &heard_out, true)).collect();
        town.run_until_synced(40);
        let named = |number: &&usize| town.net.ended(town.light, **number) == Some(Reason::BadFilter);
        assert_eq!((heard_out.get(), doubters.iter().filter(named).count()), (MAX_VOICES, MAX_VOICES), "of {count}");
        assert_eq!(town.balance(), coins(70).units());
        eprintln!("{count} doubters, {} µs", town.net.now);
        assert!(town.net.now <= 2 * LAST_PEER_PATIENCE, "{} µs", town.net.now);
    }
}

#[test]
fn so_many_are_asked_what_a_span_comes_to_and_no_more() {
    for others in [MAX_VOICES, MAX_VOICES + 8] {
        let mut town = Town::new(25);
        let peers: Vec<usize> = (0..COMPARED + others).map(|_| town.full()).collect();
        town.run_until_synced(40);
        let asked = |peer: &&usize| town.net.nodes[**peer].sent.contains_key("ledger.cfheaders");
        assert_eq!(peers.iter().filter(asked).count(), COMPARED + MAX_VOICES, "of {others} beside those compared");
        assert_eq!(town.balance(), coins(70).units());
    }
}

/// What a client saves that found so many transactions in the first block, and looked through no other.
fn saved(town: &Town, count: usize) -> Vec<u8> {
    let (own, chain) = (Owner::new(5).lock(), &town.world.chain);
    let mut bytes = vec![1];
    bytes.extend(chain.id().0);
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(chain.id().0);
    bytes.push(0);
    bytes.extend([0; 32]);
    put_count(&mut bytes, 1);
    own.encode_to(&mut bytes);
    put_count(&mut bytes, count as u64);
    for number in 0..count {
        bytes.push(1);
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(chain.id().0);
        bytes.extend(START.to_le_bytes());
        let inputs = vec![TxIn::Coinbase { height: 0, extra: Vec::new() }];
        let outputs = vec![TxOut { amount: units(1), lock: own }];
        Transaction { version: 1, inputs, outputs, lock_time: number as u32 }.encode_to(&mut bytes);
        put_count(&mut bytes, 0);
    }
    put_count(&mut bytes, 0);
    bytes
}

#[test]
fn it_keeps_so_many_transactions_and_then_looks_for_no_more() {
    let mut town = Town::new(23);
    let over = saved(&town, MAX_MOVEMENTS + 1);
    let mut light = Light::new(&town.world.chain, [5; 32]);
    assert!(light.load(&over, &town.world.chain).is_err(), "more than it would have kept");
    let most = saved(&town, MAX_MOVEMENTS);
    town.net.with_light(town.light, |light, _, chain| light.load(&most, chain)).expect("as many as it keeps");
    town.full();
    town.full();
    town.net.pass(30 * SECOND);
    let node = &town.net.nodes[town.light];
    let light = node.light.as_ref().unwrap();
    assert!(light.is_full() && light.movements().count() == MAX_MOVEMENTS);
    assert_eq!((light.report(&node.chain).scanned, node.chain.best_header().1), (Some(0), 40));
    assert!(!node.sent.contains_key("ledger.getcfheaders"), "it says that it is full and asks for nothing");
}
