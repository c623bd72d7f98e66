//! Honest members among many more of one attacker, who has eight address prefixes, and members in each of them that dial
//! the honest first, pass on nothing of theirs and tell of nobody but each other.

use meshline_sim::scenario::{Count, Nodes, Play, Scenario, Seconds, print};
use meshline_sim::{SECOND, seeds};

use crate::scenarios::file;

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
