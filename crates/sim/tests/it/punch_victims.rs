//! Members that name a victim's host as their own, alone, together, and with others that vouch for them.

use std::net::{IpAddr, SocketAddr};

use meshline_identity::sign;
use meshline_protocol::message::{
    Announcement, Echo, Hello, Nat, NatCall, NatTransport, Punch, PunchCandidates, PunchMapping, PunchOffer, RecordText,
};
use meshline_protocol::{Bounded, Message};
use meshline_sim::{Misdeed, Puppet, Router, SECOND, World, seed};

use crate::punch::{GOOD, LEFT, PROXY, RIGHT, STATIC, Site, WITNESS, sites};

/// Ports that one search tries.
const SEARCH: u32 = 1_150;

fn victim(nth: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, 200 + nth])
}

/// A world in which the left member may be called, with hosts that take no part, and liars beside the right one. All
/// liars are behind routers that let no datagram pass, so that every attempt fails.
fn lured(liars: usize, victims: u8) -> (World, Vec<usize>) {
    let (left, right) = (Site::Behind(Router::port()), Site::Behind(Router::blocked()));
    let mut world = sites(seed(1), left, right, GOOD).0;
    let mut all = vec![RIGHT];
    for nth in 1..liars {
        let liar = world.add(|config| config.signal = vec![meshline_sim::SIGNAL.to_owned()]);
        let router = world.router(Router::blocked());
        world.place(liar, &format!("192.168.77.{nth}"), Some(router));
        all.push(liar);
    }
    let running = world.len();
    for nth in 0..victims {
        let host = world.add(|_| {});
        world.place(host, &victim(nth).to_string(), None);
    }
    for node in 0..running {
        world.start(node);
    }
    world.run_for(20 * SECOND);
    (world, all)
}

/// A liar calls the left member: it is at a victim's host, and its router gives each destination another port.
fn lure(world: &mut World, liar: usize, host: IpAddr, nth: u32) {
    let (now, key) = (world.wall(), world.node_key(liar));
    let candidates = PunchCandidates {
        reflexive: Bounded::from_first([SocketAddr::new(host, 6_000), SocketAddr::new(host, 6_007)]),
        ..PunchCandidates::default()
    };
    let offer = PunchOffer {
        kind: PunchOffer::TYPE.to_owned(),
        network: world.network_id(),
        // Ahead of what the node itself writes meanwhile.
        seq: now.offset(60_000_000),
        expires: now.offset(100_000_000),
        to: world.id(LEFT),
        attempt: nth,
        time: now,
        key: meshline_identity::Ephemeral::from_secret([7; 32]).public(),
        candidates,
        mapping: PunchMapping::Random,
        answer: None,
    };
    let call = Message::Punch(Punch::Call(sign(&offer, key).expect("plain data")));
    let body = serde_json::to_vec(&call).expect("plain data");
    let _ = world.send_service(liar, LEFT, ("punch", nth), &body);
}

/// All liars call again and again for some minutes, each naming its victim; packets that arrived at each of them.
fn lure_for_long(world: &mut World, liars: &[usize], named: impl Fn(usize) -> u8, victims: u8) -> Vec<u32> {
    for nth in 0..50 {
        for (index, liar) in liars.iter().enumerate() {
            let flow = 1_000 + nth * 100 + u32::try_from(index).expect("few");
            lure(world, *liar, victim(named(index)), flow);
        }
        world.run_for(7 * SECOND);
    }
    (0..victims).map(|nth| world.strays_at(victim(nth))).collect()
}

fn attempts(world: &mut World) -> u64 {
    world.status(LEFT).punch.attempts.values().sum()
}

#[test]
fn nobody_is_searched_for_at_a_host_where_nobody_sees_it() {
    let (mut world, liars) = lured(1, 1);
    let before = attempts(&mut world);
    let strays = lure_for_long(&mut world, &liars, |_| 0, 1);
    let made = attempts(&mut world) - before;
    println!("{strays:?} in {made} attempts");
    assert!(made >= 10, "the calls were answered");
    assert!(strays[0] > 0, "it was tried");
    assert!(strays[0] <= 3, "{strays:?}");
    assert!(world.status(LEFT).punch.attempts.contains_key("unconfirmed"));
}

#[test]
fn liars_that_name_one_victim_together_bring_it_no_more() {
    let (mut world, liars) = lured(5, 1);
    let strays = lure_for_long(&mut world, &liars, |_| 0, 1);
    // Those that open the own router do not get that far.
    let sent = [6_000, 6_007].map(|port| world.sent_to(SocketAddr::new(victim(0), port)));
    assert!((1..=3).contains(&sent.iter().sum::<u32>()) && strays[0] <= 3, "{sent:?} {strays:?}");
}

#[test]
fn a_witness_that_lies_is_outvoted_by_one_that_does_not() {
    let (mut world, liars) = lured(1, 1);
    world.misuse(STATIC, Misdeed::Vouches);
    let strays = lure_for_long(&mut world, &liars, |_| 0, 1);
    assert!((1..=3).contains(&strays[0]), "{strays:?}");
}

#[test]
fn witnesses_that_all_lie_bring_a_victim_two_searches_and_are_believed_four_times() {
    let (mut world, liars) = lured(6, 6);
    for witness in [PROXY, STATIC, WITNESS] {
        world.misuse(witness, Misdeed::Vouches);
    }
    let strays = lure_for_long(&mut world, &liars, |index| u8::try_from(index).expect("few"), 6);
    println!("{strays:?}");
    let told = 30;
    assert!(strays.iter().any(|count| *count > SEARCH / 2), "lies were believed: {strays:?}");
    assert!(strays.iter().all(|count| *count <= 2 * SEARCH + told), "{strays:?}");
    assert!(strays.iter().sum::<u32>() <= 4 * SEARCH + 6 * told, "{strays:?}");
}

/// In which way members name a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// As where they are to be punched.
    Punched,
    /// As where they listen.
    Listens,
    /// As where they want to be called.
    Called,
}

/// A member that is linked with the left one and announces an address.
fn linked_puppet(world: &mut World, address: SocketAddr) -> Puppet {
    let puppet = world.puppet(LEFT);
    let text = Announcement { addresses: Bounded::from_first([address.into()]), ..world.announcement_text() };
    let announcement = world.puppet_announcement(&puppet.key, &text);
    let hello = Hello { announcement, ..world.puppet_hello(&puppet.key) };
    world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    // Any message after the hellos shows that it was accepted.
    world.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
    puppet
}

/// Packets that the left member sends to a victim which others name in these ways for some minutes. It has one witness, so
/// members that are not linked are asked too.
fn sent_to_a_victim(ways: &[Naming]) -> u32 {
    let names = |way| ways.contains(&way);
    let (left, right) = (Site::Behind(Router::port()), Site::Behind(Router::blocked()));
    let mut world = sites(seed(1), left, right, GOOD).0;
    [LEFT, RIGHT, PROXY].into_iter().for_each(|node| world.start(node));
    world.run_for(20 * SECOND);
    let host = victim(0);
    let at = |port: u16| SocketAddr::new(if names(Naming::Listens) { host } else { victim(9) }, port);
    let puppets: Vec<Puppet> = (1..=4).map(|nth| linked_puppet(&mut world, at(6_000 + nth))).collect();
    world.run_for(SECOND);
    if names(Naming::Listens) {
        // Those that go are not linked any more, and still known.
        puppets.iter().take(2).for_each(|puppet| world.puppet_close(puppet));
    }
    for nth in 0..50_u32 {
        if names(Naming::Punched) {
            lure(&mut world, RIGHT, host, nth);
        }
        for puppet in puppets.iter().skip(2).filter(|_| names(Naming::Called)) {
            let (nonce, address) = (nth, SocketAddr::new(host, 7).into());
            let call = NatCall { nonce, transport: NatTransport::Udp, address, another_port: nth % 2 == 0 };
            world.puppet_send(puppet, Message::Nat(Nat::Call(call)));
        }
        world.run_for(7 * SECOND);
    }
    world.packets_to(LEFT, host)
}

#[test]
fn a_victim_that_is_named_in_every_way_gets_no_more_than_in_one() {
    let all = [Naming::Punched, Naming::Listens, Naming::Called];
    for way in all {
        let sent = sent_to_a_victim(&[way]);
        assert!((1..=3).contains(&sent), "{way:?}: {sent}");
    }
    assert_eq!(sent_to_a_victim(&all), 3);
}
