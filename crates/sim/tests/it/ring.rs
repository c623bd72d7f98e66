//! Members that know nothing but the next one become a ring, and stay one.

use meshline_mesh::Event;
use meshline_sim::invariants::{bounded, heard_once, one_ring, ring};
use meshline_sim::{MS, SECOND, World, seed};

use crate::support::{add_ring, on_ring, seconds, settle};

/// A closed ring of `count` in the configured order.
fn closed_ring(count: usize) -> World {
    let mut world = World::new(seed(1));
    add_ring(&mut world, count);
    world.start_all();
    let order: Vec<usize> = (0..count).collect();
    let took = settle(&mut world, 30 * SECOND, |world| ring(world, &order));
    println!("ring of {count} closed after {:.3} s", seconds(took));
    world.run_for(3 * SECOND);
    world
}

/// A message of `author` reaches these members once and comes back.
fn goes_round(world: &mut World, author: usize, text: &str) {
    let members = world.running();
    let seq = world.say(author, text);
    world.run_for(SECOND);
    heard_once(world, author, text, &members).expect("delivered");
    assert_eq!(world.delivered(author, seq), Some((members.len() - 1, true)));
}

fn count_left(world: &World, node: usize, who: usize) -> usize {
    let id = world.id(who);
    world.mesh_events(node).filter(|event| matches!(event, Event::MemberLeft { peer } if peer.id == id)).count()
}

#[test]
fn three_members_play_the_transcript_of_the_seed() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 3);
    world.start(0);
    world.run_for(4_500 * MS);
    world.start(1);
    world.run_for(6_500 * MS);
    world.start(2);
    let took = settle(&mut world, 3 * SECOND, |world| ring(world, &[0, 1, 2]));
    println!("ring of 3 closed {:.3} s after the last start", seconds(took));
    goes_round(&mut world, 1, "hello there");
    goes_round(&mut world, 2, "fine thx");
    world.stop(0);
    settle(&mut world, SECOND, |world| ring(world, &[1, 2]));
    assert_eq!((count_left(&world, 1, 0), count_left(&world, 2, 0)), (1, 1));
    goes_round(&mut world, 1, "see ya");
    world.stop(1);
    settle(&mut world, SECOND, |world| ring(world, &[2]));
    assert_eq!(count_left(&world, 2, 1), 1);
}

#[test]
fn every_attempt_at_a_next_that_does_not_run_yet_is_told_once_a_second() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 3);
    world.start(0);
    world.run_for(30 * SECOND);
    let attempts: Vec<u32> = world
        .mesh_events(0)
        .filter_map(|event| match event {
            Event::ConnectFailed { attempt, retries: 10, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, (1..=attempts.len() as u32).collect::<Vec<_>>());
    assert!((14..=20).contains(&attempts.len()), "ten a second apart, then slower: {}", attempts.len());
}

#[test]
fn rings_of_five_and_twenty_close_and_carry_messages() {
    for count in [5, 20] {
        let mut world = closed_ring(count);
        goes_round(&mut world, count - 1, "once around");
        goes_round(&mut world, 0, "and again");
        world.run_for(60 * SECOND);
        one_ring(&mut world, &(0..count).collect::<Vec<_>>()).expect("it stays");
        bounded(&world).expect("nothing piles up");
    }
}

#[test]
fn a_ring_over_slow_paths_closes_and_stays_closed() {
    let mut world = World::new(seed(1)).latency(90 * MS, 60 * MS);
    add_ring(&mut world, 12);
    world.start_all();
    let order: Vec<usize> = (0..12).collect();
    settle(&mut world, 30 * SECOND, |world| ring(world, &order));
    world.run_for(10 * SECOND);
    for _ in 0..600 {
        world.run_for(100 * MS);
        ring(&mut world, &order).expect("it stays closed");
    }
}

#[test]
fn a_ring_closes_past_a_member_that_says_goodbye() {
    let mut world = closed_ring(5);
    world.stop(2);
    let took = settle(&mut world, 5 * SECOND, |world| ring(world, &[0, 1, 3, 4]));
    println!("goodbye: closed past it after {:.3} s", seconds(took));
    for node in [0, 1, 3, 4] {
        assert_eq!(count_left(&world, node, 2), 1, "node {node}");
    }
    goes_round(&mut world, 1, "where is he");
}

#[test]
fn a_ring_closes_past_a_killed_member_which_takes_its_place_again() {
    let mut world = closed_ring(5);
    for away in [1, 20, 120] {
        world.kill(2);
        let took = settle(&mut world, 5 * SECOND, |world| ring(world, &[0, 1, 3, 4]));
        goes_round(&mut world, 3, &format!("lost for {away}"));
        world.run_for(away * SECOND);
        world.start(2);
        let back = settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2, 3, 4]));
        println!("killed: closed past it after {:.3} s; back in place after {:.3} s", seconds(took), seconds(back));
        goes_round(&mut world, 2, &format!("back after {away}"));
        world.run_for(10 * SECOND);
    }
    assert_eq!(count_left(&world, 0, 2), 0, "a killed member said no goodbye");
}

#[test]
fn a_ring_closes_past_two_neighbours_killed_together() {
    let mut world = closed_ring(6);
    world.kill(2);
    world.kill(3);
    let took = settle(&mut world, 5 * SECOND, |world| ring(world, &[0, 1, 4, 5]));
    println!("two neighbours killed: closed past them after {:.3} s", seconds(took));
    goes_round(&mut world, 1, "two down");
    world.start(3);
    settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 3, 4, 5]));
    world.start(2);
    settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2, 3, 4, 5]));
}

#[test]
fn a_ring_closes_past_a_member_without_power() {
    let mut world = closed_ring(5);
    world.power_off(3);
    let took = settle(&mut world, 11 * SECOND, |world| ring(world, &[0, 1, 2, 4]));
    println!("without power: closed past it after {:.3} s", seconds(took));
    world.start(3);
    settle(&mut world, 15 * SECOND, |world| ring(world, &[0, 1, 2, 3, 4]));
}

#[test]
fn all_but_one_killed_and_back() {
    let mut world = closed_ring(5);
    for node in 1..5 {
        world.kill(node);
    }
    settle(&mut world, 5 * SECOND, |world| ring(world, &[0]));
    world.run_for(60 * SECOND);
    for node in 1..5 {
        world.start(node);
    }
    let took = settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2, 3, 4]));
    println!("all but one killed for a minute: closed {:.3} s after their return", seconds(took));
}

#[test]
fn a_newcomer_gets_in_whoever_it_names() {
    for named in 0..4 {
        let mut world = closed_ring(4);
        world.add(|config| on_ring(config, named));
        world.start(4);
        let took = settle(&mut world, 10 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4]));
        println!("newcomer before node {named}: closed after {:.3} s", seconds(took));
        goes_round(&mut world, 4, "hi all");
    }
}

#[test]
fn members_that_all_name_the_same_next_become_one_ring() {
    let mut world = World::new(seed(1));
    for _ in 0..6 {
        world.add(|config| on_ring(config, 0));
    }
    world.start_all();
    let took = settle(&mut world, 15 * SECOND, |world| one_ring(world, &[0, 1, 2, 3, 4, 5]));
    println!("all with the same next: closed after {:.3} s", seconds(took));
    goes_round(&mut world, 3, "a ring after all");
}

#[test]
fn a_parted_ring_becomes_two_and_one_again_within_ten_seconds_of_healing() {
    for (one, other) in [(vec![0, 1, 2], vec![3, 4, 5]), (vec![0, 2, 4], vec![1, 3, 5]), (vec![2], vec![0, 1, 3, 4, 5])]
    {
        let mut world = closed_ring(6);
        world.part(&one, &other);
        settle(&mut world, 15 * SECOND, |world| ring(world, &one).and_then(|()| ring(world, &other)));
        world.run_for(200 * SECOND);
        world.heal();
        let took = settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2, 3, 4, 5]));
        println!("parted {one:?} | {other:?}: one ring {:.3} s after healing", seconds(took));
        goes_round(&mut world, 1, "together again");
    }
}

#[test]
fn a_ring_closes_past_however_many_neighbours_are_missing() {
    let mut world = closed_ring(40);
    let (kept, lost): (Vec<usize>, Vec<usize>) = (0..40).partition(|node| *node < 10);
    world.part(&kept, &lost);
    // The links of a ring are in use, so the cut shows in 9.5 s; two seconds more are for those who do not answer.
    let took = settle(&mut world, 15 * SECOND, |world| ring(world, &kept).and_then(|()| ring(world, &lost)));
    println!("thirty neighbours parted off: closed past them after {:.3} s", seconds(took));
    world.heal();
    settle(&mut world, 10 * SECOND, |world| ring(world, &(0..40).collect::<Vec<_>>()));
    for node in lost {
        world.kill(node);
    }
    let took = settle(&mut world, 10 * SECOND, |world| ring(world, &kept));
    println!("thirty neighbours killed: closed past them after {:.3} s", seconds(took));
}

#[test]
fn what_is_said_while_the_ring_is_open_arrives_once_after_it_closes() {
    let mut world = closed_ring(5);
    world.kill(2);
    let seqs = [0, 1, 3].map(|node| (node, world.say(node, &format!("from {node}"))));
    settle(&mut world, 5 * SECOND, |world| ring(world, &[0, 1, 3, 4]));
    world.run_for(8 * SECOND);
    for (node, seq) in seqs {
        heard_once(&world, node, &format!("from {node}"), &[0, 1, 3, 4]).expect("delivered");
        assert_eq!(world.delivered(node, seq), Some((3, true)));
    }
}

#[test]
fn what_is_said_alone_arrives_when_the_next_is_there() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 3);
    world.start(0);
    world.run_for(2 * SECOND);
    let seq = world.say(0, "anybody there");
    world.run_for(2 * SECOND);
    world.start(1);
    world.start(2);
    settle(&mut world, 10 * SECOND, |world| ring(world, &[0, 1, 2]));
    world.run_for(8 * SECOND);
    assert_eq!(world.times_heard(1, "anybody there"), 1);
    println!(
        "delivered to {:?}; node 2 heard it {} times",
        world.delivered(0, seq),
        world.times_heard(2, "anybody there")
    );
}
