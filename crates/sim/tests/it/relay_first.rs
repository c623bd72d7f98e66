//! Members that are not reached at once are reached through a proxy, and later directly where that is possible.

use meshline_protocol::Address;
use meshline_protocol::message::Role;
use meshline_sim::invariants::full_mesh;
use meshline_sim::{MS, Misdeed, Reach, SECOND, World, address, seed, seeds};

use crate::relay::{as_proxy, relayed, walled};
use crate::support::{add_by_signal, lost_links, on_ring, seconds, settle};

#[test]
fn a_relayed_link_is_up_long_before_dialling_is_given_up() {
    for seed in seeds(10) {
        let mut world = World::closed(seed);
        for _ in 0..2 {
            world.add(|config| config.proxies = vec![address(2)]);
        }
        world.add(as_proxy);
        world.set_reach(&address(0), Reach::Silent);
        world.set_reach(&address(1), Reach::Silent);
        world.start_all();
        let took = settle(&mut world, 3 * SECOND, relayed);
        println!("relayed after {:.3} s", seconds(took));
        let failed = |world: &mut World| {
            let attempts = world.explain(0, 1).expect("known").attempts;
            attempts.iter().any(|one| one.transport == "tcp" && one.outcome != "up")
        };
        assert!(!failed(&mut world), "no dial has failed so far");
    }
}

#[test]
fn members_that_reach_each_other_burden_no_proxy() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        add_by_signal(&mut world, 8);
        world.add(as_proxy);
        world.start_all();
        settle(&mut world, 10 * SECOND, full_mesh);
        world.restart(3);
        world.run_for(20 * SECOND);
        world.kill(4);
        world.run_for(10 * SECOND);
        world.start(4);
        world.run_for(20 * SECOND);
        full_mesh(&mut world).expect("all are back");
        let joined: u64 = (0..8).map(|node| world.sent(node, "relay.accept")).sum();
        assert_eq!(joined, 0, "nobody was joined by the proxy");
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_a_direct_link_replaces_a_relayed_one_under_traffic() {
    for seed in seeds(10) {
        let mut world = walled(World::new(seed));
        settle(&mut world, 15 * SECOND, relayed);
        world.run_for(SECOND);
        world.set_reach(&address(1), Reach::Open);
        let (mut said, mut sent) = (0, [Vec::new(), Vec::new()]);
        let mut got = [Vec::new(), Vec::new()];
        while full_mesh(&mut world).is_err() || said % 50 != 0 {
            said += 1;
            assert!(said < 2_000, "no direct link came");
            for (node, flows) in sent.iter_mut().enumerate() {
                world.say(node, &format!("{node} says {said}"));
                let flow = said * 2 + u32::try_from(node).expect("small");
                world.send_datagram(node, 1 - node, flow, b"x").expect("there is a way");
                flows.push(flow);
            }
            world.run_for(40 * MS);
            for node in 0..2 {
                got[1 - node].extend(world.take_datagrams(node).into_iter().map(|(line, _)| line.flow));
            }
        }
        world.run_for(2 * SECOND);
        for node in 0..2 {
            got[1 - node].extend(world.take_datagrams(node).into_iter().map(|(line, _)| line.flow));
        }
        for node in 0..2 {
            let lost = (1..=said).find(|at| world.times_heard(1 - node, &format!("{node} says {at}")) != 1);
            assert_eq!(lost, None, "each text of {node} is heard once");
            got[node].sort_unstable();
            assert_eq!(got[node], sent[node], "each datagram of {node} arrives once");
        }
        assert_eq!(lost_links(&world, 0), [], "a link that is replaced is not lost");
    }
}

/// Two members behind walls and two proxies, of which the one that is asked first does something wrong.
fn with_a_bad_proxy(seed: u64, misdeed: Misdeed) -> World {
    let mut world = World::closed(seed);
    add_by_signal(&mut world, 2);
    world.add(as_proxy);
    world.add(as_proxy);
    // The good one is farther away.
    for node in 0..2 {
        world.set_distance(node, 3, 30 * MS);
        world.set_reach(&address(node), Reach::Silent);
    }
    world.misuse(2, misdeed);
    world.start_all();
    world
}

#[test]
fn a_bad_proxy_is_named_and_another_one_is_used() {
    for (misdeed, code) in [
        (Misdeed::NeverGrants, "no_grant"),
        (Misdeed::GrantsForAnother, "bad_ticket"),
        (Misdeed::JoinsOthers, "identity_mismatch"),
        (Misdeed::Garbles, "tls_failed"),
    ] {
        for seed in seeds(5) {
            let mut world = with_a_bad_proxy(seed, misdeed);
            let took = settle(&mut world, 10 * SECOND, relayed);
            println!("{misdeed:?}: relayed after {:.3} s", seconds(took));
            for node in 0..2 {
                let links = world.status(node).links;
                let link = links.iter().find(|link| link.transport == "relay").expect("relayed");
                assert_eq!(link.address, address(3), "{misdeed:?}: the good proxy carries it");
            }
            world.say(0, "past the bad one");
            world.run_for(15 * SECOND);
            assert_eq!(world.times_heard(1, "past the bad one"), 1);
            let named = (0..2).any(|node| {
                let counted = world.status(node).refused.contains_key(code);
                let other = 1 - node;
                let attempts = world.explain(node, other).expect("known").attempts;
                counted || attempts.iter().any(|one| one.transport == "relay" && one.outcome == code)
            });
            assert!(named, "{misdeed:?} shows as {code}");
        }
    }
}

#[test]
fn a_proxy_that_comes_in_again_after_a_crash_joins_members_where_they_reach_it() {
    // It announces an address first that nobody reaches from here, as one in two nets does.
    let gone: Address = "gone:6000".parse().expect("an address");
    for seed in seeds(10) {
        let mut world = World::closed(seed);
        for _ in 0..2 {
            world.add(|_| {});
        }
        let proxy = world.add(|config| {
            as_proxy(config);
            config.signal.clear();
            config.peers = vec![address(0), address(1)];
            config.listen.insert(0, gone.clone());
        });
        world.lay_cables(&[(0, proxy), (1, proxy)]);
        world.set_reach(&gone, Reach::Closed);
        world.start_all();
        settle(&mut world, 30 * SECOND, relayed);
        world.kill(proxy);
        world.run_for(60 * SECOND);
        world.start(proxy);
        let took = settle(&mut world, 30 * SECOND, relayed);
        println!("seed {seed}: relayed again after {:.3} s", seconds(took));
    }
}

#[test]
fn a_member_that_asks_a_proxy_too_often_is_refused_and_counted_by_name() {
    // A member that nobody reaches is asked for again and again by all the others.
    let mut world = World::new(seed(1));
    add_by_signal(&mut world, 2);
    let proxy = world.add(|config| {
        as_proxy(config);
        config.max_relays_per_member = 0;
    });
    for node in 0..2 {
        world.set_reach(&address(node), Reach::Silent);
    }
    world.start_all();
    world.run_for(30 * SECOND);
    let report = world.status(proxy).relay.expect("a proxy says what it relays");
    assert_eq!(report.pairs, 0);
    let asker = world.id(0).min(world.id(1));
    let row = report.members.iter().find(|row| row.member == asker).expect("counted");
    assert!(row.refused.get("rate_limited").is_some_and(|count| *count > 2), "{row:?}");
    let row = world.explain(world.index(asker).expect("known"), 1 - world.index(asker).expect("known"));
    let attempts = row.expect("known").attempts;
    assert!(attempts.iter().any(|one| one.transport == "relay" && one.outcome == "rate_limited"), "{attempts:?}");
}

#[test]
fn a_ring_keeps_links_to_the_two_nearest_of_the_announced_proxies() {
    let mut world = World::new(seed(1));
    for node in 0..3 {
        world.add(|config| {
            on_ring(config, (node + 1) % 3);
            config.signal = vec![meshline_sim::SIGNAL.to_owned()];
        });
    }
    for (proxy, distance) in [(3, 40 * MS), (4, 5 * MS), (5, 80 * MS), (6, 15 * MS)] {
        world.add(|config| {
            as_proxy(config);
            config.roles = vec![Role::Proxy];
        });
        for node in 0..3 {
            world.set_distance(node, proxy, distance);
        }
    }
    world.start_all();
    let warm = |world: &mut World, wanted: [usize; 2]| {
        for node in 0..3 {
            let rows = world.status(node).proxies.into_iter().filter(|row| row.warm && row.linked);
            let warm: Vec<usize> = rows.filter_map(|row| world.index(row.peer)).collect();
            if warm != wanted {
                return Err(format!("node {node} keeps {warm:?}"));
            }
        }
        Ok(())
    };
    let took = settle(&mut world, 120 * SECOND, |world| warm(world, [4, 6]));
    println!("the two nearest of four after {:.3} s", seconds(took));
    world.run_for(60 * SECOND);
    warm(&mut world, [4, 6]).expect("it stays so");
    // Another one takes the place of one that dies.
    world.kill(4);
    settle(&mut world, 120 * SECOND, |world| warm(world, [6, 3]));
}
