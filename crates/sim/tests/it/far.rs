//! Members beyond the area: reached, found and asked for where nobody knows all.

use meshline_mesh::Sought;
use meshline_protocol::{Code, NodeId};
use meshline_sim::{MS, SECOND, World, seed};

use crate::support::settle;

pub(crate) const AREA: usize = 24;

/// A network of four times as many members as an area holds, at rest.
pub(crate) fn wide(seed: u64, nodes: usize) -> World {
    let mut world = World::new(seed).verified_once();
    world.add_wide(nodes, 6, |config| config.max_area = AREA);
    world.start_all();
    settle(&mut world, 30 * SECOND, is_part);
    world.run_for(20 * SECOND);
    world
}

/// Every node knows that it knows a part only, and keeps no more than it may.
fn is_part(world: &mut World) -> Result<(), String> {
    for node in world.running() {
        let routing = world.status(node).routing;
        if routing.radius.is_none() || routing.advertisements > AREA + AREA / 4 {
            return Err(format!("node {node}: {:?}, {}", routing.radius, routing.advertisements));
        }
    }
    Ok(())
}

/// A pair of which the first has no way to the second.
pub(crate) fn strangers(world: &mut World) -> (usize, usize) {
    let nodes = world.len();
    loop {
        let (from, to) = (world.rng().index(nodes), world.rng().index(nodes));
        if from != to && !world.table(from).routes.contains_key(&world.id(to)) {
            return (from, to);
        }
    }
}

fn arrives(world: &mut World, from: usize, to: usize, flow: u32) -> Option<usize> {
    world.take_datagrams(to);
    world.send_datagram(from, to, flow, b"x").ok()?;
    let mut hops = None;
    world.run_until(2 * SECOND, MS, |world| {
        let found = world.take_datagrams(to).into_iter().find(|(line, _)| line.flow == flow);
        hops = found.map(|(line, _)| usize::from(32 - line.ttl));
        hops.is_some()
    });
    hops
}

pub(crate) fn answer(world: &mut World, node: usize, sought: Sought) -> Result<Vec<NodeId>, Code> {
    let asked = world.seek(node, sought);
    world.run_until(20 * SECOND, 10 * MS, |world| world.sought(node, asked).is_some());
    world.sought(node, asked).expect("every question has an answer")
}

#[test]
fn datagrams_reach_members_that_nobody_near_knows_and_then_take_the_way_they_found() {
    let mut world = wide(seed(1), 96);
    is_part(&mut world).expect("bounded");
    for flow in 1..=40 {
        let (from, to) = strangers(&mut world);
        let first = arrives(&mut world, from, to, flow).unwrap_or_else(|| panic!("from {from} to {to}"));
        settle(&mut world, 5 * SECOND, |world| {
            let known = world.table(from).routes.contains_key(&world.id(to));
            if known { Ok(()) } else { Err(format!("node {from} knows no way to {to}")) }
        });
        let path = world.table(from).routes[&world.id(to)].paths[0].hops.clone();
        let second = arrives(&mut world, from, to, 1_000 + flow).expect("over the way that was found");
        assert!(second <= path.len() && first <= 16, "{first} links, then {second}, of {}", path.len());
    }
}

#[test]
fn up_to_the_bound_everybody_knows_everybody() {
    let mut world = World::new(seed(1));
    world.add_wide(AREA, 4, |config| config.max_area = AREA);
    world.start_all();
    let all_known = |world: &mut World| {
        let nodes = world.len();
        for node in 0..nodes {
            let known = world.table(node).routes.len();
            if known != nodes - 1 || world.table(node).is_part() {
                return Err(format!("node {node} has ways to {known}"));
            }
        }
        Ok(())
    };
    settle(&mut world, 20 * SECOND, all_known);
    world.run_for(60 * SECOND);
    all_known(&mut world).expect("it stays");
}

#[test]
fn a_member_is_found_by_its_id_and_by_its_name_and_one_that_is_not_there_is_not() {
    let mut world = wide(seed(1), 96);
    for _ in 0..10 {
        let (from, to) = strangers(&mut world);
        let id = world.id(to);
        assert_eq!(answer(&mut world, from, Sought::Id(id)), Ok(vec![id]));
        assert!(world.peers(from).iter().any(|row| row.id == id && row.reachable), "it is listed, and reached");
        assert!(world.explain(from, to).is_some());
    }
    for _ in 0..10 {
        let (from, to) = strangers(&mut world);
        let name = Sought::Name(format!("n{to}").parse().expect("a name"));
        assert_eq!(answer(&mut world, from, name), Ok(vec![world.id(to)]));
    }
    let nobody = NodeId::from_bytes([7; 32]);
    assert_eq!(answer(&mut world, 0, Sought::Id(nobody)), Err(Code::NoSuchPeer));
    assert_eq!(answer(&mut world, 0, Sought::Name("nobody".parse().expect("a name"))), Err(Code::NoSuchPeer));
}

/// Those among them at whom it made itself known, too: they ask nobody.
#[test]
fn a_member_is_found_by_its_name_by_everybody() {
    let mut world = wide(seed(1), 96);
    for to in [7, 53] {
        for from in (0..96).filter(|from| *from != to) {
            let name = Sought::Name(format!("n{to}").parse().expect("a name"));
            assert_eq!(answer(&mut world, from, name), Ok(vec![world.id(to)]), "n{to}, asked for by n{from}");
        }
    }
}

#[test]
fn echoes_come_back_from_far_members_and_a_way_that_broke_is_found_anew() {
    let mut world = wide(seed(1), 96);
    let (from, to) = strangers(&mut world);
    let echo = |world: &mut World| {
        let asked = world.seek_echo(from, to);
        world.run_until(4 * SECOND, 10 * MS, |world| world.sought(from, asked).is_some());
        world.sought(from, asked) == Some(Ok(Vec::new()))
    };
    assert!(echo(&mut world));
    world.run_for(3 * SECOND);
    for _ in 0..3 {
        let path = world.table(from).routes[&world.id(to)].paths[0].hops.clone();
        let middle = world.index(path[path.len() / 2 - 1]).expect("a node");
        world.kill(middle);
        world.run_for(2 * SECOND);
        let took = world.run_until(20 * SECOND, 10 * MS, |world| echo(world));
        assert!(took.is_some(), "no way around {middle}");
        world.start(middle);
        world.run_for(10 * SECOND);
    }
}

#[test]
fn what_a_member_says_reaches_those_who_do_not_know_it() {
    const NODES: usize = 240;
    let mut world = World::new(seed(1)).verified_once();
    world.add_wide(NODES, 6, |config| config.max_area = AREA);
    // Who starts later is news, and too many are forgotten for it.
    for part in [0..NODES / 2, NODES / 2..NODES] {
        part.for_each(|node| world.start(node));
        world.run_for(20 * SECOND);
    }
    for _ in 0..6 {
        let author = world.rng().index(NODES);
        let number = world.say_marked(author, 40);
        world.run_for(3 * SECOND);
        assert_eq!(world.shown(number), NODES - 1, "what node {author} said");
    }
}
