//! One who lies among those who do not, and answers of nobody that was asked.

use meshline_protocol::message::{TimeFrame, TimeStamps};
use meshline_protocol::{NodeId, Ping};

use super::seen::{behind, report};
use super::world::{Lets, Ports, Router, SECOND, World, address, at};
use crate::input::SocketId;
use crate::nat::Mapping;

fn with_liar(ports: Ports, witnesses: usize, liar: usize, lie: &str) -> (World, usize) {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", ports, Lets::Ports)), witnesses);
    world.hosts[1 + liar].lie = Some(address(lie));
    world.start(us);
    world.run(20 * SECOND);
    (world, us)
}

#[test]
fn one_of_three_who_names_a_victim_is_outvoted_whoever_it_is() {
    for liar in 0..3 {
        let (world, us) = with_liar(Ports::Same, 3, liar, "192.0.2.66:666");
        let candidates = world.hosts[us].nat.candidates();
        assert_eq!(candidates.mapping, Mapping::Independent, "liar {liar}");
        assert_eq!(candidates.reflexive, [address("198.51.100.1:40001")], "liar {liar}");
        let told = report(&world, us)
            .evidence
            .iter()
            .any(|row| row.address.as_ref().is_some_and(|at| at.as_str() == "192.0.2.66:666"));
        assert!(told, "the evidence shows who said it");
        let liars = world.main(1 + liar).ip();
        let honest =
            world.sent.iter().filter(|(from, to, _)| from.ip() != liars && to.ip().to_string() == "192.0.2.66");
        let sent = honest.count();
        assert!(sent <= 3, "{sent} packets to a victim");
    }
}

#[test]
fn one_of_three_who_names_another_port_is_outvoted() {
    for liar in 0..3 {
        let (world, us) = with_liar(Ports::Same, 3, liar, "198.51.100.1:666");
        let candidates = world.hosts[us].nat.candidates();
        assert_eq!(candidates.mapping, Mapping::Independent, "liar {liar}");
        assert_eq!(candidates.reflexive, [address("198.51.100.1:40001")], "liar {liar}");
    }
}

#[test]
fn of_five_one_cannot_make_a_router_look_better_than_it_is() {
    for liar in 0..5 {
        let (mut world, us) = with_liar(Ports::Random, 5, liar, "198.51.100.1:666");
        // The port that another one sees, had it been told that.
        let known = world.hosts[us].nat.candidates().reflexive[0];
        world.hosts[1 + liar].lie = Some(known);
        world.act(us, |nat, shared| nat.keep_fresh(true, shared));
        world.run(60 * SECOND);
        let mapping = world.hosts[us].nat.candidates().mapping;
        assert!(matches!(mapping, Mapping::Dependent { .. }), "liar {liar}: {mapping:?}");
    }
}

#[test]
fn of_five_one_does_not_hide_that_ports_are_counted() {
    for liar in 0..5 {
        let (world, us) = with_liar(Ports::Counted, 5, liar, "198.51.100.1:666");
        // Where other ports were taken in between, the step is larger.
        let mapping = world.hosts[us].nat.candidates().mapping;
        assert!(matches!(mapping, Mapping::Dependent { step: Some(1..=16) }), "liar {liar}: {mapping:?}");
    }
}

#[test]
fn of_two_who_name_different_hosts_neither_is_believed_alone() {
    let (world, us) = with_liar(Ports::Same, 2, 0, "192.0.2.66:666");
    let candidates = world.hosts[us].nat.candidates();
    assert_eq!(candidates.mapping, Mapping::Unknown);
    assert_eq!(candidates.reflexive.len(), 2, "peers try both");
}

#[test]
fn addresses_that_are_nobodys_are_no_answers() {
    for lie in ["0.0.0.0:6001", "198.51.100.1:0", "224.0.0.1:6001", "[2001:db8::1]:6001"] {
        let (world, us) = with_liar(Ports::Same, 1, 0, lie);
        assert!(world.hosts[us].nat.candidates().reflexive.is_empty(), "{lie}");
    }
}

fn forged(world: &World, id: NodeId, exchange: u32) -> TimeFrame {
    let now = at(world.now, 0).wall;
    TimeFrame {
        network: "lab".parse().expect("a name"),
        version: 1,
        id,
        time: now,
        ping: Ping::UNKNOWN,
        exchange,
        step: 1,
        stamps: Some(TimeStamps { origin: now, receive: now }),
        seen: Some("192.0.2.66:666".parse().expect("valid")),
        attempt: None,
        mac: None,
    }
}

/// The number of the question that waits for an answer.
fn exchange_asked(world: &mut World, us: usize) -> u32 {
    use crate::output::Output;
    world.hosts[us].shared.now = at(world.now, 0);
    let main = world.main(us);
    let host = &mut world.hosts[us];
    host.nat.set_addresses(vec![main], &mut host.shared);
    host.nat.handle_timeout(&mut host.shared);
    while let Some(output) = host.shared.pop() {
        if let Output::SendPacket { bytes, .. } = output {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (_, after) = text.split_once("\"exchange\":").expect("a time frame");
            return after.split(',').next().and_then(|number| number.parse().ok()).expect("a number");
        }
    }
    panic!("nothing was asked");
}

#[test]
fn answers_from_elsewhere_of_another_member_or_to_another_question_are_passed_over() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
    let asked = exchange_asked(&mut world, us);
    let (witness, other) = (world.id(1), world.id(us));
    let right = address("203.0.113.1:6000");
    let mut cases = vec![
        (address("203.0.113.1:6001"), forged(&world, witness, asked)),
        (address("203.0.113.2:6000"), forged(&world, witness, asked)),
        (right, forged(&world, witness, asked.wrapping_add(1))),
        (right, forged(&world, other, asked)),
        (right, TimeFrame { network: "other".parse().expect("a name"), ..forged(&world, witness, asked) }),
        (right, TimeFrame { seen: Some("name:1".parse().expect("valid")), ..forged(&world, witness, asked) }),
        (right, TimeFrame { seen: None, ..forged(&world, witness, asked) }),
        (right, TimeFrame { step: 2, ..forged(&world, witness, asked) }),
    ];
    for (from, frame) in cases.drain(..) {
        world.act(us, |nat, shared| nat.handle_time(SocketId::MAIN, from, &frame, shared));
        assert!(world.hosts[us].nat.candidates().reflexive.is_empty(), "{from} {frame:?}");
    }
    let honest = forged(&world, witness, asked);
    for _ in 0..2 {
        world.act(us, |nat, shared| nat.handle_time(SocketId::MAIN, right, &honest, shared));
    }
    assert_eq!(world.hosts[us].nat.candidates().reflexive, [address("192.0.2.66:666")], "the right one counts, once");
    let seen = report(&world, us).evidence.iter().filter(|row| row.what == "seen").count();
    assert_eq!(seen, 1);
}
