//! Ledgers that talk to each other in virtual time: delays, loss of peers, and peers that lie.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::light::{self, Light};
use meshline_ledger::mempool::{Mempool, PoolRefusal};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::{Config, Event, Input, Now, Output, Reason, Sync};
use meshline_ledger::{Block, BlockHash, Genesis, Transaction, Txid};
use meshline_protocol::NodeId;
use meshline_protocol::message::Ledger;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::support::*;

/// A second.
pub(crate) const SECOND: u64 = 1_000_000;

/// What a dishonest node makes of a frame before it leaves; `None` keeps it back.
pub(crate) type Twist = Box<dyn FnMut(Ledger, Option<Bytes>) -> Option<(Ledger, Option<Bytes>)>>;

/// A node.
pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    pub(crate) chain: Chain<MemoryStore>,
    pub(crate) pool: Mempool,
    pub(crate) sync: Sync<BatchVerifier>,
    pub(crate) events: Vec<Event>,
    /// What others did wrong, as it saw it.
    pub(crate) offences: Vec<(NodeId, Reason, bool)>,
    /// The most bytes of cheap headers it ever held.
    pub(crate) cheap: usize,
    pub(crate) twist: Option<Twist>,
    /// Frames it sent, by kind.
    pub(crate) sent: BTreeMap<String, u64>,
    /// What it does instead of a ledger's work.
    script: Option<Script>,
    /// It keeps no ledger, but follows one.
    pub(crate) light: Option<Light>,
    pub(crate) heard: Vec<light::Event>,
    /// Bytes that came, as they stand on the wire.
    pub(crate) received: u64,
    tick_at: u64,
    is_dead: bool,
}

/// What a scripted node hears.
pub(crate) enum Heard {
    Up,
    Frame(Ledger),
}

/// What a scripted node answers.
pub(crate) type Script = Box<dyn FnMut(Heard) -> Vec<(Ledger, Option<Bytes>)>>;

enum Delivery {
    Frame(usize, usize, Ledger, Option<Bytes>),
    Drained(usize, usize),
}

/// All of them, and what is under way.
pub(crate) struct Net {
    pub(crate) nodes: Vec<TestNode>,
    pub(crate) now: u64,
    /// The calendar when it began, in seconds since 1970.
    pub(crate) base_s: u64,
    pub(crate) delay: u64,
    seed: u64,
    rng: ChaCha8Rng,
    genesis: Genesis,
    queue: BTreeMap<(u64, u64), Delivery>,
    numbers: u64,
    links: BTreeMap<(usize, usize), Wire>,
}

#[derive(Default)]
struct Wire {
    /// The last frame arrives then.
    busy_until: u64,
    under_way: usize,
}

/// Bytes a wire carries in a second.
const RATE: u64 = 12_500_000;

pub(crate) fn node_id(number: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[0] = u8::try_from(number + 1).unwrap();
    NodeId::from_bytes(bytes)
}

impl Net {
    pub(crate) fn new(genesis: &Genesis, seed: u64) -> Self {
        eprintln!("seed {seed}");
        Self {
            nodes: Vec::new(),
            now: 0,
            base_s: NOW,
            delay: SECOND / 50,
            seed,
            rng: rng(seed),
            genesis: genesis.clone(),
            queue: BTreeMap::new(),
            numbers: 0,
            links: BTreeMap::new(),
        }
    }

    /// Adds a node that has these blocks.
    pub(crate) fn add(&mut self, blocks: &[Block]) -> usize {
        let mut chain = Chain::open(&self.genesis, MemoryStore::default()).unwrap();
        for block in blocks {
            chain.accept_block(block, NOW, &BatchVerifier).unwrap();
        }
        self.add_chain(chain)
    }

    /// Adds a node with a chain.
    pub(crate) fn add_chain(&mut self, chain: Chain<MemoryStore>) -> usize {
        let number = self.nodes.len();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8] = u8::try_from(number).unwrap();
        self.nodes.push(TestNode {
            id: node_id(number),
            chain,
            pool: Mempool::new(0),
            sync: Sync::new(Config::default(), BatchVerifier, seed),
            events: Vec::new(),
            offences: Vec::new(),
            cheap: 0,
            twist: None,
            script: None,
            light: None,
            heard: Vec::new(),
            received: 0,
            sent: BTreeMap::new(),
            tick_at: u64::MAX,
            is_dead: false,
        });
        number
    }

    /// Adds a node that follows a script.
    pub(crate) fn add_script(&mut self, script: Script) -> usize {
        let number = self.add(&[]);
        self.nodes[number].script = Some(script);
        number
    }

    /// Adds a light client.
    pub(crate) fn add_light(&mut self) -> usize {
        let number = self.add(&[]);
        let node = &mut self.nodes[number];
        node.light = Some(Light::new(&node.chain, [number as u8; 32]));
        number
    }

    /// Has something done with a light client, and its frames sent.
    pub(crate) fn with_light<R>(
        &mut self,
        number: usize,
        work: impl FnOnce(&mut Light, Now, &mut Chain<MemoryStore>) -> R,
    ) -> R {
        let now = self.at();
        let node = &mut self.nodes[number];
        let done = work(node.light.as_mut().expect("a light client"), now, &mut node.chain);
        self.collect_light(number);
        done
    }

    fn collect_light(&mut self, number: usize) {
        let now = self.at();
        let node = &mut self.nodes[number];
        let Some(light) = &mut node.light else { return };
        let mut sends = Vec::new();
        while let Some(output) = light.poll_output() {
            match output {
                light::Output::Send { peer, message, body } => sends.push((peer, message, body)),
                light::Output::Misbehaved { peer, reason, ended } => node.offences.push((peer, reason, ended)),
                light::Output::Event(event) => node.heard.push(event),
            }
        }
        node.tick_at = light.poll_timeout(now).max(now.mono_us + 1);
        self.send_all(number, sends);
    }

    pub(crate) fn at(&self) -> Now {
        Now { mono_us: self.now, unix_s: self.base_s + self.now / SECOND }
    }

    /// Links two nodes.
    pub(crate) fn link(&mut self, one: usize, other: usize) {
        self.links.insert((one, other), Wire::default());
        self.links.insert((other, one), Wire::default());
        for (at, peer) in [(one, other), (other, one)] {
            self.input(at, Input::LinkUp { peer: node_id(peer) });
        }
    }

    /// Breaks a link.
    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        self.links.remove(&(one, other));
        self.links.remove(&(other, one));
        for (at, peer) in [(one, other), (other, one)] {
            self.input(at, Input::LinkDown { peer: node_id(peer) });
        }
    }

    /// A node is gone; the others notice at once.
    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number].is_dead = true;
        let peers: Vec<usize> = self.links.keys().filter(|(from, _)| *from == number).map(|(_, to)| *to).collect();
        peers.into_iter().for_each(|peer| self.cut(number, peer));
    }

    /// Hands a node something, and its frames to the wires.
    pub(crate) fn input(&mut self, number: usize, input: Input) {
        let now = self.at();
        let node = &mut self.nodes[number];
        if node.is_dead {
            return;
        }
        if let Some(script) = &mut node.script {
            let (peer, heard) = match input {
                Input::LinkUp { peer } => (peer, Heard::Up),
                Input::Frame { peer, message, .. } => (peer, Heard::Frame(message)),
                Input::LinkDown { .. } | Input::Drained { .. } | Input::Tick => return,
            };
            let to = usize::from(peer.as_bytes()[0]) - 1;
            for (message, body) in script(heard) {
                self.transmit(number, to, message, body);
            }
            return;
        }
        if let Some(light) = &mut node.light {
            if let Input::Frame { message, body, .. } = &input {
                let line = serde_json::to_vec(&meshline_protocol::Message::Ledger(message.clone())).unwrap();
                node.received += (line.len() + body.as_ref().map_or(0, Bytes::len)) as u64;
            }
            light.handle(input, now, &mut node.chain);
            return self.collect_light(number);
        }
        node.sync.handle(input, now, &mut node.chain, &mut node.pool);
        self.collect(number);
    }

    /// Takes what a node wants done.
    pub(crate) fn collect(&mut self, number: usize) {
        let now = self.at();
        let node = &mut self.nodes[number];
        node.cheap = node.cheap.max(node.sync.cheap_header_bytes(&node.chain));
        let mut sends = Vec::new();
        while let Some(output) = node.sync.poll_output() {
            match output {
                Output::Send { peer, message, body } => sends.push((peer, message, body)),
                Output::Misbehaved { peer, reason, ended } => node.offences.push((peer, reason, ended)),
                Output::Event(event) => node.events.push(event),
            }
        }
        node.tick_at = node.sync.poll_timeout(now).max(now.mono_us + 1);
        self.send_all(number, sends);
    }

    fn send_all(&mut self, number: usize, sends: Vec<(NodeId, Ledger, Option<Bytes>)>) {
        for (peer, message, body) in sends {
            let kind = meshline_protocol::Message::Ledger(message.clone()).kind().to_owned();
            *self.nodes[number].sent.entry(kind).or_default() += 1;
            let to = self.nodes.iter().position(|node| node.id == peer).unwrap();
            let twisted = match &mut self.nodes[number].twist {
                Some(twist) => twist(message, body),
                None => Some((message, body)),
            };
            match twisted {
                Some((message, body)) => self.transmit(number, to, message, body),
                None => self.transmitted(number, to),
            }
        }
    }

    fn transmit(&mut self, from: usize, to: usize, message: Ledger, body: Option<Bytes>) {
        let jitter = self.rng.next_u64() % (self.delay / 4 + 1);
        let bytes = 200 + body.as_ref().map_or(0, Bytes::len) as u64;
        let Some(wire) = self.links.get_mut(&(from, to)) else { return };
        let arrives = (self.now + self.delay + jitter).max(wire.busy_until) + bytes * SECOND / RATE;
        wire.busy_until = arrives;
        wire.under_way += 1;
        self.numbers += 1;
        self.queue.insert((arrives, self.numbers), Delivery::Frame(from, to, message, body));
    }

    /// A frame is off the wire: if it was the last one, its sender hears of it.
    fn transmitted(&mut self, from: usize, to: usize) {
        let Some(wire) = self.links.get_mut(&(from, to)) else { return };
        wire.under_way = wire.under_way.saturating_sub(1);
        if wire.under_way == 0 {
            self.numbers += 1;
            self.queue.insert((self.now, self.numbers), Delivery::Drained(from, to));
        }
    }

    /// Lets the next thing happen; `false` if nothing ever will.
    pub(crate) fn step(&mut self) -> bool {
        let tick = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_dead).min_by_key(|(_, node)| node.tick_at);
        let (tick_at, ticking) = tick.map_or((u64::MAX, 0), |(number, node)| (node.tick_at, number));
        let next = self.queue.first_key_value().map(|((at, _), _)| *at);
        match next {
            Some(at) if at <= tick_at => {
                self.now = self.now.max(at);
                let Some((_, delivery)) = self.queue.pop_first() else { return false };
                self.deliver(delivery);
            }
            Some(_) | None if tick_at == u64::MAX => return false,
            Some(_) | None => {
                self.now = self.now.max(tick_at);
                self.input(ticking, Input::Tick);
            }
        }
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Frame(from, to, message, body) => {
                if self.links.contains_key(&(from, to)) {
                    self.input(to, Input::Frame { peer: node_id(from), message, body });
                }
                self.transmitted(from, to);
            }
            Delivery::Drained(from, to) => {
                if self.links.contains_key(&(from, to)) {
                    self.input(from, Input::Drained { peer: node_id(to) });
                }
            }
        }
    }

    /// Runs until something is so, at most for so many seconds of virtual time.
    pub(crate) fn run(&mut self, what: &str, seconds: u64, mut is_so: impl FnMut(&Self) -> bool) {
        let end = self.now + seconds * SECOND;
        while !is_so(self) {
            let went_on = self.now < end && self.step();
            assert!(went_on, "not within {seconds} s: {what}; {} (seed {})", self.summary(), self.seed);
        }
    }

    /// Runs for a while.
    pub(crate) fn pass(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.now < end && self.step() {}
    }

    fn summary(&self) -> String {
        let of = |node: &TestNode| {
            format!("{}/{} {:?}", node.chain.height(), node.chain.best_header().1, node.offences.last())
        };
        self.nodes.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn is_linked(&self, one: usize, other: usize) -> bool {
        self.links.contains_key(&(one, other))
    }

    /// A payment is made at a node.
    pub(crate) fn submit(&mut self, number: usize, payment: &Transaction) -> Result<Txid, PoolRefusal> {
        let now = self.at();
        let node = &mut self.nodes[number];
        let added = node.sync.submit_transaction(payment, now, (&mut node.chain, &mut node.pool))?;
        self.collect(number);
        Ok(added.txid)
    }

    /// A node makes a block of what waits there.
    pub(crate) fn mine(&mut self, number: usize) -> BlockHash {
        let now = self.at();
        let node = &mut self.nodes[number];
        let block = crate::relay::block_on(node, now.unix_s);
        node.sync.submit_block(&block, now, (&mut node.chain, &mut node.pool)).expect("a valid block");
        self.collect(number);
        block.hash()
    }

    /// What a node blamed on another one and ended the ledger for.
    pub(crate) fn ended(&self, number: usize, with: usize) -> Option<Reason> {
        let ended =
            |(peer, reason, ended): &(NodeId, Reason, bool)| (*ended && *peer == node_id(with)).then_some(*reason);
        self.nodes[number].offences.iter().find_map(ended)
    }
}

/// A chain of so many blocks after the genesis block.
pub(crate) fn chain_of(world: &mut World, count: usize) -> Vec<Block> {
    let miner = Owner::new(1);
    (0..count).map(|_| world.extend(&miner, Vec::new())).collect()
}
