//! Network time among clocks that are off, over lopsided ways, and with members that lie.

use meshline_sim::invariants::full_mesh;
use meshline_sim::{MS, SECOND, WallClock, World, seeds};

use crate::support::{add_by_signal, settle};

const YEAR_US: i64 = 365 * 24 * 3_600 * 1_000_000;

/// A mesh of nodes with these clocks. Each way takes up to 40 ms more than the way back.
fn mesh(seed: u64, clocks: &[i64]) -> World {
    let mut world = World::new(seed).latency(MS, MS);
    add_by_signal(&mut world, clocks.len());
    for (node, offset_us) in clocks.iter().enumerate() {
        let drift_ppm = i64::try_from(world.rng().below(51)).expect("small") - 25;
        world.set_clock(node, WallClock { offset_us: *offset_us, drift_ppm });
        for other in 0..clocks.len() {
            let micros = world.rng().below(40 * MS);
            world.set_way(node, other, micros);
        }
    }
    world.start_all();
    settle(&mut world, 60 * SECOND, full_mesh);
    world.run_for(60 * SECOND);
    world
}

/// Network time at a node less the right time, and the bound.
fn network_time(world: &mut World, node: usize, clock: WallClock) -> (i64, u64) {
    let time = world.status(node).time;
    (clock.ahead(world.now()) + time.offset_us, time.error_us)
}

fn minute(world: &mut World) -> i64 {
    i64::try_from(world.rng().below(120 * SECOND)).expect("small") - 60_000_000
}

#[test]
fn all_members_of_a_mesh_have_the_same_network_time_within_its_bound() {
    for seed in seeds(3) {
        let mut random = World::new(seed);
        let mut clocks: Vec<i64> = (0..6).map(|_| minute(&mut random)).collect();
        clocks.push(YEAR_US);
        let mut world = mesh(seed, &clocks);
        let ahead: Vec<i64> = (0..clocks.len()).map(|node| world.clock(node).ahead(world.now())).collect();
        let mut sorted = ahead.clone();
        sorted.sort_unstable();
        for node in 0..clocks.len() {
            let clock = world.clock(node);
            let (time, error) = network_time(&mut world, node, clock);
            assert_eq!(world.status(node).time.members, clocks.len() - 1, "seed {seed}");
            let off = time.abs_diff(sorted[clocks.len() / 2]);
            assert!(off <= error, "seed {seed}: node {node} takes {time} ± {error} for the middle of {ahead:?}");
            assert!(error <= 43 * MS, "seed {seed}: {error}: half of the longest round trip, and a millisecond");
        }
    }
}

#[test]
fn two_liars_of_six_others_move_it_no_further_than_honest_clocks_differ() {
    for seed in seeds(3) {
        let mut random = World::new(seed);
        let honest: Vec<i64> = (0..5).map(|_| minute(&mut random)).collect();
        let mut world = mesh(seed, &[honest.as_slice(), &[0, 0]].concat());
        for _ in 0..30 {
            for liar in [5, 6] {
                let offset_us = i64::try_from(world.rng().below(YEAR_US.unsigned_abs())).expect("small") - YEAR_US / 2;
                world.set_clock(liar, WallClock { offset_us, drift_ppm: 0 });
            }
            world.run_for(3 * SECOND);
            for node in 0..honest.len() {
                let clock = world.clock(node);
                let (time, error) = network_time(&mut world, node, clock);
                let spread = honest.iter().min().expect("some")..=honest.iter().max().expect("some");
                let slack = i64::try_from(error).expect("small") + 25 * 300;
                assert!(
                    **spread.start() - slack <= time && time <= **spread.end() + slack,
                    "seed {seed}: {time} ± {error} at node {node} among {honest:?}"
                );
                assert!(error <= 43 * MS, "seed {seed}: {error}");
            }
        }
    }
}
