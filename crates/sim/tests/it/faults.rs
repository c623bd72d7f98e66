//! Worlds that hurt: slow paths, drifting clocks, storms of faults, bounded state.

use meshline_sim::invariants::{bounded, full_mesh, heard_once, links_agree, one_ring};
use meshline_sim::{MS, SECOND, WallClock, World, seed, seeds};

use crate::support::{add_by_signal, add_ring, settle};

#[test]
fn every_message_reaches_every_member_of_a_mesh_once_while_links_come_and_go() {
    for seed in seeds(20) {
        let mut world = World::new(seed);
        add_by_signal(&mut world, 6);
        world.start_all();
        settle(&mut world, 10 * SECOND, full_mesh);
        for round in 0..20 {
            let (one, other) = (world.rng().index(6), world.rng().index(6));
            world.part(&[one], &[other]);
            let author = world.rng().index(6);
            let text = format!("round {round}");
            world.say(author, &text);
            let pause = world.rng().below(4 * SECOND);
            world.run_for(pause);
            world.heal();
            world.run_for(500 * MS);
            heard_once(&world, author, &text, &[0, 1, 2, 3, 4, 5]).expect("around the broken link");
        }
    }
}

#[test]
fn a_ring_of_twenty_over_slow_paths_closes() {
    let mut world = World::new(seed(1)).latency(100 * MS, 50 * MS);
    add_ring(&mut world, 20);
    world.start_all();
    let all: Vec<usize> = (0..20).collect();
    let took = settle(&mut world, 60 * SECOND, |world| one_ring(world, &all));
    println!("ring of 20 over paths of 100 to 150 ms: closed after {:.3} s", crate::support::seconds(took));
    world.run_for(20 * SECOND);
    for _ in 0..300 {
        world.run_for(200 * MS);
        one_ring(&mut world, &all).expect("it stays closed");
    }
}

#[test]
fn drifting_clocks_disturb_nobody_in_a_day() {
    let mut world = World::closed(seed(1));
    add_by_signal(&mut world, 4);
    for node in 0..4 {
        let drift_ppm = 200 * (i64::try_from(node).expect("small") - 2);
        world.set_clock(node, WallClock { offset_us: 0, drift_ppm });
    }
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(24 * 3_600 * SECOND);
    full_mesh(&mut world).expect("it stays");
    for node in 0..4 {
        assert_eq!(crate::support::lost_links(&world, node), [], "node {node}");
        assert!(world.status(node).refused.is_empty(), "{:?}", world.status(node).refused);
    }
    bounded(&world).expect("nothing piles up");
}

#[test]
fn a_ring_with_a_member_long_dead_takes_newcomers() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 5);
    world.start_all();
    settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4]));
    world.kill(2);
    // Longer than any list, record or pause of attempts holds.
    world.run_for(2 * 3_600 * SECOND);
    world.add(|config| crate::support::on_ring(config, 4));
    world.start(5);
    settle(&mut world, 20 * SECOND, |world| one_ring(world, &[0, 1, 3, 4, 5]));
    world.start(2);
    settle(&mut world, 20 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4, 5]));
    links_agree(&mut world).expect("both sides agree");
}

#[test]
fn a_ring_parted_for_hours_becomes_one_within_ten_seconds_of_healing() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 6);
    world.start_all();
    settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4, 5]));
    world.part(&[0, 1, 2], &[3, 4, 5]);
    world.run_for(3 * 3_600 * SECOND);
    world.heal();
    settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4, 5]));
}

#[test]
fn rings_that_restart_at_once_after_hours_become_whole() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 6);
    world.start_all();
    settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4, 5]));
    world.run_for(3 * SECOND);
    for node in 0..6 {
        world.kill(node);
    }
    world.run_for(5 * 3_600 * SECOND);
    // One does not come back: its predecessor has nothing but what it kept.
    for node in [0, 1, 3, 4, 5] {
        world.start(node);
    }
    settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 3, 4, 5]));
}
