//! The chat is the same for all: who was away catches up, once, in the same order.

use meshline_protocol::Code;
use meshline_protocol::message::Role;
use meshline_sim::invariants::{full_mesh, one_ring, ring};
use meshline_sim::{MS, SECOND, WallClock, World, seed, seeds};

use crate::support::{add_by_first, add_by_signal, add_ring, settle};

/// All running nodes list the same, and each message once.
fn same_history(world: &mut World, count: usize) -> Result<(), String> {
    let running = world.running();
    let first = world.history(running[0]);
    for node in running {
        let history = world.history(node);
        let mut unique = history.clone();
        unique.sort();
        unique.dedup();
        if history.len() != count || unique.len() != count {
            return Err(format!("node {node} has {} messages, {} of them different", history.len(), unique.len()));
        }
        if history != first {
            return Err(format!("node {node} lists them in another order"));
        }
    }
    Ok(())
}

/// Four members, of whom three run and are linked.
fn three_of_four(mut world: World) -> World {
    add_by_first(&mut world, 4);
    (0..3).for_each(|node| world.start(node));
    settle(&mut world, 30 * SECOND, full_mesh);
    world
}

fn say_many(world: &mut World, node: usize, count: usize) {
    for n in 0..count {
        world.say(node, &format!("message {n} of {node}"));
        world.run_for(60 * MS);
    }
}

#[test]
fn a_late_joiner_has_everything_within_a_second_of_its_first_link() {
    let mut world = three_of_four(World::closed(seed(1)).wire());
    for node in 0..3 {
        say_many(&mut world, node, 150);
    }
    world.start(3);
    let took = settle(&mut world, 5 * SECOND, |world| same_history(world, 450));
    assert!(took < SECOND + 500 * MS, "{took} us");
    let told = world.heard(3).len();
    assert_eq!(told, 450, "each was told once");
}

#[test]
fn two_halves_that_were_parted_have_the_same_history_after_they_met() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        add_by_signal(&mut world, 6);
        world.start_all();
        settle(&mut world, 30 * SECOND, full_mesh);
        world.part(&[0, 1, 2], &[3, 4, 5]);
        world.run_for(30 * SECOND);
        for node in 0..6 {
            say_many(&mut world, node, 20);
        }
        world.heal();
        settle(&mut world, 60 * SECOND, |world| same_history(world, 120));
    }
}

#[test]
fn on_a_ring_who_was_away_catches_up_from_its_neighbours() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 4);
    world.start_all();
    settle(&mut world, 30 * SECOND, |world| one_ring(world, &[0, 1, 2, 3]));
    world.kill(2);
    settle(&mut world, 30 * SECOND, |world| ring(world, &[0, 1, 3]));
    say_many(&mut world, 0, 30);
    world.start(2);
    settle(&mut world, 30 * SECOND, |world| same_history(world, 30));
    assert_eq!(world.heard(2).len(), 30);
}

#[test]
fn a_view_catches_up_too() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 2);
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    say_many(&mut world, 0, 10);
    let view = world.add(|config| {
        config.roles = vec![Role::View];
        config.listen.clear();
        config.peers = vec![meshline_sim::address(1)];
    });
    world.start(view);
    settle(&mut world, 10 * SECOND, |world| same_history(world, 10));
}

#[test]
fn what_somebody_wrote_who_is_gone_reaches_a_newcomer() {
    let mut world = three_of_four(World::closed(seed(1)));
    say_many(&mut world, 2, 5);
    world.stop(2);
    world.kill(0);
    world.kill(1);
    // Nobody who runs has met the author, and its announcement has ended.
    world.run_for(2 * 3_600 * SECOND);
    world.start(0);
    world.start(3);
    settle(&mut world, 10 * SECOND, |world| same_history(world, 5));
    assert_eq!(world.heard(3).len(), 5);
}

#[test]
fn what_an_expelled_member_wrote_is_not_taken_from_others_any_more() {
    let mut world = three_of_four(World::closed(seed(1)));
    say_many(&mut world, 2, 5);
    world.say(1, "from a member");
    let revocation = world.revocation(2).expect("a closed network");
    world.apply(0, revocation).expect("taken in");
    world.run_for(SECOND);
    world.kill(2);
    world.start(3);
    world.run_for(40 * SECOND);
    let texts: Vec<String> = world.heard(3).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["from a member"]);
}

#[test]
fn a_message_shown_as_sent_survives_a_kill_and_one_that_waits_for_the_disk_may_not() {
    for seed in seeds(20) {
        let mut world = World::new(seed);
        add_by_first(&mut world, 3);
        world.start_all();
        settle(&mut world, 30 * SECOND, full_mesh);
        for node in 0..3 {
            world.set_disk(node, 4 * MS, false);
        }
        let says: Vec<_> = (0..10)
            .map(|n| {
                let say = world.begin_to_say(0, &format!("message {n}"));
                let pause = world.rng().below(3 * MS);
                world.run_for(pause);
                say
            })
            .collect();
        let sent = says.iter().filter(|say| matches!(world.said(0, **say), Some(Ok(_)))).count();
        world.kill(0);
        world.run_for(SECOND);
        let others = world.history(1).len();
        assert!(others <= sent, "nothing is sent before it is on disk");
        world.start(0);
        let kept = world.history(0).len();
        assert!((sent..=10).contains(&kept), "{sent} were sent, {kept} are there");
        settle(&mut world, 30 * SECOND, |world| same_history(world, kept));
    }
}

#[test]
fn a_full_disk_refuses_what_is_written_here_and_shows_what_others_write() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 2);
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    world.set_disk(0, 0, true);
    let say = world.begin_to_say(0, "lost");
    assert_eq!(world.said(0, say), Some(Err(Code::StorageFailed)));
    world.say(1, "heard");
    world.run_for(SECOND);
    assert_eq!(world.times_heard(0, "heard"), 1);
    assert_eq!(world.times_heard(1, "lost"), 0);
    world.set_disk(0, 0, false);
    world.say(0, "again");
    world.run_for(SECOND);
    assert_eq!(world.times_heard(1, "again"), 1);
}

#[test]
fn a_message_that_waits_for_the_ring_is_delivered_after_its_author_was_killed_and_came_back() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 3);
    world.start(0);
    world.run_for(5 * SECOND);
    let seq = world.say(0, "is anybody there");
    world.restart(0);
    world.run_for(5 * SECOND);
    world.start(1);
    world.start(2);
    settle(&mut world, 60 * SECOND, |world| same_history(world, 1));
    settle(&mut world, 30 * SECOND, |world| match world.delivered(0, seq) {
        Some((2, true)) => Ok(()),
        other => Err(format!("the author was told {other:?}")),
    });
    assert_eq!((world.times_heard(1, "is anybody there"), world.times_heard(2, "is anybody there")), (1, 1));
}

#[test]
fn a_message_that_waited_for_somebody_counts_one_member_once_however_often_they_are_linked() {
    for seed in seeds(20) {
        let mut world = World::new(seed).latency(MS, 30 * MS);
        world.add(|config| config.peers = vec![meshline_sim::address(1)]);
        world.add(|config| config.peers = vec![meshline_sim::address(0)]);
        world.start(0);
        world.run_for(3 * SECOND);
        let seq = world.say(0, "is anybody there");
        world.start(1);
        settle(&mut world, 30 * SECOND, full_mesh);
        world.cut(0, 1);
        settle(&mut world, 60 * SECOND, |world| match world.delivered(0, seq) {
            Some((1, true)) => Ok(()),
            other => Err(format!("seed {seed}: told {other:?}")),
        });
    }
}

#[test]
fn members_that_keep_less_do_not_fetch_for_ever_what_they_cannot_keep() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 3);
    world.set_history(1, 50);
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    say_many(&mut world, 0, 120);
    world.run_for(60 * SECOND);
    assert_eq!((world.history(0).len(), world.history(1).len()), (120, 50));
    let before = world.sent(0, "chat.messages") + world.sent(2, "chat.messages");
    world.run_for(600 * SECOND);
    assert_eq!(world.sent(0, "chat.messages") + world.sent(2, "chat.messages"), before);
    assert_eq!(world.heard(1).len(), 120, "nothing is told twice");
}

#[test]
fn what_was_written_alone_over_restarts_is_delivered_to_who_comes_and_told_so() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 2);
    world.start(0);
    for run in 0..3 {
        for n in 0..200 {
            world.say(0, &format!("message {n} of run {run}"));
            world.run_for(51 * MS);
        }
        world.restart(0);
    }
    world.start(1);
    settle(&mut world, 30 * SECOND, |world| same_history(world, 600));
    world.run_for(40 * SECOND);
    let flooded = world.sent(0, "broadcast.flood");
    assert!(flooded <= 300, "{flooded} of 600 were sent at once");
    let states = world.states(0);
    assert!(states.iter().all(|state| *state == "delivered"), "{states:?}");
}

#[test]
fn who_keeps_less_is_told_nothing_twice() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 2);
    world.set_history(1, 100);
    world.start(0);
    say_many(&mut world, 0, 258);
    world.start(1);
    world.run_for(200 * SECOND);
    let mut heard = world.heard(1);
    let told = heard.len();
    heard.sort();
    heard.dedup();
    assert_eq!(told, heard.len(), "each was told once");
    assert_eq!(world.history(1).len(), 100);
    let newest: Vec<_> = world.history(0).split_off(158);
    assert_eq!(world.history(1), newest);
}

#[test]
fn one_member_that_writes_much_leaves_half_of_the_room_to_the_others() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 3);
    (0..3).for_each(|node| world.set_history(node, 100));
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    say_many(&mut world, 1, 40);
    say_many(&mut world, 0, 300);
    world.run_for(60 * SECOND);
    for node in 0..3 {
        let author = world.id(1);
        let history = world.history(node);
        assert_eq!(history.iter().filter(|(by, _)| *by == author).count(), 40, "at node {node}");
        assert!(history.len() <= 100);
    }
}

#[test]
fn a_member_whose_clock_is_slow_is_heard_where_the_history_is_full() {
    for minutes in [-10, -600, 10, 600] {
        let mut world = World::new(seed(1));
        add_by_first(&mut world, 4);
        (0..4).for_each(|node| world.set_history(node, 50));
        world.set_clock(3, WallClock { offset_us: minutes * 60_000_000, drift_ppm: 0 });
        world.start_all();
        settle(&mut world, 30 * SECOND, full_mesh);
        say_many(&mut world, 0, 30);
        say_many(&mut world, 1, 30);
        world.run_for(5 * SECOND);
        world.say(3, "am I heard");
        world.run_for(40 * SECOND);
        for node in 0..4 {
            let last = world.history(node).pop().map(|(_, text)| text);
            assert_eq!(last.as_deref(), Some("am I heard"), "at node {node}, {minutes} minutes off");
        }
    }
}

#[test]
fn what_an_expelled_member_wrote_is_not_fetched_again_and_again() {
    let mut world = three_of_four(World::closed(seed(1)));
    say_many(&mut world, 2, 50);
    let revocation = world.revocation(2).expect("a closed network");
    world.apply(0, revocation).expect("taken in");
    world.run_for(SECOND);
    world.kill(2);
    world.restart(1);
    world.start(3);
    world.run_for(60 * SECOND);
    let sent = |world: &World| world.sent(0, "chat.messages") + world.sent(1, "chat.messages");
    let before = sent(&world);
    world.run_for(300 * SECOND);
    assert_eq!(sent(&world), before);
    assert!(world.history(3).is_empty() && world.history(0).len() == 50);
}

#[test]
fn ten_thousand_messages_reach_a_newcomer_in_order() {
    let mut world = World::new(seed(1)).latency(20 * MS, 10 * MS);
    add_by_first(&mut world, 3);
    world.start(0);
    world.start(1);
    settle(&mut world, 30 * SECOND, full_mesh);
    for n in 0..5_000 {
        world.say(0, &format!("a {n}"));
        world.say(1, &format!("b {n}"));
        world.run_for(51 * MS);
    }
    world.start(2);
    let took = settle(&mut world, 60 * SECOND, |world| match world.history(2).len() {
        10_000 => Ok(()),
        count => Err(format!("{count} messages")),
    });
    println!("10,000 messages at 50 ms round trip: {:.1} s", took as f64 / 1e6);
    same_history(&mut world, 10_000).expect("the same for all");
}
