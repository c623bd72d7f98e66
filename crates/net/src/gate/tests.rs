use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use meshline_mesh::Mono;

use super::Gate;
use crate::limits::{ACCEPT_BURST, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_SOURCE, MAX_SOURCES};

const START: Mono = Mono(0);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn host(c: u8, d: u8) -> IpAddr {
    IpAddr::from([10, 0, c, d])
}

#[test]
fn a_network_has_its_share_of_the_door_and_no_more() {
    let gate = Arc::new(Gate::default());
    let mut held: Vec<_> = (0..64).map(|d| gate.admit(host(1, d), START).unwrap()).collect();
    assert_eq!(held.len(), MAX_HANDSHAKES_PER_SOURCE);
    assert!(gate.admit(host(1, 200), START).is_err());
    assert!(gate.admit(host(2, 1), START).is_ok());
    held.pop();
    assert!(gate.admit(host(1, 200), START).is_ok());
}

#[test]
fn the_door_is_full_at_its_limit_even_for_loopback() {
    let gate = Arc::new(Gate::default());
    let held: Vec<_> = (0..MAX_HANDSHAKES).map(|_| gate.admit(LOOPBACK, START).unwrap()).collect();
    assert!(gate.admit(LOOPBACK, START).is_err());
    drop(held);
    assert!(gate.admit(LOOPBACK, START).is_ok());
}

#[test]
fn accepts_of_one_network_are_limited_in_rate_and_others_are_not_touched() {
    let gate = Arc::new(Gate::default());
    for _ in 0..ACCEPT_BURST {
        drop(gate.admit(host(1, 1), START).unwrap());
    }
    assert!(gate.admit(host(1, 2), START).is_err());
    assert!(gate.admit(host(2, 1), START).is_ok());
    assert!(gate.admit(host(1, 2), Mono(49_999)).is_err());
    assert!(gate.admit(host(1, 2), Mono(50_000)).is_ok());
    for _ in 0..1_000 {
        drop(gate.admit(LOOPBACK, START).unwrap());
    }
}

#[test]
fn a_v6_network_is_counted_by_its_64_bits_and_a_mapped_address_as_v4() {
    let gate = Arc::new(Gate::default());
    let v6 = |d, h| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, d, 0, 0, 0, h));
    let _held: Vec<_> = (0..64).map(|h| gate.admit(v6(1, h), START).unwrap()).collect();
    assert!(gate.admit(v6(1, 999), START).is_err());
    assert!(gate.admit(v6(2, 1), START).is_ok());
    let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    for _ in 0..1_000 {
        drop(gate.admit(mapped, START).unwrap());
    }
}

#[test]
fn sources_are_forgotten_rather_than_refused_when_there_are_too_many() {
    let gate = Arc::new(Gate::default());
    let kept = gate.admit(host(255, 1), START).unwrap();
    for n in 0..=u16::try_from(MAX_SOURCES).unwrap() {
        let [a, b] = n.to_be_bytes();
        drop(gate.admit(IpAddr::from([20, a, b, 1]), START).unwrap());
    }
    let counts = gate.0.lock().unwrap();
    assert!(counts.by_source.len() <= MAX_SOURCES);
    assert!(counts.by_source.values().any(|account| account.open == 1));
    drop(counts);
    drop(kept);
}
