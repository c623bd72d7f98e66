//! What a network that nothing disturbs looks like once its nodes have chosen their links: how deep the tree for messages
//! is beside the links it is made of, how far messages go along it, and how far datagrams. Prints one JSON object.
//!
//! `shape SCENARIO.json NODES SEED MINUTES PAIRS`
//!
//! Of the scenario only how it starts counts. After so many minutes PAIRS of nodes drawn at random send each other a
//! datagram, the first of which looks for its way.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measuring program")]

use std::collections::{BTreeMap, VecDeque};

use meshline_mesh::Status;
use meshline_protocol::NodeId;
use meshline_sim::scenario::{Nodes, Play, Scenario, Seconds, read};
use meshline_sim::{MS, SECOND, World};

/// The system's allocator takes a lock for what one thread frees of another's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nodes from which the way to the last is looked at.
const SOURCES: usize = 100;

/// Messages that are said, by nodes all over the network.
const MESSAGES: usize = 20;

fn argument(at: usize) -> String {
    std::env::args().nth(at).expect("SCENARIO.json NODES SEED MINUTES PAIRS")
}

fn number(at: usize) -> u64 {
    argument(at).parse().expect("a number")
}

/// The network of the scenario, left alone.
fn undisturbed() -> Scenario {
    let file = argument(1);
    let text = std::fs::read_to_string(&file).expect("a file");
    let nodes = Nodes::try_from(number(2)).expect("so many nodes");
    let run = Seconds::try_from(60 * number(4)).expect("so many minutes");
    read(&file, &text).expect("a scenario").left_alone(nodes, run)
}

/// Who is linked with whom.
#[derive(Default)]
struct Graph(BTreeMap<NodeId, Vec<NodeId>>);

impl Graph {
    fn link(&mut self, one: NodeId, other: NodeId) {
        self.0.entry(one).or_default().push(other);
        self.0.entry(other).or_default().push(one);
    }

    /// Links from a node to each.
    fn distances(&self, from: NodeId) -> BTreeMap<NodeId, usize> {
        let mut found = BTreeMap::from([(from, 0)]);
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            let next = found.get(&node).map_or(0, |links| links + 1);
            for peer in self.0.get(&node).into_iter().flatten() {
                if !found.contains_key(peer) {
                    found.insert(*peer, next);
                    queue.push_back(*peer);
                }
            }
        }
        found
    }

    /// Links to whoever is furthest, of some nodes on average.
    fn last(&self, from: &[NodeId]) -> f64 {
        let last = |id: &NodeId| self.distances(*id).into_values().max().unwrap_or(0);
        mean(from.iter().map(last).sum(), from.len())
    }
}

fn mean(sum: usize, of: usize) -> f64 {
    let float = |number: usize| f64::from(u32::try_from(number).expect("small"));
    float(sum) / float(of.max(1))
}

/// How many there are of each.
fn spectrum(numbers: impl Iterator<Item = usize>) -> String {
    let mut counts = BTreeMap::<usize, usize>::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    let each: Vec<String> = counts.iter().map(|(number, count)| format!("\"{number}\":{count}")).collect();
    format!("{{{}}}", each.join(","))
}

/// The links, and those of the tree.
fn graphs(all: &[Status]) -> (Graph, Graph) {
    let (mut links, mut tree) = (Graph::default(), Graph::default());
    for status in all {
        status.links.iter().filter(|link| link.peer > status.id).for_each(|link| links.link(status.id, link.peer));
        status.spread.parent.into_iter().for_each(|parent| tree.link(status.id, parent));
    }
    (links, tree)
}

/// Links that datagrams pass: on the way that is found, and on the shortest there is.
#[derive(Default)]
struct Ways {
    reached: usize,
    found: usize,
    shortest: usize,
}

/// Has pairs send each other a datagram.
fn send(world: &mut World, links: &Graph, pairs: u64) -> Ways {
    let (mut ways, nodes) = (Ways::default(), world.len());
    for flow in 0..u32::try_from(pairs).expect("few") {
        let (from, to) = (world.rng().index(nodes), world.rng().index(nodes));
        if from == to || world.send_datagram(from, to, flow, b"x").is_err() {
            continue;
        }
        let id = world.id(to);
        let way = |world: &mut World| world.table(from).routes.get(&id)?.paths.first().map(|path| path.hops.len());
        world.run_until(8 * SECOND, 50 * MS, |world| way(world).is_some());
        // A way known beforehand is there before the datagram has arrived.
        world.run_for(SECOND);
        if let (Some(found), false) = (way(world), world.take_datagrams(to).is_empty()) {
            let shortest = links.distances(world.id(from)).get(&id).copied().unwrap_or(0);
            ways.reached += 1;
            (ways.found, ways.shortest) = (ways.found + found, ways.shortest + shortest);
        }
    }
    ways
}

/// Links to the last of some messages, on average, each of which is everywhere before the next.
fn last_of_messages(world: &mut World) -> f64 {
    let authors: Vec<usize> = (0..MESSAGES).map(|number| number * world.len() / MESSAGES).collect();
    let say = |author: usize| {
        let number = world.say_marked(author, 100);
        world.run_for(10 * SECOND);
        let last = world.links_passed(number).into_values().max().unwrap_or(0);
        usize::try_from(last).unwrap_or(usize::MAX)
    };
    mean(authors.into_iter().map(say).sum(), MESSAGES)
}

fn main() {
    let (nodes, pairs) = (usize::try_from(number(2)).expect("small"), number(5));
    let mut play = Play::new(undisturbed(), number(3));
    while play.world().now() < number(4) * 60 * SECOND && play.step() {}
    let all: Vec<Status> = (0..nodes).map(|node| play.world_mut().status(node)).collect();
    let (links, tree) = graphs(&all);
    let root = all.iter().map(|status| status.id).min().expect("a node");
    let sources: Vec<NodeId> = all.iter().step_by(nodes.div_ceil(SOURCES)).map(|status| status.id).collect();
    let messages = last_of_messages(play.world_mut());
    let ways = send(play.world_mut(), &links, pairs);
    let row = [
        ("nodes", nodes.to_string()),
        ("links_mean", format!("{:.2}", mean(links.0.values().map(Vec::len).sum(), nodes))),
        ("links", spectrum(links.0.values().map(Vec::len))),
        ("last_by_links", format!("{:.2}", links.last(&sources))),
        ("root_by_links", spectrum(links.distances(root).into_values())),
        ("last_by_tree", format!("{:.2}", tree.last(&sources))),
        ("root_by_tree", spectrum(tree.distances(root).into_values())),
        ("last_of_messages", format!("{messages:.2}")),
        ("pairs", pairs.to_string()),
        ("reached", ways.reached.to_string()),
        ("found", format!("{:.2}", mean(ways.found, ways.reached))),
        ("shortest", format!("{:.2}", mean(ways.shortest, ways.reached))),
    ];
    let row: Vec<String> = row.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    println!("{{{}}}", row.join(","));
}
