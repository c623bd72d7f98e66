//! What honest witnesses show.

use meshline_protocol::NodeId;

use super::world::{Lets, Ports, Router, SECOND, World, address};
use crate::input::Transport;
use crate::nat::Mapping;
use crate::report::NatReport;

/// A host behind a router, linked with `witnesses` of its own dialling.
pub(super) fn behind(router: Option<Router>, witnesses: usize) -> (World, usize) {
    let mut world = World::new();
    let inside = if router.is_some() { "192.168.1.2:6001" } else { "198.51.100.9:6001" };
    let us = world.host(inside, router.is_none(), router);
    for n in 0..witnesses {
        let witness = world.host(&format!("203.0.113.{}:600{n}", n + 1), true, None);
        world.start(witness);
        world.link(us, witness);
    }
    (world, us)
}

pub(super) fn report(world: &World, host: usize) -> NatReport {
    let host = &world.hosts[host];
    host.nat.report(&[], super::world::at(world.now, host.ahead_us), &|id: &NodeId| id.to_string()[..4].to_owned())
}

#[test]
fn each_kind_of_router_shows_as_what_it_is() {
    let ports = [Ports::Same, Ports::Random, Ports::Counted];
    for (ports, lets) in
        ports.into_iter().flat_map(|ports| [Lets::Everybody, Lets::Hosts, Lets::Ports].map(|lets| (ports, lets)))
    {
        let (mut world, us) = behind(Some(Router::new("198.51.100.1", ports, lets)), 4);
        world.start(us);
        world.run(10 * SECOND);
        let report = report(&world, us);
        let mapping = if ports == Ports::Same { "independent" } else { "dependent" };
        let filtering = match lets {
            Lets::Everybody => "independent",
            Lets::Hosts => "address",
            Lets::Ports => "port",
        };
        assert_eq!((report.mapping, report.filtering), (mapping, filtering), "{ports:?} {lets:?}: {report:#?}");
        assert_eq!(report.step, (ports == Ports::Counted).then_some(1), "{ports:?} {lets:?}");
        let host = |address: &meshline_protocol::Address| address.as_str().starts_with("198.51.100.1:");
        assert!(!report.udp.is_empty() && report.udp.iter().all(host), "{:?}", report.udp);
    }
}

#[test]
fn a_host_without_a_router_is_seen_at_its_own_address_and_reached_there_over_both() {
    let (mut world, us) = behind(None, 3);
    world.start(us);
    world.run(10 * SECOND);
    let report = report(&world, us);
    assert_eq!((report.mapping, report.filtering, report.hairpin), ("independent", "independent", None), "{report:#?}");
    assert!(report.udp.is_empty(), "its own address is among those of the host");
    let reached: Vec<_> = report.reached.iter().map(|row| (row.transport, row.address.as_str(), row.reached)).collect();
    assert_eq!(reached.len(), 2, "{reached:?}");
    assert!(reached.iter().all(|(_, address, reached)| *address == "198.51.100.9:6001" && *reached), "{reached:?}");
    assert!(report.summary.contains(&"3 others see this node at its own address: nothing translates it".to_owned()));
}

#[test]
fn two_witnesses_tell_the_mapping_within_a_second_and_one_tells_nothing() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 2);
    world.start(us);
    world.run(SECOND / 20);
    let nat = &world.hosts[us].nat;
    assert_eq!(nat.candidates().mapping, Mapping::Unknown);
    assert_eq!(nat.candidates().reflexive, [address("198.51.100.1:40001")]);
    world.run(3 * SECOND);
    assert_eq!(world.hosts[us].nat.candidates().mapping, Mapping::Independent);
}

#[test]
fn two_witnesses_tell_whether_ports_are_counted() {
    for (ports, is_counted) in [(Ports::Counted, true), (Ports::Random, false)] {
        let (mut world, us) = behind(Some(Router::new("198.51.100.1", ports, Lets::Ports)), 2);
        world.start(us);
        world.run(10 * SECOND);
        let Mapping::Dependent { step } = world.hosts[us].nat.candidates().mapping else { panic!("not seen") };
        assert_eq!(step.is_some(), is_counted, "{ports:?}: {step:?}");
    }
}

#[test]
fn a_question_is_asked_three_times_and_given_up_after_a_second() {
    for lost in 0..4 {
        let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 0);
        let asked = address("203.0.113.1:6000");
        let witness = world.host("203.0.113.1:6000", true, None);
        world.link(us, witness);
        world.lost.insert(asked, lost);
        world.start(us);
        world.run(SECOND * 9 / 10);
        let of_main = |from: &std::net::SocketAddr| *from == address("198.51.100.1:40001");
        let sent = world.sent.iter().filter(|(from, to, _)| *to == asked && of_main(from)).count();
        assert_eq!(sent, (lost + 1).min(3), "{lost} lost");
        let is_seen = !world.hosts[us].nat.candidates().reflexive.is_empty();
        assert_eq!(is_seen, lost < 3, "{lost} lost");
        world.run(SECOND);
        let silent = report(&world, us).evidence.iter().filter(|row| row.what == "no answer").count();
        assert_eq!(silent, usize::from(lost == 3), "{lost} lost");
    }
}

#[test]
fn an_idle_node_sleeps_and_one_with_a_hole_asks_again_within_26_seconds() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 3);
    world.start(us);
    world.run(60 * SECOND);
    let settled = world.sent.len();
    let next = world.hosts[us].nat.next_timeout().expect("seldom").0;
    assert!(next > world.now + 600 * SECOND, "wakes in {} s", (next - world.now) / SECOND);
    world.run(600 * SECOND);
    assert_eq!(world.sent.len(), settled, "nothing was asked meanwhile");
    world.act(us, |nat, shared| nat.keep_fresh(true, shared));
    world.run(260 * SECOND);
    let rounds = (world.sent.len() - settled) / 6;
    assert!((10..=14).contains(&rounds), "{rounds} rounds of three questions and answers in 260 s");
    world.act(us, |nat, shared| nat.keep_fresh(false, shared));
    world.run(30 * SECOND);
    let settled = world.sent.len();
    world.run(600 * SECOND);
    assert_eq!(world.sent.len(), settled);
}

#[test]
fn a_link_over_a_proxy_wants_a_hole_and_so_keeps_the_addresses_fresh() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 2);
    let far = world.host("192.168.7.7:6001", false, None);
    world.start(us);
    world.run(30 * SECOND);
    let settled = world.sent.len();
    world.link_over(us, far, Transport::Relay);
    world.run(30 * SECOND);
    assert!(world.sent.len() > settled, "asked again");
}

#[test]
fn another_address_of_the_router_is_noticed_and_told() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 3);
    world.act(us, |nat, shared| nat.keep_fresh(true, shared));
    world.start(us);
    world.run(30 * SECOND);
    let before = world.hosts[us].nat.candidates().clone();
    world.run(60 * SECOND);
    assert!(world.hosts[us].nat.candidates().is_same(&before), "seen anew is no change");
    world.hosts[us].router = Some(Router::new("198.51.100.77", Ports::Same, Lets::Everybody));
    world.run(40 * SECOND);
    let nat = &world.hosts[us].nat;
    assert!(!nat.candidates().is_same(&before));
    assert_eq!(nat.candidates().reflexive.first().map(ToString::to_string).as_deref(), Some("198.51.100.77:40001"));
    assert_eq!(nat.candidates().mapping, Mapping::Independent);
}

#[test]
fn other_addresses_of_the_host_begin_anew() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 3);
    world.start(us);
    world.run(10 * SECOND);
    let before = world.hosts[us].nat.candidates().clone();
    let main = world.main(us);
    let other = vec![main, address("[2001:db8::1]:6001")];
    world.act(us, |nat, shared| nat.set_addresses(other.clone(), shared));
    assert!(!world.hosts[us].nat.candidates().is_same(&before));
    assert!(world.hosts[us].nat.candidates().reflexive.is_empty());
    world.run(10 * SECOND);
    assert_eq!(world.hosts[us].nat.candidates().host, other);
    assert_eq!(world.hosts[us].nat.candidates().mapping, Mapping::Independent);
}

#[test]
fn a_router_that_sends_back_what_goes_to_its_own_address_is_noticed() {
    for hairpin in [true, false] {
        let mut router = Router::new("198.51.100.1", Ports::Same, Lets::Everybody);
        router.hairpin = hairpin;
        let (mut world, us) = behind(Some(router), 3);
        world.start(us);
        world.run(10 * SECOND);
        assert_eq!(report(&world, us).hairpin, Some(hairpin));
        let own = world.sent.iter().filter(|(_, to, _)| to.ip().to_string() == "198.51.100.1" && to.port() == 40_001);
        let own = own.filter(|(from, _, _)| from.ip().to_string() == "198.51.100.1").count();
        assert!(own <= 3, "{own} packets to an address that others told");
    }
}

#[test]
fn the_clock_of_a_witness_is_measured_within_its_bound() {
    for ahead_us in [0, 1_234_567, -31_536_000_000_000] {
        let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
        world.hosts[1].ahead_us = ahead_us;
        world.lost.insert(address("203.0.113.1:6000"), 1);
        world.start(us);
        world.run(5 * SECOND);
        let evidence = report(&world, us).evidence;
        let row = evidence.iter().find(|row| row.what == "seen").expect("an answer");
        let (offset, error) = (row.clock_offset_us.expect("measured"), row.clock_error_us.expect("measured"));
        assert!(offset.abs_diff(ahead_us) <= error, "{offset} for {ahead_us} within {error}");
        assert!(error <= 21_000, "{error}: the bound is half the round trip");
    }
}

#[test]
fn stun_servers_are_asked_too_and_names_are_looked_up_first() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
    let [first, second] = ["203.0.113.51:3478", "203.0.113.52:3478"].map(|socket| world.host(socket, false, None));
    let names = ["203.0.113.51:3478", "stun.example:3478"].map(|name| name.parse().expect("an address"));
    world.hosts[us].shared.config.stun = names.to_vec();
    world.start(us);
    world.run(SECOND);
    let asked = |world: &World, host| world.sent.iter().filter(|(_, to, _)| *to == world.main(host)).count();
    assert_eq!((asked(&world, first), asked(&world, second)), (1, 0));
    let found = [address("[2001:db8::52]:3478"), world.main(second)];
    world.act(us, |nat, _| nat.resolved(&names[1], &found));
    world.run(SECOND);
    assert_eq!((asked(&world, first), asked(&world, second)), (1, 1));
    assert_eq!(world.hosts[us].nat.candidates().mapping, Mapping::Independent);
    let by: Vec<String> = report(&world, us).evidence.iter().map(|row| row.by.clone()).collect();
    assert!(by.contains(&"stun 203.0.113.52:3478".to_owned()), "{by:?}");
}

/// Static members that are not linked, as gossip tells of them.
fn announced(world: &World, hosts: impl Iterator<Item = usize>) -> Vec<(NodeId, Vec<meshline_protocol::Address>)> {
    hosts.map(|host| (world.id(host), world.hosts[host].shared.config.listen.to_vec())).collect()
}

fn tell_further(world: &mut World, us: usize, members: &[(NodeId, Vec<meshline_protocol::Address>)]) {
    world.act(us, |nat, shared| {
        assert!(nat.wants_further(shared.now.mono), "too few are linked");
        nat.set_further(members.iter().map(|(id, addresses)| (*id, addresses.as_slice())));
    });
}

#[test]
fn with_too_few_static_members_linked_two_others_are_asked() {
    for linked in [0, 1] {
        let router = Router::new("198.51.100.1", Ports::Random, Lets::Ports);
        let (mut world, us) = behind(Some(router), linked);
        let others: Vec<usize> =
            (0..5).map(|n| world.host(&format!("203.0.113.{}:6000", 50 + n), true, None)).collect();
        others.iter().for_each(|other| world.start(*other));
        world.hosts[others[0]].deaf = true;
        world.start(us);
        let members = announced(&world, others.iter().copied());
        tell_further(&mut world, us, &members);
        world.run(10 * SECOND);
        let mapping = world.hosts[us].nat.candidates().mapping;
        assert!(matches!(mapping, Mapping::Dependent { .. }), "{linked} linked: {mapping:?}");
        let asked = others.iter().filter(|other| world.sent.iter().any(|(_, to, _)| *to == world.main(**other)));
        assert!((2..=3).contains(&asked.count()), "two that answer, and perhaps the deaf one");
    }
    let (mut world, us) = behind(None, 2);
    world.start(us);
    assert!(!world.hosts[us].nat.wants_further(crate::now::Mono(world.now)), "two are enough");
}

#[test]
fn a_host_that_members_announce_gets_three_packets_and_few_such_hosts_do() {
    let (mut world, us) = behind(Some(Router::new("198.51.100.1", Ports::Same, Lets::Ports)), 1);
    world.start(us);
    // Each member names the same victim with another port; then as many victims as may come into question.
    let liar = |n: u8| meshline_identity::KeyPair::from_secret([100 + n; 32]).id();
    let text = |text: String| text.parse::<meshline_protocol::Address>().expect("an address");
    let same: Vec<_> = (0..9).map(|n| (liar(n), vec![text(format!("203.0.113.200:70{n:02}"))])).collect();
    let many = u8::try_from(crate::nat::MAX_FURTHER + 9).expect("few");
    let all: Vec<_> = (0..many).map(|n| (liar(n), vec![text(format!("203.0.113.{}:7000", 100 + n))])).collect();
    let to_victims = |world: &World| {
        let victims =
            world.sent.iter().filter(|(_, to, _)| to.port() >= 7_000 && to.ip().to_string().starts_with("203."));
        victims.map(|(_, to, _)| to.ip()).collect::<Vec<_>>()
    };
    for members in [same, all] {
        for _ in 0..100 {
            tell_further(&mut world, us, &members);
            world.run(10 * SECOND);
        }
    }
    let sent = to_victims(&world);
    let hosts: std::collections::BTreeSet<_> = sent.iter().collect();
    assert!(!sent.is_empty() && hosts.len() <= crate::nat::MAX_SILENT + 1, "{hosts:?}");
    // Of the two thousand seconds the first host may be asked twice.
    assert!(hosts.iter().all(|host| sent.iter().filter(|to| to == host).count() <= 6), "{sent:?}");
    let early = world.sent.iter().filter(|(_, to, _)| to.ip().to_string() == "203.0.113.200").count();
    assert_eq!(early % 3, 0, "three packets each time");
}
