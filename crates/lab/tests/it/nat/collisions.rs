//! Homes with equal private addresses: where a member is said to be there is somebody else.

use meshline_lab::{Home, Lab, Member, Nat, Probe, Ring, Site, until};
use serde_json::{Value, json};

use super::cells::{linked, talk};

/// What a host that is not known to be the member's may get, in packets.
const MAX_PACKETS: usize = 3;

/// Where two hosts are, each at home in its own network.
const PLACE: &str = "192.168.1.7";

/// A home, its neighbour at [`PLACE`], and somebody else at the same place in another home.
fn homes(lab: &Lab) -> [Home; 3] {
    let one = lab.behind_with(Nat::Port, "192.168.1");
    let (wrong, other) = (one.twin_at(7), lab.behind_with(Nat::Port, "192.168.1").twin_at(7));
    assert_eq!((wrong.address(), other.address()), (PLACE, PLACE));
    [one, wrong, other]
}

/// The records of TLS that bytes are, both in hexadecimal digits: a kind, a version, a length, and as much.
fn records(mut bytes: &str) -> Vec<&str> {
    let mut found = Vec::new();
    while let Some(length) = bytes.get(6..10).and_then(|digits| usize::from_str_radix(digits, 16).ok()) {
        let (record, rest) = bytes.split_at_checked((5 + length) * 2).unwrap_or_else(|| panic!("no TLS: {bytes}"));
        found.push(record);
        bytes = rest;
    }
    assert_eq!(bytes, "", "no TLS");
    found
}

/// Nothing but the question whether the member is there, and who it is: a time frame, and the first record of TLS.
#[track_caller]
fn got_no_data(wrong: &mut Probe) {
    let heard = wrong.heard();
    assert!(heard.len() <= MAX_PACKETS, "{heard:#?}");
    for packet in &heard {
        assert!(packet.starts_with(r#"\n{\"time\":{"#) && packet.len() < 800, "{packet}");
    }
    let connections = wrong.read();
    for bytes in &connections {
        let records = records(bytes);
        let is_hello = records.first().is_none_or(|first| first.starts_with("16") && first[10..].starts_with("01"));
        // What may follow is an alert: whoever answered is no member.
        assert!(is_hello && records.iter().skip(1).all(|record| record.starts_with("15")), "{records:?}");
    }
    eprintln!("{} packets, {} connections", heard.len(), connections.len());
}

#[test]
fn somebody_else_at_a_colliding_address_is_not_mistaken_for_a_member_and_told_nothing() {
    let Some(lab) = Lab::with_nats() else { return };
    let [one, stranger, other] = homes(&lab);
    // At the port of `other` too; who connects is told a line that is no TLS.
    let mut wrong = Probe::start(&stranger);
    wrong.listen(6004);
    wrong.udp(6004);
    let cell = linked(&lab, [one, other]);
    cell.wait_until_direct();
    talk(&cell, "to the right one");
    assert_eq!(cell.members[0].peer("other").expect("known")["id"], cell.members[1].id());
    got_no_data(&mut wrong);
}

/// The row of `status` of a link.
fn link(member: &Member, to: &str) -> Result<Value, String> {
    let status = member.try_json(&["status"])?;
    let links = status["links"].as_array().cloned().unwrap_or_default();
    links.into_iter().find(|link| link["name"] == to).ok_or_else(|| format!("no link to {to}"))
}

/// Whoever is there may even be a member: it proves who it is.
#[test]
fn another_member_at_a_colliding_address_is_not_mistaken_for_the_one_that_is_meant() {
    let Some(lab) = Lab::with_nats() else { return };
    let [home, neighbour, elsewhere] = homes(&lab);
    let public = [lab.behind(Nat::None), lab.behind(Nat::None)];
    let hosts = [&neighbour, &home, &elsewhere, &public[0]].map(|home| Site::clone(home));
    let ring = Ring::write_on(&hosts, &public[1], "--names wrong,one,other,first");
    // At one port as well.
    ring.configure(1, &json!({ "listen": [format!("{PLACE}:{}", ring.port(3))] }));
    let _signal = ring.start_signal();
    let _proxy = ring.start_proxy();
    let [wrong, one, other, _first] = [1, 2, 3, 4].map(|number| {
        let mut member = ring.node(number);
        member.start();
        member
    });
    one.wait_until_linked_to(&["first", "other", "proxy", "wrong"]);
    let answer = one.ask(&["wait", "--for", "path=other:direct", "--timeout", "30s"]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let at_home = format!("{PLACE}:");
    until("one is linked with each where it is", || {
        let [near, far] = [link(&one, "wrong")?, link(&one, "other")?];
        let is_near = |link: &Value| link["address"].as_str().is_some_and(|at| at.starts_with(&at_home));
        if is_near(&near) && !is_near(&far) { Ok(()) } else { Err(format!("{near} {far}")) }
    });
    for (name, member) in [("wrong", &wrong), ("other", &other)] {
        assert_eq!(one.peer(name).expect("known")["id"], member.id(), "{name}");
    }
}
