//! The NAT in user space, by values.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::packet::Packet;
use super::{By, Ports, Soft, Translator, Verdict};

const OUTSIDE: &str = "203.0.113.1";

fn end(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

/// A frame of UDP from one end to another.
fn frame(from: &str, to: &str) -> Vec<u8> {
    let mut frame = vec![0; 14 + 20 + 8 + 3];
    (frame[14], frame[14 + 3], frame[14 + 8], frame[14 + 9], frame[14 + 20 + 5]) = (0x45, 31, 64, 17, 11);
    let mut packet = Packet::read(&mut frame).expect("UDP");
    packet.set_source(end(from));
    packet.set_destination(end(to));
    frame
}

/// Sends a packet out; where it seems to come from.
fn leaves(nat: &mut Translator, from: &str, to: &str, now: Instant) -> Option<SocketAddrV4> {
    let mut frame = frame(from, to);
    (nat.leaves(&mut frame, now) == Verdict::Pass).then(|| Packet::read(&mut frame).expect("UDP").source())
}

/// Sends a packet in; where it goes.
fn arrives(nat: &mut Translator, from: &str, to: SocketAddrV4, now: Instant) -> Option<SocketAddrV4> {
    let mut frame = frame(from, &to.to_string());
    nat.arrives(&mut frame, now).then(|| Packet::read(&mut frame).expect("UDP").destination())
}

fn nat(soft: Soft) -> (Translator, Instant) {
    (Translator::new(soft, OUTSIDE.parse().expect("an address")), Instant::now())
}

const HOST: &str = "192.168.1.1:5000";
const SERVERS: [&str; 3] = ["198.51.100.1:1", "198.51.100.1:2", "198.51.100.2:1"];

#[test]
fn a_mapping_goes_by_as_much_of_the_other_end_as_it_should() {
    for (by, distinct) in [(By::Nothing, 1), (By::Address, 2), (By::Both, 3)] {
        for ports in [Ports::Kept, Ports::Chance, Ports::Next] {
            let (mut nat, now) = nat(Soft { mapping: by, ports, ..Soft::new() });
            let seen: std::collections::BTreeSet<_> =
                SERVERS.iter().map(|server| leaves(&mut nat, HOST, server, now).expect("mapped")).collect();
            assert_eq!(seen.len(), distinct, "{by:?} {ports:?}");
            assert!(seen.iter().all(|seen| seen.ip().to_string() == OUTSIDE));
            assert_eq!(seen.iter().any(|seen| seen.port() == 5000), ports == Ports::Kept, "{ports:?}");
        }
    }
}

#[test]
fn the_filter_lets_in_whom_it_should() {
    for (filter, let_in) in
        [(By::Nothing, [true, true, true]), (By::Address, [true, true, false]), (By::Both, [true, false, false])]
    {
        let (mut nat, now) = nat(Soft { filter, ..Soft::new() });
        let seen = leaves(&mut nat, HOST, SERVERS[0], now).expect("mapped");
        let arrived = SERVERS.map(|server| arrives(&mut nat, server, seen, now));
        assert_eq!(arrived, let_in.map(|is_in| is_in.then(|| end(HOST))), "{filter:?}");
    }
}

#[test]
fn two_hosts_never_share_a_port() {
    let (mut nat, now) = nat(Soft { ports: Ports::Kept, ..Soft::new() });
    let seen = ["192.168.1.1:5000", "192.168.1.2:5000"].map(|host| leaves(&mut nat, host, SERVERS[0], now));
    assert_eq!(seen.map(|seen| seen.map(|seen| seen.port())), [Some(5000), Some(5001)]);
    // The last port is followed by the first.
    let seen = ["192.168.1.1:65535", "192.168.1.2:65535"].map(|host| leaves(&mut nat, host, SERVERS[0], now));
    assert_eq!(seen.map(|seen| seen.map(|seen| seen.port())), [Some(65535), Some(1024)]);
}

#[test]
fn no_more_mappings_than_allowed_until_one_is_forgotten() {
    let (mut nat, now) = nat(Soft { max_mappings: 2, forgets_s: 10, ..Soft::new() });
    let hosts = ["192.168.1.1:1", "192.168.1.1:2", "192.168.1.1:3"];
    let mapped = hosts.map(|host| leaves(&mut nat, host, SERVERS[0], now).is_some());
    assert_eq!(mapped, [true, true, false]);
    assert!(leaves(&mut nat, hosts[2], SERVERS[0], now + Duration::from_secs(10)).is_some());
}

#[test]
fn who_keeps_a_mapping_is_told_apart() {
    for inbound_keeps in [false, true] {
        let (mut nat, now) = nat(Soft { forgets_s: 10, inbound_keeps, ..Soft::new() });
        let seen = leaves(&mut nat, HOST, SERVERS[0], now).expect("mapped");
        assert!(arrives(&mut nat, SERVERS[0], seen, now + Duration::from_secs(9)).is_some());
        assert_eq!(arrives(&mut nat, SERVERS[0], seen, now + Duration::from_secs(11)).is_some(), inbound_keeps);
    }
}

#[test]
fn a_packet_is_turned_back_where_it_should() {
    for turns_back in [false, true] {
        let (mut nat, now) = nat(Soft { turns_back, filter: By::Nothing, ..Soft::new() });
        let seen = leaves(&mut nat, HOST, SERVERS[0], now).expect("mapped");
        let mut frame = frame("192.168.1.2:6000", &seen.to_string());
        let verdict = nat.leaves(&mut frame, now);
        assert_eq!(verdict, if turns_back { Verdict::Back } else { Verdict::Drop });
        if turns_back {
            let packet = Packet::read(&mut frame).expect("UDP");
            assert_eq!((packet.source().ip().to_string().as_str(), packet.destination()), (OUTSIDE, end(HOST)));
        }
    }
}

#[test]
fn what_is_no_packet_of_udp_or_tcp_is_dropped() {
    let (mut nat, now) = nat(Soft::new());
    let whole = frame(HOST, SERVERS[0]);
    for length in 0..whole.len() {
        assert_eq!(nat.leaves(&mut whole[..length].to_vec(), now), Verdict::Drop, "{length} bytes");
    }
    for (at, byte) in [(14, 0x65), (14 + 6, 0x20), (14 + 7, 1), (14 + 9, 1)] {
        let mut other = whole.clone();
        other[at] = byte;
        assert_eq!(nat.leaves(&mut other, now), Verdict::Drop, "{byte:#x} at {at}");
    }
}
