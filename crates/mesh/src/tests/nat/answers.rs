//! What strangers are told, and how much of it.

use std::net::SocketAddr;

use bytes::Bytes;
use meshline_protocol::frame::{decode_datagram, encode_datagram};
use meshline_protocol::message::{ErrorMessage, TimeFrame};
use meshline_protocol::stun::{Stun, decode_stun, stun_request};
use meshline_protocol::{Code, Decoded, Message, NodeId, Ping, UnixMicros};

use super::world::{World, address, at};
use crate::input::SocketId;
use crate::nat::{ANSWERS_IN_ALL, ANSWERS_PER_SOURCE, MAX_SOURCES, QUESTION_BYTES};
use crate::output::Output;

fn node() -> World {
    let mut world = World::new();
    world.host("198.51.100.9:6001", true, None);
    world
}

fn question(network: &str, version: u16) -> TimeFrame {
    TimeFrame {
        network: network.parse().expect("a network"),
        version,
        id: NodeId::from_bytes([255; 32]),
        time: UnixMicros::new(9_007_199_254_740_991),
        ping: Ping::UNKNOWN,
        exchange: u32::MAX,
        step: 0,
        stamps: None,
        seen: None,
        attempt: None,
        mac: None,
    }
}

/// What a node sends when a question of a length comes.
fn answers(world: &mut World, from: SocketAddr, frame: &TimeFrame, length: usize) -> Vec<Bytes> {
    let host = &mut world.hosts[0];
    host.shared.now = at(world.now, 0);
    host.nat.note_length(length);
    host.nat.handle_time(SocketId::MAIN, from, frame, &mut host.shared);
    sent(world, from)
}

fn sent(world: &mut World, from: SocketAddr) -> Vec<Bytes> {
    let mut found = Vec::new();
    while let Some(output) = world.hosts[0].shared.pop() {
        if let Output::SendPacket { to, bytes, .. } = output {
            assert_eq!(to, from);
            found.push(bytes);
        }
    }
    found
}

fn message(bytes: &Bytes) -> Message {
    match decode_datagram(bytes) {
        Ok(Decoded::Frame(frame)) => frame.message,
        other => panic!("sent was {other:?}"),
    }
}

#[test]
fn the_longest_answer_fits_into_a_question() {
    let mut world = node();
    // The longest network id, address and numbers that there can be.
    let network = "a".repeat(52);
    world.hosts[0].shared.config.network = network.parse().expect("a network key or name");
    let from = address("[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    let answers = answers(&mut world, from, &question(&network, 1), QUESTION_BYTES);
    let Message::Time(answer) = message(&answers[0]) else { panic!("no time") };
    assert_eq!((answer.step, answer.exchange, answer.ping), (1, u32::MAX, Ping::UNKNOWN));
    assert_eq!(answer.seen.map(|seen| seen.to_string()), Some(from.to_string()));
    assert_eq!(answer.stamps.map(|stamps| stamps.origin), Some(UnixMicros::new(9_007_199_254_740_991)));
    assert!(answers[0].len() <= QUESTION_BYTES, "{} bytes", answers[0].len());
}

#[test]
fn no_answer_is_longer_than_its_question() {
    let from = address("203.0.113.5:4444");
    let full = answers(&mut node(), from, &question("lab", 1), QUESTION_BYTES)[0].len();
    let exact = answers(&mut node(), from, &question("lab", 1), full);
    assert_eq!(exact.len(), 1);
    assert!(answers(&mut node(), from, &question("lab", 1), full - 1).is_empty(), "one byte less is not answered");
}

#[test]
fn another_network_and_an_old_version_are_refused_by_name() {
    let from = address("203.0.113.5:4444");
    for (frame, code) in [(question("other", 1), Code::WrongNetwork), (question("lab", 0), Code::WrongVersion)] {
        let mut world = node();
        let Message::Error(error) = message(&answers(&mut world, from, &frame, QUESTION_BYTES)[0]) else {
            panic!("no refusal")
        };
        let header = error.header.expect("there is room for it");
        assert_eq!((error.code, header.id, header.network.to_string()), (code, world.id(0), "lab".to_owned()));
        assert_eq!((header.version, header.time, header.ping), (1, at(world.now, 0).wall, Ping::UNKNOWN));
        assert_eq!(world.hosts[0].shared.refused.get(code.name()), Some(&1));
        let bare = encode_datagram(&Message::Error(ErrorMessage::new(code, "")).into()).expect("short");
        let short = answers(&mut world, from, &frame, bare.len());
        assert_eq!(short, std::slice::from_ref(&bare), "without it where there is none");
        assert!(answers(&mut world, from, &frame, bare.len() - 1).is_empty(), "one byte less is not answered");
    }
    assert!(matches!(message(&answers(&mut node(), from, &question("lab", 9), 400)[0]), Message::Time(_)));
}

#[test]
fn a_source_gets_so_many_answers_and_no_more_whatever_its_port_or_the_end_of_its_ipv6_address() {
    let burst = usize::try_from(ANSWERS_PER_SOURCE.burst).expect("small");
    let v4 = |n: usize| SocketAddr::from(([203, 0, 113, 5], u16::try_from(1_000 + n).expect("small")));
    let v6 = |n: usize| address(&format!("[2001:db8:1:2:{n:x}::1]:7"));
    let both: [&dyn Fn(usize) -> SocketAddr; 2] = [&v4, &v6];
    for from in both {
        let mut world = node();
        let count = |world: &mut World, n| answers(world, from(n), &question("lab", 1), 400).len();
        let told: usize = (0..burst).map(|n| count(&mut world, n)).sum();
        assert_eq!(told, burst);
        assert_eq!(count(&mut world, burst), 0, "one past the bound");
        assert_eq!(answers(&mut world, address("203.0.113.6:7"), &question("lab", 1), 400).len(), 1, "another source");
        world.now += 1_000_000 / u64::from(ANSWERS_PER_SOURCE.per_second);
        assert_eq!(answers(&mut world, from(0), &question("lab", 1), 400).len(), 1, "a moment later");
    }
}

#[test]
fn as_many_sources_are_counted_as_may_be_and_a_new_one_waits_until_others_have_rested() {
    let mut world = node();
    let source = |n: usize| {
        let n = u32::try_from(n).expect("small");
        SocketAddr::from((std::net::Ipv4Addr::from_bits(0xCB00_0000 + n), 7))
    };
    let mut told = 0;
    for n in 0..MAX_SOURCES {
        // Slowly enough for the bound on all together, fast enough that none has rested.
        world.now += 90;
        told += answers(&mut world, source(n), &question("lab", 1), 400).len();
    }
    assert!(told >= MAX_SOURCES - 24, "{told}");
    while !world.hosts[0].shared.refused.contains_key("rate_limited") {
        answers(&mut world, source(told), &question("lab", 1), 400);
        told += 1;
        assert!(told < 3 * MAX_SOURCES, "no bound");
    }
    world.now += 10_000_000;
    assert_eq!(answers(&mut world, source(999_999), &question("lab", 1), 400).len(), 1);
}

#[test]
fn stun_is_answered_with_the_address_and_held_to_the_same_rate() {
    let mut world = node();
    let from = address("203.0.113.5:4444");
    let asked: Bytes = stun_request([7; 12]).into();
    for n in 0..=ANSWERS_PER_SOURCE.burst {
        let host = &mut world.hosts[0];
        host.shared.now = at(world.now, 0);
        host.nat.handle_stun(SocketId::MAIN, from, &asked, &mut host.shared);
        let answers = sent(&mut world, from);
        if n == ANSWERS_PER_SOURCE.burst {
            assert!(answers.is_empty(), "one past the bound");
        } else {
            assert_eq!(decode_stun(&answers[0]), Ok(Stun::Mapped { id: [7; 12], mapped: from }));
        }
    }
    let host = &mut world.hosts[0];
    host.nat.handle_stun(SocketId::MAIN, from, &Bytes::from_static(&[0, 1, 2]), &mut host.shared);
    assert_eq!(host.shared.refused.get("invalid_frame"), Some(&1));
    assert!(sent(&mut world, from).is_empty());
}

#[test]
fn all_sources_together_get_so_many_answers_and_who_gets_none_is_not_charged() {
    let mut world = node();
    let burst = usize::try_from(ANSWERS_IN_ALL.burst).expect("small");
    let from = |n: usize| {
        SocketAddr::from(([203, 0, u8::try_from(n / 256).expect("few"), u8::try_from(n % 256).expect("a byte")], 7))
    };
    let count = |world: &mut World, n| answers(world, from(n), &question("lab", 1), 400).len();
    assert_eq!((0..burst).map(|n| count(&mut world, n)).sum::<usize>(), burst);
    for _ in 0..=ANSWERS_PER_SOURCE.burst {
        assert_eq!(count(&mut world, burst), 0, "one past the bound");
    }
    assert_eq!(
        world.hosts[0].shared.refused.get(Code::RateLimited.name()),
        Some(&u64::from(ANSWERS_PER_SOURCE.burst + 1))
    );
    world.now += 1_000_000;
    for _ in 0..ANSWERS_PER_SOURCE.burst {
        assert_eq!(count(&mut world, burst), 1, "it has all of its own");
    }
}
