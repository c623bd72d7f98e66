//! More members than links: who is linked for what, and how the mesh stays one.

use std::collections::{BTreeMap, BTreeSet};

use meshline_mesh::Status;
use meshline_sim::{MS, PORT, SECOND, World, address, invariants, seed, seeds};

use crate::support::{add_by_first, seconds};

pub(crate) const LINKS: usize = 8;

/// So many nodes, or with `MESHLINE_SOAK=1` a hundred: ways are computed for all of them, which takes a while.
fn size(count: usize) -> usize {
    if std::env::var_os("MESHLINE_SOAK").is_some() { 100 } else { count }
}

/// Nodes with few links each, all started, that know the first one.
pub(crate) fn bounded(count: usize, seed: u64) -> World {
    let mut world = World::new(seed).verified_once().latency(5 * MS, 20 * MS);
    for node in 0..count {
        world.add(|config| {
            config.max_links = LINKS;
            config.peers = (node > 0).then(|| address(0)).into_iter().collect();
        });
    }
    world.start_all();
    world
}

/// Runs until an invariant holds; the time it took. It looks seldom, for what it looks at is costly.
pub(crate) fn settle(world: &mut World, limit: u64, mut check: impl FnMut(&mut World) -> Result<(), String>) -> u64 {
    match world.run_until(limit, 250 * MS, |world| check(world).is_ok()) {
        Some(took) => took,
        None => panic!("after {} s: {}", seconds(limit), check(world).expect_err("it did not hold")),
    }
}

fn statuses(world: &mut World) -> BTreeMap<usize, Status> {
    world.running().into_iter().map(|node| (node, world.status(node))).collect()
}

/// How many nodes that run are in the largest part of the mesh.
fn largest_part(world: &World) -> usize {
    let nodes = world.running();
    let mut seen = BTreeSet::new();
    let mut largest = 0;
    for start in &nodes {
        let mut part = 0;
        let mut ahead = vec![*start];
        while let Some(node) = ahead.pop() {
            if seen.insert(node) {
                part += 1;
                ahead.extend(nodes.iter().filter(|other| world.is_linked(node, **other)));
            }
        }
        largest = largest.max(part);
    }
    largest
}

fn is_one(world: &World) -> bool {
    largest_part(world) == world.running().len()
}

/// Every node is linked with its neighbours among those that run, on both sides.
pub(crate) fn neighbours_are_linked(world: &mut World) -> Result<(), String> {
    let mut order: Vec<_> = world.running().into_iter().map(|node| (world.id(node), node)).collect();
    order.sort();
    for (at, (_, node)) in order.iter().enumerate() {
        let (_, next) = order[(at + 1) % order.len()];
        if !world.is_linked(*node, next) {
            return Err(format!("node {node} is not linked with its neighbour {next}"));
        }
    }
    Ok(())
}

pub(crate) fn is_settled(world: &mut World) -> Result<(), String> {
    neighbours_are_linked(world)?;
    for (node, status) in statuses(world) {
        let set = status.limits.link_set;
        if !set.bounded || set.far < LINKS / 4 || status.links.len() < LINKS / 2 {
            return Err(format!("node {node} has {set:?}"));
        }
        if status.links.len() > LINKS {
            return Err(format!("node {node} has {} links", status.links.len()));
        }
    }
    Ok(())
}

#[test]
fn nodes_with_eight_links_each_become_one_mesh_with_every_neighbour_linked() {
    let mut world = bounded(size(24), seed(1));
    let took = settle(&mut world, 120 * SECOND, is_settled);
    assert!(is_one(&world));
    println!("settled after {:.2} s", seconds(took));
    world.run_for(30 * SECOND);
    assert!(is_one(&world));
    neighbours_are_linked(&mut world).expect("it stays so");
    // Where all are full a long link may have been given up for somebody else a moment ago, and its end asks around.
    settle(&mut world, 60 * SECOND, is_settled);
    invariants::everyone_knows_everyone(&mut world).expect("gossip reaches everybody");
}

/// Links below which a node looks for more, of eight.
const FILL: usize = 6;

#[test]
fn links_come_to_rest_and_whoever_has_enough_keeps_none_for_nothing() {
    seeds(2).for_each(come_to_rest);
}

fn come_to_rest(seed: u64) {
    // With more than 64 ways are computed for what is in use alone, which is soon done.
    let mut world = bounded(size(72), seed);
    world.run_for(60 * SECOND);
    for (node, status) in statuses(&mut world) {
        let needless =
            status.links.iter().filter(|link| link.purposes.is_empty() && link.their_purposes.is_empty()).count();
        let links = status.links.len();
        assert!(needless == 0 || links <= FILL, "seed {seed}, node {node}: {needless} of {links} for nothing");
    }
    let pairs = |world: &World| -> BTreeSet<(usize, usize)> {
        let all = (0..world.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        all.filter(|(one, other)| world.is_linked(*one, *other)).collect()
    };
    let before = pairs(&world);
    world.run_for(60 * SECOND);
    // Round trips of this world vary, and whoever is nearest by them too.
    let stayed = before.intersection(&pairs(&world)).count();
    println!("seed {seed}: {stayed} of {} links stayed", before.len());
    assert!(stayed * 10 >= before.len() * 9, "seed {seed}: {stayed} of {} links stayed", before.len());
}

#[test]
fn up_to_the_limit_all_are_linked_and_nothing_is_told() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, LINKS + 1);
    for node in 0..world.len() {
        world.edit(node, |config, _| config.max_links = LINKS);
    }
    world.start_all();
    settle(&mut world, 30 * SECOND, invariants::full_mesh);
    for node in world.running() {
        assert_eq!(world.sent(node, "peers.purpose"), 0);
        assert!(!world.status(node).limits.link_set.bounded);
    }
}

#[test]
fn a_newcomer_gets_in_where_everybody_is_full() {
    let mut world = bounded(size(20), seed(1));
    settle(&mut world, 120 * SECOND, is_settled);
    world.run_for(20 * SECOND);
    let newcomer = world.add(|config| {
        config.max_links = LINKS;
        config.peers = vec![address(7)];
    });
    world.start(newcomer);
    let took = settle(&mut world, 30 * SECOND, |world| {
        neighbours_are_linked(world)?;
        let links = world.status(newcomer).links.len();
        if links >= LINKS / 2 { Ok(()) } else { Err(format!("it has {links} links")) }
    });
    println!("in after {:.2} s", seconds(took));
}

/// With this seed a node that found few links chose six, and these took all places before its neighbour came.
#[test]
fn a_neighbour_gets_in_where_a_node_filled_itself_with_choices() {
    let mut world = bounded(size(20), seed(32));
    let took = settle(&mut world, 30 * SECOND, neighbours_are_linked);
    println!("neighbours are linked after {:.2} s", seconds(took));
}

#[test]
fn nothing_under_way_is_lost_when_links_go_for_want_of_room() {
    newcomers_take_places(seed(8));
}

/// With this seed a third neighbour comes while two links part.
#[test]
fn nothing_under_way_is_lost_when_more_links_go_than_may_part_at_once() {
    newcomers_take_places(seed(24));
}

fn newcomers_take_places(seed: u64) {
    let mut world = bounded(size(20), seed);
    settle(&mut world, 120 * SECOND, is_settled);
    let pairs = [(2, 9), (5, 14), (11, 17), (3, 18)];
    let (mut sent, mut got) = (0_u32, 0);
    for step in 0..1_500 {
        if step % 250 == 0 {
            // All are full, and others have to go for its neighbours.
            let newcomer = world.add(|config| {
                config.max_links = LINKS;
                config.peers = vec![address(7)];
            });
            world.start(newcomer);
        }
        for (from, to) in pairs {
            // Each with a flow of its own: the world looks that none goes round in circles.
            world.send_datagram(from, to, sent, &sent.to_be_bytes()).expect("there is a way");
            sent += 1;
        }
        world.run_for(20 * MS);
        got += pairs.iter().map(|(_, to)| world.take_datagrams(*to).len()).sum::<usize>();
        // Two links that part may stand above the limit.
        assert!(world.running().into_iter().all(|node| world.links(node) <= LINKS + 2));
    }
    world.run_for(2 * SECOND);
    got += pairs.iter().map(|(_, to)| world.take_datagrams(*to).len()).sum::<usize>();
    assert_eq!(u32::try_from(got).expect("few"), sent);
}

/// So many nodes in a hundred die at once; the time until all others are one mesh again.
fn after_death_of(percent: usize, is_silent: bool, count: usize, seed: u64) -> u64 {
    let mut world = bounded(count, seed);
    settle(&mut world, 120 * SECOND, is_settled);
    world.run_for(20 * SECOND);
    let mut alive = world.running();
    for _ in 0..count * percent / 100 {
        let at = world.rng().index(alive.len());
        let node = alive.swap_remove(at);
        if is_silent { world.power_off(node) } else { world.kill(node) }
    }
    let limit = if is_silent { 60 } else { 30 } * SECOND;
    let took = settle(&mut world, limit, |world| {
        neighbours_are_linked(world)?;
        if is_one(world) { Ok(()) } else { Err("parts".to_owned()) }
    });
    // Links to the dead are gone too, and those missing have been replaced.
    world.run_for(30 * SECOND);
    for (node, status) in statuses(&mut world) {
        let linked: Vec<_> = status.links.iter().filter_map(|link| world.index(link.peer)).collect();
        assert!(linked.iter().all(|other| alive.contains(other)), "node {node} is linked with the dead");
        assert!(linked.len() >= LINKS / 2, "node {node} has {} links", linked.len());
    }
    println!("{percent} % of {count} dead, silently {is_silent}: one mesh after {:.2} s", seconds(took));
    took
}

#[test]
fn half_of_the_nodes_die_and_the_others_are_one_mesh_within_half_a_minute() {
    after_death_of(50, false, size(24), seed(1));
}

#[test]
fn four_of_five_nodes_die_without_a_word_and_the_others_are_one_mesh_within_a_minute() {
    after_death_of(80, true, size(24), seed(2));
}

#[test]
fn four_of_five_nodes_die_and_the_others_are_one_mesh_within_half_a_minute() {
    after_death_of(80, false, size(24), seed(3));
}

#[test]
fn three_of_ten_nodes_die_and_the_others_are_one_mesh_within_half_a_minute() {
    after_death_of(30, false, size(24), seed(4));
}

#[test]
fn one_node_in_ten_goes_and_comes_each_minute_and_the_mesh_stays_one() {
    let mut world = bounded(size(20), seed(5));
    settle(&mut world, 120 * SECOND, is_settled);
    let pause = 600 * SECOND / world.len() as u64;
    for _ in 0..world.len() / 5 {
        let nodes = world.running();
        let gone = nodes[world.rng().index(nodes.len())];
        world.kill(gone);
        let took =
            settle(&mut world, 30 * SECOND, |world| if is_one(world) { Ok(()) } else { Err("parts".to_owned()) });
        world.run_for(pause.saturating_sub(took) / 2);
        world.start(gone);
        world.run_for(pause.saturating_sub(took) / 2);
    }
    settle(&mut world, 60 * SECOND, is_settled);
}

/// A node with an address of its own in the Internet.
fn placed(world: &mut World, ip: &str, first: Option<&str>) -> usize {
    let node = world.add(|config| {
        config.max_links = LINKS;
        let first = first.and_then(|first| format!("{first}:{PORT}").parse().ok());
        config.peers = first.into_iter().collect();
    });
    world.place(node, ip, None);
    node
}

#[test]
fn whoever_asks_for_addresses_is_answered_straight_once_it_has_echoed() {
    let mut world = World::new(seed(6)).verified_once().latency(5 * MS, 20 * MS);
    for n in 0..12 {
        placed(&mut world, &format!("{}.1.0.1", 11 + n), (n > 0).then_some("11.1.0.1"));
    }
    world.overhear();
    world.start_all();
    world.run_for(60 * SECOND);
    let packets = world.overheard();
    let count = |word: &str| packets.iter().filter(|(.., bytes)| String::from_utf8_lossy(bytes).contains(word)).count();
    let (knocks, echoes, answers) = (count("\"knock\""), count("\"echo\""), count("\"answer\""));
    println!("{knocks} knocks, {echoes} echoes, {answers} answers");
    assert!(knocks > 0 && echoes > 0 && answers > 0);
    let asks: u64 = world.running().into_iter().map(|node| world.sent(node, "peers.ask")).sum();
    assert!(u64::try_from(knocks).expect("few") <= asks, "{knocks} knocks for {asks} requests");
}

#[test]
fn after_a_restart_among_many_made_up_members_an_honest_one_is_found_each_time() {
    let mut world = World::new(seed(7)).verified_once().latency(5 * MS, 20 * MS);
    let honest: Vec<usize> =
        (0..6).map(|n| placed(&mut world, &format!("{}.1.0.1", 11 + n), (n > 0).then_some("11.1.0.1"))).collect();
    let made_up: Vec<usize> =
        (0..18).map(|n| placed(&mut world, &format!("45.{}.0.{}", n % 2, n + 1), Some("11.1.0.1"))).collect();
    world.start_all();
    world.run_for(150 * SECOND);
    let victim = honest[5];
    // Whoever it knew first is an enemy now, and so is everybody it could ask.
    world.edit(victim, |config, _| config.peers = format!("45.0.0.1:{PORT}").parse().into_iter().collect());
    let ids: BTreeSet<_> = honest.iter().map(|node| world.id(*node)).collect();
    let (mut own, mut own_honest, mut longest) = (0, 0, 0);
    for restart in 0..10 {
        world.restart(victim);
        world.run_for(6 * SECOND);
        let mut took = 6;
        let outbound = loop {
            let links = world.status(victim).links;
            let outbound: Vec<bool> =
                links.iter().filter(|link| link.direction == "outbound").map(|link| ids.contains(&link.peer)).collect();
            if outbound.contains(&true) {
                break outbound;
            }
            assert!(took < 60, "restart {restart}: all of {} are made up", outbound.len());
            world.run_for(SECOND);
            took += 1;
        };
        longest = longest.max(took);
        own += outbound.len();
        own_honest += outbound.iter().filter(|is_honest| **is_honest).count();
    }
    println!("found after {longest} s at the most");
    println!("{own_honest} of {own} links of its own choice were honest, of {} members {}", made_up.len() + 5, 5);
}
