//! What goes on changing in a network that nothing disturbs, minute by minute: connections opened, links that come and
//! go, frames and events, a node. Prints one JSON object a minute.
//!
//! `changes SCENARIO.json NODES SEED MINUTES`
//!
//! Of the scenario only how it starts counts: nothing is said, and no fault befalls it.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measuring program")]

use std::collections::BTreeMap;

use meshline_sim::scenario::{Nodes, Play, Scenario, Seconds, read};
use meshline_sim::{LinkChanges, SECOND, World};

/// Kinds of frames that are told of.
const KINDS: usize = 16;

fn argument(at: usize) -> String {
    std::env::args().nth(at).expect("SCENARIO.json NODES SEED MINUTES")
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

/// All that is counted, so far.
struct Count {
    links: LinkChanges,
    frames: BTreeMap<&'static str, (u64, u64)>,
    events: u64,
}

impl Count {
    fn of(world: &World) -> Self {
        Self { links: world.link_changes(), frames: world.traffic(), events: world.happened() }
    }

    /// Frames whose kind begins so.
    fn frames(&self, kind: &str) -> u64 {
        self.frames.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, (frames, _))| frames).sum()
    }
}

/// Links with whom each node keeps them, to see how many are the same a minute later.
fn links(world: &World, nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes)
        .flat_map(|one| (one + 1..nodes).map(move |two| (one, two)))
        .filter(|(a, b)| world.is_linked(*a, *b))
        .collect()
}

/// The kinds of frames that were most, with how many a node sent and how many bytes.
fn most(before: &Count, after: &Count, a_node: impl Fn(u64) -> f64) -> Vec<String> {
    let since = |(kind, (frames, bytes)): (&&'static str, &(u64, u64))| {
        let (frames_before, bytes_before) = before.frames.get(*kind).copied().unwrap_or_default();
        (frames - frames_before, bytes - bytes_before, *kind)
    };
    let mut kinds: Vec<(u64, u64, &str)> = after.frames.iter().map(since).collect();
    kinds.sort_unstable_by(|a, b| b.cmp(a));
    kinds.truncate(KINDS);
    let told = |(frames, bytes, kind)| format!("\"{kind}\":[{:.1},{:.0}]", a_node(frames), a_node(bytes));
    kinds.into_iter().map(told).collect()
}

fn main() {
    let nodes = usize::try_from(number(2)).expect("small");
    let mut play = Play::new(undisturbed(), number(3));
    let a_node =
        |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(u32::try_from(nodes).unwrap_or(1));
    let (mut before, mut linked) = (Count::of(play.world()), Vec::<(usize, usize)>::new());
    for minute in 1..=number(4) {
        while play.world().now() < minute * 60 * SECOND && play.step() {}
        let (after, now_linked) = (Count::of(play.world()), links(play.world(), nodes));
        let stayed = now_linked.iter().filter(|pair| linked.contains(pair)).count();
        let many = |count: &Count| count.frames("routing.advertisements");
        let single = |count: &Count| count.frames("routing.advertisement") - many(count);
        let row = [
            ("opened", a_node(after.links.opened - before.links.opened)),
            ("up", a_node(after.links.up - before.links.up)),
            ("down", a_node(after.links.down - before.links.down)),
            ("advertisement", a_node(single(&after) - single(&before))),
            ("advertisements", a_node(many(&after) - many(&before))),
            ("frames", a_node(after.frames("") - before.frames(""))),
            ("events", a_node(after.events - before.events)),
            ("links", 2.0 * a_node(u64::try_from(now_linked.len()).unwrap_or(0))),
            ("stayed", stayed as f64 / now_linked.len().max(1) as f64),
        ];
        let row: Vec<String> = row.iter().map(|(name, value)| format!("\"{name}\":{value:.2}")).collect();
        println!("{{\"minute\":{minute},{},\"most\":{{{}}}}}", row.join(","), most(&before, &after, a_node).join(","));
        (before, linked) = (after, now_linked);
    }
}
