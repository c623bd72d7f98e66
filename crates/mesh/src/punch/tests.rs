//! What is tried, in which order, and how much of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use meshline_identity::KeyPair;
use meshline_protocol::message::{Punch as Message, PunchCandidates, PunchMapping, PunchReason};
use meshline_protocol::{Bounded, UnixMicros};

use super::offer::{Own, Told, targets};
use super::plan::{
    Aim, MAX_PROBES, Manner, Ports, SEARCH_PORTS, SEARCH_SOCKETS, Search, Volley, own_port, shots, volleys,
};
use super::pursuit::Pursuit;
use super::run::{Step, Way};
use super::{Punch, Wanted, Wish};
use crate::config::Config;
use crate::input::{DialId, SocketId, Transport};
use crate::nat::{Candidates, Mapping};
use crate::now::{Mono, Now};
use crate::output::DialTarget;
use crate::shared::Shared;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn list<const MAX: usize>(addresses: &[&str]) -> Bounded<SocketAddr, MAX> {
    Bounded::from_first(addresses.iter().map(|text| at(text)))
}

#[test]
fn the_way_of_an_answer_is_told_by_time_frames_where_they_know_better_and_never_longer_than_the_round_trip() {
    let stamp = UnixMicros::new(1_800_000_000_000_000);
    let clock = |ahead: i64, error| Some((stamp.offset(ahead), error));
    let of = |clock| super::records::passed(stamp, 100_000, clock);
    assert_eq!(of(None), 50_000);
    assert_eq!(of(clock(90_000, 49_999)), 90_000);
    assert_eq!(of(clock(90_000, 50_000)), 50_000, "known no better");
    assert_eq!(of(clock(31_536_000_000_000, 1)), 100_000, "another clock than that of the time frames");
    assert_eq!(of(clock(-31_536_000_000_000, 1)), 0);
}

#[test]
fn ports_come_in_an_order_of_chance_and_all_before_any_comes_again() {
    for random in [0, 1, 7, 0xffff_ffff, 0x1234_5678, 0x0003_0000] {
        let mut ports = Ports::new(random);
        let first: BTreeSet<u16> = ports.by_ref().take(64_512).collect();
        assert_eq!(first.len(), 64_512, "{random:x}");
        assert!(first.first() == Some(&1_024) && first.last() == Some(&65_535));
        assert!(ports.next().is_some_and(|port| first.contains(&port)), "and then from the beginning");
    }
}

#[test]
fn a_search_fits_the_routers_of_both() {
    use PunchMapping::{Counting, Independent, Random, Unknown};
    for easy in [Unknown, Independent] {
        assert_eq!(Search::choose(easy, Unknown, 1), Search::None);
        assert_eq!(Search::choose(Unknown, Random, 0), Search::None, "the kind may be known the next time");
        assert_eq!(Search::choose(easy, Counting(-2), 1), Search::Aim(-2));
        assert_eq!(Search::choose(Counting(1), easy, 1), Search::None, "the other side aims");
        assert_eq!(Search::choose(easy, Random, 1), Search::Ports);
        assert_eq!(Search::choose(Random, easy, 1), Search::Sockets);
        assert_eq!(Search::choose(easy, Counting(5), 1), Search::Ports, "a large step is chance");
        assert_eq!(Search::choose(easy, Counting(0), 1), Search::Ports);
    }
    assert_eq!(Search::choose(Counting(1), Counting(2), 1), Search::Counted(2));
    assert_eq!(Search::choose(Random, Counting(1), 1), Search::None, "there is no hope");
    assert_eq!(Search::choose(Counting(1), Random, 1), Search::None);
    assert_eq!(Search::choose(Random, Random, 1), Search::None);
}

#[test]
fn a_search_keeps_to_the_caps_and_goes_on_where_it_stopped() {
    let sockets: Vec<SocketId> = (1..=SEARCH_SOCKETS).map(SocketId).collect();
    let mut ports = Ports::new(99);
    let mut aim =
        Aim { seen: at("198.51.100.7:65530"), before: None, own: SocketId(900), sockets: &sockets, ttl: 2, earlier: 0 };
    let first: BTreeSet<SocketAddr> = shots(Search::Ports, &aim, &mut ports).iter().map(|shot| shot.to).collect();
    let second = shots(Search::Ports, &aim, &mut ports);
    assert!(second.iter().all(|shot| shot.socket == aim.own), "the other side waits for that port alone");
    let second: BTreeSet<SocketAddr> = second.iter().map(|shot| shot.to).collect();
    assert_eq!((first.len(), second.len()), (SEARCH_PORTS, SEARCH_PORTS));
    assert!(first.is_disjoint(&second), "no port is tried twice");
    assert!(u32::try_from(SEARCH_PORTS).expect("few") < MAX_PROBES);
    const { assert!(2 * SEARCH_PORTS < 2_500, "flows that a router remembers of two searches at once") };
    let openers = shots(Search::Sockets, &aim, &mut ports);
    assert_eq!(openers.len(), 255);
    assert!(openers.iter().all(|shot| shot.ttl == Some(2) && shot.to == aim.seen), "none of them is meant to arrive");
    assert_eq!(shots(Search::Aim(1), &aim, &mut ports).len(), 3 * 6, "there are no ports above the last");
    (aim.seen, aim.before) = (at("198.51.100.7:40000"), Some(at("198.51.100.7:39990")));
    let aimed: BTreeSet<u16> = shots(Search::Aim(2), &aim, &mut ports).iter().map(|shot| shot.to.port()).collect();
    let next = (40_000..=40_020).chain((40_020..=40_040).step_by(2));
    assert_eq!(aimed, next.collect(), "at first what is counted next, by ones and by the step seen");
    aim.earlier = 1;
    let aimed: BTreeSet<u16> = shots(Search::Aim(2), &aim, &mut ports).iter().map(|shot| shot.to.port()).collect();
    assert_eq!(aimed, (39_970..=40_020).collect(), "then all around where it was seen the last two times");
    aim.before = Some(at("192.0.2.7:39990"));
    assert_eq!(shots(Search::Aim(1), &aim, &mut ports).len(), 3 * 41, "at another host nothing is searched for");
    let counted = shots(Search::Counted(2), &Aim { sockets: &sockets[..25], ..aim }, &mut ports);
    assert_eq!(counted.len(), 75);
    assert!(counted.iter().all(|shot| shot.to.port() == 40_024));
}

#[test]
fn told_addresses_that_lead_nowhere_or_here_are_left_out_and_of_a_host_three_are_tried() {
    let own = PunchCandidates { host: list(&["192.168.1.7:6000"]), ..PunchCandidates::default() };
    let told = PunchCandidates {
        host: list(&["192.168.1.7:6000", "192.168.1.8:6000", "127.0.0.1:6000", "0.0.0.0:6000", "203.0.113.1:0"]),
        v6: list(&["[2001:db8::1]:6000", "[fe80::1]:6000", "[ff02::1]:6000", "[::ffff:127.0.0.1]:6000"]),
        mapped: list(&["203.0.113.9:1", "203.0.113.9:2", "224.0.0.1:6000", "255.255.255.255:6000"]),
        reflexive: list(&["203.0.113.9:1", "203.0.113.9:3", "203.0.113.9:4"]),
        tcp: Bounded::default(),
    };
    let found = targets(&told, &own);
    let expected = [
        (at("192.168.1.8:6000"), Told::Near),
        (at("[2001:db8::1]:6000"), Told::Near),
        (at("203.0.113.9:1"), Told::Far),
        (at("203.0.113.9:2"), Told::Far),
        (at("203.0.113.9:3"), Told::Far),
    ];
    assert_eq!(found, expected);
}

#[test]
fn openers_take_turns_and_the_first_packet_leaves_with_the_head_start() {
    use PunchMapping::{Independent, Random};
    let manner = |theirs, earlier| Manner::choose((Independent, theirs), earlier);
    let plain = [0, 1, 2, 3, 4, 5, 6].map(|earlier| manner(Independent, earlier));
    assert_eq!(plain.map(|manner| manner.ttl), [2, 2, 3, 3, 4, 4, 2], "each once with care and once without");
    assert_eq!(plain.map(|manner| manner.careful), [false, true, false, true, false, true, false]);
    let searched = [0, 1, 2, 3].map(|earlier| manner(Random, earlier));
    assert_eq!(searched.map(|manner| manner.ttl), [2, 3, 4, 2]);
    assert!(searched.iter().all(|manner| !manner.careful));
    for careful in [false, true] {
        assert!(volleys(careful).any(|(at, _)| at.is_zero()));
        let first = |wanted| volleys(careful).find(|(_, volley)| *volley == wanted).expect("there is one").0;
        let lead = first(Volley::Far) - first(Volley::Openers);
        assert_eq!(lead.as_millis(), if careful { 500 } else { 60 }, "which clocks may be apart");
    }
}

#[test]
fn a_socket_of_its_own_is_told_where_it_will_be_seen_and_only_where_that_is_known() {
    let own = |host: &str, seen: &[&str], mapping| {
        let seen = seen.iter().map(|text| at(text)).collect();
        let known = Candidates { host: vec![at(host)], reflexive: seen, mapping, ..Candidates::default() };
        Own::new(&known, None, &[])
    };
    let kept = own("192.168.1.7:6000", &["198.51.100.7:6000"], Mapping::Independent).with_socket(40_000);
    let kept = kept.expect("the router keeps ports").candidates.reflexive;
    assert_eq!(&kept[..], &[at("198.51.100.7:40000"), at("198.51.100.7:6000")], "tried first");
    let none = [
        own("192.168.1.7:6000", &["198.51.100.7:7777"], Mapping::Independent),
        own("192.168.1.7:6000", &["198.51.100.7:6000"], Mapping::Dependent { step: None }),
        own("192.168.1.7:6000", &["198.51.100.7:6000"], Mapping::Dependent { step: Some(1) }),
        own("198.51.100.7:6000", &[], Mapping::Independent),
    ];
    assert!(none.iter().all(|own| own.with_socket(40_000).is_none()));
    assert!([0, 1, 28_230, 28_231, u32::MAX].map(own_port).iter().all(|port| (32_768..60_999).contains(port)));
}

/// A member of the network with the UDP address of its host, which others have or have not seen.
fn member(secret: u8, seen: bool) -> (Shared, Punch) {
    let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
    let mut shared = Shared::new(config, KeyPair::from_secret([secret; 32]), [secret; 32], now(0));
    let mut punch = Punch::new(Mono(0));
    let reflexive = if seen { vec![at("198.51.100.7:6000")] } else { Vec::new() };
    let mapping = if seen { Mapping::Independent } else { Mapping::Unknown };
    let known = Candidates { host: vec![at("192.168.1.7:6000")], reflexive, mapping, ..Candidates::default() };
    punch.set_own(&known, (None, &[]), &mut shared);
    (shared, punch)
}

fn now(millis: u64) -> Now {
    let wall = UnixMicros::new(1_800_000_000_000_000).offset(i64::try_from(millis * 1_000).expect("soon"));
    Now { mono: Mono(millis * 1_000), wall }
}

#[test]
fn a_call_waits_until_the_called_member_knows_where_it_is_seen_or_nobody_tells() {
    for withdrawn in [false, true] {
        let (mut left, mut caller) = member(1, true);
        let (mut right, mut called) = member(2, false);
        caller.pursuits.insert(right.id, Pursuit::new(false, &mut left));
        caller.call(right.id, &mut left);
        let from = Wanted { peer: left.id, rtt_us: None };
        let deliver = |wishes: Vec<Wish>, called: &mut Punch, right: &mut Shared| {
            for wish in wishes {
                let Wish::Tell(_, message) = wish else { continue };
                called.handle(from, &message, None, right).expect("it is taken");
            }
        };
        deliver(caller.take_wishes(), &mut called, &mut right);
        assert!(called.take_wishes().is_empty() && !called.is_ready(&right), "it waits");
        if withdrawn {
            caller.leave(PunchReason::Leaving, &mut left);
            deliver(caller.take_wishes(), &mut called, &mut right);
        }
        right.now = now(3_000);
        assert!(called.is_ready(&right), "nobody told");
        called.answer_held(&mut right);
        let answers = called.take_wishes();
        let is_answer = |wish: &Wish| matches!(wish, Wish::Tell(_, Message::Answer(_)));
        assert_eq!(answers.iter().filter(|wish| is_answer(wish)).count(), usize::from(!withdrawn), "{answers:?}");
    }
}

/// Two members who know where they are seen, and who have agreed on an attempt at 600 ms.
fn agreed() -> [(Shared, Punch); 2] {
    let ((mut left, mut caller), (mut right, mut called)) = (member(1, true), member(2, true));
    caller.pursuits.insert(right.id, Pursuit::new(false, &mut left));
    caller.call(right.id, &mut left);
    for wish in caller.take_wishes() {
        let Wish::Tell(_, message) = wish else { continue };
        called.handle(Wanted { peer: left.id, rtt_us: None }, &message, None, &mut right).expect("a call");
    }
    for wish in called.take_wishes() {
        let Wish::Tell(_, message) = wish else { continue };
        caller.handle(Wanted { peer: right.id, rtt_us: None }, &message, None, &mut left).expect("an answer");
    }
    [(left, caller), (right, called)]
}

#[test]
fn a_connection_is_begun_before_a_round_trip_only_where_the_host_is_known_to_be_the_peers() {
    for known in [false, true] {
        let mut sides = agreed();
        let ids = sides.each_ref().map(|(shared, _)| shared.id);
        let mut begun = vec![];
        for (nth, (shared, punch)) in sides.iter_mut().enumerate() {
            let peer = ids[1 - nth];
            if known {
                punch.note_link(peer, at("198.51.100.7:1").ip(), shared.now.mono);
            }
            for millis in [601, 659] {
                shared.now = now(millis);
                punch.handle_timeout(shared);
            }
            assert!(!punch.take_wishes().iter().any(|wish| matches!(wish, Wish::Dial(..))), "openers leave first");
            shared.now = now(661);
            punch.handle_timeout(shared);
            let wishes = punch.take_wishes().into_iter();
            begun.extend(wishes.filter(|wish| matches!(wish, Wish::Dial(..))).map(|wish| (shared.id, wish)));
        }
        if !known {
            assert!(begun.is_empty(), "three small packets and no handshake: {begun:?}");
            continue;
        }
        let [(by, Wish::Dial(to, DialTarget::Quic { socket: SocketId::MAIN, remote, .. }))] = &begun[..] else {
            panic!("one side opens it: {begun:?}");
        };
        assert_eq!((by, to), (ids.iter().min().expect("two"), ids.iter().max().expect("two")));
        assert_eq!(*remote, at("198.51.100.7:6000"));
    }
}

#[test]
fn a_connection_that_was_begun_is_the_one_for_the_way_found_there_and_another_is_not() {
    let mut sides = agreed();
    let ids = sides.each_ref().map(|(shared, _)| shared.id);
    let smaller = usize::from(ids[1] < ids[0]);
    let ((shared, punch), peer) = (&mut sides[smaller], ids[1 - smaller]);
    punch.note_link(peer, at("198.51.100.7:1").ip(), shared.now.mono);
    shared.now = now(661);
    punch.handle_timeout(shared);
    punch.dialled(&peer, DialId(7), Transport::Quic);
    punch.dialled(&peer, DialId(8), Transport::Tcp);
    punch.take_wishes();
    let way = |remote, rtt_us| Way { socket: SocketId::MAIN, remote: at(remote), rtt_us, kind: "told" };
    shared.now = now(961);
    punch.on_step(peer, Step::Found(way("198.51.100.7:6000", 300_000)), shared);
    let wishes = punch.take_wishes();
    assert!(matches!(wishes[..], [Wish::Cancel(DialId(8))]), "TCP is not waited for any more: {wishes:?}");
    punch.on_step(peer, Step::Found(way("198.51.100.7:7000", 100_000)), shared);
    let wishes = punch.take_wishes();
    assert!(matches!(wishes[..], [Wish::Cancel(DialId(7)), Wish::Dial(..)]), "a better way: {wishes:?}");
    // What was begun long ago has lost packets, and sends the next ones late.
    punch.dialled(&peer, DialId(9), Transport::Quic);
    shared.now = now(1_500);
    punch.on_step(peer, Step::Found(way("198.51.100.7:6000", 300_000)), shared);
    let wishes = punch.take_wishes();
    assert!(matches!(wishes[..], [Wish::Cancel(DialId(9)), Wish::Dial(..)]), "{wishes:?}");
}

#[test]
fn another_forwarded_port_is_another_place_and_another_seen_one_is_not() {
    let of = |seen: &str, mapped: &[&str]| {
        let mapped = mapped.iter().map(|text| at(text)).collect();
        let known = Candidates {
            host: vec![at("192.168.1.7:6000")],
            reflexive: vec![at(seen)],
            mapped,
            ..Candidates::default()
        };
        Own::new(&known, None, &[]).places()
    };
    let none = of("198.51.100.7:40000", &[]);
    assert_eq!(none, of("198.51.100.7:40001", &[]), "ports change from one destination to the next");
    assert_ne!(none, of("198.51.100.8:40000", &[]));
    let one = of("198.51.100.7:40000", &["198.51.100.7:6000"]);
    assert_ne!(none, one, "of an address that was known before");
    assert_ne!(one, of("198.51.100.7:40000", &["198.51.100.7:6001"]));
}
