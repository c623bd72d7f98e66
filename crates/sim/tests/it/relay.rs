//! Members that cannot be dialled: views, and what proxies join.

use meshline_mesh::{Config, Topology};
use meshline_protocol::message::Role;
use meshline_sim::invariants::{full_mesh, links_agree, ring};
use meshline_sim::{MS, Reach, SECOND, SIGNAL, World, address, seed, seeds};

use crate::support::{add_by_signal, lost_links, on_ring, settle};

pub(crate) fn as_view(config: &mut Config) {
    config.roles = vec![Role::View];
    config.listen.clear();
    config.signal = vec![SIGNAL.to_owned()];
}

pub(crate) fn as_proxy(config: &mut Config) {
    config.roles = vec![Role::Proxy];
    config.signal = vec![SIGNAL.to_owned()];
}

#[test]
fn a_view_of_a_mesh_gets_and_sends_chat_and_carries_nothing() {
    let mut world = World::closed(seed(1));
    add_by_signal(&mut world, 4);
    world.add(as_view);
    world.add(as_view);
    world.start_all();
    world.run_for(5 * SECOND);
    assert_eq!((world.links(4), world.links(5)), (4, 4), "a view is linked with all that listen");
    let seq = world.say(0, "to the views too");
    world.run_for(SECOND);
    assert_eq!((world.times_heard(4, "to the views too"), world.times_heard(5, "to the views too")), (1, 1));
    assert_eq!(world.delivered(0, seq), Some((5, true)));
    assert_eq!(world.sent(4, "broadcast.flood") + world.sent(5, "broadcast.flood"), 0, "a view carries nothing");
    let seq = world.say(4, "from a view");
    world.run_for(SECOND);
    for node in [0, 1, 2, 3, 5] {
        assert_eq!(world.times_heard(node, "from a view"), 1, "node {node}");
    }
    assert_eq!(world.delivered(4, seq), Some((5, true)));
}

#[test]
fn a_view_of_a_ring_gets_and_sends_chat_and_has_no_place_on_it() {
    let mut world = World::new(seed(1));
    for node in 0..4 {
        world.add(|config| {
            on_ring(config, (node + 1) % 4);
            config.signal = vec![SIGNAL.to_owned()];
        });
    }
    // One that is linked with one member only, and one with all.
    let one = world.add(|config| {
        as_view(config);
        (config.topology, config.max_links, config.signal) = (Topology::Ring, 1, Vec::new());
        config.peers = vec![address(2)];
    });
    let all = world.add(as_view);
    world.start_all();
    settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2, 3]));
    world.run_for(5 * SECOND);
    for author in [0, 1, 2, 3] {
        let text = format!("round and aside from {author}");
        let seq = world.say(author, &text);
        world.run_for(SECOND);
        assert_eq!((world.times_heard(one, &text), world.times_heard(all, &text)), (1, 1));
        assert_eq!(world.delivered(author, seq), Some((3, true)));
    }
    for author in [one, all] {
        let text = format!("from view {author}");
        let seq = world.say(author, &text);
        world.run_for(SECOND);
        for node in 0..4 {
            assert_eq!(world.times_heard(node, &text), 1, "node {node}");
        }
        let (delivered_to, complete) = world.delivered(author, seq).expect("receipts come back");
        assert!(complete && delivered_to >= 4, "{delivered_to}");
    }
    assert_eq!(world.sent(one, "ring.token") + world.sent(all, "ring.token"), 0);
    ring(&mut world, &[0, 1, 2, 3]).expect("views change nothing");
}

/// Two members behind walls and a proxy.
pub(crate) fn walled(mut world: World) -> World {
    for _ in 0..2 {
        world.add(|config| config.signal = vec![SIGNAL.to_owned()]);
    }
    world.add(as_proxy);
    world.set_reach(&address(0), Reach::Silent);
    world.set_reach(&address(1), Reach::Silent);
    world.start_all();
    world
}

pub(crate) fn relayed(world: &mut World) -> Result<(), String> {
    for node in 0..2 {
        let links = world.status(node).links;
        let other = world.id(1 - node);
        let relay = links.iter().any(|link| link.peer == other && link.transport == "relay");
        if !relay {
            return Err(format!("node {node} has no relayed link"));
        }
    }
    links_agree(world)
}

#[test]
fn members_that_cannot_be_dialled_are_linked_through_a_proxy_and_chat() {
    for seed in seeds(10) {
        let mut world = walled(World::closed(seed));
        let took = settle(&mut world, 15 * SECOND, relayed);
        println!("relayed after {:.3} s", crate::support::seconds(took));
        let row = world.peers(0).into_iter().find(|row| row.id == world.id(1)).expect("known");
        assert_eq!((row.reachable, row.direct, row.via), (true, false, Some(world.id(2))));
        world.say(0, "through the wall");
        world.run_for(SECOND);
        assert_eq!(world.times_heard(1, "through the wall"), 1);
        world.run_for(300 * SECOND);
        relayed(&mut world).expect("it stays");
        assert_eq!((lost_links(&world, 0), lost_links(&world, 1)), (vec![], vec![]));
    }
}

#[test]
fn a_direct_link_replaces_the_relayed_one_when_the_wall_falls() {
    let mut world = walled(World::new(seed(1)));
    settle(&mut world, 15 * SECOND, relayed);
    world.set_reach(&address(1), Reach::Open);
    settle(&mut world, 65 * SECOND, full_mesh);
    world.run_for(5 * SECOND);
    full_mesh(&mut world).expect("it stays");
    world.say(1, "face to face");
    world.run_for(SECOND);
    assert_eq!(world.times_heard(0, "face to face"), 1);
    assert_eq!(lost_links(&world, 0), [], "a link that is replaced is not lost");
}

#[test]
fn one_that_can_be_dialled_in_one_direction_only_needs_no_proxy() {
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 3);
    world.set_reach(&address(0), Reach::Silent);
    world.start_all();
    settle(&mut world, 5 * SECOND, full_mesh);
}

#[test]
fn a_relayed_link_comes_back_after_its_proxy_was_killed() {
    let mut world = walled(World::new(seed(1)));
    settle(&mut world, 15 * SECOND, relayed);
    world.kill(2);
    world.run_for(2 * SECOND);
    assert!(!world.is_linked(0, 1), "the pipe is gone");
    world.run_for(20 * SECOND);
    world.start(2);
    settle(&mut world, 40 * SECOND, relayed);
}

#[test]
fn many_members_behind_walls_are_all_linked_through_a_proxy() {
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 6);
    world.add(as_proxy);
    for node in 0..6 {
        world.set_reach(&address(node), Reach::Silent);
    }
    world.start_all();
    let all = |world: &mut World| {
        let missing = (0..6).find(|node| world.links(*node) < 6);
        missing.map_or(Ok(()), |node| Err(format!("node {node} has {} links", world.links(node))))
    };
    let took = settle(&mut world, 60 * SECOND, all);
    println!("six behind walls, all linked after {:.3} s", crate::support::seconds(took));
    world.run_for(60 * SECOND);
    links_agree(&mut world).expect("both sides agree");
}

#[test]
fn views_of_a_network_with_a_proxy_are_linked_through_it() {
    let mut world = World::new(seed(1));
    world.add(as_proxy);
    world.add(as_view);
    world.add(as_view);
    world.start_all();
    let took = world.run_until(20 * SECOND, 10 * MS, |world| world.is_linked(1, 2) && world.is_linked(2, 1));
    assert!(took.is_some(), "two views and a proxy");
}
