//! Nine of ten peers of a light client lie, and many agree about it: it finds the truth and names them. And what it keeps
//! has a bound.

use meshline_ledger::chain::Chain;
use meshline_ledger::encode::{Encode, put_count};
use meshline_ledger::filter::{Filter, FilterHeader};
use meshline_ledger::light::Light;
use meshline_ledger::light::limits::*;
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
