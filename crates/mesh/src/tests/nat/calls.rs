//! Members that come back to an address, and those who would have somebody else called.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use meshline_protocol::frame::encode_datagram;
use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::{Nat as NatMessage, NatCall, NatCalled, NatTransport, TimeFrame, TimeStamps};
use meshline_protocol::{Code, Message, NodeId, Ping};

use super::seen::{behind, report};
use super::world::{Lets, Ports, Router, SECOND, World, address, at};
use crate::input::{PortMapping, SocketId};
use crate::nat::{Asker, CALLS_PER_MEMBER, MAX_SERVED};
use crate::output::Output;

fn mapping(port: u16, transport: NatTransport) -> PortMapping {
    PortMapping { transport, external: SocketAddr::from(([198, 51, 100, 1], port)), by: "pcp" }
}

#[test]
fn a_mapped_port_is_a_candidate_once_somebody_came_in_there_and_not_before() {
    let mut router = Router::new("198.51.100.1", Ports::Random, Lets::Ports);
    router.forwarded.insert(6_001, address("192.168.1.2:6001"));
    let (mut world, us) = behind(Some(router), 2);
    world.hosts[us].tcp.push(address("198.51.100.1:6001"));
    world.start(us);
    world.run(5 * SECOND);
    let mapped = vec![mapping(6_001, NatTransport::Udp), mapping(6_001, NatTransport::Tcp)];
    world.act(us, |nat, shared| nat.set_mapped(mapped, shared));
    assert!(world.hosts[us].nat.candidates().mapped.is_empty());
    world.run(5 * SECOND);
    assert_eq!(world.hosts[us].nat.candidates().mapped, [address("198.51.100.1:6001")]);
    assert!(report(&world, us).mapped.iter().all(|row| row.verified), "{:?}", report(&world, us).mapped);
    world.act(us, |nat, shared| nat.set_mapped(Vec::new(), shared));
    assert!(world.hosts[us].nat.candidates().mapped.is_empty());
}

#[test]
fn a_router_that_says_it_forwards_and_does_not_is_found_out_over_each_transport_by_itself() {
    let mut router = Router::new("198.51.100.1", Ports::Same, Lets::Ports);
    router.forwarded.insert(6_001, address("192.168.1.2:6001"));
    let (mut world, us) = behind(Some(router), 3);
    world.start(us);
    world.run(5 * SECOND);
    let mapped =
        vec![mapping(6_001, NatTransport::Udp), mapping(6_001, NatTransport::Tcp), mapping(7_000, NatTransport::Udp)];
    world.act(us, |nat, shared| nat.set_mapped(mapped, shared));
    world.run(40 * SECOND);
    let verified: Vec<(&str, bool)> =
        report(&world, us).mapped.iter().map(|row| (row.transport, row.verified)).collect();
    assert_eq!(verified, [("udp", true), ("tcp", false), ("udp", false)]);
    assert_eq!(world.hosts[us].nat.candidates().mapped, [address("198.51.100.1:6001")]);
    let tried = world.sent.iter().filter(|(_, to, _)| *to == address("198.51.100.1:7000")).count();
    assert_eq!(tried, 9, "three calls of three datagrams");
}

/// A node and a member whose link comes from 203.0.113.1.
fn asked() -> (World, Asker) {
    let mut world = World::new();
    world.host("198.51.100.9:6001", true, None);
    world.host("203.0.113.1:6000", true, None);
    world.link(1, 0);
    let asker = Asker { id: world.id(1), host: Some("203.0.113.1".parse().expect("an address")) };
    (world, asker)
}

fn call(nonce: u32, transport: NatTransport, address: &str) -> NatMessage {
    let address = address.parse().expect("an address");
    NatMessage::Call(NatCall { nonce, transport, address, another_port: false })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else concerns these tests")]
/// Lets a node handle a call: what it answers at once, and where it sends or connects to.
fn handle(world: &mut World, asker: Asker, message: &NatMessage) -> (Vec<Option<Code>>, Vec<String>) {
    let host = &mut world.hosts[0];
    host.shared.now = at(world.now, 0);
    host.nat.handle_message(asker, message, &mut host.shared).expect("in its place");
    let (mut told, mut reached) = (Vec::new(), Vec::new());
    while let Some(output) = host.shared.pop() {
        match output {
            Output::SendPacket { to, .. } => reached.push(to.to_string()),
            Output::Dial { target, .. } => reached.push(format!("{target:?}")),
            Output::Send { frame, .. } => {
                if let Message::Nat(NatMessage::Called(NatCalled { code, .. })) = &frame.message {
                    told.push(*code);
                }
            }
            _ => {}
        }
    }
    (told, reached)
}

#[test]
fn nobody_is_made_to_call_where_it_should_not() {
    let forbidden = [
        (NatTransport::Udp, "name.example:7"),
        (NatTransport::Udp, "127.0.0.1:7"),
        (NatTransport::Udp, "10.0.0.1:7"),
        (NatTransport::Udp, "100.64.0.1:7"),
        (NatTransport::Udp, "169.254.169.254:80"),
        (NatTransport::Udp, "224.0.0.1:7"),
        (NatTransport::Udp, "255.255.255.255:7"),
        (NatTransport::Udp, "0.0.0.0:7"),
        (NatTransport::Udp, "[::1]:7"),
        (NatTransport::Udp, "[fe80::1]:7"),
        (NatTransport::Udp, "[::ffff:10.0.0.1]:7"),
        (NatTransport::Tcp, "192.0.2.66:22"),
        (NatTransport::Tcp, "127.0.0.1:22"),
        (NatTransport::Other, "203.0.113.1:7"),
    ];
    for (transport, to) in forbidden {
        let (mut world, asker) = asked();
        let done = handle(&mut world, asker, &call(1, transport, to));
        assert_eq!(done, (vec![Some(Code::Forbidden)], vec![]), "{transport:?} {to}");
    }
    let (mut world, asker) = asked();
    let relayed = Asker { host: None, ..asker };
    assert_eq!(handle(&mut world, relayed, &call(1, NatTransport::Tcp, "203.0.113.1:7")).0, [Some(Code::Forbidden)]);
    assert_eq!(handle(&mut world, asker, &call(1, NatTransport::Tcp, "203.0.113.1:7")).1.len(), 1);
    assert_eq!(handle(&mut world, asker, &call(1, NatTransport::Udp, "203.0.113.1:7")).1, ["203.0.113.1:7"]);
    let private = Asker { host: Some("10.0.0.1".parse().expect("an address")), ..asker };
    assert_eq!(handle(&mut world, private, &call(1, NatTransport::Udp, "10.0.0.1:7")).1, ["10.0.0.1:7"]);
}

#[test]
fn a_victim_that_a_member_names_gets_three_datagrams_and_the_member_is_told_that_nothing_answered() {
    let (mut world, asker) = asked();
    let victim = address("192.0.2.66:666");
    world.act(0, |nat, shared| {
        nat.handle_message(asker, &call(5, NatTransport::Udp, "192.0.2.66:666"), shared).expect("taken")
    });
    world.run(30 * SECOND);
    let sent: Vec<usize> = world.sent.iter().filter(|(_, to, _)| *to == victim).map(|(_, _, length)| *length).collect();
    assert_eq!(sent, [400; 3]);
    assert_eq!(world.hosts[0].nat.next_timeout().filter(|at| at.0 < world.now + SECOND), None, "it is over");
}

#[test]
fn many_members_together_do_not_make_more_of_it() {
    let mut world = World::new();
    world.host("198.51.100.9:6001", true, None);
    for n in 1..=20_u8 {
        let member = world.host(&format!("203.0.113.{n}:6000"), true, None);
        world.link(member, 0);
        let asker = Asker { id: world.id(member), host: Some(format!("203.0.113.{n}").parse().expect("an address")) };
        let message = call(5, NatTransport::Udp, "192.0.2.66:666");
        world.act(0, |nat, shared| nat.handle_message(asker, &message, shared).expect("taken"));
    }
    world.run(30 * SECOND);
    let sent = world.sent.iter().filter(|(_, to, _)| *to == address("192.0.2.66:666")).count();
    assert_eq!(sent, 3, "as for one of them");
}

/// Has a member called that is linked from elsewhere, and lets the call take its time; how many datagrams went there.
fn called_elsewhere(world: &mut World, nonce: u32, to: &str) -> usize {
    let asker = Asker { id: world.id(1), host: Some("198.51.100.77".parse().expect("an address")) };
    let count = |world: &World| world.sent.iter().filter(|(_, sent, _)| *sent == address(to)).count();
    let before = count(world);
    world.act(0, |nat, shared| {
        nat.handle_message(asker, &call(nonce, NatTransport::Udp, to), shared).expect("in its place");
    });
    world.run(2 * SECOND);
    count(world) - before
}

#[test]
fn an_address_elsewhere_is_called_again_and_again_as_long_as_it_answers() {
    let (mut world, _) = asked();
    for nonce in 0..9 {
        assert_eq!(called_elsewhere(&mut world, nonce, "203.0.113.1:6000"), 1, "{nonce}: the first is answered");
    }
    world.hosts[1].deaf = true;
    assert_eq!(called_elsewhere(&mut world, 10, "203.0.113.1:6000"), 3);
    assert_eq!(called_elsewhere(&mut world, 11, "203.0.113.1:6000"), 0, "it is silent");
    world.run(420 * SECOND);
    assert_eq!(called_elsewhere(&mut world, 12, "203.0.113.1:6000"), 3, "after a while");
}

#[test]
fn an_answer_that_the_asker_wrote_in_a_victims_name_brings_the_victim_no_more() {
    let (mut world, _) = asked();
    let (victim, id, network) = (address("192.0.2.66:666"), world.id(1), world.hosts[0].shared.config.network.clone());
    let mut sent = 0;
    for nonce in 0..5 {
        // The asker knows the clock of this node, and not to the microsecond.
        let origin = at(world.now, 0).wall.offset(3);
        let forged = TimeFrame {
            network: network.clone(),
            version: PROTOCOL_VERSION,
            id,
            time: origin,
            ping: Ping::UNKNOWN,
            exchange: nonce,
            step: 1,
            stamps: Some(TimeStamps { origin, receive: origin }),
            seen: None,
            attempt: None,
            mac: None,
        };
        let bytes = encode_datagram(&Message::Time(Box::new(forged)).into()).expect("short").into();
        let asker = Asker { id, host: Some("203.0.113.1".parse().expect("an address")) };
        world.act(0, |nat, shared| {
            nat.handle_message(asker, &call(nonce, NatTransport::Udp, "192.0.2.66:666"), shared).expect("in its place");
        });
        world.deliver(victim, address("198.51.100.9:6001"), &bytes);
        world.run(2 * SECOND);
        sent = world.sent.iter().filter(|(_, to, _)| *to == victim).count();
    }
    assert!((1..=3).contains(&sent), "{sent}");
}

#[test]
fn a_member_has_so_many_calls_made_and_no_more() {
    let (mut world, asker) = asked();
    for nonce in 0..CALLS_PER_MEMBER.burst {
        assert!(handle(&mut world, asker, &call(nonce, NatTransport::Udp, "203.0.113.1:7")).0.is_empty(), "{nonce}");
    }
    let beyond = handle(&mut world, asker, &call(99, NatTransport::Udp, "203.0.113.1:7"));
    assert_eq!(beyond, (vec![Some(Code::RateLimited)], vec![]));
}

#[test]
fn no_more_calls_are_under_way_than_may_be() {
    let mut world = World::new();
    world.host("198.51.100.9:6001", true, None);
    let mut refused = 0;
    for n in 0..=MAX_SERVED {
        let member = world.host(&format!("203.0.113.{n}:6000"), true, None);
        world.link(member, 0);
        let asker = Asker { id: world.id(member), host: Some(format!("203.0.113.{n}").parse().expect("an address")) };
        let (told, reached) = handle(&mut world, asker, &call(1, NatTransport::Udp, &format!("203.0.113.{n}:6000")));
        refused += usize::from(told == [Some(Code::RateLimited)] && reached.is_empty());
    }
    assert_eq!(refused, 1, "the one past the bound");
}

#[test]
fn a_call_that_nobody_asked_for_proves_nothing() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
    world.start(us);
    world.run(20 * SECOND);
    let before = report(&world, us);
    assert_eq!(before.filtering, "port");
    let witness: NodeId = world.id(1);
    world.act(us, |nat, shared| {
        for nonce in 0..100 {
            assert!(!nat.handle_back(witness, nonce));
            let called = NatMessage::Called(NatCalled { nonce, code: None });
            nat.handle_message(Asker { id: witness, host: None }, &called, shared).expect("passed over");
        }
        let back = NatMessage::Back(meshline_protocol::message::NatBack { nonce: 1 });
        let fault = nat.handle_message(Asker { id: witness, host: None }, &back, shared);
        assert_eq!(fault, Err(Code::UnexpectedMessage), "it belongs on a connection of its own");
    });
    assert_eq!(report(&world, us).filtering, "port");
    assert_eq!(report(&world, us).reached, before.reached);
}

#[test]
fn a_second_socket_that_cannot_be_opened_ends_a_call_in_vain_and_is_opened_anew_the_next_time() {
    let (mut world, asker) = asked();
    let message = |nonce| {
        let address = "203.0.113.1:6000".parse().expect("an address");
        NatMessage::Call(NatCall { nonce, transport: NatTransport::Udp, address, another_port: true })
    };
    let opened = |world: &mut World, nonce| {
        let host = &mut world.hosts[0];
        host.shared.now = at(world.now, 0);
        host.nat.handle_message(asker, &message(nonce), &mut host.shared).expect("taken");
        let mut opened = Vec::new();
        while let Some(output) = host.shared.pop() {
            if let Output::OpenSocket { socket, .. } = output {
                opened.push(socket);
            }
        }
        opened
    };
    let first = opened(&mut world, 1);
    assert_eq!(first.len(), 1);
    assert!(opened(&mut world, 2).is_empty(), "one serves both");
    world.hosts[0].nat.socket_failed(first[0]);
    let second = opened(&mut world, 3);
    assert!(second.len() == 1 && second != first && second[0] != SocketId::MAIN);
}

#[test]
fn nobody_calls_from_where_it_will_be_asked() {
    for lets in [Lets::Everybody, Lets::Ports] {
        let public = "198.51.100.1";
        let (mut world, us) = behind(Some(Router::new(public, Ports::Same, lets)), 4);
        world.start(us);
        world.run(60 * SECOND);
        let asked: BTreeSet<SocketAddr> = world.sent.iter().map(|(_, to, _)| *to).collect();
        let mut written_to = BTreeSet::new();
        let mut calls = 0;
        for (from, to, _) in &world.sent {
            if from.ip().to_string() == public {
                written_to.insert(*to);
            } else if to.ip().to_string() == public && !written_to.contains(from) {
                calls += 1;
                assert!(lets == Lets::Everybody || !asked.contains(from), "{from} calls unasked and is asked later");
                assert!(from.port() >= 50_000, "{from}: a socket of its own");
            }
        }
        assert!(calls > 0, "strangers called");
    }
}
