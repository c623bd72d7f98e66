//! Who is a member, and who is one no more.

use meshline_mesh::Event;
use meshline_protocol::Code;
use meshline_sim::invariants::full_mesh;
use meshline_sim::{MS, SECOND, World, address, seed};

use crate::support::{add_by_first, add_by_signal, add_ring, lost_links, settle};

#[test]
fn a_revocation_ends_every_link_of_the_revoked_within_five_seconds_and_keeps_it_out() {
    let mut world = World::closed(seed(1));
    add_by_signal(&mut world, 6);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let record = world.revocation(4).expect("a closed network");
    world.apply(1, record).expect("signed by the network");
    let took = world.run_until(5 * SECOND, 10 * MS, |world| world.links(4) == 0);
    println!("revoked: without a link after {:.3} s", crate::support::seconds(took.expect("within five seconds")));
    for _ in 0..600 {
        world.run_for(100 * MS);
        assert_eq!(world.links(4), 0, "it is back");
    }
    for node in [0, 1, 2, 3, 5] {
        let told = world.mesh_events(node).filter(|event| matches!(event, Event::MemberRevoked { .. })).count();
        assert_eq!(told, 1, "node {node}");
        assert_eq!(lost_links(&world, node), [Code::Revoked], "node {node}");
        assert_eq!(world.links(node), 4, "node {node}");
    }
}

#[test]
fn a_revocation_survives_restarts_and_reaches_who_was_away() {
    let mut world = World::closed(seed(1));
    add_by_first(&mut world, 5);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    world.run_for(3 * SECOND);
    world.kill(2);
    let record = world.revocation(4).expect("a closed network");
    world.apply(0, record).expect("signed by the network");
    world.run_for(5 * SECOND);
    for node in [0, 1, 3] {
        world.restart(node);
    }
    world.start(2);
    world.run_for(20 * SECOND);
    for node in 0..4 {
        assert_eq!(world.links(node), 3, "node {node}");
        assert_eq!(world.saved(node).revocations.len(), 1, "node {node}");
    }
    assert_eq!(world.links(4), 0);
}

#[test]
fn a_ring_closes_past_a_revoked_member() {
    let mut world = World::closed(seed(1));
    add_ring(&mut world, 5);
    world.start_all();
    settle(&mut world, 10 * SECOND, |world| meshline_sim::invariants::ring(world, &[0, 1, 2, 3, 4]));
    let record = world.revocation(2).expect("a closed network");
    world.apply(4, record).expect("signed by the network");
    settle(&mut world, 5 * SECOND, |world| meshline_sim::invariants::ring(world, &[0, 1, 3, 4]));
    world.run_for(60 * SECOND);
    meshline_sim::invariants::ring(&mut world, &[0, 1, 3, 4]).expect("it stays out");
}

#[test]
fn a_member_invited_anew_after_its_revocation_is_back() {
    let mut world = World::closed(seed(1));
    add_by_first(&mut world, 4);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let record = world.revocation(3).expect("a closed network");
    world.apply(1, record).expect("signed by the network");
    world.run_for(10 * SECOND);
    assert_eq!(world.links(3), 0);
    let anew = world.invite_anew(3).expect("a closed network");
    world.apply(3, anew).expect("its own");
    settle(&mut world, 90 * SECOND, full_mesh);
}

#[test]
fn a_revocation_of_a_stranger_or_by_a_stranger_is_refused() {
    let mut world = World::closed(seed(1));
    add_by_first(&mut world, 2);
    world.start_all();
    settle(&mut world, 10 * SECOND, full_mesh);
    let mut forged = world.revocation(1).expect("a closed network");
    forged.signed = forged.signed.replace("revocation", "revocatiom");
    assert_eq!(world.apply(0, forged), Err(Code::InvalidMessage));
    let other = World::closed(seed(1) + 1).revocation_of(world.id(1)).expect("a closed network");
    assert_eq!(world.apply(0, other), Err(Code::RecordForeign));
    assert_eq!(world.links(0), 1);
}

#[test]
fn an_open_network_knows_no_revocations() {
    let mut world = World::new(seed(1));
    world.add(|_| {});
    world.add(|config| config.peers = vec![address(0)]);
    assert!(world.revocation(0).is_none());
}
