//! Honest members among many more of one attacker, who has eight address prefixes, and members in each of them that dial
//! the honest first, pass on nothing of theirs and tell of nobody but each other.

use meshline_sim::scenario::{Count, Nodes, Play, Scenario, Seconds, print};
use meshline_sim::{SECOND, World, address, seeds};

use crate::scenarios::file;
use crate::support::seconds;

/// Ten honest members of eight links each among a hundred made-up ones.
fn ten_among_a_hundred() -> Scenario {
    let mut scenario = Scenario { nodes: Nodes::clamped(10), run_s: Seconds::clamped(40), ..file("sybils") };
    scenario.start.over_s = Seconds::clamped(10);
    let sybils = scenario.sybils.as_mut().expect("the file has some");
    (sybils.members, sybils.links) = (Count::clamped(100), Count::clamped(16));
    let said = &mut scenario.messages[0];
    (said.at_s, said.count, said.every_ms) = (Seconds::clamped(30), Count::clamped(3), Count::clamped(500));
    said.within_s = Seconds::clamped(9);
    scenario
}

#[test]
fn honest_members_among_ten_times_as_many_made_up_ones_are_one_mesh_and_hear_each_other() {
    for seed in seeds(1) {
        let mut play = Play::new(ten_among_a_hundred(), seed);
        while play.step() {}
        let outcome = play.finish();
        println!("{}", print(&outcome));
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}

/// Whether a node has a link to an honest one that it made itself.
fn has_found_another(play: &mut Play, node: usize, honest: usize) -> bool {
    let links = play.world_mut().status(node).links;
    let own = links.iter().filter(|link| link.direction == "outbound");
    own.filter_map(|link| play.world().index(link.peer)).any(|peer| peer < honest)
}

#[test]
fn whoever_is_restarted_among_them_with_no_signal_server_finds_an_honest_one_again() {
    for seed in seeds(1) {
        let mut scenario = ten_among_a_hundred();
        scenario.messages.clear();
        let mut play = Play::new(scenario, seed);
        while play.step() {}
        play.world_mut().set_signal_down(true);
        for node in 0..3 {
            play.world_mut().restart(node);
            play.world_mut().run_for(5 * SECOND);
            let mut took = 5;
            while !has_found_another(&mut play, node, 10) {
                assert!(took < 60, "seed {seed}: node {node} is shut in");
                play.world_mut().run_for(SECOND);
                took += 1;
            }
            println!("seed {seed}: node {node} had an honest link of its own after {took} s");
        }
    }
}

/// Members that a node knew, and strangers who come to it, as many of each; links of a member.
const CIRCLE: usize = 12;
const LINKS: usize = 6;

#[test]
fn whoever_comes_back_after_hours_and_meets_strangers_first_finds_those_it_knew() {
    for seed in seeds(1) {
        let mut world = World::new(seed);
        for node in 0..2 * CIRCLE {
            // The last of the first circle is the one that goes: only those of the second know where it is.
            let entry = if node < CIRCLE { 0 } else { CIRCLE - 1 };
            world.add(|config| {
                config.max_links = LINKS;
                config.peers = (node > 0).then(|| address(entry)).into_iter().collect();
            });
        }
        let (known, strangers): (Vec<usize>, Vec<usize>) = (0..2 * CIRCLE).partition(|node| *node < CIRCLE);
        let goer = CIRCLE - 1;
        known.iter().for_each(|node| world.start(*node));
        world.run_for(60 * SECOND);
        // All are off for hours: nothing that was announced holds any more.
        known.iter().for_each(|node| world.power_off(*node));
        world.run_for(2 * 3_600 * SECOND);
        known[..goer].iter().for_each(|node| world.start(*node));
        world.run_for(30 * SECOND);
        // The way to those it knew is not there yet when it starts.
        world.edit(goer, |config, _| config.peers.clear());
        world.part(&known[..goer], &[&[goer], &strangers[..]].concat());
        world.start(goer);
        strangers.iter().for_each(|node| world.start(*node));
        world.run_for(120 * SECOND);
        assert!(world.status(goer).links.len() >= LINKS - 1, "it has links enough: {:?}", world.status(goer).links);
        world.heal();
        let all: Vec<usize> = (0..2 * CIRCLE).collect();
        let took = world.run_until(120 * SECOND, SECOND, |world| world.pieces(&all).len() == 1);
        println!("seed {seed}: one mesh after {:.2} s", seconds(took.expect("it finds them")));
    }
}
