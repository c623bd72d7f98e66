//! A second relayed link stands by, and takes over in the step in which the first one is known to be gone.

use meshline_sim::{MS, Reach, SECOND, World, address, seed, seeds};

use crate::relay::{as_proxy, relayed};
use crate::support::{add_by_signal, lost_links, settle};

/// Two members behind walls and two proxies.
fn two_proxies(seed: u64) -> World {
    let mut world = World::closed(seed);
    add_by_signal(&mut world, 2);
    world.add(as_proxy);
    world.add(as_proxy);
    for node in 0..2 {
        world.set_reach(&address(node), Reach::Silent);
    }
    world.start_all();
    world
}

/// The proxy in use for a pair, and the one that stands by.
fn carriers(world: &mut World, node: usize) -> (usize, Vec<usize>) {
    let peer = world.id(1 - node);
    let links = world.status(node).links;
    let link = links.iter().find(|link| link.peer == peer).expect("linked");
    let proxy = |wanted: &meshline_protocol::Address| (2..4).find(|proxy| address(*proxy) == *wanted).expect("a proxy");
    (proxy(&link.address), link.bearers.iter().map(|bearer| proxy(&bearer.address)).collect())
}

fn stands_by(world: &mut World) -> Result<(), String> {
    relayed(world)?;
    for node in 0..2 {
        let (used, others) = carriers(world, node);
        if others.is_empty() || others.contains(&used) {
            return Err(format!("node {node} uses {used}, and {others:?} stand by"));
        }
    }
    Ok(())
}

#[test]
fn a_pair_that_talks_gets_a_second_link_and_one_that_rests_none() {
    let mut world = two_proxies(seed(1));
    settle(&mut world, 15 * SECOND, relayed);
    world.run_for(30 * SECOND);
    assert!(carriers(&mut world, 0).1.is_empty(), "nobody said anything");
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    world.run_for(400 * SECOND);
    relayed(&mut world).expect("the one in use stays");
    assert!(carriers(&mut world, 0).1.is_empty(), "nothing was said for long");
    assert_eq!(lost_links(&world, 0), []);
}

#[test]
fn the_death_of_the_proxy_in_use_loses_and_doubles_no_text_and_no_link() {
    for seed in seeds(20) {
        let mut world = two_proxies(seed);
        settle(&mut world, 15 * SECOND, relayed);
        world.say(0, "hello");
        settle(&mut world, 20 * SECOND, stands_by);
        let (used, _) = carriers(&mut world, 0);
        for at in 0..100 {
            for node in 0..2 {
                world.say(node, &format!("{node} says {at}"));
            }
            if at == 50 {
                world.kill(used);
            }
            world.run_for(7 * MS);
        }
        world.run_for(2 * SECOND);
        for node in 0..2_usize {
            let wrong = (0..100).find(|at| world.times_heard(1 - node, &format!("{node} says {at}")) != 1);
            assert_eq!(wrong, None, "each text of {node} is heard once");
            let lost: Vec<_> = world.mesh_events(node).filter(|event| is_lost(event, &world, 1 - node)).collect();
            assert!(lost.is_empty(), "the link to the other is never lost: {lost:?}");
        }
        let (now, _) = carriers(&mut world, 0);
        assert_ne!(now, used);
    }
}

fn is_lost(event: &meshline_mesh::Event, world: &World, other: usize) -> bool {
    matches!(event, meshline_mesh::Event::LinkDown { peer, .. } if peer.id == world.id(other))
}

#[test]
fn what_is_sent_after_the_first_link_broke_goes_over_the_second_at_once() {
    let mut world = two_proxies(seed(1));
    settle(&mut world, 15 * SECOND, relayed);
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    let (used, _) = carriers(&mut world, 0);
    world.kill(used);
    let moved = |world: &mut World| {
        let (now, _) = carriers(world, 0);
        if now == used { Err("not noticed yet".to_owned()) } else { Ok(()) }
    };
    settle(&mut world, SECOND, moved);
    world.send_datagram(0, 1, 7, b"x").expect("sent in the same call");
    world.run_for(100 * MS);
    assert_eq!(world.take_datagrams(1).len(), 1);
}

/// Which proxies a node told that failed, and why.
fn failed_proxies(world: &World, node: usize) -> Vec<(usize, &'static str)> {
    let failed = |event: &meshline_mesh::Event| match event {
        meshline_mesh::Event::ProxyFailed { proxy, reason, .. } => {
            Some(((2..4).find(|known| world.id(*known) == proxy.id).expect("a proxy"), *reason))
        }
        _ => None,
    };
    world.mesh_events(node).filter_map(failed).collect()
}

/// Two members that talk, one link in use and one that stands by; the proxy in use.
fn talking(seed: u64) -> (World, usize) {
    let mut world = two_proxies(seed);
    settle(&mut world, 15 * SECOND, relayed);
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    let (used, _) = carriers(&mut world, 0);
    (world, used)
}

#[test]
fn a_proxy_that_breaks_what_it_relays_is_named_and_loses_and_doubles_no_text() {
    for seed in seeds(20) {
        let (mut world, used) = talking(seed);
        for at in 0..60 {
            for node in 0..2 {
                world.say(node, &format!("{node} says {at}"));
            }
            if at == 30 {
                world.break_relayed(used);
            }
            world.run_for(7 * MS);
        }
        world.run_for(2 * SECOND);
        for node in 0..2_usize {
            let wrong = (0..60).find(|at| world.times_heard(1 - node, &format!("{node} says {at}")) != 1);
            assert_eq!(wrong, None, "seed {seed}: each text of {node} is heard once");
            assert!(!world.mesh_events(node).any(|event| is_lost(event, &world, 1 - node)));
            assert_eq!(failed_proxies(&world, node), [(used, "connection_lost")], "seed {seed}");
        }
    }
}

#[test]
fn a_proxy_that_swallows_what_it_relays_is_left_seven_seconds_after_the_first_word() {
    for seed in seeds(20) {
        let (mut world, used) = talking(seed);
        world.run_for(seed * 700 * MS);
        world.swallow_relayed(used);
        let said = world.now();
        for node in 0..2 {
            world.say(node, &format!("{node} is there"));
        }
        // The proxies pass texts on as members, so it is the link that is looked at.
        let has_moved = |world: &mut World| (0..2).all(|node| carriers(world, node).0 != used);
        let took = world.run_until(30 * SECOND, 10 * MS, has_moved).expect("the other one is used");
        println!("seed {seed}: left {:.2} s after something was said at {said}", crate::support::seconds(took));
        assert!(took <= 7 * SECOND + 100 * MS, "seed {seed}: {took} us");
        world.run_for(10 * SECOND);
        for node in 0..2_usize {
            assert!(!world.mesh_events(node).any(|event| is_lost(event, &world, 1 - node)));
            assert_eq!(failed_proxies(&world, node).first().map(|(proxy, _)| *proxy), Some(used), "seed {seed}");
            assert_eq!(world.times_heard(1 - node, &format!("{node} is there")), 1, "not doubled");
        }
    }
}

#[test]
fn a_proxy_that_breaks_each_link_again_is_asked_for_another_once_a_minute() {
    let (mut world, used) = talking(seed(1));
    let joined = |world: &World| {
        world.mesh_events(used).filter(|event| matches!(event, meshline_mesh::Event::Relayed { .. })).count()
    };
    let before = joined(&world);
    for second in 0..130 {
        world.say(0, &format!("at {second}"));
        world.break_relayed(used);
        world.run_for(SECOND);
    }
    let more = joined(&world) - before;
    assert!((1..=2).contains(&more), "{more} links in 130 s");
    assert_eq!((0..130).find(|second| world.times_heard(1, &format!("at {second}")) != 1), None);
    assert_eq!((lost_links(&world, 0), lost_links(&world, 1)), (vec![], vec![]));
}

#[test]
fn what_stands_by_ends_with_a_direct_link_and_with_a_goodbye() {
    let mut world = two_proxies(seed(1));
    settle(&mut world, 15 * SECOND, relayed);
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    world.set_reach(&address(1), Reach::Open);
    let direct = |world: &mut World| {
        let peer = world.id(1);
        let links = world.status(0).links;
        let link = links.iter().find(|link| link.peer == peer).ok_or("not linked")?;
        if link.transport == "tcp" && link.bearers.is_empty() { Ok(()) } else { Err(format!("{link:?}")) }
    };
    settle(&mut world, 65 * SECOND, direct);

    let mut world = two_proxies(seed(2));
    settle(&mut world, 15 * SECOND, relayed);
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    world.stop(1);
    world.run_for(SECOND);
    assert!(!world.is_linked(0, 1), "a member that left is not kept by what stood by");
}

#[test]
fn a_link_through_a_proxy_that_became_slow_gives_way_to_what_stands_by() {
    let mut world = two_proxies(seed(1));
    settle(&mut world, 15 * SECOND, relayed);
    world.say(0, "hello");
    settle(&mut world, 20 * SECOND, stands_by);
    let (used, _) = carriers(&mut world, 0);
    world.set_relay_delay(used, 200 * MS);
    let quicker = |world: &mut World| {
        world.say(0, "again");
        for node in 0..2 {
            if carriers(world, node).0 == used {
                return Err(format!("node {node} still uses {used}"));
            }
        }
        Ok(())
    };
    settle(&mut world, 120 * SECOND, quicker);
    assert!((0..2).any(|node| failed_proxies(&world, node).contains(&(used, "slower"))), "it is named");
    assert_eq!(world.mesh_events(0).filter(|event| is_lost(event, &world, 1)).count(), 0);
}
