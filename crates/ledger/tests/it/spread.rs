//! A new block is everywhere after a few round trips, whatever comes late, from two sides at once, or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_ledger::sync::limits::HURRY_AFTER;
use meshline_ledger::{BlockHash, OutPoint, Transaction};
use meshline_protocol::message::Ledger;
use rand_chacha::ChaCha8Rng;

use crate::net::*;
use crate::support::*;

const NODES: usize = 8;
const COINS: u32 = 60;
/// One way: who hears of a block, asks, and asks again for what is missing, and whoever makes the next one meanwhile.
const TRIPS: u64 = 12;

/// All linked with all.
struct Village {
    net: Net,
    payments: Vec<Transaction>,
    rng: ChaCha8Rng,
    /// When each block was made.
    made: Vec<(BlockHash, u64)>,
    /// When a node had it, by block and node.
    seen: BTreeMap<(usize, usize), u64>,
}

impl Village {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        let outputs = (0..COINS).map(|_| output(units(1_000), &Owner::new(1))).collect();
        let split = world.pay(&Owner::new(0), &[world.first_coin()], outputs);
        let txid = split.txid();
        let first = world.extend(&Owner::new(2), vec![split]);
        let pay =
            |index| world.pay(&Owner::new(1), &[OutPoint { txid, index }], vec![output(units(900), &Owner::new(7))]);
        let payments = (0..COINS).map(pay).collect();
        let mut net = Net::new(&world.genesis, seed);
        net.base_s = u64::from(START) + 600;
        for _ in 0..NODES {
            net.add(std::slice::from_ref(&first));
        }
        for one in 0..NODES {
            (one + 1..NODES).for_each(|other| net.link(one, other));
        }
        net.pass(SECOND);
        Self { net, payments, rng: rng(seed), made: Vec::new(), seen: BTreeMap::new() }
    }

    fn below(&mut self, limit: usize) -> usize {
        below(&mut self.rng, limit)
    }

    /// The first node makes a block.
    fn mine(&mut self) {
        let hash = self.net.mine(0);
        self.made.push((hash, self.net.now));
    }

    /// Lets time go by, and notes who has what.
    fn pass(&mut self, micros: u64) {
        let end = self.net.now + micros;
        while self.net.now < end && self.net.step() {
            for (block, (hash, _)) in self.made.iter().enumerate() {
                for (at, node) in self.net.nodes.iter().enumerate() {
                    if node.chain.is_active(hash) {
                        self.seen.entry((block, at)).or_insert(self.net.now);
                    }
                }
            }
        }
    }

    /// The longest way of a block to one of these nodes.
    fn longest(&self, nodes: &[usize]) -> u64 {
        let took = |block: usize, node: usize| self.seen.get(&(block, node)).map(|at| at - self.made[block].1);
        let ways = (0..self.made.len()).flat_map(|block| nodes.iter().map(move |node| (block, *node)));
        ways.map(|(block, node)| took(block, node).unwrap_or(u64::MAX)).max().unwrap_or(0)
    }
}

#[test]
fn no_block_is_late_whatever_order_things_come_in() {
    for seed in 0..40 {
        let mut village = Village::new(seed);
        let payments = village.payments.clone();
        for (number, payment) in payments.iter().enumerate() {
            // Some are known to all when the next block comes, some to few.
            let node = village.below(NODES);
            let _ = village.net.submit(node, payment);
            let pause = village.below(120_000) as u64;
            village.pass(pause);
            if number % 5 == 4 {
                // One after the other, or two at once.
                (0..=village.below(2)).for_each(|_| village.mine());
            }
        }
        village.pass(10 * SECOND);
        let (longest, delay) = (village.longest(&(0..NODES).collect::<Vec<_>>()), village.net.delay);
        assert!(longest <= TRIPS * delay, "a block took {longest} µs (seed {seed})");
    }
}

/// A twist: it tells of blocks and never brings one, nor parts of one that it was asked for.
fn tells_only(message: Ledger, body: Option<Bytes>) -> Option<(Ledger, Option<Bytes>)> {
    let is_part = matches!(&message, Ledger::Cmpctblock(line) if line.request.is_some());
    let is_answer = is_part || matches!(&message, Ledger::Block(_) | Ledger::Blocktxn(_) | Ledger::Notfound(_));
    (!is_answer).then_some((message, body))
}

#[test]
fn two_who_tell_of_a_block_and_do_not_bring_it_hold_nobody_up() {
    for seed in 0..20 {
        let mut village = Village::new(seed);
        let payments = village.payments.clone();
        let silent = [1 + village.below(NODES - 1), 1 + village.below(NODES - 1)];
        for node in silent {
            village.net.nodes[node].twist = Some(Box::new(tells_only));
        }
        let honest: Vec<usize> = (0..NODES).filter(|node| !silent.contains(node)).collect();
        for payment in payments.iter().take(10) {
            let node = honest[village.below(honest.len())];
            let _ = village.net.submit(node, payment);
            let pause = village.below(60_000) as u64;
            village.pass(pause);
            if village.below(3) == 0 {
                village.mine();
                // Blocks seldom come so soon that the next one is asked for before the last is here.
                village.pass(3 * SECOND);
            }
        }
        village.pass(10 * SECOND);
        let (longest, delay) = (village.longest(&honest), village.net.delay);
        assert!(longest <= 2 * HURRY_AFTER + TRIPS * delay, "a block took {longest} µs (seed {seed})");
    }
}
