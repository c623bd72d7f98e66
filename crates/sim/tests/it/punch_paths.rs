//! Links that change their bearer: what is under way, what keeps a way open, what happens when it closes.

use meshline_mesh::Event;
use meshline_sim::{MS, Router, SECOND, World, seed, seeds};

use crate::punch::{
    BAD, FAR, GOOD, LEFT, PROXY, RIGHT, STATIC, Site, WITNESS, borne_by, failures, flows_at_once, punched, sites,
};
use crate::support::lost_links;

/// Every how many datagrams the chat is written to: a member may write 20 times a second.
const SPOKEN: u32 = 8;

/// Both talk until they have had a direct way for a second; how often they did.
fn talk_until_direct(world: &mut World) -> u32 {
    let mut sent = 0;
    let mut changed_at = None;
    while changed_at.is_none_or(|at| sent < at + 100) && sent < 3_000 {
        if sent % SPOKEN == 0 {
            world.say(LEFT, &format!("left {sent}"));
        }
        for (from, to) in [(LEFT, RIGHT), (RIGHT, LEFT)] {
            world.send_datagram(from, to, 10_000 + sent, &sent.to_be_bytes()).expect("a way");
        }
        world.run_for(10 * MS);
        sent += 1;
        if changed_at.is_none() && borne_by(world) == [Some("quic"); 2] {
            changed_at = Some(sent);
        }
    }
    assert!(changed_at.is_some(), "a direct way was found");
    world.run_for(5 * SECOND);
    sent
}

/// Whatever was said since came once.
fn all_came_once(world: &mut World, sent: u32) {
    for nth in (0..sent).step_by(SPOKEN as usize) {
        let text = format!("left {nth}");
        assert_eq!(world.times_heard(RIGHT, &text), 1, "{text} of {sent}");
    }
    for node in [LEFT, RIGHT] {
        let flows = world.take_datagrams(node).into_iter().map(|(line, _)| line.flow);
        let mut flows: Vec<u32> = flows.filter(|flow| *flow >= 10_000).collect();
        let came = flows.len();
        flows.sort_unstable();
        flows.dedup();
        assert_eq!(flows.len(), came, "no datagram twice");
        let lost: Vec<u32> = (10_000..10_000 + sent).filter(|flow| !flows.contains(flow)).collect();
        assert!(lost.is_empty(), "every datagram comes to {node}: not {lost:?}");
    }
    assert_eq!(lost_links(world, LEFT), [], "a link that is replaced is not lost");
}

#[test]
fn nothing_is_lost_or_doubled_when_a_direct_way_takes_over_from_a_relayed_link() {
    for line in [GOOD, FAR, BAD] {
        for seed in seeds(3) {
            println!("{line:?} seed {seed}");
            // No datagram passes until the proxy's link is up.
            let shut = Site::Behind(Router::blocked());
            let (mut world, routers) = sites(seed, shut, shut, line);
            world.start_all();
            let relayed = world.run_until(20 * SECOND, 5 * MS, |world| borne_by(world) == [Some("relay"); 2]);
            assert!(relayed.is_some(), "the proxy's link comes first");
            for router in routers.into_iter().flatten() {
                world.change_router(router, Router::port());
            }
            let sent = talk_until_direct(&mut world);
            all_came_once(&mut world, sent);
        }
    }
}

#[test]
fn a_link_over_a_hole_knows_the_peers_clock_from_the_packets_that_made_it() {
    for seed in seeds(3) {
        let home = Site::Behind(Router::port());
        let (mut world, _) = sites(seed, home, home, FAR);
        world.set_clock(RIGHT, meshline_sim::WallClock { offset_us: 20_000_000, drift_ppm: 0 });
        world.start_all();
        let up = world.run_until(60 * SECOND, MS, |world| borne_by(world)[LEFT] == Some("quic"));
        assert!(up.is_some(), "a way is found");
        let right = world.id(RIGHT);
        let status = world.status(LEFT);
        let link = status.links.iter().find(|link| link.peer == right).expect("linked");
        let (offset, error) = (link.clock_offset_us.expect("at once"), link.clock_error_us.expect("at once"));
        assert!(offset.abs_diff(20_000_000) <= error, "seed {seed}: {offset} ± {error}");
        assert!(error <= 46 * MS, "seed {seed}: {error}, half of the longest round trip and a millisecond");
    }
}

#[test]
fn a_link_over_a_long_way_is_measured_some_times_at_once() {
    for seed in seeds(3) {
        let (mut world, _) = sites(seed, Site::Public, Site::Public, BAD);
        world.start_all();
        assert!(world.run_until(20 * SECOND, MS, |world| borne_by(world)[LEFT].is_some()).is_some());
        let before = world.sent(LEFT, "time");
        world.run_for(4 * SECOND);
        let status = world.status(LEFT);
        let right = world.id(RIGHT);
        let link = status.links.iter().find(|link| link.peer == right).expect("linked");
        // Each exchange tells both ends a round trip of 300 to 340 ms, and the best one counts.
        let (least, error) = (link.min_rtt_us.expect("measured"), link.clock_error_us.expect("measured"));
        println!("seed {seed}: {error} µs, least round trip {least} µs, {} frames", world.sent(LEFT, "time") - before);
        assert!(error <= least / 2 + MS, "seed {seed}: {error} µs, least round trip {least} µs");
        assert!(world.sent(LEFT, "time") - before >= 4 * 6, "three more exchanges with each of four");
    }
}

fn changed_state(event: &Event) -> Option<(&'static str, &'static str)> {
    let Event::StateChanged { before, state } = event else { return None };
    Some((before, state))
}

#[test]
fn a_member_is_idle_punching_and_connected_by_turns_and_asks_for_addresses_when_nobody_is_left() {
    let home = Site::Behind(Router::port());
    let (mut world, _) = sites(seed(6), home, home, GOOD);
    world.start(LEFT);
    world.run_for(2 * SECOND);
    assert_eq!(world.status(LEFT).state, "idle", "nobody is known");
    [RIGHT, PROXY, STATIC, WITNESS].into_iter().for_each(|node| world.start(node));
    let mut towards = vec![];
    let direct = world.run_until(60 * SECOND, 5 * MS, |world| {
        let state = world.explain(LEFT, RIGHT).and_then(|row| row.punch).map(|punch| punch.state);
        towards.extend(state.filter(|state| towards.last() != Some(state)));
        borne_by(world) == [Some("quic"); 2]
    });
    assert!(direct.is_some() && towards.ends_with(&["punching", "connected"]), "{towards:?}");
    let at = |world: &World, is_it: fn(&Event) -> bool| world.mesh_events(LEFT).position(is_it);
    let started = at(&world, |event| matches!(event, Event::PunchStarted { .. }));
    let succeeded = at(&world, |event| matches!(event, Event::PunchSucceeded { .. }));
    assert!(started.is_some() && started < succeeded, "{started:?} {succeeded:?}");

    let answers =
        |world: &World| world.mesh_events(LEFT).filter(|event| matches!(event, Event::SignalAnswered { .. })).count();
    [RIGHT, PROXY, STATIC, WITNESS].into_iter().for_each(|node| world.power_off(node));
    let mut states = vec![];
    let lost = world.run_until(120 * SECOND, 5 * MS, |world| {
        let state = world.status(LEFT).state;
        states.extend(Some(state).filter(|state| states.last() != Some(state)));
        state != "connected"
    });
    assert!(lost.is_some(), "all are gone: {states:?}");
    let before = answers(&world);
    world.run_until(120 * SECOND, 5 * MS, |world| {
        let state = world.status(LEFT).state;
        states.extend(Some(state).filter(|state| states.last() != Some(state)));
        false
    });
    println!("{states:?}");
    assert!(states.contains(&"punching"), "those known are tried: {states:?}");
    assert!(states.windows(2).any(|pair| pair == ["punching", "idle"]), "until nobody is left to try: {states:?}");
    assert!(answers(&world) > before, "and new addresses are asked for");
    let told: Vec<(&str, &str)> = world.mesh_events(LEFT).filter_map(changed_state).collect();
    assert_eq!(told.first().map(|(before, _)| *before), Some("idle"), "as it was at the start");
    assert!(told.windows(2).all(|pair| pair[0].1 == pair[1].0), "each is told: {told:?}");
    assert!(told.iter().all(|(before, state)| before != state), "once: {told:?}");
    assert!(told.iter().any(|(_, state)| *state == "connected"), "{told:?}");
    assert_eq!(told.last().map(|(_, state)| *state), Some(world.status(LEFT).state));
}

#[test]
fn two_static_members_tell_where_a_node_with_one_link_is_seen() {
    let (mut world, _) = sites(seed(4), Site::Behind(Router::symmetric()), Site::Public, GOOD);
    world.edit(LEFT, |config, _| config.max_links = 1);
    world.start_all();
    world.run_for(60 * SECOND);
    let status = world.status(LEFT);
    let links: Vec<_> = status.links.iter().map(|link| (link.address.clone(), link.transport)).collect();
    println!("{links:?} {:?}", status.nat);
    assert_eq!(links.len(), 1, "{links:?}");
    assert_eq!(status.nat.mapping, "dependent", "{:?}", status.nat);
}

#[test]
fn nothing_is_lost_or_doubled_when_a_direct_way_is_the_first_link() {
    for line in [GOOD, FAR, BAD] {
        for seed in seeds(3) {
            println!("{line:?} seed {seed}");
            let home = Site::Behind(Router::port());
            let (mut world, _) = sites(seed, home, home, line);
            world.start_all();
            assert!(flows_at_once(&mut world), "others carry it at first");
            let sent = talk_until_direct(&mut world);
            all_came_once(&mut world, sent);
        }
    }
}

#[test]
fn a_way_stays_open_while_nothing_is_said_though_routers_forget_soon() {
    for timeout in [10, 20] {
        let kind = Router { timeout: timeout * SECOND, ..Router::port() };
        let (mut world, _) = sites(seed(1), Site::Behind(kind), Site::Behind(kind), FAR);
        world.start_all();
        punched(&mut world, 60 * SECOND).expect("a way");
        world.run_for(600 * SECOND);
        assert_eq!(borne_by(&mut world), [Some("quic"); 2], "after ten minutes without a word, {timeout} s");
        assert_eq!(lost_links(&world, LEFT), []);
    }
}

#[test]
fn a_router_that_was_restarted_is_opened_again() {
    for kind in [Router::port(), Router::symmetric()] {
        let (mut world, routers) = sites(seed(2), Site::Behind(kind), Site::Behind(Router::address()), GOOD);
        world.start_all();
        punched(&mut world, 60 * SECOND).expect("a way");
        world.run_for(40 * SECOND);
        world.change_router(routers[0].expect("a router"), kind);
        world.run_for(SECOND);
        let took = world.run_until(60 * SECOND, 50 * MS, |world| borne_by(world) == [Some("quic"); 2]);
        assert!(took.is_some(), "{:?}", failures(&world, LEFT));
        let seq = world.say(LEFT, "there again");
        world.run_for(2 * SECOND);
        assert_eq!(world.times_heard(RIGHT, "there again"), 1, "{seq:?}");
    }
}

#[test]
fn without_a_proxy_the_members_in_between_carry_what_is_agreed() {
    for seed in seeds(3) {
        let (mut world, _) = sites(seed, Site::Behind(Router::port()), Site::Behind(Router::port()), FAR);
        world.edit(PROXY, |config, _| config.roles = vec![meshline_protocol::message::Role::Node]);
        world.start_all();
        assert!(punched(&mut world, 60 * SECOND).is_some(), "{:?}", failures(&world, LEFT));
        assert!([PROXY, STATIC, WITNESS].iter().any(|node| world.sent(*node, "datagram") > 0), "they carried it");
    }
}

#[test]
fn two_behind_one_router_meet_inside() {
    for seed in seeds(3) {
        let (mut world, _) = sites(seed, Site::Behind(Router::port()), Site::Behind(Router::port()), GOOD);
        let router = world.router(Router::port());
        world.place(LEFT, "10.0.0.1", Some(router));
        world.place(RIGHT, "10.0.0.2", Some(router));
        // Inside they could be dialled; that is not what is looked at here.
        for node in [LEFT, RIGHT] {
            world.edit(node, |config, _| config.listen.clear());
        }
        world.start_all();
        let (_, kind) = punched(&mut world, 60 * SECOND).expect("a way");
        assert_eq!(kind, "near");
        let outside = world.router_address(router);
        for node in [LEFT, RIGHT] {
            let hosts = world.tried_hosts(node);
            println!("seed {seed}: node {node} tried {hosts:?}");
            assert!(!hosts.contains(&outside), "no packet was to come back in from outside");
        }
    }
}

#[test]
fn a_host_with_the_same_private_address_as_the_peer_is_never_taken_for_it() {
    for seed in seeds(3) {
        let (mut world, routers) = sites(seed, Site::Behind(Router::port()), Site::Behind(Router::port()), GOOD);
        // Next to the left member stands another one at the very address the right one has at home, and they have the
        // same router ports outside.
        let stranger = world.add(|config| config.signal = vec![meshline_sim::SIGNAL.to_owned()]);
        world.place(stranger, "192.168.2.8", routers[0]);
        world.start_all();
        punched(&mut world, 60 * SECOND).expect("a way");
        world.run_for(20 * SECOND);
        let row = world.explain(LEFT, RIGHT).expect("known");
        assert!(
            row.attempts.iter().all(|attempt| attempt.transport != "quic" || attempt.outcome == "up"),
            "{:?}",
            row.attempts
        );
        assert_eq!(borne_by(&mut world), [Some("quic"); 2]);
    }
}

#[test]
fn where_there_is_no_way_the_proxys_link_carries_all_and_attempts_become_rare() {
    let hopeless = [
        (Site::Behind(Router::symmetric()), Site::Behind(Router::symmetric())),
        (Site::Behind(Router::blocked()), Site::Behind(Router::port())),
    ];
    for (left, right) in hopeless {
        let (mut world, _) = sites(seed(1), left, right, GOOD);
        world.start_all();
        let relayed = world.run_until(20 * SECOND, 5 * MS, |world| borne_by(world) == [Some("relay"); 2]);
        assert!(relayed.is_some());
        world.run_for(200 * SECOND);
        let early = world.status(LEFT).punch;
        world.run_for(3_600 * SECOND);
        let late = world.status(LEFT).punch;
        assert_eq!(borne_by(&mut world), [Some("relay"); 2], "it stays");
        let attempts = late.attempts.values().sum::<u64>() - early.attempts.values().sum::<u64>();
        println!("{early:?} {late:?}");
        assert!((1..=14).contains(&attempts), "{attempts} attempts in an hour");
        let known = world.explain(LEFT, RIGHT).expect("known").punch.expect("attempts were made");
        assert_eq!((known.state, known.attempts.last().expect("one").outcome), ("idle", "no_way"));
        assert!(known.advice.is_some(), "something is advised");
    }
}

#[test]
fn what_stands_in_the_way_of_the_usual_sockets_is_passed_by_with_others() {
    for line in [GOOD, FAR] {
        for (seed, knocked) in seeds(3).flat_map(|seed| [(seed, LEFT), (seed, RIGHT)]) {
            let (mut world, routers) = sites(seed, Site::Behind(Router::lax()), Site::Behind(Router::lax()), line);
            world.start_all();
            let [here, other] = [knocked, LEFT + RIGHT - knocked].map(|node| routers[node].expect("a router"));
            let usual = std::net::SocketAddr::new(world.router_address(other), 6_000);
            // As a packet of the other side that came before any of this one: the state of it lasts half a minute, anew
            // with each packet.
            let took = world.run_until(20 * SECOND, 20 * MS, |world| {
                world.knock(here, usual);
                borne_by(world) == [Some("quic"); 2]
            });
            let took = took.map(|us| us / 1_000);
            println!("{line:?} seed {seed}: {took:?} ms, {:?}", failures(&world, LEFT));
            assert!(took.is_some(), "a way is found with the state there all the time");
            assert!(!failures(&world, LEFT).is_empty(), "not at once");
            world.run_for(40 * SECOND);
            assert_eq!(borne_by(&mut world), [Some("quic"); 2], "and stays");
            assert!([LEFT, RIGHT].iter().all(|node| world.extra_sockets(*node) <= 1), "what is not used is closed");
        }
    }
}
