//! The light client: it finds what concerns it in headers, filters and a few blocks, and notices who lies.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::encode::{Encode, put_count};
use meshline_ledger::filter::Filter;
use meshline_ledger::light::limits::*;
use meshline_ledger::light::{Event, Light, LightRefusal, LightReport};
use meshline_ledger::sighash::{BatchVerifier, SignatureCheck, SignatureVerifier};
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::{Phase, Reason};
use meshline_ledger::{Block, Lock, OutPoint, Transaction, TxIn, TxOut, Txid};
use meshline_protocol::message::Ledger;

use crate::net::*;
use crate::support::*;

/// The owner of the light wallet.
const OWN: u64 = 77;

fn own() -> Owner {
    Owner::new(OWN)
}

/// A chain in which the owner is paid at height 12 and at height 30.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) net: Net,
    pub(crate) light: usize,
}

impl Town {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new();
        chain_of(&mut world, 11);
        let paid = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(20), &own())]);
        world.extend(&Owner::new(1), vec![paid]);
        chain_of(&mut world, 17);
        world.extend(&own(), Vec::new());
        chain_of(&mut world, 10);
        let mut net = Net::new(&world.genesis, seed);
        net.base_s = u64::from(START) + 400;
        let light = net.add_light();
        net.with_light(light, |light, _, chain| light.watch(&[own().lock()], 0, chain)).unwrap();
        Self { world, net, light }
    }

    /// A full node with all of the chain, linked with the light client.
    pub(crate) fn full(&mut self) -> usize {
        let number = self.net.add_chain(reopened(&self.world));
        self.net.link(self.light, number);
        number
    }

    fn report(&self) -> LightReport {
        report(&self.net, self.light)
    }

    pub(crate) fn run_until_synced(&mut self, height: u32) {
        let light = self.light;
        self.net.run("all is looked through", 120, |net| {
            let report = report(net, light);
            report.phase == Phase::Synced && report.height == height
        });
    }

    fn heard(&self, event: &Event) -> bool {
        self.net.nodes[self.light].heard.contains(event)
    }

    pub(crate) fn balance(&self) -> u64 {
        let light = self.net.nodes[self.light].light.as_ref().unwrap();
        light.coins().values().map(|coin| coin.output.amount.units()).sum()
    }
}

fn report(net: &Net, light: usize) -> LightReport {
    let node = &net.nodes[light];
    node.light.as_ref().unwrap().report(&node.chain)
}

fn reopened(world: &World) -> Chain<MemoryStore> {
    Chain::open(&world.genesis, world.chain.store().clone()).unwrap()
}

#[test]
fn it_finds_what_it_was_paid_and_takes_what_two_peers_say() {
    let mut town = Town::new(1);
    town.full();
    town.full();
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
    let report = town.report();
    assert_eq!((report.scanned, report.alone_from, report.blocks, report.serving), (Some(40), None, 2, 2));
    let node = &town.net.nodes[town.light];
    let heights: Vec<u32> =
        node.light.as_ref().unwrap().movements().filter_map(|found| Some(found.place?.height)).collect();
    assert_eq!(heights, [12, 30]);
    assert!(town.heard(&Event::Synced { height: 40 }) && node.offences.is_empty());
    // Another block is announced and looked through.
    let number = 1;
    town.net.mine(number);
    town.run_until_synced(41);
    assert_eq!(town.net.nodes[town.light].chain.headers_held(), 42);
}

#[test]
fn with_one_peer_it_goes_on_and_says_that_nothing_could_be_compared() {
    let mut town = Town::new(2);
    town.full();
    town.run_until_synced(40);
    assert_eq!((town.report().alone_from, town.balance()), (Some(0), coins(70).units()));
    assert!(town.heard(&Event::Alone { from: 0 }) && !town.heard(&Event::Compared { from: 0 }));
    // A second one confirms all of it with a few bytes.
    let before = town.net.nodes[town.light].received;
    let second = town.full();
    town.net.run("the comparison", 30, |net| report(net, 0).alone_from.is_none());
    assert!(town.heard(&Event::Compared { from: 0 }));
    assert!(town.net.nodes[town.light].received - before < 2_000);
    assert!(!town.net.nodes[second].sent.contains_key("ledger.cfilter"));
}

/// Leaves one block's locks out of its filter, and tells the hash of that.
fn leave_out(net: &mut Net, liar: usize, height: u32) {
    let hash = net.nodes[liar].chain.hash_at(height).unwrap();
    let block = net.nodes[liar].chain.block(&hash).unwrap().unwrap();
    let (good, bad) = (Filter::of(&block), Filter::over(&hash, std::iter::empty()));
    let framed = |filter: &Filter| {
        let mut bytes = Vec::new();
        put_count(&mut bytes, filter.bytes().len() as u64);
        bytes.extend(filter.bytes());
        bytes
    };
    let pairs = [(framed(&good), framed(&bad)), (good.hash().0.to_vec(), bad.hash().0.to_vec())];
    net.nodes[liar].twist = Some(Box::new(move |message, body| match (&message, body) {
        (Ledger::Cfilter(_) | Ledger::Cfheaders(_), Some(body)) => Some((message, Some(replaced(&body, &pairs)))),
        (_, body) => Some((message, body)),
    }));
}

pub(crate) fn replaced(body: &Bytes, pairs: &[(Vec<u8>, Vec<u8>)]) -> Bytes {
    let mut bytes = body.to_vec();
    for (from, to) in pairs {
        if let Some(at) = bytes.windows(from.len()).position(|part| part == from.as_slice()) {
            bytes.splice(at..at + from.len(), to.iter().copied());
        }
    }
    bytes.into()
}

#[test]
fn a_filter_that_leaves_out_is_noticed_by_comparing_and_the_liar_named() {
    for order in [[true, false], [false, true]] {
        let mut town = Town::new(3);
        let mut liar = 0;
        for lies in order {
            let number = town.full();
            if lies {
                liar = number;
                leave_out(&mut town.net, number, 12);
            }
        }
        town.run_until_synced(40);
        assert_eq!(town.net.ended(town.light, liar), Some(Reason::BadFilter));
        assert_eq!(town.balance(), coins(70).units());
        assert_eq!(town.net.nodes[town.light].offences.len(), 1, "nobody else is blamed");
    }
}

#[test]
fn what_a_lone_liar_left_out_comes_to_light_with_the_second_peer() {
    let mut town = Town::new(4);
    let liar = town.full();
    leave_out(&mut town.net, liar, 12);
    town.run_until_synced(40);
    assert_eq!((town.balance(), town.report().alone_from), (coins(50).units(), Some(0)), "it was believed");
    town.full();
    let light = town.light;
    town.net.run("the lie", 60, |net| net.ended(light, liar).is_some());
    assert_eq!(town.net.ended(town.light, liar), Some(Reason::BadFilter));
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
}

#[test]
fn filters_other_than_the_agreed_ones_name_whoever_sends_them() {
    let mut town = Town::new(5);
    let honest = town.full();
    let liar = town.full();
    // It tells the hashes as they are, and leaves out in the filters.
    for (number, spoils) in [(liar, true), (honest, false)] {
        town.net.nodes[number].twist = Some(Box::new(move |message, body| match (&message, body) {
            (Ledger::Cfilter(_), Some(body)) if spoils => {
                let mut bytes = body.to_vec();
                bytes[4] ^= 0x10;
                Some((message, Some(bytes.into())))
            }
            // The honest one is slow, so that the liar is asked.
            (Ledger::Cfilter(_), _) => None,
            (_, body) => Some((message, body)),
        }));
    }
    let light = town.light;
    town.net.run("the lie", 120, |net| net.ended(light, liar).is_some());
    assert_eq!(town.net.ended(light, liar), Some(Reason::BadFilter));
    town.net.nodes[honest].twist = None;
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
}

#[test]
fn a_false_block_names_its_sender_and_comes_from_another() {
    let mut town = Town::new(6);
    let peers = [town.full(), town.full()];
    town.net.nodes[peers[0]].twist = Some(Box::new(|message, body| match (&message, body) {
        (Ledger::Block(_), Some(body)) => {
            let mut bytes = body.to_vec();
            let last = bytes.len() - 20;
            bytes[last] ^= 1;
            Some((message, Some(bytes.into())))
        }
        (_, body) => Some((message, body)),
    }));
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
    assert!(matches!(town.net.ended(town.light, peers[0]), Some(Reason::BadBlock(_)) | None));
    assert_eq!(town.net.ended(town.light, peers[1]), None);
}

#[test]
fn a_false_header_names_its_sender() {
    let mut town = Town::new(7);
    let liar = town.full();
    town.net.nodes[liar].twist = Some(Box::new(|message, body| match (&message, body) {
        (Ledger::Headers(_), Some(body)) => {
            let mut bytes = body.to_vec();
            bytes[9 * 80 + 68] ^= 1;
            Some((message, Some(bytes.into())))
        }
        (_, body) => Some((message, body)),
    }));
    let light = town.light;
    town.net.run("the lie", 60, |net| net.ended(light, liar).is_some());
    assert!(matches!(town.net.ended(light, liar), Some(Reason::BadHeader(_))));
    town.full();
    town.full();
    town.run_until_synced(40);
    assert_eq!(town.balance(), coins(70).units());
}

#[test]
fn whoever_stalls_is_passed_over_and_dropped_in_the_end() {
    for kind in ["ledger.cfheaders", "ledger.cfilter", "ledger.block"] {
        let mut town = Town::new(8);
        let stalling = town.full();
        town.net.nodes[stalling].twist = Some(Box::new(move |message, body| {
            let is_kind = meshline_protocol::Message::Ledger(message.clone()).kind() == kind;
            (!is_kind).then_some((message, body))
        }));
        town.full();
        town.full();
        town.run_until_synced(40);
        assert_eq!(town.balance(), coins(70).units(), "{kind}");
        for number in [1, 2, 3].into_iter().filter(|number| *number != stalling) {
            assert_eq!(town.net.ended(town.light, number), None, "{kind}");
        }
    }
}

/// The light wallet pays somebody.
fn payment(town: &Town, amount: u64) -> Transaction {
    let light = town.net.nodes[town.light].light.as_ref().unwrap();
    let (outpoint, coin) = light.coins().into_iter().find(|(_, coin)| !coin.coinbase).unwrap();
    let rest = units(coin.output.amount.units() - amount);
    let outputs = vec![output(units(amount), &Owner::new(5)), output(rest, &own())];
    town.world.pay_coins(&own(), &[outpoint], &[coin], outputs)
}

fn send(town: &mut Town, payment: &Transaction) -> Txid {
    town.net.with_light(town.light, |light, now, chain| light.submit(payment, now, chain)).expect("taken")
}

fn place_of(town: &Town, txid: &Txid) -> Option<u32> {
    let light = town.net.nodes[town.light].light.as_ref().unwrap();
    let found = light.movements().find(|found| found.transaction.txid() == *txid)?;
    found.place.map(|place| place.height)
}

#[test]
fn it_pays_and_sees_its_payment_in_a_block_and_out_of_it_again() {
    let mut town = Town::new(9);
    let [one, other] = [town.full(), town.full()];
    town.run_until_synced(40);
    let payment = payment(&town, 1_000);
    let txid = send(&mut town, &payment);
    town.net.run("the payment", 60, |net| net.nodes[one].pool.get(&txid).is_some());
    assert_eq!((place_of(&town, &txid), town.balance()), (None, coins(50).units()), "change waits with it");
    // The proof is enough to know, whatever becomes of the block.
    for number in [one, other] {
        let twist = |message: Ledger, body| (!matches!(message, Ledger::Block(_))).then_some((message, body));
        town.net.nodes[number].twist = Some(Box::new(twist));
    }
    town.net.mine(one);
    let light = town.light;
    town.net.run("the proof", 60, |net| net.nodes[light].heard.contains(&Event::Proved { txid, height: 41 }));
    assert_eq!(place_of(&town, &txid), Some(41));
    for number in [one, other] {
        town.net.nodes[number].twist = None;
    }
    town.run_until_synced(41);
    assert_eq!((place_of(&town, &txid), town.balance()), (Some(41), coins(70).units() - 1_000));
    // Another branch without it has more work.
    let parent = town.net.nodes[other].chain.hash_at(39).unwrap();
    let mut branch: Vec<Block> = Vec::new();
    let mut above = parent;
    for _ in 0..4 {
        let block = town.world.block_after(above, &Owner::new(9), Vec::new());
        town.world.chain.accept_block(&block, NOW, &BatchVerifier).unwrap();
        above = block.hash();
        branch.push(block);
    }
    let now = town.net.at();
    for number in [one, other] {
        let node = &mut town.net.nodes[number];
        for block in &branch {
            let _ = node.sync.submit_block(block, now, (&mut node.chain, &mut node.pool));
        }
        town.net.collect(number);
    }
    town.run_until_synced(43);
    assert_eq!(place_of(&town, &txid), None, "it waits again");
    assert!(town.heard(&Event::Undone { txid }));
    // It is still wanted by all, and the next block takes it.
    town.net.run("the payment again", 60, |net| net.nodes[one].pool.get(&txid).is_some());
    town.net.mine(one);
    town.run_until_synced(44);
    assert_eq!(place_of(&town, &txid), Some(44));
}

#[test]
fn a_false_proof_names_its_sender() {
    let mut town = Town::new(10);
    let peers = [town.full(), town.full()];
    // The block is there without whoever is dropped.
    town.net.link(peers[0], peers[1]);
    town.run_until_synced(40);
    let payment = payment(&town, 1_000);
    let txid = send(&mut town, &payment);
    let one = peers[0];
    town.net.run("the payment", 60, |net| net.nodes[one].pool.get(&txid).is_some());
    for number in peers {
        town.net.nodes[number].twist = Some(Box::new(|message, body| match (&message, body) {
            (Ledger::Proof(_), Some(body)) => {
                let mut bytes = body.to_vec();
                bytes[10] ^= 1;
                Some((message, Some(bytes.into())))
            }
            (_, body) => Some((message, body)),
        }));
    }
    town.net.mine(one);
    let light = town.light;
    town.net.run("the lie", 60, |net| peers.iter().any(|peer| net.ended(light, *peer).is_some()));
    let blamed: Vec<Reason> = peers.iter().filter_map(|peer| town.net.ended(light, *peer)).collect();
    assert_eq!(blamed, [Reason::BadProof]);
    assert!(!town.net.nodes[light].heard.iter().any(|event| matches!(event, Event::Proved { .. })));
    town.run_until_synced(41);
    assert_eq!(place_of(&town, &txid), Some(41), "the block itself tells");
}

#[test]
fn what_it_knows_is_there_after_a_start() {
    let mut town = Town::new(11);
    town.full();
    town.full();
    town.run_until_synced(40);
    let payment = payment(&town, 1_000);
    let txid = send(&mut town, &payment);
    let node = &mut town.net.nodes[town.light];
    node.chain.flush().unwrap();
    let saved = node.light.as_ref().unwrap().save();
    let chain = Chain::open(&town.world.genesis, node.chain.store().clone()).unwrap();
    assert_eq!(chain.best_header().1, 40);
    let mut again = Light::new(&chain, [3; 32]);
    again.load(&saved, &chain).unwrap();
    let report = again.report(&chain);
    assert_eq!((report.scanned, report.height, report.alone_from), (Some(40), 40, None));
    assert!(again.movements().any(|found| found.transaction.txid() == txid && found.place.is_none()));
    assert_eq!(again.movements().count(), 3);
    assert_eq!(again.save(), saved);
    // Nothing of it is taken if it was spoiled.
    for length in 0..saved.len() {
        assert!(Light::new(&chain, [3; 32]).load(&saved[..length], &chain).is_err());
    }
    let other = World::with(meshline_ledger::Params { maturity: 7, ..params() });
    assert!(Light::new(&other.chain, [3; 32]).load(&saved, &other.chain).is_err(), "of another chain");
}

#[test]
fn its_own_bounds_are_refusals_in_words() {
    let town = Town::new(12);
    let chain = reopened(&town.world);
    let mut light = Light::new(&chain, [4; 32]);
    let lock = |number: u64| {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Lock::KeyHash(bytes)
    };
    let locks: Vec<Lock> = (0..MAX_WATCHED as u64).map(lock).collect();
    light.watch(&locks, 0, &chain).unwrap();
    light.watch(&locks, 0, &chain).unwrap();
    assert_eq!(light.watch(&[own().lock()], 0, &chain), Err(LightRefusal::TooManyLocks));
    let mut chain = chain;
    let at = town.net.at();
    let pay = |number: usize| {
        let outpoint = OutPoint { txid: Txid([number as u8; 32]), index: 0 };
        let inputs = vec![TxIn::Spend { outpoint, key: own().key(), signature: [0; 64] }];
        Transaction { version: 1, inputs, outputs: vec![output(units(1), &own())], lock_time: 0 }
    };
    for number in 0..MAX_PENDING {
        light.submit(&pay(number), at, &mut chain).unwrap();
    }
    light.submit(&pay(0), at, &mut chain).expect("it is known");
    assert_eq!(light.submit(&pay(MAX_PENDING), at, &mut chain), Err(LightRefusal::TooManyPending));
}

/// For chains that are made to be looked through: nobody judges their signatures.
struct Anything;

impl SignatureVerifier for Anything {
    fn all_valid(&self, _: &[SignatureCheck]) -> bool {
        true
    }
}

/// Members who pay each other, and one block in which the owner is paid.
struct Market {
    world: World,
    /// What the members have.
    coins: Vec<(OutPoint, Owner, u64)>,
    bytes: u64,
}

impl Market {
    fn new(members: u64, payments: usize) -> Self {
        let mut world = World::new();
        let share = coins(50).units() / payments as u64;
        let owners: Vec<Owner> = (0..payments as u64).map(|number| Owner::new(1_000 + number % members)).collect();
        let outputs = owners.iter().map(|owner| output(units(share), owner)).collect();
        let split = world.pay(&Owner::new(0), &[world.first_coin()], outputs);
        let txid = split.txid();
        world.extend(&Owner::new(1), vec![split]);
        let made = (0..).zip(owners).map(|(index, owner)| (OutPoint { txid, index }, owner, share));
        Self { coins: made.collect(), world, bytes: 0 }
    }

    /// A block in which every coin is spent: most to somebody else, the rest back.
    fn trade(&mut self, round: usize, paid: Option<Owner>) {
        let before = std::mem::take(&mut self.coins);
        let mut payments = Vec::new();
        for (number, (outpoint, from, amount)) in before.iter().enumerate() {
            let to = before[(number + round + 1) % before.len()].1;
            let to = paid.filter(|_| number == 7).unwrap_or(to);
            let inputs = vec![TxIn::Spend { outpoint: *outpoint, key: from.key(), signature: [0; 64] }];
            let outputs = vec![output(units(amount - 100), from), TxOut { amount: units(90), lock: to.lock() }];
            let payment = Transaction { version: 1, inputs, outputs, lock_time: 0 };
            self.coins.push((OutPoint { txid: payment.txid(), index: 0 }, *from, amount - 100));
            payments.push(payment);
        }
        let block = self.world.block(&Owner::new(1), payments);
        self.bytes += block.encode().len() as u64;
        self.world.chain.accept_block(&block, NOW, &Anything).unwrap();
    }
}

/// What a light client takes in to find one payment in so many blocks, and what the chain has.
fn cost(blocks: usize, members: u64, payments: usize) -> (u64, u64, u64) {
    let mut market = Market::new(members, payments);
    for round in 0..blocks {
        market.trade(round, (round == blocks / 2).then(own));
    }
    let mut net = Net::new(&market.world.genesis, 13);
    net.base_s = u64::from(START) + 10_000;
    let light = net.add_light();
    net.with_light(light, |light, _, chain| light.watch(&[own().lock()], 0, chain)).unwrap();
    for _ in 0..2 {
        let full = net.add_chain(reopened(&market.world));
        while net.nodes[full].chain.lacks_filters() {
            net.nodes[full].chain.make_filters(100).unwrap();
        }
        net.link(light, full);
    }
    net.run("all is looked through", 600, |net| {
        report(net, light).phase == Phase::Synced && report(net, light).height > 1
    });
    let found: BTreeMap<_, _> = net.nodes[light].light.as_ref().unwrap().coins();
    assert_eq!(found.values().map(|coin| coin.output.amount.units()).sum::<u64>(), 90);
    let report = report(&net, light);
    assert_eq!((report.blocks, report.alone_from), (1, None));
    let received = net.nodes[light].received;
    eprintln!(
        "{blocks} blocks of {payments} payments among {members} members: {received} of {} bytes, {:.2} %",
        market.bytes,
        received as f64 * 100.0 / market.bytes as f64
    );
    (received, market.bytes, market.bytes / blocks as u64)
}

#[test]
fn it_takes_in_a_hundredth_of_the_chain_and_the_blocks_that_concern_it() {
    let (received, bytes, block) = cost(40, 60, 400);
    // The one block is a fortieth of this short chain.
    assert!(received - block < bytes / 100, "{received} of {bytes}, {block} of them the block");
    if std::env::var_os("MESHLINE_SOAK").is_some() {
        let (received, bytes, _) = cost(400, 100, 500);
        assert!(received < bytes / 100, "{received} of {bytes}");
        // Where nobody uses an address twice in a block, each costs the 2.6 bytes that it must.
        let (received, bytes, _) = cost(100, 500, 500);
        assert!(received < bytes / 25, "{received} of {bytes}");
    }
}
