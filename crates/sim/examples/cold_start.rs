//! A network in which all nodes start at once: how long until everybody has a way to everybody, what that costs, and
//! what the network says when nothing happens. Prints one JSON object.
//!
//! `cold_start NODES LINKS_PER_NODE IDLE_SECONDS`

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measuring program")]
#![allow(clippy::disallowed_methods, reason = "it measures the time it takes")]

use std::time::Instant;

use meshline_sim::{MS, SECOND, World, address};

fn argument(at: usize, otherwise: usize) -> usize {
    std::env::args().nth(at).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn ways(world: &World) -> usize {
    (0..world.len()).map(|node| world.table(node).routes.len()).sum()
}

fn kinds(world: &World) -> u64 {
    let kinds = ["routing.advertisement", "routing.ack", "routing.summary", "routing.want"];
    (0..world.len()).flat_map(|node| kinds.map(|kind| world.sent(node, kind))).sum()
}

fn main() {
    let (nodes, degree, idle) = (argument(1, 100), argument(2, 12), argument(3, 60));
    let mut world = World::new(1);
    let mut cables: Vec<(usize, usize)> = (1..nodes).map(|node| (node, world.rng().index(node))).collect();
    while cables.len() < nodes * degree / 2 {
        let pair = (world.rng().index(nodes), world.rng().index(nodes));
        if pair.0 != pair.1 && !cables.contains(&pair) && !cables.contains(&(pair.1, pair.0)) {
            cables.push(pair);
        }
    }
    world.lay_cables(&cables);
    for node in 0..nodes {
        let near = cables.iter().filter_map(|(a, b)| (*a == node).then_some(*b).or_else(|| (*b == node).then_some(*a)));
        let peers = near.map(address).collect();
        world.add(|config| {
            config.peers = peers;
            config.max_links = 64;
        });
    }
    let began = Instant::now();
    world.start_all();
    let all = nodes * (nodes - 1);
    let took = world.run_until(120 * SECOND, 50 * MS, |world| ways(world) == all);
    let started = began.elapsed();
    let after_start = kinds(&world);
    world.run_for(20 * SECOND);
    let before = kinds(&world);
    let began = Instant::now();
    world.run_for(u64::try_from(idle).expect("small") * SECOND);
    println!(
        "{{\"nodes\":{nodes},\"links\":{},\"converged_ms\":{},\"ways\":{},\"cpu_s\":{:.2},\"routing_frames\":{after_start},\"idle_s\":{idle},\"idle_routing_frames\":{},\"idle_cpu_s\":{:.2}}}",
        cables.len(),
        took.map_or(-1, |took| i64::try_from(took / MS).expect("small")),
        ways(&world),
        started.as_secs_f64(),
        kinds(&world) - before,
        began.elapsed().as_secs_f64(),
    );
}
