//! Direct ways through routers: which pairs find one, how fast, and what it costs.

use meshline_mesh::Event;
use meshline_protocol::message::Role;
use meshline_sim::{MS, Router, RouterId, SECOND, SIGNAL, World, seeds};

/// The two members behind routers, the proxy, and two static members: with the proxy they are the three witnesses that
/// tell whether ports are counted.
pub(crate) const LEFT: usize = 0;
pub(crate) const RIGHT: usize = 1;
pub(crate) const PROXY: usize = 2;
pub(crate) const STATIC: usize = 3;
pub(crate) const WITNESS: usize = 4;

/// What stands between a member and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Public,
    Behind(Router),
    Firewalled,
}

/// How the lines are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    delay: u64,
    jitter: u64,
    loss: u64,
}

pub(crate) const GOOD: Line = Line { delay: 500, jitter: 1_500, loss: 0 };
pub(crate) const FAR: Line = Line { delay: 40 * MS, jitter: 5 * MS, loss: 2 };
pub(crate) const BAD: Line = Line { delay: 150 * MS, jitter: 20 * MS, loss: 5 };

pub(crate) fn settle_site(world: &mut World, node: usize, site: Site, inside: &str) -> Option<RouterId> {
    let public = format!("203.0.113.{}", node + 1);
    match site {
        Site::Public => world.place(node, &public, None),
        Site::Behind(kind) => {
            let router = world.router(kind);
            world.place(node, inside, Some(router));
            return Some(router);
        }
        Site::Firewalled => {
            let router = world.router(Router::port());
            let own = world.router_address(router).to_string();
            world.place(node, &own, Some(router));
            return Some(router);
        }
    }
    None
}

/// A world of two sites, not started.
pub(crate) fn sites(seed: u64, left: Site, right: Site, line: Line) -> (World, [Option<RouterId>; 2]) {
    let mut world = World::new(seed).latency(line.delay, line.jitter);
    world.set_udp_loss(line.loss);
    for node in 0..=WITNESS {
        world.add(|config| {
            config.signal = vec![SIGNAL.to_owned()];
            if node == PROXY {
                config.roles = vec![Role::Proxy];
            }
        });
    }
    let routers =
        [settle_site(&mut world, LEFT, left, "192.168.1.7"), settle_site(&mut world, RIGHT, right, "192.168.2.8")];
    settle_site(&mut world, PROXY, Site::Public, "");
    settle_site(&mut world, STATIC, Site::Public, "");
    settle_site(&mut world, WITNESS, Site::Public, "");
    (world, routers)
}

/// What bears the link between the two, as each of them tells.
pub(crate) fn borne_by(world: &mut World) -> [Option<&'static str>; 2] {
    [(LEFT, RIGHT), (RIGHT, LEFT)].map(|(node, other)| {
        let other = world.id(other);
        world.status(node).links.iter().find(|link| link.peer == other).map(|link| link.transport)
    })
}

/// Runs until both have a QUIC link; milliseconds from the instant agreed on, and how it came about.
pub(crate) fn punched(world: &mut World, limit: u64) -> Option<(u64, &'static str)> {
    world.run_until(limit, 20 * MS, |world| borne_by(world) == [Some("quic"); 2])?;
    succeeded(world, LEFT)
}

fn succeeded(world: &World, node: usize) -> Option<(u64, &'static str)> {
    world
        .mesh_events(node)
        .filter_map(|event| match event {
            Event::PunchSucceeded { took_ms, kind, .. } => Some((*took_ms, *kind)),
            _ => None,
        })
        .last()
}

pub(crate) fn failures(world: &World, node: usize) -> Vec<&'static str> {
    let reason = |event: &Event| match event {
        Event::PunchFailed { reason, .. } => Some(*reason),
        _ => None,
    };
    world.mesh_events(node).filter_map(reason).collect()
}

/// Runs until datagrams have come both ways, over whatever carries them; whether there was no direct way yet.
pub(crate) fn flows_at_once(world: &mut World) -> bool {
    let (mut flow, mut came) = (0, [false; 2]);
    let took = world.run_until(20 * SECOND, MS, |world| {
        flow += 1;
        for (nth, (from, to)) in [(LEFT, RIGHT), (RIGHT, LEFT)].into_iter().enumerate() {
            let _ = world.send_datagram(from, to, flow, b"there?");
            came[nth] |= !world.take_datagrams(to).is_empty();
        }
        came == [true; 2]
    });
    took.is_some() && !borne_by(world).contains(&Some("quic"))
}

/// How often the pairs of a cell found a way, of all lines and seeds.
#[derive(Debug, Default)]
struct Outcome {
    runs: u32,
    found: u32,
    /// Milliseconds from the instant of the attempt that came to it, where a round trip takes up to 90 ms, and on the worst line.
    took_ms: [Vec<u64>; 2],
}

/// A round trip of 340 ms and every twentieth packet lost cost so much more: QUIC and the hellos take three round trips, and
/// what is lost of them is sent again after half a second.
const WORST_LINE_MS: u64 = 2_500;

impl Outcome {
    /// Nineteen of twenty pairs had their way so many milliseconds after the instant of the attempt.
    fn came_within(&self, limit_ms: u64) {
        for (took, limit_ms) in self.took_ms.iter().zip([limit_ms, limit_ms + WORST_LINE_MS]) {
            let slow = took.iter().filter(|took| **took > limit_ms).count();
            assert!(slow * 20 <= took.len(), "{limit_ms} ms: {took:?}");
        }
    }
}

/// Runs a cell on every line: what a pair finds within `attempts` seconds counts.
fn cell(left: Site, right: Site, limit: u64, tries: u64) -> Outcome {
    let mut outcome = Outcome::default();
    for line in [GOOD, FAR, BAD] {
        for seed in seeds(tries) {
            let (mut world, _) = sites(seed, left, right, line);
            world.start_all();
            outcome.runs += 1;
            assert!(flows_at_once(&mut world), "{line:?} seed {seed}: data waits for no direct way");
            if let Some((took, kind)) = punched(&mut world, limit) {
                let probes = world.most_probes(LEFT).max(world.most_probes(RIGHT));
                println!(
                    "{line:?} seed {seed}: {kind} after {took} ms, {probes} probes, failed {:?}",
                    failures(&world, LEFT)
                );
                outcome.found += 1;
                outcome.took_ms[usize::from(line.loss > 2)].push(took);
            } else {
                let reports = [LEFT, RIGHT].map(|node| (world.status(node).punch, world.most_probes(node)));
                println!("{line:?} seed {seed}: none, failed {:?} {reports:?}", failures(&world, LEFT));
            }
            for node in [LEFT, RIGHT] {
                let (probes, sockets) = (world.most_probes(node), world.most_sockets(node));
                // Those of the search, one of the attempt, and the one from which members are called.
                assert!(probes <= 2_000 && sockets <= 258, "seed {seed}: {probes} probes, {sockets} sockets");
            }
            world.run_for(5 * SECOND);
            let is_idle = |world: &mut World| [LEFT, RIGHT].iter().all(|node| world.status(*node).punch.under_way == 0);
            assert!(world.run_until(20 * SECOND, 20 * MS, is_idle).is_some(), "an attempt ends");
            // The one from which members are called is kept for half a minute.
            let is_closed = |world: &mut World| [LEFT, RIGHT].iter().all(|node| world.extra_sockets(*node) <= 1);
            assert!(world.run_until(40 * SECOND, SECOND, is_closed).is_some(), "all but the one in use are closed");
        }
    }
    outcome.took_ms.iter_mut().for_each(|took| took.sort_unstable());
    println!("{left:?} x {right:?}: {outcome:?}");
    outcome
}

/// All pairs of a cell find a way, within so many milliseconds.
fn all_find_a_way(left: Site, right: Site, tries: u64, limit_ms: u64) {
    let outcome = cell(left, right, 40 * SECOND, tries);
    assert_eq!(outcome.found, outcome.runs, "{left:?} x {right:?}");
    outcome.came_within(limit_ms);
}

const EASY: [Site; 4] =
    [Site::Behind(Router::full()), Site::Behind(Router::address()), Site::Behind(Router::port()), Site::Firewalled];

#[test]
fn members_behind_routers_with_one_port_for_all_find_a_direct_way() {
    for (nth, left) in EASY.into_iter().enumerate() {
        for right in EASY.into_iter().skip(nth) {
            all_find_a_way(left, right, 3, 1_000);
        }
    }
}

#[test]
fn a_router_that_gives_one_port_for_all_need_not_keep_the_one_inside() {
    let moving = Site::Behind(Router::moving());
    for other in [moving, Site::Behind(Router::port()), Site::Behind(Router::address()), Site::Firewalled] {
        all_find_a_way(moving, other, 3, 1_000);
    }
}

#[test]
fn a_connection_begins_with_the_first_packets_that_are_to_arrive() {
    let line = Line { delay: 150 * MS, jitter: 1, loss: 0 };
    for (seed, right) in seeds(3).flat_map(|seed| [(seed, Router::port()), (seed, Router::full())]) {
        let (mut world, _) = sites(seed, Site::Behind(Router::port()), Site::Behind(right), line);
        world.start_all();
        let (took, kind) = punched(&mut world, 60 * SECOND).expect("a way");
        println!("seed {seed}: {kind} after {took} ms");
        // The lead of the openers, and round trips of 300 ms: two that a handshake of QUIC takes here, and that of the
        // hellos. A probe and its answer before would be a fourth.
        assert!(world.id(LEFT) < world.id(RIGHT), "it opens the connection");
        assert!(took <= 60 + 900 + 20, "seed {seed}: {took} ms");
    }
}

#[test]
fn a_member_behind_a_router_of_many_ports_reaches_one_that_lets_hosts_answer_from_any_port() {
    for left in [Site::Public, Site::Behind(Router::full()), Site::Behind(Router::address())] {
        for right in [Router::symmetric(), Router::counting()] {
            if left != Site::Public {
                // Of four pairs none could be the one of twenty that loses a packet of its handshake.
                all_find_a_way(left, Site::Behind(right), 10, 1_000);
                all_find_a_way(Site::Behind(right), left, 10, 1_000);
            }
        }
    }
}

#[test]
fn ports_that_are_counted_are_predicted() {
    for left in [Site::Behind(Router::port()), Site::Firewalled, Site::Behind(Router::counting())] {
        let outcome = cell(left, Site::Behind(Router::counting()), 60 * SECOND, 4);
        assert!(outcome.found * 10 >= outcome.runs * 9, "{outcome:?}");
        outcome.came_within(4_000);
    }
}

/// Every tenth packet is lost: what two legs that lose five of a hundred come to.
const LOSSY: Line = Line { delay: 40 * MS, jitter: 5 * MS, loss: 10 };

#[test]
fn a_search_for_counted_ports_outlives_a_lost_packet() {
    for left in [Site::Behind(Router::port()), Site::Behind(Router::counting())] {
        let (mut runs, mut first) = (0, 0);
        for seed in seeds(20) {
            let (mut world, _) = sites(seed, left, Site::Behind(Router::counting()), LOSSY);
            world.start_all();
            let found = punched(&mut world, 60 * SECOND);
            let failed = failures(&world, LEFT);
            println!("seed {seed}: {found:?}, failed {failed:?}");
            runs += 1;
            first += u32::from(found.is_some() && failed.is_empty());
        }
        println!("{left:?}: {first} of {runs} at the first attempt");
        assert!(first * 5 >= runs * 4, "{left:?}: {first} of {runs}");
    }
}

#[test]
fn ports_of_chance_are_found_by_many_sockets_and_many_tries() {
    for left in [Site::Behind(Router::port()), Site::Firewalled] {
        let outcome = cell(left, Site::Behind(Router::symmetric()), 60 * SECOND, 4);
        assert!(outcome.found * 10 >= outcome.runs * 9, "{outcome:?}");
        outcome.came_within(6_000);
    }
}

#[test]
fn what_an_attempt_without_witnesses_could_not_know_the_next_one_makes_good() {
    // The next attempt may be under way already when those who can tell are linked: one more may fail. Of counted ports none
    // does after it, and a search among ports of chance is in vain once in twenty times.
    let routers = [(Router::symmetric(), 2), (Router::counting(), 2)];
    for (seed, (router, most)) in seeds(4).flat_map(|seed| routers.map(|row| (seed, row))) {
        let (left, right) = (Site::Behind(Router::port()), Site::Behind(router));
        let (mut world, _) = sites(seed, left, right, GOOD);
        for node in [LEFT, RIGHT, PROXY] {
            world.start(node);
        }
        // One witness cannot tell how a router chooses its ports.
        let failed = world.run_until(30 * SECOND, 20 * MS, |world| !failures(world, LEFT).is_empty());
        assert!(failed.is_some(), "seed {seed}: found without a search");
        for node in [STATIC, WITNESS] {
            world.start(node);
        }
        let (took, kind) = punched(&mut world, 60 * SECOND).expect("a way");
        println!("seed {seed}: {kind} after {took} ms, failed {:?}", failures(&world, LEFT));
        assert!(failures(&world, LEFT).len() <= most, "seed {seed}: {:?}", failures(&world, LEFT));
    }
}

#[test]
fn routers_that_keep_a_state_of_what_they_refuse_are_opened_by_short_lived_packets() {
    for right in [Router::port(), Router::lax()] {
        all_find_a_way(Site::Behind(Router::lax()), Site::Behind(right), 4, 8_000);
    }
}

#[test]
fn a_member_makes_one_search_by_many_sockets_after_the_other() {
    for seed in seeds(3) {
        let (mut world, _) = sites(seed, Site::Behind(Router::symmetric()), Site::Behind(Router::port()), GOOD);
        let third = world.add(|config| config.signal = vec![SIGNAL.to_owned()]);
        let router = world.router(Router::port());
        world.place(third, "192.168.3.9", Some(router));
        world.start_all();
        let others = [RIGHT, third].map(|other| world.id(other));
        let is_direct = |world: &mut World| {
            let links = world.status(LEFT).links;
            let by_quic = |id| links.iter().any(|link| link.peer == id && link.transport == "quic");
            others.into_iter().all(by_quic)
        };
        let mut most = 0;
        let took = world.run_until(60 * SECOND, MS, |world| {
            most = most.max(world.extra_sockets(LEFT));
            is_direct(world)
        });
        println!("seed {seed}: {took:?} µs, {most} sockets, failed {:?}", failures(&world, LEFT));
        assert!(took.is_some(), "seed {seed}: both find a way: {:?}", failures(&world, LEFT));
        assert!((256..=258).contains(&most), "seed {seed}: {most} sockets at once");
    }
}
