//! Transactions and new blocks get around, and nothing is lost by a partition.

use std::collections::BTreeSet;

use bytes::Bytes;
use meshline_ledger::chain::ChainEvent;
use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::mempool::Template;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::sync::limits::*;
use meshline_ledger::sync::{Config, Event, Input, Reason, Sync};
use meshline_ledger::{Block, BlockHash, OutPoint, Transaction, Txid};
use meshline_protocol::message::{Ledger, LedgerKind};

use crate::net::*;
use crate::support::*;

/// Nodes on a chain whose first block pays many coins to owner 1, all linked with some others.
struct Town {
    net: Net,
    world: World,
    coins: Vec<OutPoint>,
}

impl Town {
    fn new(count: usize, seed: u64) -> Self {
        let mut world = World::new();
        let outputs = (0..100).map(|_| output(units(1_000), &Owner::new(1))).collect();
        let split = world.pay(&Owner::new(0), &[world.first_coin()], outputs);
        let txid = split.txid();
        let first = world.extend(&Owner::new(2), vec![split]);
        let mut net = Net::new(&world.genesis, seed);
        net.base_s = u64::from(START) + 600;
        for _ in 0..count {
            net.add(std::slice::from_ref(&first));
        }
        let coins = (0..100).map(|index| OutPoint { txid, index }).collect();
        Self { net, world, coins }
    }

    /// A ring with chords: everybody has four peers or so.
    fn link(&mut self, nodes: &[usize]) {
        for (at, node) in nodes.iter().enumerate() {
            for step in [1, 3] {
                let other = nodes[(at + step) % nodes.len()];
                if other != *node && !self.is_linked(*node, other) {
                    self.net.link(*node, other);
                }
            }
        }
        self.net.pass(SECOND);
    }

    fn is_linked(&self, one: usize, other: usize) -> bool {
        self.net.is_linked(one, other)
    }

    fn payment(&self, coin: usize, to: u64) -> Transaction {
        self.world.pay(&Owner::new(1), &[self.coins[coin]], vec![output(units(900), &Owner::new(to))])
    }

    fn submit(&mut self, node: usize, payment: &Transaction) -> Txid {
        self.net.submit(node, payment).expect("taken")
    }

    fn mine(&mut self, node: usize) -> BlockHash {
        self.net.mine(node)
    }

    fn all_have(&self, txid: Txid) -> bool {
        self.net.nodes.iter().all(|node| node.pool.get(&txid).is_some())
    }

    fn tips(&self) -> BTreeSet<BlockHash> {
        self.net.nodes.iter().map(|node| node.chain.tip()).collect()
    }
}

#[test]
fn a_payment_reaches_everybody_once() {
    let mut town = Town::new(10, 21);
    town.link(&(0..10).collect::<Vec<_>>());
    let txid = {
        let payment = town.payment(0, 7);
        town.submit(3, &payment)
    };
    town.net.run("the payment", 30, |net| net.nodes.iter().all(|node| node.pool.get(&txid).is_some()));
    let fetched: u64 = town.net.nodes.iter().filter_map(|node| node.sent.get("ledger.tx")).sum();
    assert_eq!(fetched, 9, "each node fetches it once");
    town.net.pass(5 * SECOND);
    assert!(town.net.nodes.iter().all(|node| node.offences.is_empty()));
    assert!(town.all_have(txid));
}

#[test]
fn payments_that_build_on_unknown_ones_wait_for_them() {
    let mut town = Town::new(2, 22);
    let parent = town.payment(0, 7);
    let made = OutPoint { txid: parent.txid(), index: 0 };
    let coin = meshline_ledger::Coin { output: parent.outputs[0], height: 2, coinbase: false };
    let child = town.world.pay_coins(&Owner::new(7), &[made], &[coin], vec![output(units(800), &Owner::new(8))]);
    // The first node tells of the child alone, and later of its parent.
    let hidden = parent.txid();
    town.net.nodes[0].twist = Some(Box::new(move |mut message, body| {
        if let Ledger::Inv(line) = &mut message
            && line.kind == LedgerKind::Transaction
        {
            let names: Vec<_> = line.ids.iter().copied().filter(|name| name.0 != hidden.0).collect();
            line.ids = meshline_protocol::Bounded::from_first(names);
        }
        Some((message, body))
    }));
    town.link(&[0, 1]);
    town.submit(0, &parent);
    let child = town.submit(0, &child);
    town.net.run("both", 30, |net| net.nodes[1].pool.get(&child).is_some());
    assert_eq!(town.net.nodes[1].sync.orphans(), 0);
    assert!(town.net.nodes[1].pool.get(&hidden).is_some(), "asked for because its child spends it");
}

#[test]
fn a_block_is_put_together_from_what_waits() {
    let mut town = Town::new(6, 23);
    town.link(&(0..6).collect::<Vec<_>>());
    for coin in 0..20 {
        let payment = town.payment(coin, 7);
        town.submit(coin % 6, &payment);
    }
    town.net.run("all payments", 60, |net| net.nodes.iter().all(|node| node.pool.len() == 20));
    // The first blocks settle who pushes to whom.
    for node in [0, 3] {
        let tip = town.mine(node);
        town.net.run("a block", 30, |net| net.nodes.iter().all(|node| node.chain.tip() == tip));
    }
    for coin in 20..40 {
        let payment = town.payment(coin, 7);
        town.submit(coin % 6, &payment);
    }
    town.net.run("all payments", 60, |net| net.nodes.iter().all(|node| node.pool.len() == 20));
    town.net.nodes.iter_mut().for_each(|node| node.sent.clear());
    let began = town.net.now;
    let tip = town.mine(1);
    town.net.run("a block", 30, |net| net.nodes.iter().all(|node| node.chain.tip() == tip));
    let took = town.net.now - began;
    assert!(town.net.nodes.iter().all(|node| node.pool.is_empty()));
    let sent = |kind: &str| town.net.nodes.iter().filter_map(|node| node.sent.get(kind)).sum::<u64>();
    assert!(sent("ledger.cmpctblock") >= 5, "in short to each");
    assert_eq!((sent("ledger.block"), sent("ledger.blocktxn")), (0, 0), "and nothing was missing");
    assert!(took <= 10 * town.net.delay, "{took} µs");
    assert!(town.net.nodes.iter().all(|node| node.offences.is_empty()));
}

#[test]
fn what_is_missing_in_a_block_is_asked_for_and_a_wrong_one_is_fetched_whole() {
    for lies in [false, true] {
        let mut town = Town::new(2, 24);
        town.link(&[0, 1]);
        let waits = town.payment(0, 7);
        town.submit(0, &waits);
        town.net.run("the payment", 30, |net| net.nodes.iter().all(|node| node.pool.len() == 1));
        // This one is never announced.
        let secret = town.payment(1, 8);
        town.net.nodes[0].twist = Some(Box::new(move |message, body| match (message, body) {
            (Ledger::Inv(_), _) => None,
            (Ledger::Blocktxn(line), Some(body)) if lies => {
                let mut bytes = body.to_vec();
                // Another amount in the only output.
                let at = bytes.len() - 30;
                bytes[at] ^= 1;
                Some((Ledger::Blocktxn(line), Some(Bytes::from(bytes))))
            }
            (message, body) => Some((message, body)),
        }));
        town.submit(0, &secret);
        let tip = town.mine(0);
        town.net.run("the block", 30, |net| net.nodes[1].chain.tip() == tip);
        let sent = &town.net.nodes[0].sent;
        assert_eq!((sent.contains_key("ledger.blocktxn"), sent.contains_key("ledger.block")), (true, lies));
        assert_eq!(town.net.nodes[1].offences, [], "names may collide: nobody is to blame");
    }
}

#[test]
fn a_payment_that_no_chain_could_have_ends_it() {
    let mut town = Town::new(2, 25);
    town.link(&[0, 1]);
    town.net.nodes[0].twist = Some(Box::new(|message, body| match (&message, body) {
        (Ledger::Tx(_), Some(body)) => {
            // The name leaves signatures out, so that it is still what was asked for.
            let mut payment = Transaction::decode(&body).unwrap();
            if let meshline_ledger::TxIn::Spend { signature, .. } = &mut payment.inputs[0] {
                signature[40] ^= 1;
            }
            Some((message, Some(payment.encode().into())))
        }
        (_, body) => Some((message, body)),
    }));
    let payment = town.payment(0, 7);
    town.submit(0, &payment);
    town.net.run("the end", 30, |net| net.ended(1, 0).is_some());
    assert!(matches!(town.net.ended(1, 0), Some(Reason::BadTransaction(_))));
    assert!(town.net.nodes[1].pool.is_empty());
}

#[test]
fn a_double_spend_from_two_sides_ends_the_same_everywhere() {
    let mut town = Town::new(8, 26);
    town.link(&(0..8).collect::<Vec<_>>());
    let (one, other) = (town.payment(0, 7), town.payment(0, 8));
    town.submit(0, &one);
    town.submit(4, &other);
    town.net.pass(10 * SECOND);
    for node in &town.net.nodes {
        assert_eq!(node.pool.len(), 1, "each has what came first");
    }
    let tip = town.mine(2);
    town.net.run("the block", 30, |net| net.nodes.iter().all(|node| node.chain.tip() == tip));
    assert!(town.net.nodes.iter().all(|node| node.pool.is_empty()), "the other one is void");
    assert!(town.net.nodes.iter().all(|node| node.offences.is_empty()));
    let hashes: BTreeSet<_> = town.net.nodes.iter().map(|node| node.chain.set_hash().unwrap().hash).collect();
    assert_eq!(hashes.len(), 1);
}

#[test]
fn of_two_miners_who_each_took_one_of_two_payments_the_longer_chain_decides_and_the_other_payment_is_void() {
    let mut town = Town::new(8, 33);
    let (left, right): (Vec<usize>, Vec<usize>) = ((0..4).collect(), (4..8).collect());
    town.link(&left);
    town.link(&right);
    let (lost, won) = (town.payment(0, 7), town.payment(0, 8));
    // One builds on what will be void, one has nothing to do with it.
    let made = OutPoint { txid: lost.txid(), index: 0 };
    let coin = meshline_ledger::Coin { output: lost.outputs[0], height: 2, coinbase: false };
    let child = town.world.pay_coins(&Owner::new(7), &[made], &[coin], vec![output(units(800), &Owner::new(9))]);
    let bystander = town.payment(1, 7);
    let lost = town.submit(0, &lost);
    town.net.run("what the next one builds on", 30, |net| net.nodes[1].pool.get(&lost).is_some());
    let (child, bystander) = (town.submit(1, &child), town.submit(2, &bystander));
    let won = town.submit(5, &won);
    town.net.run("the payments", 30, |net| {
        left.iter().all(|node| net.nodes[*node].pool.len() == 3)
            && right.iter().all(|node| net.nodes[*node].pool.len() == 1)
    });
    for (half, miner, count) in [(&left, 3, 1), (&right, 6, 2)] {
        for _ in 0..count {
            let tip = town.mine(miner);
            town.net.run("a block", 30, |net| half.iter().all(|node| net.nodes[*node].chain.tip() == tip));
        }
    }
    let holds = |town: &Town, node: usize, txid| {
        let chain = &town.net.nodes[node].chain;
        chain.coin(&OutPoint { txid, index: 0 }).unwrap().is_some()
    };
    assert!(holds(&town, 0, child) && holds(&town, 0, bystander) && holds(&town, 7, won), "each side has its own");
    let winner = town.net.nodes[6].chain.tip();
    town.net.link(0, 4);
    town.net.link(2, 7);
    town.net.run("one tip", 30, |net| net.nodes.iter().all(|node| node.chain.tip() == winner));
    town.net.run("what is still valid waits again", 30, |net| {
        net.nodes.iter().all(|node| node.pool.len() == 1 && node.pool.get(&bystander).is_some())
    });
    // Another block, and time to announce: what is void does not come back.
    let tip = town.mine(1);
    town.net.run("a block", 30, |net| net.nodes.iter().all(|node| node.chain.tip() == tip));
    town.net.pass(10 * SECOND);
    for number in 0..8 {
        assert!(holds(&town, number, won) && holds(&town, number, bystander), "node {number}");
        assert!(!holds(&town, number, lost) && !holds(&town, number, child), "node {number}");
        let node = &town.net.nodes[number];
        assert!(node.pool.is_empty() && node.offences.is_empty(), "node {number}: {:?}", node.offences);
    }
    let hashes: BTreeSet<_> = town.net.nodes.iter().map(|node| node.chain.set_hash().unwrap().hash).collect();
    assert_eq!(hashes.len(), 1);
}

#[test]
fn a_partition_heals_to_one_tip_and_what_the_losers_had_waits_again() {
    let mut town = Town::new(20, 27);
    let (left, right): (Vec<usize>, Vec<usize>) = ((0..10).collect(), (10..20).collect());
    town.link(&left);
    town.link(&right);
    let lost = town.payment(0, 7);
    let lost = town.submit(0, &lost);
    town.net.run("the payment", 30, |net| left.iter().all(|node| net.nodes[*node].pool.get(&lost).is_some()));
    // Blocks are made in turns, the left half is one behind.
    for round in 0..20 {
        for (half, count) in [(&left, 4), (&right, 5)] {
            for _ in 0..count {
                let tip = town.mine(half[round % half.len()]);
                town.net.run("a block", 30, |net| half.iter().all(|node| net.nodes[*node].chain.tip() == tip));
            }
        }
    }
    assert_eq!(town.tips().len(), 2);
    let winner = town.net.nodes[10].chain.tip();
    let healed = town.net.now;
    town.net.link(0, 10);
    town.net.link(5, 15);
    town.net.run("one tip", 10, |net| net.nodes.iter().all(|node| node.chain.tip() == winner));
    println!("one tip after {} ms", (town.net.now - healed) / 1_000);
    town.net.run("the lost payment", 30, |net| net.nodes.iter().all(|node| node.pool.get(&lost).is_some()));
    let gone =
        town.net.nodes[3].events.iter().filter(|event| matches!(event, Event::Chain(ChainEvent::Disconnected(_))));
    assert_eq!(gone.count(), 80);
    assert!(town.net.nodes.iter().all(|node| node.offences.is_empty()));
}

#[test]
fn own_payments_are_announced_again() {
    let mut town = Town::new(2, 28);
    town.link(&[0, 1]);
    let payment = town.payment(0, 7);
    let txid = town.submit(0, &payment);
    town.net.run("the payment", 30, |net| net.nodes[1].pool.get(&txid).is_some());
    // The other one loses it.
    town.net.nodes[1].pool = meshline_ledger::mempool::Mempool::new(0);
    town.net.run("once more", 2 * REBROADCAST / SECOND, |net| net.nodes[1].pool.get(&txid).is_some());
}

#[test]
fn a_new_peer_is_told_what_waits() {
    let mut town = Town::new(2, 29);
    let payment = town.payment(0, 7);
    let txid = town.submit(0, &payment);
    town.link(&[0, 1]);
    town.net.run("the payment", 30, |net| net.nodes[1].pool.get(&txid).is_some());
}

#[test]
fn a_peer_that_still_fetches_blocks_gets_what_it_was_told_of_meanwhile() {
    let mut town = Town::new(1, 31);
    for _ in 0..200 {
        town.mine(0);
    }
    let newcomer = town.net.add(&[]);
    // Long after the last block: both begin as if they were far behind.
    town.net.base_s += 10 * BEHIND_S;
    let payment = town.payment(0, 7);
    let txid = town.submit(0, &payment);
    town.net.link(0, newcomer);
    town.net.run("the payment", 60, |net| net.nodes[newcomer].pool.get(&txid).is_some());
    assert_eq!(town.net.nodes[newcomer].chain.height(), 201);
}

#[test]
fn own_payments_of_an_earlier_run_are_announced_again_too() {
    let mut town = Town::new(2, 32);
    town.link(&[0, 1]);
    let payment = town.payment(0, 7);
    let txid = town.submit(0, &payment);
    town.net.run("the payment", 30, |net| net.nodes[1].pool.get(&txid).is_some());
    // The first one starts anew with what it saved; both have lost sight of the other's knowledge but for this.
    let sync = Sync::new(Config::default(), BatchVerifier, [9; 32]);
    town.net.nodes[0].sync = sync;
    let now = town.net.at();
    let node = &mut town.net.nodes[0];
    node.sync.adopt(&node.pool, now);
    town.net.link(0, 1);
    town.net.pass(SECOND);
    town.net.nodes[1].pool = meshline_ledger::mempool::Mempool::new(0);
    town.net.run("once more", 2 * REBROADCAST / SECOND, |net| net.nodes[1].pool.get(&txid).is_some());
}

#[test]
fn nothing_is_said_of_what_pays_less_than_a_peer_asks_for() {
    let mut town = Town::new(2, 30);
    town.link(&[0, 1]);
    let fee = meshline_protocol::message::LedgerFee { rate: 1_000_000 };
    town.net.input(0, Input::Frame { peer: node_id(1), message: Ledger::Feefilter(fee), body: None });
    let payment = town.payment(0, 7);
    town.submit(0, &payment);
    town.net.pass(10 * SECOND);
    assert_eq!(town.net.nodes[0].sent.get("ledger.inv"), None);
}

/// The block that a node would make.
pub(crate) fn block_on(node: &TestNode, now_s: u64) -> Block {
    let mut block = Template::new(&node.chain, &node.pool, Owner::new(9).lock(), now_s, &node.id.as_bytes()[..8]).block;
    mine(&mut block.header);
    block
}
