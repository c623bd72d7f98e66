//! A node that fetches blocks, finds some, follows reorganisations and pays, and crashes again and again on the way: in
//! the middle of a commit, right after one, or with a disk that is full. What it said it had, it has afterwards.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use meshline_ledger::chain::{Chain, ChainEvent};
use meshline_ledger::mempool::{Mempool, Origin, Template, read_payments, save_payments};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{Batch, Durability, MemoryStore, Store, StoreError, Table, Visit};
use meshline_ledger::sync::{Config, Event, Input, Now, Output, Sync};
use meshline_ledger::{Block, BlockHash, Coin, Genesis, OutPoint, Transaction, Txid};
use meshline_protocol::message::Ledger;
use rand_chacha::ChaCha8Rng;

use crate::net::{SECOND, node_id};
use crate::support::*;

/// Lives of a node: as many as there is time for, and a thousand faults in all with `MESHLINE_SOAK=1`.
const LIVES: u64 = 10;
const MANY_LIVES: u64 = 100;
/// Faults in a life.
const FAULTS: usize = 10;
/// Coins that each life begins with, to be sent one after the other.
const COINS: u32 = 20;

/// What happens to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The process ends in the middle of a commit: nothing of it is there.
    Within,
    /// It ends when the commit is made and before anything follows from it.
    After,
    /// The disk is full, and the process goes on.
    Full,
}

/// A disk that fails at a chosen commit.
#[derive(Debug, Default)]
struct Platter {
    now: MemoryStore,
    synced: MemoryStore,
    unsynced: Vec<Batch>,
    /// After so many more commits.
    planned: Option<(usize, Fault)>,
    happened: Option<Fault>,
}

#[derive(Debug, Clone, Default)]
struct Disk(Rc<RefCell<Platter>>);

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.borrow().now.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.0.borrow().now.scan(table, from, visit)
    }

    fn commit(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let mut platter = self.0.borrow_mut();
        let ended = || StoreError::Io("the process has ended".to_owned());
        if matches!(platter.happened, Some(Fault::Within | Fault::After)) {
            return Err(ended());
        }
        let fault = match &mut platter.planned {
            Some((0, fault)) => Some(*fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if let Some(fault) = fault {
            (platter.planned, platter.happened) = (None, Some(fault));
        }
        match fault {
            Some(Fault::Within) => return Err(ended()),
            Some(Fault::Full) => return Err(StoreError::Full),
            Some(Fault::After) | None => {}
        }
        platter.apply(batch, durability);
        if fault.is_some() { Err(ended()) } else { Ok(()) }
    }
}

impl Platter {
    fn apply(&mut self, batch: &Batch, durability: Durability) {
        self.now.commit(batch, durability).unwrap();
        self.unsynced.push(batch.clone());
        if durability == Durability::Synced {
            for batch in self.unsynced.drain(..) {
                self.synced.commit(&batch, durability).unwrap();
            }
        }
    }

    /// What is left if so many of the commits that were not synced had reached the disk.
    fn crash(&self, kept: usize) -> Self {
        let mut left = self.synced.clone();
        for batch in self.unsynced.iter().take(kept) {
            left.commit(batch, Durability::Synced).unwrap();
        }
        Self { now: left.clone(), synced: left, ..Self::default() }
    }
}

/// A node over such a disk.
struct Node {
    disk: Disk,
    chain: Chain<Disk>,
    pool: Mempool,
    sync: Sync<BatchVerifier>,
    /// It has said that all is here: from then on each block is on the disk before anybody hears of it.
    is_synced: bool,
}

impl Node {
    fn open(genesis: &Genesis, platter: Platter, own: &[u8]) -> Self {
        let disk = Disk(Rc::new(RefCell::new(platter)));
        let chain = Chain::open(genesis, disk.clone()).expect("what a crash leaves opens");
        let mut pool = Mempool::new(0);
        if !own.is_empty() {
            pool.add_again(&chain, &read_payments(own).unwrap(), &BatchVerifier);
        }
        let sync = Sync::new(Config::default(), BatchVerifier, [1; 32]);
        Self { disk, chain, pool, sync, is_synced: false }
    }

    fn has_ended(&self) -> bool {
        matches!(self.disk.0.borrow().happened, Some(Fault::Within | Fault::After))
    }
}

/// The node, a peer that never fails, and what the node has said.
struct Life {
    rng: ChaCha8Rng,
    world: World,
    pool: Mempool,
    sync: Sync<BatchVerifier>,
    node: Node,
    now: u64,
    base_s: u64,
    /// What can be sent.
    coins: Vec<(OutPoint, Coin)>,
    /// Payments that were acknowledged, and the file that they were in before.
    sent: Vec<(Txid, Transaction)>,
    own: Vec<u8>,
    /// The block that the node said was its last.
    told: Option<BlockHash>,
    faults: BTreeMap<Fault, u32>,
}

const NODE: usize = 0;
const PEER: usize = 1;

impl Life {
    /// The peer has so many blocks, the node none.
    fn new(seed: u64, blocks: u32, base_s: u64) -> Self {
        let mut world = World::new();
        let outputs: Vec<_> = (0..COINS).map(|_| output(units(1_000), &Owner::new(1))).collect();
        let split = world.pay(&Owner::new(0), &[world.first_coin()], outputs.clone());
        let txid = split.txid();
        let coin = |index| (OutPoint { txid, index }, Coin { output: outputs[0], height: 1, coinbase: false });
        let coins = (0..COINS).map(coin).collect();
        world.extend(&Owner::new(2), vec![split]);
        while world.chain.height() < blocks {
            world.extend(&Owner::new(2), Vec::new());
        }
        let node = Node::open(&world.genesis, Platter::default(), &[]);
        let sync = Sync::new(Config::default(), BatchVerifier, [2; 32]);
        let mut life = Self {
            rng: rng(seed),
            world,
            pool: Mempool::new(0),
            sync,
            node,
            now: 0,
            base_s,
            coins,
            sent: Vec::new(),
            own: Vec::new(),
            told: None,
            faults: BTreeMap::new(),
        };
        life.link();
        life
    }

    fn at(&self) -> Now {
        Now { mono_us: self.now, unix_s: self.base_s + self.now / SECOND }
    }

    fn link(&mut self) {
        for (at, peer) in [(NODE, PEER), (PEER, NODE)] {
            self.input(at, Input::LinkDown { peer: node_id(peer) });
            self.input(at, Input::LinkUp { peer: node_id(peer) });
        }
        self.exchange();
    }

    fn input(&mut self, at: usize, input: Input) {
        let now = self.at();
        if at == NODE {
            let node = &mut self.node;
            node.sync.handle(input, now, &mut node.chain, &mut node.pool);
        } else {
            self.sync.handle(input, now, &mut self.world.chain, &mut self.pool);
        }
    }

    /// Hands frames over until nobody has any. A node that has ended says nothing more.
    fn exchange(&mut self) {
        let mut under_way: VecDeque<(usize, Ledger, Option<Bytes>)> = VecDeque::new();
        loop {
            while let Some(output) = self.sync.poll_output() {
                match output {
                    Output::Send { message, body, .. } => under_way.push_back((NODE, message, body)),
                    Output::Misbehaved { reason, .. } => panic!("the node is blamed: {reason}"),
                    Output::Event(_) => {}
                }
            }
            if self.node.has_ended() {
                return;
            }
            while let Some(output) = self.node.sync.poll_output() {
                match output {
                    Output::Send { message, body, .. } => under_way.push_back((PEER, message, body)),
                    Output::Misbehaved { reason, .. } => panic!("the peer is blamed: {reason}"),
                    Output::Event(event) => self.note(&event),
                }
            }
            let Some((to, message, body)) = under_way.pop_front() else {
                return;
            };
            let from = if to == NODE { PEER } else { NODE };
            self.input(to, Input::Frame { peer: node_id(from), message, body });
            self.input(from, Input::Drained { peer: node_id(to) });
        }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Synced { .. } = event {
            self.node.is_synced = true;
            self.told = Some(self.node.chain.tip());
        }
        if let Event::Chain(ChainEvent::Connected(block)) = event
            && self.node.is_synced
        {
            self.told = Some(block.hash());
        }
    }

    /// Something happens to one of the two.
    fn act(&mut self) {
        match below(&mut self.rng, 6) {
            0 | 1 => self.grow(0),
            2 => {
                let undo = 1 + below(&mut self.rng, 4);
                self.grow(undo);
            }
            3 => self.find(),
            4 => self.pay(),
            _ => {
                self.now += SECOND * below(&mut self.rng, 12) as u64;
                self.input(PEER, Input::Tick);
                self.input(NODE, Input::Tick);
            }
        }
        self.exchange();
    }

    /// The peer has a block more, on a branch that leaves its chain so many blocks below its tip.
    fn grow(&mut self, undo: usize) {
        let now = self.at();
        let mut parent = self.world.chain.hash_at(self.world.chain.height().saturating_sub(undo as u32)).unwrap();
        for _ in 0..=undo {
            let miner = Owner::new(10 + below(&mut self.rng, 1_000) as u64);
            let block = self.world.block_after(parent, &miner, Vec::new());
            parent = block.hash();
            self.sync.submit_block(&block, now, (&mut self.world.chain, &mut self.pool)).unwrap();
        }
    }

    /// The node finds a block with what waits there.
    fn find(&mut self) {
        let (now, node) = (self.at(), &mut self.node);
        let extra = [below(&mut self.rng, 256) as u8];
        let mut block: Block = Template::new(&node.chain, &node.pool, Owner::new(9).lock(), now.unix_s, &extra).block;
        mine(&mut block.header);
        // A full disk refuses it: nothing was said about it then.
        let _ = node.sync.submit_block(&block, now, (&mut node.chain, &mut node.pool));
    }

    /// The node pays: it is in a file before it is acknowledged.
    fn pay(&mut self) {
        let (now, node) = (self.at(), &mut self.node);
        let Some((at, coin)) = self.coins.last().copied() else { return };
        let payment = self.world.pay_coins(&Owner::new(1), &[at], &[coin], vec![output(units(900), &Owner::new(3))]);
        let Ok(added) = node.sync.submit_transaction(&payment, now, (&mut node.chain, &mut node.pool)) else { return };
        self.coins.pop();
        self.sent.push((added.txid, payment));
        let saved: Vec<_> = self.sent.iter().map(|(_, payment)| (payment, Origin::Local, now.unix_s)).collect();
        self.own = save_payments(&saved);
    }

    /// Lets things happen until the disk fails once.
    fn until_fault(&mut self) {
        let fault = [Fault::Within, Fault::After, Fault::Full][below(&mut self.rng, 3)];
        let after = below(&mut self.rng, 8);
        self.node.disk.0.borrow_mut().planned = Some((after, fault));
        while self.node.disk.0.borrow().happened.is_none() {
            self.act();
        }
        self.node.disk.0.borrow_mut().planned = None;
        *self.faults.entry(fault).or_default() += 1;
        if fault == Fault::Full {
            self.node.disk.0.borrow_mut().happened = None;
        } else {
            self.restart();
        }
    }

    /// It starts again with what the crash has left.
    fn restart(&mut self) {
        let left = {
            let platter = self.node.disk.0.borrow();
            platter.crash(below(&mut self.rng, platter.unsynced.len() + 1))
        };
        self.node = Node::open(&self.world.genesis, left, &self.own);
        if let Some(told) = self.told {
            assert!(self.node.chain.has_block(&told), "a block that was told of is gone");
            assert!(
                self.node.chain.work() >= self.node.chain.work_at(&told).unwrap(),
                "a worse chain than was told of"
            );
        }
        self.node.chain.verify(&BatchVerifier, |_| {}).expect("valid, and the set is that of a rebuild");
        self.link();
    }

    /// Without further faults both come to the same, and nothing that was acknowledged is missing.
    fn end(mut self) {
        for second in 0..60 {
            // Of two chains with equal work each keeps its own until there is another block.
            if second % 20 == 0 {
                self.grow(0);
            }
            self.exchange();
            if self.node.chain.tip() == self.world.chain.tip() {
                break;
            }
            self.now += SECOND;
            self.input(NODE, Input::Tick);
            self.input(PEER, Input::Tick);
        }
        let node = (self.node.chain.height(), self.node.chain.best_header().1);
        let peer = (self.world.chain.height(), self.world.chain.best_header().1);
        assert_eq!(self.node.chain.tip(), self.world.chain.tip(), "{} s later: {node:?}, {peer:?}", self.now / SECOND);
        let rebuilt = self.node.chain.verify(&BatchVerifier, |_| {}).unwrap();
        assert_eq!(rebuilt, self.world.chain.set_hash().unwrap());
        let blocks = (0..=self.node.chain.height()).filter_map(|height| self.node.chain.hash_at(height));
        let blocks: Vec<Block> = blocks.map(|hash| self.node.chain.block(&hash).unwrap().unwrap()).collect();
        for (txid, _) in &self.sent {
            let in_chain = blocks.iter().flat_map(|block| &block.transactions).any(|there| there.txid() == *txid);
            assert!(in_chain || self.node.pool.get(txid).is_some(), "an acknowledged payment is lost");
        }
    }
}

/// Blocks of a first synchronisation in which several share a commit, and of one in which each has its own.
const AT_FIRST: [(u32, u64); 2] = [(100, START as u64 + 10_000_000), (20, START as u64 + 600)];

#[test]
fn crashes_and_full_disks_at_any_commit_take_nothing_that_was_told() {
    let soak = std::env::var_os("MESHLINE_SOAK").is_some_and(|value| value == "1");
    let lives = if soak { MANY_LIVES } else { LIVES };
    let (mut faults, mut sent) = (BTreeMap::new(), 0);
    for seed in 0..lives {
        eprintln!("seed {seed}");
        let (blocks, base_s) = AT_FIRST[seed as usize % 2];
        let mut life = Life::new(seed, blocks, base_s);
        for _ in 0..FAULTS {
            life.until_fault();
        }
        for (fault, count) in &life.faults {
            *faults.entry(*fault).or_default() += count;
        }
        sent += life.sent.len();
        life.end();
    }
    println!("{lives} lives, {sent} payments acknowledged, faults {faults:?}");
    assert_eq!((faults.values().sum::<u32>() as usize, faults.len()), (lives as usize * FAULTS, 3));
}
