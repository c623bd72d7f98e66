//! What is kept and asked at most.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use meshline_protocol::message::NatTransport;

use super::seen::{behind, report};
use super::world::{Lets, Ports, Router, SECOND, address};
use crate::input::PortMapping;
use crate::nat::{MAX_MAPPED, MAX_REFLEXIVE, MAX_SPOKEN, Spoken};
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
