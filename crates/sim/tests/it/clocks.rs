//! Clocks that are wrong.

use meshline_sim::invariants::full_mesh;
use meshline_sim::{EPOCH, MS, SECOND, SIGNAL, WallClock, World, seed};

use crate::support::{add_by_first, add_by_signal, seconds, settle};

/// The clock of a host whose battery is empty.
const YEAR_1970: WallClock = WallClock { offset_us: -(EPOCH.get().cast_signed()), drift_ppm: 0 };

/// The clock of a host that somebody set wrong: thirteen years ahead.
const YEAR_2040: WallClock = WallClock { offset_us: 13 * 365 * 24 * 3_600 * 1_000_000, drift_ppm: 0 };

#[test]
fn offsets_and_delays_are_measured_within_half_a_round_trip() {
    let mut world = World::new(seed(1)).latency(8 * MS, 4 * MS);
    add_by_first(&mut world, 3);
    world.set_clock(1, WallClock { offset_us: 250_000, drift_ppm: 0 });
    world.set_clock(2, WallClock { offset_us: -40_000_000, drift_ppm: 50 });
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(120 * SECOND);
    let drifted = -40_000_000 + i64::try_from(world.now() / SECOND * 50).expect("small");
    let clocks = [0, 250_000, drifted];
    for node in 0..3 {
        for link in world.status(node).links {
            let other = world.index(link.peer).expect("a node");
            let (offset, error) = (link.clock_offset_us.expect("measured"), link.clock_error_us.expect("measured"));
            let off = offset.abs_diff(clocks[other] - clocks[node]);
            assert!(off <= error, "node {node} takes node {other} to be {offset} ahead");
            let rtt = link.rtt_us.expect("measured");
            assert!((16_000..=24_000).contains(&rtt), "{rtt}");
            assert!(error <= 13_000, "{error}: half a round trip of 24 ms, and a millisecond");
        }
    }
}

/// A node with a wrong clock joins five others, and stays; says how long it took.
fn gets_in(mut world: World, clock: WallClock) -> u64 {
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let node = world.add(|config| config.signal = vec![SIGNAL.to_owned()]);
    world.set_clock(node, clock);
    world.start(node);
    let took = settle(&mut world, 30 * SECOND, full_mesh);
    world.say(node, "what year is it");
    world.run_for(SECOND);
    for other in 0..node {
        assert_eq!(world.times_heard(other, "what year is it"), 1, "node {other}");
    }
    world.say(0, "a later one than yours");
    world.run_for(SECOND);
    assert_eq!(world.times_heard(node, "a later one than yours"), 1);
    world.run_for(2 * 3_600 * SECOND);
    full_mesh(&mut world).expect("it stays");
    // It keeps what it learned, and comes back with the same wrong clock.
    world.set_signal_down(true);
    world.restart(node);
    settle(&mut world, 30 * SECOND, full_mesh);
    took
}

#[test]
fn a_node_whose_clock_stands_at_1970_gets_in() {
    for mut world in [World::new(seed(1)), World::closed(seed(1))] {
        add_by_signal(&mut world, 5);
        // The signal server refuses what has ended by its own clock: the newcomer knows one member as well.
        println!("in after {:.3} s", seconds(gets_in_with_peer(world, YEAR_1970)));
    }
}

#[test]
fn a_node_whose_clock_stands_at_2040_gets_in() {
    for mut world in [World::new(seed(1)), World::closed(seed(1))] {
        add_by_signal(&mut world, 5);
        println!("in after {:.3} s", seconds(gets_in(world, YEAR_2040)));
    }
}

/// As [`gets_in`], for a newcomer that knows a member by its address.
fn gets_in_with_peer(mut world: World, clock: WallClock) -> u64 {
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let node = world.add(|config| config.peers = vec![meshline_sim::address(2)]);
    world.set_clock(node, clock);
    world.start(node);
    let took = settle(&mut world, 30 * SECOND, full_mesh);
    world.say(node, "what year is it");
    world.run_for(SECOND);
    for other in 0..node {
        assert_eq!(world.times_heard(other, "what year is it"), 1, "node {other}");
    }
    world.run_for(2 * 3_600 * SECOND);
    full_mesh(&mut world).expect("it stays");
    world.restart(node);
    settle(&mut world, 30 * SECOND, full_mesh);
    took
}

#[test]
fn two_nodes_with_clocks_years_apart_are_linked() {
    for clock in [YEAR_1970, YEAR_2040] {
        let mut world = World::new(seed(1));
        add_by_first(&mut world, 2);
        world.set_clock(1, clock);
        world.start_all();
        settle(&mut world, 30 * SECOND, full_mesh);
    }
}

/// Three in a row of whom the one in the middle has a wrong clock: its neighbours know nobody else at first.
fn is_in_the_middle(mut world: World, clock: WallClock) {
    world.lay_cables(&[(0, 1), (1, 2)]);
    for node in 0..3 {
        world.add(|config| config.peers = (node != 1).then(|| meshline_sim::address(1)).into_iter().collect());
    }
    world.set_clock(1, clock);
    world.start_all();
    let in_a_row = |world: &mut World| world.is_linked(0, 1) && world.is_linked(1, 2);
    world.run_until(30 * SECOND, 20 * MS, in_a_row).expect("both neighbours are linked with it");
    for hours in [0, 2] {
        world.run_for(hours * 3_600 * SECOND + 10 * SECOND);
        assert!(in_a_row(&mut world), "it stays");
        for (from, to) in [(0, 2), (2, 0), (1, 0)] {
            let text = format!("{from} to {to} after {hours} h");
            world.say(from, &text);
            world.run_for(SECOND);
            assert_eq!(world.times_heard(to, &text), 1, "{text}");
        }
    }
}

#[test]
fn a_clock_that_is_wrong_in_the_middle_of_a_row_locks_nobody_out() {
    for clock in [YEAR_1970, YEAR_2040] {
        is_in_the_middle(World::closed(seed(1)), clock);
        is_in_the_middle(World::new(seed(1)), clock);
    }
}
