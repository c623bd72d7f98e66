//! Members of an attacker want the links that a node chooses itself.

use meshline_protocol::NodeId;
use meshline_sim::{MS, PORT, SECOND, World, seed};

/// Links a node: a quarter of those that stay is one.
const LINKS: usize = 8;
const SHARE: usize = 1;

const HONEST: usize = 6;
const MADE_UP: usize = 12;

/// A node that tells of these hosts and is really at the last of them.
fn placed(world: &mut World, hosts: &[&str]) -> usize {
    let node = world.add(|config| {
        config.max_links = LINKS;
        config.peers = format!("11.1.0.1:{PORT}").parse().into_iter().collect();
    });
    world.place(node, hosts.last().expect("it has a place"), None);
    let told = hosts.iter().map(|host| format!("{host}:{PORT}").parse().expect("an address"));
    world.edit(node, |config, _| config.listen = told.collect());
    node
}

/// Long links of a node that lead to the attacker's prefix.
fn long_links_to_attacker(world: &mut World, node: usize) -> usize {
    let links = world.status(node).links;
    links.iter().filter(|link| link.purposes.contains(&"far") && link.address.host().starts_with("45.0.")).count()
}

#[test]
fn who_tells_of_places_it_is_not_at_has_no_more_than_its_share_of_the_long_links() {
    let mut world = World::new(seed(9)).verified_once().latency(5 * MS, 20 * MS);
    let honest: Vec<usize> = (0..HONEST).map(|n| placed(&mut world, &[&format!("{}.1.0.1", 11 + n)])).collect();
    for n in 0..MADE_UP {
        placed(&mut world, &[&format!("{}.{n}.7.7", 60 + n), &format!("45.0.0.{}", n + 1)]);
    }
    world.start_all();
    let mut long = 0;
    for _ in 0..6 {
        world.run_for(10 * SECOND);
        for node in &honest {
            let led = long_links_to_attacker(&mut world, *node);
            assert!(led <= SHARE, "node {node} has chosen {led} links to one prefix");
            long += world.status(*node).limits.link_set.far;
        }
    }
    assert!(long > 0, "there are long links");
}

/// Whom a node has on its disk as linked for long by its own choice.
fn anchors(world: &World, node: usize) -> Vec<NodeId> {
    world.saved(node).peers.iter().filter(|peer| peer.anchor).map(|peer| peer.id).collect()
}

/// Runs until one of these is a long link of a node.
fn until_chosen(world: &mut World, node: usize, ids: &[NodeId]) -> u64 {
    let took = world.run_until(60 * SECOND, 100 * MS, |world| {
        let links = world.status(node).links;
        links.iter().any(|link| ids.contains(&link.peer) && link.purposes.contains(&"far"))
    });
    took.unwrap_or_else(|| panic!("after a minute: {:?}", world.status(node).links))
}

#[test]
fn who_comes_back_after_hours_or_was_stopped_chooses_those_it_chose_before() {
    let mut world = World::new(seed(10)).verified_once().latency(5 * MS, 20 * MS);
    let honest: Vec<usize> = (0..HONEST).map(|n| placed(&mut world, &[&format!("{}.1.0.1", 11 + n)])).collect();
    for n in 0..MADE_UP {
        placed(&mut world, &[&format!("{}.9.0.1", 60 + n)]);
    }
    world.start_all();
    world.run_for(60 * SECOND);
    let victim = honest[HONEST - 1];
    // All are off for hours, and nobody is known to be there any more.
    for node in 0..world.len() {
        world.power_off(node);
    }
    let before = anchors(&world, victim);
    assert!(!before.is_empty(), "it has chosen some");
    world.run_for(2 * 3_600 * SECOND);
    world.edit(victim, |config, _| config.peers.clear());
    (0..world.len()).filter(|node| *node != victim).for_each(|node| world.start(node));
    world.run_for(30 * SECOND);
    world.start(victim);
    // There may be no room at some of them.
    let took = until_chosen(&mut world, victim, &before);
    println!("one of {} is chosen again after {took} µs", before.len());
    world.stop(victim);
    let stopped = anchors(&world, victim);
    assert!(!stopped.is_empty(), "an orderly end keeps them");
}
