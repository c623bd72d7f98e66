//! Messages to all in networks too large for whole nodes: of each node only what spreads messages
//! ([`meshline_mesh::Tree`]), or what it is measured against, on a random graph with a ring in it.
//!
//! ```
//! use meshline_sim::spread::{Method, Setting, Spread};
//! let mut spread = Spread::new(&Setting { nodes: 100, links: 8, method: Method::Tree, ..Setting::default() });
//! spread.publish(0);
//! let outcome = spread.publish(7);
//! assert_eq!(outcome.reached, 100);
//! println!("{:.3} copies a node, {} hops", outcome.copies_per_node(), outcome.last_hops);
//! ```

mod event;
mod graph;
mod outcome;

use std::collections::BTreeMap;

use meshline_mesh::{MessageId, Mono, Step, Tree};
use meshline_protocol::message::{BroadcastHave, BroadcastKind, BroadcastTrail};
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use crate::rng::Rng;
use event::{Event, Queue, What};
pub use outcome::Outcome;

/// How messages reach all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Along the tree, announced beside it.
    Tree,
    /// Whoever gets a message first passes it on to all others it is linked with.
    Flood,
    /// Whoever gets a message first passes it on to so many of them, chosen at random.
    Push(usize),
}

/// What a member does with what it should pass on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// Passes it on.
    #[default]
    Honest,
    /// Passes nothing on and announces nothing.
    Drops,
    /// Announces everything and hands nothing over.
    Promises,
    /// Passes it on so many microseconds late.
    Delays(u64),
}

/// What a network begins as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Nodes.
    pub nodes: usize,
    /// Links of each, on average: two to its neighbours on a ring, the others at random.
    pub links: usize,
    /// How messages reach all.
    pub method: Method,
    /// What everything follows from.
    pub seed: u64,
    /// Least one-way delay of a link in microseconds, and how much more it may be. Each link keeps its own.
    pub delay: (u64, u64),
}

impl Default for Setting {
    fn default() -> Self {
        Self { nodes: 100, links: 8, method: Method::Tree, seed: 1, delay: (5_000, 45_000) }
    }
}

#[derive(Debug)]
struct Member {
    tree: Tree,
    links: Vec<usize>,
    alive: bool,
    conduct: Conduct,
    /// Messages here, by number, with the links they passed.
    have: BTreeMap<u64, u32>,
    wakes_at: Option<u64>,
}

/// A network and the messages in it.
#[derive(Debug)]
pub struct Spread {
    method: Method,
    members: Vec<Member>,
    /// Which of two halves a node is in, while they are parted.
    parted: Option<usize>,
    delays: graph::Delays,
    rng: Rng,
    now: u64,
    queue: Queue,
    last: u64,
    outcome: Outcome,
}

/// Virtual time after which a message is not waited for any longer.
const LIMIT: u64 = 60 * crate::SECOND;

impl Spread {
    /// A network whose links have all just come up.
    #[must_use]
    pub fn new(setting: &Setting) -> Self {
        let mut rng = Rng::new(setting.seed);
        let links = graph::random(setting.nodes, setting.links, &mut rng);
        let member = |(node, links): (usize, Vec<usize>)| Member {
            tree: Tree::new(id_of(node), false, rng.bits()),
            links,
            alive: true,
            conduct: Conduct::Honest,
            have: BTreeMap::new(),
            wakes_at: None,
        };
        let members = links.into_iter().enumerate().map(member).collect();
        let delays = graph::Delays { seed: setting.seed, least: setting.delay.0, more: setting.delay.1 };
        let mut spread = Self {
            method: setting.method,
            members,
            parted: None,
            delays,
            rng,
            now: 0,
            queue: Queue::default(),
            last: 0,
            outcome: Outcome::default(),
        };
        for node in 0..setting.nodes {
            for peer in spread.member(node).links.clone() {
                let now = spread.mono();
                spread.member_mut(node).tree.link_up(id_of(peer), now);
            }
            spread.collect(node);
        }
        spread.run();
        spread
    }

    fn member(&self, node: usize) -> &Member {
        match self.members.get(node) {
            Some(member) => member,
            None => panic!("there is no node {node}"),
        }
    }

    fn member_mut(&mut self, node: usize) -> &mut Member {
        match self.members.get_mut(node) {
            Some(member) => member,
            None => panic!("there is no node {node}"),
        }
    }

    fn mono(&self) -> Mono {
        Mono(self.now)
    }

    /// A node that runs and is honest, at random.
    pub fn any_honest(&mut self) -> usize {
        loop {
            let node = self.rng.index(self.members.len());
            if self.member(node).alive && self.member(node).conduct == Conduct::Honest {
                return node;
            }
        }
    }

    /// Kills a share of the nodes at once; the others notice after a delay of their links.
    pub fn kill(&mut self, percent: u64) {
        for node in 0..self.members.len() {
            if self.rng.chance(percent) {
                self.member_mut(node).alive = false;
                for peer in self.member(node).links.clone() {
                    self.send(node, peer, What::Gone);
                }
            }
        }
        self.run();
    }

    /// A share of the members behaves like this from now on.
    pub fn corrupt(&mut self, percent: u64, conduct: Conduct) {
        for node in 0..self.members.len() {
            if self.rng.chance(percent) {
                self.member_mut(node).conduct = conduct;
            }
        }
    }

    /// Parts the first nodes from the others: their links are gone.
    pub fn part(&mut self, first: usize) {
        self.parted = Some(first);
        self.over_the_gap(first, |tree, peer, now| tree.link_down(&peer, now));
    }

    /// The links between the halves are back.
    pub fn heal(&mut self) {
        if let Some(first) = self.parted.take() {
            self.over_the_gap(first, |tree, peer, now| tree.link_up(peer, now));
        }
    }

    fn over_the_gap(&mut self, first: usize, change: impl Fn(&mut Tree, NodeId, Mono)) {
        for node in 0..self.members.len() {
            for peer in self.member(node).links.clone() {
                if (node < first) != (peer < first) {
                    let now = self.mono();
                    change(&mut self.member_mut(node).tree, id_of(peer), now);
                }
            }
            self.collect(node);
        }
        self.run();
    }

    /// Has a node write a message, and waits until nothing of it is under way.
    pub fn publish(&mut self, source: usize) -> Outcome {
        self.begin(source);
        self.finish()
    }

    /// Has several nodes write one after the other before the first message is everywhere: the outcome of all together, as
    /// if it were one.
    pub fn publish_all(&mut self, sources: &[usize], pause: u64) -> Outcome {
        for source in sources {
            self.begin(*source);
            self.run_until(self.now + pause);
        }
        self.finish()
    }

    fn begin(&mut self, source: usize) {
        self.last += 1;
        let (message, now, nodes) = (self.last, self.mono(), self.members.len());
        self.outcome.messages += 1;
        self.outcome.began = if self.outcome.messages == 1 { self.now } else { self.outcome.began };
        let id = MessageId { by: id_of(source), seq: UnixMicros::new(message), kind: BroadcastKind::Text };
        let method = self.method;
        let member = self.member_mut(source);
        member.have.insert(message, 0);
        if method == Method::Tree {
            let direct = member.links.len() * 2 >= nodes;
            member.tree.publish(id, direct, now);
            self.collect(source);
        } else {
            self.pass_on(source, None, id, 0);
        }
    }

    fn finish(&mut self) -> Outcome {
        self.run();
        let alive: Vec<&Member> = self.members.iter().filter(|member| member.alive).collect();
        let mut outcome = std::mem::take(&mut self.outcome);
        let messages = outcome.messages;
        let newest = self.last - messages + 1..=self.last;
        let has_all = |member: &&&Member| member.have.range(newest.clone()).count() as u64 == messages;
        outcome.alive = alive.len();
        outcome.reached = alive.iter().filter(has_all).count();
        let hops = || alive.iter().flat_map(|member| member.have.range(newest.clone())).map(|(_, hops)| *hops);
        outcome.last_hops = hops().max().unwrap_or(0);
        outcome.mean_hops = f64::from(hops().sum::<u32>()) / (hops().count().max(1) as f64);
        outcome
    }

    fn run(&mut self) {
        self.run_until(self.now + LIMIT);
    }

    fn run_until(&mut self, end: u64) {
        while let Some(event) = self.queue.pop(end) {
            self.now = event.at;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let Event { from, to, what, .. } = event;
        if !self.member(to).alive || self.is_apart(from, to) {
            return;
        }
        let (now, peer) = (self.mono(), id_of(from));
        let tree = &mut self.member_mut(to).tree;
        match what {
            What::Wake => {
                self.member_mut(to).wakes_at = None;
                self.member_mut(to).tree.handle_timeout(now);
            }
            What::Gone => tree.link_down(&peer, now),
            What::Prune => tree.pruned(&peer, now),
            What::Place(place) => {
                tree.placed(&peer, place, now);
            }
            What::Graft => {
                tree.grafted(&peer, now);
            }
            What::Want(ids) => self.on_want(to, from, &ids),
            What::Have(names) => {
                self.outcome.announcements += names.len() as u64;
                let Member { tree, have, .. } = self.member_mut(to);
                let told = BroadcastHave { names: Bounded::from_first(names), past: false };
                tree.announced(peer, &told, &|id| have.contains_key(&id.seq.get()), now);
            }
            What::Message { id, trail, hops } => self.on_message(to, from, (id, trail), hops),
        }
        self.collect(to);
    }

    fn is_apart(&self, from: usize, to: usize) -> bool {
        self.parted.is_some_and(|first| (from < first) != (to < first))
    }

    fn on_want(&mut self, node: usize, from: usize, ids: &[MessageId]) {
        let now = self.mono();
        let Member { tree, have, .. } = self.member_mut(node);
        for id in ids.iter().filter(|id| have.contains_key(&id.seq.get())) {
            tree.serve(id_of(from), *id, 500, now);
        }
    }

    fn on_message(&mut self, node: usize, from: usize, (id, trail): (MessageId, BroadcastTrail), hops: u32) {
        let (now, method) = (self.mono(), self.method);
        self.outcome.copies += 1;
        let member = self.member_mut(node);
        let is_new = !member.have.contains_key(&id.seq.get());
        if is_new {
            member.have.insert(id.seq.get(), hops);
        }
        match (method, is_new) {
            (Method::Tree, true) => member.tree.arrived((id, trail), id_of(from), &|_| true, now),
            (Method::Tree, false) => member.tree.again(&id, id_of(from), trail, now),
            (Method::Flood | Method::Push(_), true) => self.pass_on(node, Some(from), id, hops),
            (Method::Flood | Method::Push(_), false) => {}
        }
        if is_new {
            self.outcome.last_us = self.now - self.outcome.began;
        }
    }

    /// Flooding, or pushing to a few.
    fn pass_on(&mut self, node: usize, from: Option<usize>, id: MessageId, hops: u32) {
        let mut peers: Vec<usize> =
            self.member(node).links.iter().copied().filter(|peer| Some(*peer) != from).collect();
        if let Method::Push(count) = self.method {
            while peers.len() > count {
                let chosen = self.rng.index(peers.len());
                peers.swap_remove(chosen);
            }
        }
        for peer in peers {
            self.send(node, peer, What::Message { id, trail: BroadcastTrail::default(), hops: hops + 1 });
        }
    }

    /// Carries out what a tree wants, and sets the timer of its node.
    fn collect(&mut self, node: usize) {
        while let Some(step) = self.member_mut(node).tree.poll_step() {
            match step {
                Step::Push { to, id, trail } => {
                    let hops = self.member(node).have.get(&id.seq.get()).copied().unwrap_or(0) + 1;
                    for peer in to {
                        self.send(node, index_of(&peer), What::Message { id, trail, hops });
                    }
                }
                Step::Have { to, names } => self.send(node, index_of(&to), What::Have(names)),
                Step::Want { to, ids } => {
                    self.outcome.asked += ids.len() as u64;
                    self.send(node, index_of(&to), What::Want(ids));
                }
                Step::Graft { to } => {
                    self.outcome.grafts += 1;
                    self.send(node, index_of(&to), What::Graft);
                }
                Step::Prune { to } => {
                    self.outcome.prunes += 1;
                    self.send(node, index_of(&to), What::Prune);
                }
                Step::Place { to, place } => {
                    self.outcome.places += 1;
                    self.send(node, index_of(&to), What::Place(place));
                }
            }
        }
        let Some(at) = self.member(node).tree.next_timeout() else { return };
        let at = at.0.max(self.now + 1);
        if self.member(node).wakes_at.is_none_or(|set| set > at) {
            self.member_mut(node).wakes_at = Some(at);
            self.queue.put(Event { at, number: 0, from: node, to: node, what: What::Wake });
        }
    }

    fn send(&mut self, from: usize, to: usize, what: What) {
        let of_others = |id: &MessageId| id.by != id_of(from);
        let late = match (self.member(from).conduct, &what) {
            (Conduct::Drops, What::Have(_)) => return,
            (Conduct::Drops | Conduct::Promises, What::Message { id, .. }) if of_others(id) => return,
            (Conduct::Delays(late), What::Have(_) | What::Message { .. }) => late,
            _ => 0,
        };
        let at = self.now + self.delays.between(from, to) + late;
        self.queue.put(Event { at, number: 0, from, to, what });
    }
}

/// The id of a node: spread out, with its number at the end.
fn id_of(node: usize) -> NodeId {
    let mut bytes = [0; 32];
    let number = node as u64;
    let spread_out = Rng::new(number).bits().to_be_bytes();
    for (place, byte) in bytes.iter_mut().zip(spread_out) {
        *place = byte;
    }
    for (place, byte) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
        *place = byte;
    }
    NodeId::from_bytes(bytes)
}

fn index_of(id: &NodeId) -> usize {
    let bytes = id.as_bytes().last_chunk::<8>().copied().unwrap_or_default();
    usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}
