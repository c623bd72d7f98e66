//! Two nodes and the link between them.

use meshline_protocol::Code;
use meshline_sim::invariants::{full_mesh, links_agree};
use meshline_sim::{MS, Pair, SECOND, SIGNAL, World, address, seed, seeds};

use crate::support::{add_by_signal, lost_links, settle};

#[test]
fn two_nodes_are_linked_by_a_configured_address() {
    for world in [World::new(seed(1)), World::closed(seed(1))] {
        let mut pair = Pair::start(world, |_, _| {});
        assert!(pair.is_linked_within(50 * MS));
        let seq = pair.say(0, "hello");
        pair.run_for(10 * MS);
        assert_eq!(pair.times_heard(1, "hello"), 1);
        assert_eq!(pair.delivered(0, seq), Some((1, true)));
    }
}

#[test]
fn two_nodes_are_linked_by_a_signal_server() {
    for world in [World::new(seed(1)), World::closed(seed(1))] {
        let mut pair = Pair::start(world, |_, config| {
            config.peers.clear();
            config.signal = vec![SIGNAL.to_owned()];
        });
        assert!(pair.is_linked_within(50 * MS));
    }
}

#[test]
fn plain_nodes_are_linked_without_keys_proved() {
    let mut pair = Pair::start(World::new(seed(1)), |_, config| config.plain = true);
    assert!(pair.is_linked_within(50 * MS));
    assert_eq!(pair.status(0).links[0].transport, "plain");
}

#[test]
fn a_silent_cut_of_an_idle_link_shows_within_21_5_seconds() {
    for seed in seeds(20) {
        let mut pair = Pair::linked(seed);
        // Long enough for the gossip of the start to die down.
        let quiet = 100 * SECOND + pair.rng().below(20 * SECOND);
        pair.run_for(quiet);
        pair.part(&[0], &[1]);
        let both = |world: &mut World| world.links(0) == 0 && world.links(1) == 0;
        assert!(pair.run_until(21_500 * MS, 10 * MS, both).is_some(), "the cut does not show");
        assert_eq!(lost_links(&pair, 0), [Code::LinkTimeout]);
    }
}

#[test]
fn a_silent_cut_of_a_link_in_use_shows_sooner() {
    for seed in seeds(20) {
        let mut pair = Pair::linked(seed);
        for _ in 0..20 {
            pair.say(0, "ping");
            pair.say(1, "pong");
            pair.run_for(500 * MS);
        }
        pair.part(&[0], &[1]);
        let both = |world: &mut World| world.links(0) == 0 && world.links(1) == 0;
        assert!(pair.run_until(9_600 * MS, 10 * MS, both).is_some(), "the cut does not show");
    }
}

#[test]
fn a_cut_in_one_direction_ends_the_link_at_both_ends() {
    let mut pair = Pair::linked(seed(1));
    pair.run_for(60 * SECOND);
    pair.mute(&[0], &[1]);
    let both = |world: &mut World| world.links(0) == 0 && world.links(1) == 0;
    assert!(pair.run_until(22 * SECOND, 10 * MS, both).is_some());
    pair.heal();
    settle(&mut pair, 8 * SECOND, full_mesh);
}

#[test]
fn a_forgotten_connection_is_replaced_by_a_new_one() {
    for seed in seeds(20) {
        let mut pair = Pair::linked(seed);
        pair.run_for(20 * SECOND);
        pair.cut(0, 1);
        settle(&mut pair, 30 * SECOND, |world| {
            let told = lost_links(world, 0).len() + lost_links(world, 1).len();
            if told == 0 { Err("the cut has not shown".to_owned()) } else { full_mesh(world) }
        });
        let dials = pair.explain(0, 1).map_or(0, |explanation| explanation.attempts.len());
        assert!(dials <= 16, "{dials} attempts");
    }
}

#[test]
fn a_member_whose_old_link_is_not_known_to_be_lost_does_not_dial_without_pause() {
    for seed in seeds(20) {
        let mut pair = Pair::linked(seed);
        pair.run_for(20 * SECOND);
        // The host of one loses its power for a moment; the other has not noticed when it is back.
        pair.power_off(1);
        pair.run_for(100 * MS);
        pair.start(1);
        let before = pair.sent(1, "hello");
        settle(&mut pair, 30 * SECOND, full_mesh);
        let hellos = pair.sent(1, "hello") - before;
        assert!(hellos <= 30, "{hellos} connections");
    }
}

#[test]
fn links_dialled_from_both_sides_at_once_settle_to_one_without_a_storm() {
    for seed in seeds(30) {
        let mut world = World::new(seed).latency(5 * MS, 60 * MS);
        for node in 0..4 {
            world.add(|config| config.peers = (0..4).filter(|other| *other != node).map(address).collect());
        }
        world.start_all();
        settle(&mut world, 10 * SECOND, full_mesh);
        world.run_for(30 * SECOND);
        full_mesh(&mut world).expect("it stays");
        for node in 0..4 {
            assert_eq!(lost_links(&world, node), [], "node {node} lost a link");
        }
    }
}

#[test]
fn a_mesh_started_at_once_over_slow_paths_loses_no_link_that_was_up() {
    let mut world = World::closed(seed(1)).latency(20 * MS, 100 * MS);
    add_by_signal(&mut world, 12);
    world.start_all();
    settle(&mut world, 20 * SECOND, full_mesh);
    world.run_for(20 * SECOND);
    links_agree(&mut world).expect("both sides agree");
    for node in 0..12 {
        assert_eq!(lost_links(&world, node), [], "node {node} lost a link");
    }
}

#[test]
fn a_goodbye_is_told_as_one_and_the_address_stays_known() {
    let mut pair = Pair::linked(seed(1));
    pair.run_for(3 * SECOND);
    pair.stop(1);
    pair.run_for(3 * SECOND);
    assert_eq!(lost_links(&pair, 0), [Code::ShuttingDown]);
    let rows = pair.peers(0);
    assert!(rows[0].left && rows[0].addresses == [address(1)], "{rows:?}");
    pair.start(1);
    settle(&mut pair, 5 * SECOND, full_mesh);
}
