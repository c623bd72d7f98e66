//! A network in which all nodes start at once: how long until everybody has a way to everybody (in a large network: to
//! all within its radius), what that costs, and what the network says when nothing happens. Prints one JSON object a line.
//!
//! `cold_start NODES LINKS_PER_NODE IDLE_SECONDS [--each-verifies] [--traffic]`
//!
//! Signatures are verified once in the whole world, unless `--each-verifies` lets every node do it. `--traffic` prints
//! what was said until then and in the idle time by type of message.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measuring program")]

use std::collections::{BTreeMap, BTreeSet};

use meshline_sim::{MS, SECOND, World, address};

/// Virtual time for the messages of the start to die away before the idle time begins.
const SETTLE: u64 = 60 * SECOND;

type Traffic = BTreeMap<&'static str, (u64, u64)>;

fn argument(at: usize, otherwise: usize) -> usize {
    std::env::args().nth(at).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn has_flag(flag: &str) -> bool {
    std::env::args().any(|argument| argument == flag)
}

/// Processor time of this process in seconds, whatever else the machine does.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// Whether a node has a way to all, or to all as many links away as it looks.
fn has_ways(world: &World, near: &[BTreeSet<usize>], node: usize) -> bool {
    let table = world.table(node);
    let Some(radius) = table.radius else { return table.routes.len() == near.len() - 1 };
    let mut seen = BTreeSet::from([node]);
    let mut last = vec![node];
    for _ in 0..radius {
        last = last.iter().flat_map(|at| &near[*at]).copied().filter(|peer| seen.insert(*peer)).collect();
    }
    table.routes.len() >= seen.len() - 1
}

fn ways(world: &World) -> usize {
    (0..world.len()).map(|node| world.table(node).routes.len()).sum()
}

/// A random connected network. In a small one there are no more links than pairs.
fn lay(world: &mut World, nodes: usize, degree: usize) -> Vec<BTreeSet<usize>> {
    let pairs = (nodes * degree / 2).min(nodes * nodes.saturating_sub(1) / 2);
    let mut cables: BTreeSet<(usize, usize)> = (1..nodes).map(|node| (world.rng().index(node), node)).collect();
    while cables.len() < pairs {
        let (one, other) = (world.rng().index(nodes), world.rng().index(nodes));
        if one != other {
            cables.insert((one.min(other), one.max(other)));
        }
    }
    let mut near = vec![BTreeSet::new(); nodes];
    for (one, other) in &cables {
        near[*one].insert(*other);
        near[*other].insert(*one);
    }
    world.lay_cables(&cables.into_iter().collect::<Vec<_>>());
    near
}

fn build(nodes: usize, degree: usize) -> (World, Vec<BTreeSet<usize>>) {
    let mut world = World::new(1);
    if !has_flag("--each-verifies") {
        world = world.verified_once();
    }
    let near = lay(&mut world, nodes, degree);
    for peers in near.clone() {
        world.add(|config| {
            config.peers = peers.into_iter().map(address).collect();
            config.max_links = 64;
        });
    }
    (world, near)
}

fn frames(traffic: &Traffic) -> u64 {
    traffic.values().map(|(frames, _)| frames).sum()
}

/// What was said since, a node and minute.
fn print_rest(before: &Traffic, after: &Traffic, node_minutes: f64) {
    for (kind, (frames, bytes)) in after {
        let (frames_before, bytes_before) = before.get(kind).copied().unwrap_or_default();
        let a_minute = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / node_minutes;
        let (frames, bytes) = (a_minute(frames - frames_before), a_minute(bytes - bytes_before));
        if frames > 0.0 {
            println!("{{\"idle\":\"{kind}\",\"frames_a_node_minute\":{frames:.2},\"bytes_a_node_minute\":{bytes:.0}}}");
        }
    }
}

fn main() {
    let (nodes, degree, idle) = (argument(1, 100), argument(2, 12), argument(3, 60));
    let (mut world, near) = build(nodes, degree);
    let links = near.iter().map(BTreeSet::len).sum::<usize>() / 2;
    let began = processor_time();
    world.start_all();
    let all = |world: &mut World| (0..nodes).all(|node| has_ways(world, &near, node));
    let took = world.run_until(120 * SECOND, 10 * MS, all);
    let spent = processor_time() - began;
    let start = world.traffic();
    println!(
        "{{\"nodes\":{nodes},\"links\":{links},\"converged_ms\":{},\"ways\":{},\"cpu_s\":{spent:.2},\"frames\":{}}}",
        took.map_or(-1, |took| i64::try_from(took / MS).expect("small")),
        ways(&world),
        frames(&start),
    );
    if has_flag("--traffic") {
        start.iter().for_each(|(kind, (frames, _))| println!("{{\"start\":\"{kind}\",\"frames\":{frames}}}"));
    }
    if idle == 0 {
        return;
    }
    world.run_for(SETTLE);
    world.weigh();
    let (before, began) = (world.traffic(), processor_time());
    world.run_for(u64::try_from(idle).expect("small") * SECOND);
    let after = world.traffic();
    let spent = processor_time() - began;
    println!("{{\"idle_s\":{idle},\"frames\":{},\"cpu_s\":{spent:.2}}}", frames(&after) - frames(&before));
    if has_flag("--traffic") {
        let minutes = u32::try_from(nodes * idle).map_or(1.0, |seconds| f64::from(seconds) / 60.0);
        print_rest(&before, &after, minutes);
    }
}
