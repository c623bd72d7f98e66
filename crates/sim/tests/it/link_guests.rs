//! Who comes to a node that has all the links it wants: guests, and shortcuts that have the last place.

use std::collections::BTreeSet;

use meshline_identity::KeyPair;
use meshline_mesh::Status;
use meshline_protocol::message::{LinkPurpose, Peers, PeersPurpose};
use meshline_protocol::{Bounded, Code, Message, NodeId};
use meshline_sim::{MS, Puppet, SECOND, World, seed};

use crate::link_set::{LINKS, bounded, is_settled, neighbours_are_linked, settle};

/// A puppet that is linked with a node and keeps the link for this.
fn puppet_for(world: &mut World, (node, key): (usize, KeyPair), purposes: Option<LinkPurpose>) -> Puppet {
    let puppet = world.puppet_with(node, key);
    let hello = world.puppet_hello(&puppet.key);
    world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    world.run_for(500 * MS);
    let purposes = PeersPurpose { purposes: Bounded::from_first(purposes) };
    world.puppet_send(&puppet, Message::Peers(Peers::Purpose(purposes)));
    puppet
}

/// Who stands before and behind an id on the ring of those that run.
fn beside(world: &World, id: NodeId) -> [NodeId; 2] {
    let mut others: Vec<NodeId> = world.running().into_iter().map(|node| world.id(node)).collect();
    others.retain(|other| *other != id);
    others.sort();
    let behind = others.partition_point(|other| *other < id);
    [behind + others.len() - 1, behind].map(|at| others[at % others.len()])
}

/// Keys of members that are no neighbours of a node.
fn strangers(world: &World, node: usize) -> impl Iterator<Item = KeyPair> + use<> {
    let own = world.id(node);
    // The round of ids begins at the node itself.
    let place = move |id: NodeId| (id < own, id);
    let [previous, next] = beside(world, own).map(place);
    let keys = (1..=u8::MAX).map(|n| KeyPair::from_secret([n; 32]));
    keys.filter(move |key| place(key.id()) > next && place(key.id()) < previous)
}

fn is_linked_with(world: &mut World, node: usize, puppet: &Puppet) -> bool {
    world.status(node).links.iter().any(|link| link.peer == puppet.key.id())
}

#[test]
fn a_shortcut_has_the_last_place_and_newcomers_are_let_in_beside_it() {
    // With this seed no other newcomer is at the node meanwhile.
    let mut world = bounded(24, seed(6));
    settle(&mut world, 120 * SECOND, is_settled);
    let is_full = |status: &Status| status.links.len() == LINKS - 1 && status.limits.link_set.guests == 0;
    world.run_until(60 * SECOND, SECOND, |world| is_full(&world.status(5))).expect("one place is left");
    let mut keys = strangers(&world, 5);
    let mut stranger = || (5, keys.next().expect("nearly all are strangers"));
    let idle = puppet_for(&mut world, stranger(), None);
    world.run_for(5 * SECOND);
    assert!(!is_linked_with(&mut world, 5, &idle), "a guest that keeps the link for nothing is let go");
    let shortcut = puppet_for(&mut world, stranger(), Some(LinkPurpose::Shortcut));
    // A puppet answers nothing, and is held to be gone after a while.
    world.run_for(8 * SECOND);
    let set = world.status(5).limits.link_set;
    assert!(is_linked_with(&mut world, 5, &shortcut), "{set:?}");
    assert_eq!((set.shortcuts, set.guests), (1, 0));
    let other = puppet_for(&mut world, stranger(), None);
    world.run_for(2 * SECOND);
    let stay = [&shortcut, &other].map(|puppet| is_linked_with(&mut world, 5, puppet));
    assert_eq!(stay, [true, false]);
    assert_eq!(world.puppet_refusal(&other), Some(Code::NotNeeded), "there was a place for it all the same");
    (0..3).for_each(|_| drop(puppet_for(&mut world, stranger(), Some(LinkPurpose::Shortcut))));
    world.run_for(8 * SECOND);
    assert!(world.status(5).links.len() <= LINKS);
    neighbours_are_linked(&mut world).expect("nobody had to go for it");
}

#[test]
fn whoever_finds_no_place_is_told_who_is_next_to_it() {
    let mut world = bounded(24, seed(6));
    settle(&mut world, 120 * SECOND, is_settled);
    let is_full = |status: &Status| status.links.len() == LINKS - 1 && status.limits.link_set.guests == 0;
    world.run_until(60 * SECOND, SECOND, |world| is_full(&world.status(5))).expect("one place is left");
    let keys: Vec<KeyPair> = strangers(&world, 5).take(2).collect();
    let [(guest, _), (refused, told)] = [0, 1].map(|at: usize| {
        let puppet = world.puppet_with(5, keys[at].clone());
        let hello = world.puppet_hello(&puppet.key);
        world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
        world.run_for(500 * MS);
        let told: BTreeSet<NodeId> = world.puppet_got(&puppet).into_iter().flat_map(named).collect();
        (puppet, told)
    });
    assert_eq!(world.puppet_refusal(&guest), None, "it has the last place for some seconds");
    assert_eq!(world.puppet_refusal(&refused), Some(Code::TooManyLinks));
    let next = beside(&world, refused.key.id());
    assert!(next.iter().all(|id| told.contains(id)), "{next:?} of {told:?}");
}

/// The members that a message names as others to try.
fn named(message: &Message) -> Vec<NodeId> {
    match message {
        Message::Peers(Peers::Others(others)) => others.records.iter().map(|record| record.by).collect(),
        _ => Vec::new(),
    }
}
