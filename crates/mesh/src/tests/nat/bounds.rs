//! What is kept and asked at most.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use meshline_protocol::message::NatTransport;

use super::seen::{behind, report};
use super::world::{Lets, Ports, Router, SECOND, World, address, at};
use crate::input::PortMapping;
use crate::nat::{
    MAX_MAPPED, MAX_QUESTIONS, MAX_REFLEXIVE, MAX_SIGHTINGS, MAX_SPOKEN, Picture, Questions, Sighting, Spoken, Witness,
};
use crate::now::Mono;

fn host(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xCB00_0000 + u32::try_from(n).expect("small")))
}

#[test]
fn nobody_counts_as_a_stranger_while_more_hosts_were_sent_something_than_are_remembered() {
    let (mut spoken, start) = (Spoken::default(), Mono(0));
    for n in 0..MAX_SPOKEN {
        spoken.note(SocketAddr::new(host(n), 7), start);
    }
    assert!(!spoken.is_stranger(host(0), start) && spoken.is_stranger(host(MAX_SPOKEN), start));
    spoken.note(SocketAddr::new(host(MAX_SPOKEN), 7), start);
    assert!(!spoken.is_stranger(host(MAX_SPOKEN), start), "it was sent something and there was no room to note it");
    assert!(!spoken.is_stranger(host(999_999), start));
    let later = start.after(Duration::from_secs(600));
    assert!(spoken.is_stranger(host(0), later) && spoken.is_stranger(host(999_999), later));
}

#[test]
fn of_many_linked_members_few_are_asked_and_few_addresses_are_offered() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Random, Lets::Ports)), 30);
    world.start(us);
    world.run(30 * SECOND);
    let asked = report(&world, us).evidence.iter().filter(|row| row.what == "seen").count();
    assert!((3..=6).contains(&asked), "{asked} members asked");
    let candidates = world.hosts[us].nat.candidates();
    assert_eq!(candidates.reflexive.len(), MAX_REFLEXIVE);
    let different: BTreeSet<SocketAddr> = candidates.reflexive.iter().copied().collect();
    assert_eq!(different.len(), MAX_REFLEXIVE);
}

#[test]
fn a_router_that_claims_to_forward_very_much_is_heard_up_to_a_bound() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
    let port = |n: usize| address(&format!("198.51.100.1:{}", 7_000 + n));
    let mapping = |n| PortMapping { transport: NatTransport::Udp, external: port(n), by: "upnp" };
    world.act(us, |nat, shared| nat.set_mapped((0..=MAX_MAPPED).map(mapping).collect(), shared));
    assert_eq!(report(&world, us).mapped.len(), MAX_MAPPED);
}

#[test]
fn of_more_sightings_than_are_kept_the_oldest_is_forgotten() {
    let mut picture = Picture::default();
    let sighting = |n: usize| {
        let asked = SocketAddr::new(host(n), 7);
        let seen = address("198.51.100.1:40000");
        let order = u64::try_from(n).expect("small");
        Sighting { by: Witness::Server(host(n)), asked, seen, at: Mono(order), order, clock: None }
    };
    for n in 0..MAX_SIGHTINGS {
        picture.add(sighting(n));
    }
    assert!(picture.iter().count() == MAX_SIGHTINGS && picture.iter().any(|row| row.asked.ip() == host(0)));
    picture.add(sighting(MAX_SIGHTINGS));
    assert_eq!(picture.iter().count(), MAX_SIGHTINGS);
    assert!(picture.iter().all(|row| row.asked.ip() != host(0)));
    assert!(picture.iter().next_back().is_some_and(|row| row.asked.ip() == host(MAX_SIGHTINGS)));
}

#[test]
fn with_too_many_questions_under_way_no_other_is_asked_until_one_is_over() {
    let mut world = World::new();
    let us = world.host("198.51.100.9:6001", true, None);
    let (shared, mut questions) = (&mut world.hosts[us].shared, Questions::default());
    let to = |n: usize| SocketAddr::new(host(n), 7);
    for n in 0..=MAX_QUESTIONS {
        questions.ask(Witness::Server(host(n)), to(n), shared);
        assert_eq!(questions.is_asking(&to(n)), n < MAX_QUESTIONS, "{n}");
    }
    // Nobody answers.
    for millis in [100, 300, 1_000] {
        shared.now = at(SECOND + millis * 1_000, 0);
        questions.handle_timeout(shared);
    }
    assert_eq!(questions.silent().count(), MAX_QUESTIONS);
    questions.ask(Witness::Server(host(MAX_QUESTIONS)), to(MAX_QUESTIONS), shared);
    assert!(questions.is_asking(&to(MAX_QUESTIONS)));
    for millis in [1_100, 1_300, 2_000] {
        shared.now = at(SECOND + millis * 1_000, 0);
        questions.handle_timeout(shared);
    }
    assert_eq!(questions.silent().count(), MAX_QUESTIONS, "as many are known to be silent");
}
