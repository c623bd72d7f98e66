//! Rings under random faults: whatever happened, the ring is whole again soon after the faults stop.

use meshline_sim::invariants::{bounded, heard_once, links_agree, one_ring};
use meshline_sim::{SECOND, World, seed, seeds};

use crate::support::{add_by_signal, add_ring, seconds, settle};

/// Random kills, starts, goodbyes and partings for a while.
fn disturb(world: &mut World, faults: usize) {
    let count = world.len();
    for fault in 0..faults {
        let node = world.rng().index(count);
        match world.rng().below(10) {
            0..=3 if world.is_running(node) => world.kill(node),
            4 if world.is_running(node) => world.stop(node),
            5 => {
                let other = world.rng().index(count);
                world.part(&[node], &[other]);
            }
            6 => world.heal(),
            7 => {
                let other = world.rng().index(count);
                world.cut(node, other);
            }
            _ if !world.is_running(node) => world.start(node),
            _ => {
                world.say(node, &format!("fault {fault}"));
            }
        }
        let pause = world.rng().below(3 * SECOND);
        world.run_for(pause);
    }
    world.heal();
    world.start_all();
}

#[test]
fn a_ring_is_whole_within_thirty_seconds_of_the_last_fault_for_a_hundred_seeds() {
    let mut worst = (0, 0);
    for seed in seeds(100) {
        let mut world = World::new(seed);
        let count = 3 + world.rng().index(4);
        add_ring(&mut world, count);
        world.start_all();
        disturb(&mut world, 12);
        let all: Vec<usize> = (0..count).collect();
        let took = settle(&mut world, 30 * SECOND, |world| one_ring(world, &all));
        worst = worst.max((took, seed));
        let author = world.rng().index(count);
        let seq = world.say(author, "whole again");
        // A link that was cut silently shows within twenty-one and a half seconds, and is not missed before.
        settle(&mut world, 30 * SECOND, |world| {
            heard_once(world, author, "whole again", &all)?;
            let told = world.delivered(author, seq);
            if told == Some((count - 1, true)) { Ok(()) } else { Err(format!("the author was told {told:?}")) }
        });
        world.run_for(22 * SECOND);
        links_agree(&mut world).expect("both sides agree");
        one_ring(&mut world, &all).expect("it stays whole");
        bounded(&world).expect("nothing piles up");
    }
    println!("whole again after {:.3} s at worst (seed {})", seconds(worst.0), worst.1);
}

#[test]
fn a_mesh_is_whole_within_thirty_seconds_of_the_last_fault_for_many_seeds() {
    let mut worst = (0, 0);
    for seed in seeds(40) {
        let mut world = World::closed(seed);
        let count = 3 + world.rng().index(4);
        add_by_signal(&mut world, count);
        world.start_all();
        disturb(&mut world, 12);
        let took = settle(&mut world, 30 * SECOND, meshline_sim::invariants::full_mesh);
        worst = worst.max((took, seed));
    }
    println!("mesh whole again after {:.3} s at worst (seed {})", seconds(worst.0), worst.1);
}

#[test]
fn the_same_seed_is_the_same_world() {
    let run = || {
        let mut world = World::new(seed(7));
        add_ring(&mut world, 5);
        world.start_all();
        disturb(&mut world, 12);
        world.run_for(10 * SECOND);
        (0..5).map(|node| world.log(node).to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
