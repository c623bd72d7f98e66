//! Ways through the mesh: found, changed and told as links come, go and get worse.

use meshline_mesh::{Event, Table};
use meshline_protocol::message::Role;
use meshline_sim::invariants::{everyone_knows_everyone, full_mesh};
use meshline_sim::{MS, SECOND, WallClock, World, seed, seeds};

use crate::support::{seconds, settle};

/// A world with cables between some pairs only; each node knows the addresses of its neighbours.
fn wired(mut world: World, nodes: usize, cables: &[(usize, usize)]) -> World {
    world.lay_cables(cables);
    for node in 0..nodes {
        let neighbours = cables.iter().filter_map(|(a, b)| match (*a == node, *b == node) {
            (true, _) => Some(*b),
            (_, true) => Some(*a),
            _ => None,
        });
        let peers = neighbours.map(meshline_sim::address).collect();
        world.add(|config| config.peers = peers);
    }
    world
}

/// The best way from one node to another, as indices.
fn way(world: &World, from: usize, to: usize) -> Option<Vec<usize>> {
    let table: &Table = world.table(from);
    let best = table.routes.get(&world.id(to))?.paths.first()?;
    best.hops.iter().map(|id| world.index(*id)).collect()
}

/// Every node has a way to every other that runs.
fn all_reachable(world: &mut World) -> Result<(), String> {
    let running = world.running();
    for from in &running {
        for to in running.iter().filter(|to| *to != from) {
            if way(world, *from, *to).is_none() {
                return Err(format!("node {from} has no way to node {to}"));
            }
        }
    }
    Ok(())
}

fn has_way(world: &World, from: usize, to: usize, wanted: Option<&[usize]>) -> Result<(), String> {
    let found = way(world, from, to);
    if found.as_deref() == wanted {
        Ok(())
    } else {
        Err(format!("from {from} to {to}: {found:?} instead of {wanted:?}"))
    }
}

/// A datagram sent now arrives.
fn arrives(world: &mut World, from: usize, to: usize, flow: u32) -> bool {
    world.take_datagrams(to);
    if world.send_datagram(from, to, flow, b"x").is_err() {
        return false;
    }
    world
        .run_until(2 * SECOND, MS, |world| world.take_datagrams(to).iter().any(|(line, _)| line.flow == flow))
        .is_some()
}

const CHAIN: [(usize, usize); 4] = [(0, 1), (1, 2), (2, 3), (3, 4)];

#[test]
fn over_a_chain_of_five_everybody_reaches_everybody() {
    let mut world = wired(World::closed(seed(1)).wire(), 5, &CHAIN);
    world.start_all();
    let took = settle(&mut world, 20 * SECOND, all_reachable);
    println!("a chain of five: {:.3} s", seconds(took));
    has_way(&world, 0, 4, Some(&[1, 2, 3, 4])).expect("along the chain");
    for (flow, (from, to)) in (1..).zip([(0, 4), (4, 0), (1, 3), (2, 2)]) {
        assert!(arrives(&mut world, from, to, flow), "from {from} to {to}");
    }
    settle(&mut world, 10 * SECOND, everyone_knows_everyone);
    let row = world.peers(0).into_iter().find(|row| row.id == world.id(4)).expect("known");
    assert!(row.reachable && !row.direct && row.hops == 4);
    assert_eq!(row.via, Some(world.id(1)));
}

#[test]
fn in_a_square_with_unequal_sides_the_shorter_way_is_taken_and_the_other_is_the_spare_one() {
    let mut world = wired(World::new(seed(1)), 4, &[(0, 1), (1, 2), (0, 3), (3, 2)]);
    world.set_distance(0, 3, 20 * MS);
    world.set_distance(3, 2, 20 * MS);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    world.run_for(20 * SECOND);
    has_way(&world, 0, 2, Some(&[1, 2])).expect("the short way");
    let paths = &world.table(0).routes[&world.id(2)].paths;
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(world.index(paths[1].hops[0]), Some(3));
    assert!(paths[0].cost_us < paths[1].cost_us && paths[0].share > paths[1].share);
    // A way that got much worse is left within seconds.
    world.set_distance(1, 2, 200 * MS);
    let took = settle(&mut world, 30 * SECOND, |world| has_way(world, 0, 2, Some(&[3, 2])));
    println!("left the worse way after {:.1} s", seconds(took));
}

#[test]
fn a_linked_member_that_is_reached_faster_over_another_is_listed_with_the_way_that_datagrams_take() {
    let mut world = wired(World::new(seed(1)), 3, &[(0, 1), (1, 2), (0, 2)]);
    world.set_distance(0, 2, 100 * MS);
    world.start_all();
    settle(&mut world, 20 * SECOND, full_mesh);
    settle(&mut world, 20 * SECOND, |world| has_way(world, 0, 2, Some(&[1, 2])));
    assert!(arrives(&mut world, 0, 2, 1));
    let [near, far] = [1, 2].map(|node| world.id(node));
    let row = world.peers(0).into_iter().find(|row| row.id == far).expect("known");
    assert_eq!((row.path, row.hops, row.via), (vec![near, far], 2, Some(near)));
    assert!(row.direct, "it is linked all the same");
    assert_eq!(row.cost, world.table(0).best(&far, |_| true).map(|best| best.cost_us));
    let row = world.peers(0).into_iter().find(|row| row.id == near).expect("known");
    assert_eq!((row.path, row.via), (vec![near], None));
}

#[test]
fn a_killed_middle_node_costs_a_stream_no_more_than_what_was_under_way() {
    let mut worst = 0;
    for seed in seeds(20) {
        let mut world = wired(World::new(seed), 4, &[(0, 1), (1, 2), (0, 3), (3, 2)]);
        world.start_all();
        settle(&mut world, 20 * SECOND, all_reachable);
        world.run_for(5 * SECOND);
        let middle = way(&world, 0, 2).expect("a way")[0];
        let mut arrived = Vec::new();
        for flow in 0..200 {
            if flow == 50 {
                world.kill(middle);
            }
            let _ = world.send_datagram(0, 2, flow, b"x");
            world.run_for(10 * MS);
            arrived.extend(world.take_datagrams(2).into_iter().map(|(line, _)| line.flow));
        }
        let lost = 200 - arrived.len();
        worst = worst.max(lost);
        assert!(lost <= 3, "{lost} of 200 lost");
    }
    println!("at most {worst} datagrams of a stream of one every 10 ms were lost");
}

#[test]
fn two_islands_are_apart_when_their_bridge_dies_and_together_when_it_is_back() {
    let mut world = wired(World::new(seed(1)), 5, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    world.kill(2);
    settle(&mut world, 10 * SECOND, |world| has_way(world, 0, 4, None));
    assert_eq!(world.send_datagram(0, 4, 1, b"x"), Err("no_route".to_owned()));
    assert!(arrives(&mut world, 0, 1, 2));
    world.start(2);
    settle(&mut world, 20 * SECOND, all_reachable);
    assert!(arrives(&mut world, 0, 4, 3));
}

#[test]
fn a_cable_that_carries_one_way_only_is_left_when_it_is_noticed() {
    let mut world = wired(World::new(seed(1)), 3, &[(0, 1), (1, 2), (0, 2)]);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    world.mute(&[0], &[2]);
    settle(&mut world, 30 * SECOND, |world| {
        has_way(world, 0, 2, Some(&[1, 2]))?;
        has_way(world, 2, 0, Some(&[1, 0]))
    });
    assert!(arrives(&mut world, 0, 2, 1) && arrives(&mut world, 2, 0, 2));
}

#[test]
fn a_link_that_comes_and_goes_is_not_told_to_all_each_time() {
    let mut world = wired(World::new(seed(1)), 4, &[(0, 1), (1, 2), (2, 3), (3, 0)]);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    world.run_for(10 * SECOND);
    let before = world.sent(3, "routing.advertisement");
    for _ in 0..20 {
        world.kill(1);
        world.run_for(700 * MS);
        world.start(1);
        world.run_for(2_300 * MS);
    }
    let told = world.sent(3, "routing.advertisement") - before;
    assert!(told < 100, "{told} advertisements for 20 ups and downs");
    settle(&mut world, 60 * SECOND, all_reachable);
    assert!(arrives(&mut world, 0, 2, 1));
}

#[test]
fn a_member_that_declines_to_carry_and_a_view_are_ends_only() {
    let mut world = World::new(seed(1));
    world.lay_cables(&[(0, 1), (1, 2), (0, 3), (3, 4), (4, 2)]);
    for node in 0..5_usize {
        world.add(|config| {
            config.peers = (0..5).filter(|peer| *peer != node).map(meshline_sim::address).collect();
            config.routing.carry = node != 1;
        });
    }
    world.start_all();
    settle(&mut world, 30 * SECOND, all_reachable);
    has_way(&world, 0, 2, Some(&[3, 4, 2])).expect("around the one that declines");
    assert!(arrives(&mut world, 0, 1, 1), "it is reached itself");
    assert!(arrives(&mut world, 0, 2, 2));
    let view = world.add(|config| {
        config.roles = vec![Role::View];
        config.listen.clear();
        config.peers = vec![meshline_sim::address(0)];
    });
    world.lay_cables(&[(0, 1), (1, 2), (0, 3), (3, 4), (4, 2), (view, 0), (view, 2)]);
    world.start(view);
    settle(&mut world, 30 * SECOND, all_reachable);
    has_way(&world, 0, 2, Some(&[3, 4, 2])).expect("not through the view");
    assert!(arrives(&mut world, 2, view, 3));
}

#[test]
fn a_node_whose_clock_is_a_year_off_takes_part() {
    let mut world = wired(World::new(seed(1)), 5, &CHAIN);
    world.set_clock(2, WallClock { offset_us: -365 * 86_400 * 1_000_000, drift_ppm: 0 });
    world.start_all();
    settle(&mut world, 30 * SECOND, all_reachable);
    assert!(arrives(&mut world, 0, 4, 1));
    world.restart(2);
    settle(&mut world, 30 * SECOND, all_reachable);
    assert!(arrives(&mut world, 4, 0, 2));
}

#[test]
fn a_restarted_node_is_back_on_its_ways_without_a_stall() {
    let mut world = wired(World::new(seed(1)), 5, &CHAIN);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    for _ in 0..3 {
        world.restart(2);
        let took = settle(&mut world, 10 * SECOND, |world| has_way(world, 0, 4, Some(&[1, 2, 3, 4])));
        assert!(took < 5 * SECOND, "{took} us");
    }
}

#[test]
fn who_left_is_on_no_way() {
    let mut world = wired(World::new(seed(1)), 3, &[(0, 1), (1, 2), (0, 2)]);
    world.start_all();
    settle(&mut world, 20 * SECOND, all_reachable);
    world.stop(2);
    settle(&mut world, 5 * SECOND, |world| has_way(world, 0, 2, None));
    let told = world
        .mesh_events(0)
        .any(|event| matches!(event, Event::RouteChanged { path, cost_us: None, .. } if path.is_empty()));
    assert!(told, "and it is told");
}

#[test]
fn in_a_dense_network_what_is_passed_on_to_four_only_reaches_everybody_all_the_same() {
    let mut world = World::new(seed(1));
    let nodes = 60_usize;
    let mut cables: Vec<(usize, usize)> = (1..nodes).map(|node| (world.rng().index(node), node)).collect();
    while cables.len() < nodes * 6 {
        let pair = (world.rng().index(nodes), world.rng().index(nodes));
        if pair.0 < pair.1 && !cables.contains(&pair) {
            cables.push(pair);
        }
    }
    let mut world = wired(world, nodes, &cables);
    world.start_all();
    let took = settle(&mut world, 3 * SECOND, all_reachable);
    println!("60 nodes with 360 links: {:.3} s", seconds(took));
}

/// Frames of routing that all nodes have sent so far, comparisons left out: they go by the clock.
fn told(world: &World) -> u64 {
    let kinds = ["routing.advertisement", "routing.advertisements", "routing.ack", "routing.want"];
    (0..world.len()).flat_map(|node| kinds.map(|kind| world.sent(node, kind))).sum()
}

#[test]
fn in_a_full_mesh_a_change_costs_a_few_frames_a_member_and_not_one_for_each_pair() {
    const MEMBERS: u64 = 60;
    let nodes = usize::try_from(MEMBERS).expect("small");
    let mut world = World::new(seed(1));
    for node in 0..nodes {
        world.add(|config| config.peers = (0..node).map(meshline_sim::address).collect());
    }
    world.start_all();
    settle(&mut world, 60 * SECOND, full_mesh);
    world.run_for(60 * SECOND);

    let before = told(&world);
    world.cut(10, 50);
    world.run_for(60 * SECOND);
    let link = told(&world) - before;
    println!("a link lost and made anew: {link} frames");
    assert!(link > MEMBERS, "it is told");
    // Two ends tell two changes each: one frame and one acknowledgement a member, and those who hear of a lost link
    // take it to its other end.
    assert!(link <= 4 * 4 * MEMBERS, "{link} frames for one link");

    let before = told(&world);
    world.kill(7);
    world.run_for(30 * SECOND);
    let member = told(&world) - before;
    println!("a member killed: {member} frames");
    assert!(member > MEMBERS * (MEMBERS - 2) / 2, "everybody tells");
    assert!(member <= 3 * MEMBERS * MEMBERS, "{member} frames when a member is lost, {MEMBERS} advertisements");
}

/// Whether a way exists over links between running nodes.
fn connected(cables: &[(usize, usize)], running: &[usize], from: usize, to: usize) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(node) = reached.get(at).copied() {
        for (a, b) in cables {
            let next = if *a == node {
                *b
            } else if *b == node {
                *a
            } else {
                continue;
            };
            if running.contains(&next) && !reached.contains(&next) {
                reached.push(next);
            }
        }
        at += 1;
    }
    reached.contains(&to)
}

#[test]
fn in_random_graphs_with_random_cuts_there_are_ways_just_where_there_are_links() {
    let graphs = if std::env::var_os("MESHLINE_SOAK").is_some() { 200 } else { 30 };
    for seed in seeds(graphs) {
        let mut world = World::new(seed);
        let nodes = 4 + world.rng().index(7);
        let mut cables: Vec<(usize, usize)> = (1..nodes).map(|node| (node, world.rng().index(node))).collect();
        for _ in 0..nodes {
            let pair = (world.rng().index(nodes), world.rng().index(nodes));
            if pair.0 != pair.1 && !cables.contains(&pair) && !cables.contains(&(pair.1, pair.0)) {
                cables.push(pair);
            }
        }
        let mut world = wired(world, nodes, &cables);
        world.start_all();
        settle(&mut world, 30 * SECOND, all_reachable);
        let mut flow = 0;
        for _ in 0..3 {
            let cut = world.rng().index(cables.len());
            cables.swap_remove(cut);
            world.lay_cables(&cables);
            // Traffic goes on while nobody has noticed yet: nothing may go round in circles.
            for _ in 0..20 {
                flow += 1;
                let (from, to) = (world.rng().index(nodes), world.rng().index(nodes));
                let _ = world.send_datagram(from, to, flow, b"x");
                world.run_for(50 * MS);
            }
            // An idle link that was cut silently shows within twenty-one and a half seconds.
            world.run_for(22 * SECOND);
            let running = world.running();
            settle(&mut world, 40 * SECOND, |world| {
                for from in &running {
                    for to in running.iter().filter(|to| *to != from) {
                        if way(world, *from, *to).is_some() != connected(&cables, &running, *from, *to) {
                            return Err(format!("seed {seed}: from {from} to {to} with {cables:?}"));
                        }
                    }
                }
                Ok(())
            });
            for from in 0..nodes {
                for to in (0..nodes).filter(|to| *to != from) {
                    flow += 1;
                    let expected = connected(&cables, &running, from, to);
                    assert_eq!(arrives(&mut world, from, to, flow), expected, "seed {seed}: from {from} to {to}");
                }
            }
        }
    }
}
