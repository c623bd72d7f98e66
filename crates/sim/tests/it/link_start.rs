//! Where a few have taken all places among each other nobody waits outside.

use meshline_sim::{MS, SECOND, SIGNAL, World, address, seeds};

use crate::support::seconds;

/// How nodes find each other.
#[derive(Clone, Copy, Debug)]
enum By {
    Signal,
    Chain,
}

/// Nodes with so many links each, not started.
fn build((nodes, links): (usize, usize), by: By, seed: u64) -> World {
    let mut world = World::new(seed).verified_once().latency(5 * MS, 20 * MS);
    for node in 0..nodes {
        world.add(|config| {
            config.max_links = links;
            match by {
                By::Signal => config.signal = vec![SIGNAL.to_owned()],
                By::Chain => config.peers = node.checked_sub(1).map(address).into_iter().collect(),
            }
        });
    }
    world
}

fn is_whole(world: &World) -> bool {
    world.pieces(&world.running()).len() <= 1
}

/// Whether everybody has a link.
fn all_are_linked(world: &World) -> bool {
    world.running().into_iter().all(|node| world.links(node) > 0)
}

#[test]
fn a_sixth_gets_in_at_once_where_five_hold_all_places() {
    for (seed, by) in seeds(8).flat_map(|seed| [(seed, By::Signal), (seed, By::Chain)]) {
        let mut world = build((6, 4), by, seed);
        (0..5).for_each(|node| world.start(node));
        world.run_for(SECOND);
        world.start(5);
        let took = world.run_until(10 * SECOND, 10 * MS, |world| is_whole(world) && world.links(5) > 0);
        println!("seed {seed}, {by:?}: in after {:?} s", took.map(seconds));
        assert!(took.is_some_and(|took| took < SECOND), "seed {seed}, {by:?}: the sixth waits: {took:?}");
        for _ in 0..200 {
            world.run_for(100 * MS);
            assert!(is_whole(&world), "seed {seed}, {by:?}: somebody is out again");
            assert!(world.running().into_iter().all(|node| world.links(node) <= 4 + 2), "seed {seed}, {by:?}");
        }
        assert!(world.running().into_iter().all(|node| world.links(node) <= 4), "seed {seed}, {by:?}: too many stay");
    }
}

/// Starts all together; when everybody had a link, and when they were one mesh.
fn start_together(size: (usize, usize), by: By, seed: u64) -> (u64, u64) {
    let mut world = build(size, by, seed);
    world.start_all();
    let linked = world.run_until(30 * SECOND, 10 * MS, |world| all_are_linked(world));
    let linked = linked.unwrap_or_else(|| panic!("seed {seed}, {by:?}, {size:?}: somebody has no link"));
    let whole = world.run_until(30 * SECOND, 10 * MS, |world| is_whole(world));
    let whole = linked + whole.unwrap_or_else(|| panic!("seed {seed}, {by:?}, {size:?}: not one mesh"));
    println!("seed {seed}, {by:?}, {size:?}: linked after {} s, one mesh after {} s", seconds(linked), seconds(whole));
    (linked, whole)
}

#[test]
fn nobody_waits_outside_where_nodes_of_few_links_start_together() {
    for (seed, by) in seeds(4).flat_map(|seed| [(seed, By::Signal), (seed, By::Chain)]) {
        for size in [(6, 4), (20, 4), (40, 6)] {
            let (linked, whole) = start_together(size, by, seed);
            assert!(linked < 2 * SECOND, "seed {seed}, {by:?}, {size:?}");
            assert!(whole < 5 * SECOND, "seed {seed}, {by:?}, {size:?}");
        }
    }
}
