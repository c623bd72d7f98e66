//! Members find each other and every pair is linked.

use meshline_sim::invariants::{bounded, everyone_knows_everyone, full_mesh, heard_once, links_agree};
use meshline_sim::{MS, SECOND, World, address, seed};

use crate::support::{add_by_first, add_by_signal, seconds, settle};

/// Starts all and waits for the full mesh, in which a message reaches everybody once; prints the time it took.
fn becomes_a_mesh(mut world: World, how: &str) {
    world.start_all();
    let took = settle(&mut world, 30 * SECOND, full_mesh);
    println!("{} nodes by {how}: full mesh after {:.3} s", world.len(), seconds(took));
    settle(&mut world, 30 * SECOND, everyone_knows_everyone);
    let all = world.running();
    let seq = world.say(0, "hello there");
    world.run_for(500 * MS);
    heard_once(&world, 0, "hello there", &all).expect("delivered");
    assert_eq!(world.delivered(0, seq), Some((all.len() - 1, true)));
    world.run_for(if all.len() < 50 { 30 } else { 5 } * SECOND);
    full_mesh(&mut world).expect("it stays");
    bounded(&world).expect("nothing piles up");
}

#[test]
fn five_nodes_that_know_a_signal_server_become_a_full_mesh() {
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 5);
    becomes_a_mesh(world, "signal server");
}

#[test]
fn five_nodes_that_know_one_of_them_become_a_full_mesh() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 5);
    becomes_a_mesh(world, "one configured peer");
}

#[test]
fn twenty_nodes_become_a_full_mesh_either_way() {
    let mut world = World::closed(seed(1));
    add_by_signal(&mut world, 20);
    becomes_a_mesh(world, "signal server");
    let mut world = World::closed(seed(1));
    add_by_first(&mut world, 20);
    becomes_a_mesh(world, "one configured peer");
}

#[test]
fn fifty_nodes_become_a_full_mesh_either_way() {
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 50);
    becomes_a_mesh(world, "signal server");
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 50);
    becomes_a_mesh(world, "one configured peer");
}

#[test]
fn frames_that_are_written_and_read_again_make_the_same_mesh() {
    for encoding in [meshline_protocol::Encoding::Json, meshline_protocol::Encoding::Bson] {
        let mut world = World::closed(seed(1)).wire();
        for _ in 0..6 {
            world.add(|config| {
                config.signal = vec![meshline_sim::SIGNAL.to_owned()];
                config.encoding = encoding;
            });
        }
        becomes_a_mesh(world, &format!("signal server, {encoding:?} on the wire"));
    }
}

#[test]
fn a_chain_of_configured_peers_becomes_a_full_mesh() {
    let mut world = World::new(seed(1));
    for node in 0..8_usize {
        world.add(|config| config.peers = node.checked_sub(1).map(address).into_iter().collect());
    }
    becomes_a_mesh(world, "a chain of configured peers");
}

#[test]
fn a2_a_mesh_restarts_while_its_signal_server_is_dead() {
    let mut world = World::closed(seed(1));
    add_by_signal(&mut world, 8);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(3 * SECOND);
    world.set_signal_down(true);
    world.restart(3);
    let one = settle(&mut world, 10 * SECOND, full_mesh);
    for node in 0..8 {
        world.kill(node);
    }
    world.run_for(2 * SECOND);
    world.start_all();
    let all = settle(&mut world, 10 * SECOND, full_mesh);
    println!("signal server dead: one back after {:.3} s, all after {:.3} s", seconds(one), seconds(all));
}

#[test]
fn a_node_that_comes_back_is_linked_with_all_again_soon() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 6);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(3 * SECOND);
    for away in [1, 30, 600] {
        world.kill(4);
        world.run_for(away * SECOND);
        world.start(4);
        let took = settle(&mut world, 10 * SECOND, full_mesh);
        println!("away for {away} s, back after {:.3} s", seconds(took));
        world.run_for(3 * SECOND);
    }
}

#[test]
fn a_mesh_that_was_parted_for_long_becomes_whole_soon_after_it_is_healed() {
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 8);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.part(&[0, 1, 2], &[3, 4, 5, 6, 7]);
    world.run_for(300 * SECOND);
    world.heal();
    let took = settle(&mut world, 65 * SECOND, full_mesh);
    println!("parted for 300 s, whole again after {:.3} s", seconds(took));
}

#[test]
fn members_that_died_long_ago_keep_no_newcomer_from_knowing_the_others() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 6);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    for node in 3..6 {
        world.kill(node);
    }
    world.run_for(2 * 3_600 * SECOND);
    world.add(|config| config.peers = vec![address(1)]);
    world.start(6);
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(600 * SECOND);
    for node in world.running() {
        let faults = world.mesh_events(node).filter(|event| matches!(event, meshline_mesh::Event::Misbehaved { .. }));
        assert_eq!(faults.count(), 0, "node {node} takes an honest member for a faulty one");
    }
}

#[test]
fn renewed_announcements_are_no_arrivals() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 4);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(4 * 3_600 * SECOND);
    full_mesh(&mut world).expect("it stays");
    for node in 0..4 {
        let joined = world.mesh_events(node).filter(|event| matches!(event, meshline_mesh::Event::MemberJoined { .. }));
        assert_eq!(joined.count(), 3, "node {node}");
    }
}

#[test]
fn no_node_has_more_links_than_it_may_and_messages_reach_all_the_same() {
    let mut world = World::new(seed(1));
    for node in 0..24 {
        world.add(|config| {
            config.max_links = 6;
            config.peers = if node == 0 { Vec::new() } else { vec![address(node / 3)] };
            config.signal = vec![meshline_sim::SIGNAL.to_owned()];
        });
    }
    world.start_all();
    for _ in 0..600 {
        world.run_for(100 * MS);
        for node in 0..24 {
            assert!(world.links(node) <= 6, "node {node} has {} links", world.links(node));
        }
    }
    // A link that one end gives up goes at the other half a round trip later.
    settle(&mut world, SECOND, links_agree);
    everyone_knows_everyone(&mut world).expect("news travels");
    world.say(5, "to everybody");
    world.run_for(SECOND);
    heard_once(&world, 5, "to everybody", &world.running()).expect("delivered");
}

#[test]
fn sequences_grow_over_restarts_and_what_was_learned_is_kept() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 3);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let mut last = (meshline_protocol::UnixMicros::new(0), meshline_protocol::UnixMicros::new(0));
    for round in 0..4 {
        let first = world.say(1, "one");
        assert!(first > last.1, "round {round}: a broadcast must not reuse a sequence");
        world.run_for(3 * SECOND);
        let saved = world.saved(1).clone();
        assert!(saved.announcement_seq > last.0 && saved.broadcast_seq >= first, "round {round}");
        assert_eq!(saved.peers.len(), 2, "round {round}");
        last = (saved.announcement_seq, saved.broadcast_seq);
        // A clock that goes back by an hour a restart.
        world.kill(1);
        world.set_clock(1, meshline_sim::WallClock { offset_us: -3_600_000_000 * (round + 1), drift_ppm: 0 });
        world.start(1);
        settle(&mut world, 10 * SECOND, full_mesh);
    }
}

/// Frames of broadcasts that all nodes sent so far.
fn broadcast_frames(world: &World) -> u64 {
    let of = |node| world.sent(node, "broadcast.flood") + world.sent(node, "broadcast.ack");
    (0..world.len()).map(of).sum()
}

#[test]
fn a_message_in_a_full_mesh_costs_each_member_one_copy_and_one_receipt() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 50);
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    // Until all have advertised their links.
    world.run_for(10 * SECOND);
    let all = world.running();
    for author in [0, 17] {
        let before = broadcast_frames(&world);
        let seq = world.say(author, &format!("from {author}"));
        world.run_for(2 * SECOND);
        let frames = broadcast_frames(&world) - before;
        println!("a message of node {author}: {frames} frames in a full mesh of {}", all.len());
        heard_once(&world, author, &format!("from {author}"), &all).expect("delivered");
        assert_eq!(world.delivered(author, seq), Some((all.len() - 1, true)));
        assert!(frames <= 4 * 50, "{frames} frames");
    }
}

#[test]
fn what_an_author_lost_on_a_link_comes_from_those_who_did_not_pass_it_on() {
    let mut world = World::new(seed(1));
    add_by_first(&mut world, 4);
    world.start_all();
    settle(&mut world, 30 * SECOND, full_mesh);
    world.run_for(3 * SECOND);
    // Nothing of node 0 reaches node 3 any more, and before anybody notices node 0 is gone.
    world.mute(&[0], &[3]);
    world.say(0, "my last words");
    world.run_for(100 * MS);
    world.kill(0);
    assert_eq!(world.times_heard(3, "my last words"), 0);
    let took = settle(&mut world, 20 * SECOND, |world| heard_once(world, 0, "my last words", &[1, 2, 3]));
    println!("came another way after {:.1} s", seconds(took));
}
