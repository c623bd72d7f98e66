//! The directory of services under churn, kills, partitions and flapping: every listing converges, nothing dead stays
//! beyond its time, nothing alive vanishes.

use std::collections::BTreeSet;

use meshline_protocol::NodeId;
use meshline_protocol::message::Health;
use meshline_services::discovery::DEFAULT_TTL_S;
use meshline_sim::{SECOND, World, offered, seed, seeds};

use crate::support::{add_by_first, add_ring, on_ring, seconds, settle};

const TTL: u64 = DEFAULT_TTL_S as u64 * SECOND;

fn mesh(nodes: usize, seed: u64) -> World {
    let mut world = World::new(seed);
    add_by_first(&mut world, nodes);
    world.start_all();
    world.run_for(5 * SECOND);
    world
}

/// Each node offers so many services of its own.
fn offer_all(world: &mut World, each: usize) {
    for node in world.running() {
        let names: Vec<String> = (0..each).map(|n| format!("s{n}-{node}")).collect();
        world.offer_named(node, &names);
    }
}

/// What the nodes that run offer, as everybody should list it.
fn expected(world: &World, each: usize) -> Vec<(String, NodeId)> {
    let mut all: Vec<(String, NodeId)> = Vec::new();
    for node in world.running() {
        all.extend((0..each).map(|n| (format!("s{n}-{node}"), world.id(node))));
    }
    all.sort();
    all
}

fn everyone_lists(world: &mut World, wanted: &[(String, NodeId)]) -> Result<(), String> {
    for node in world.running() {
        let found = world.service_names(node);
        if found != wanted {
            return Err(format!("node {node} lists {} of {}", found.len(), wanted.len()));
        }
    }
    Ok(())
}

#[test]
fn a_service_is_listed_everywhere_within_a_second_and_gone_when_it_is_withdrawn() {
    let mut world = mesh(5, seed(1));
    world.offer_named(0, &["web".to_owned()]);
    let wanted = vec![("web".to_owned(), world.id(0))];
    let took = settle(&mut world, SECOND, |world| everyone_lists(world, &wanted));
    println!("listed after {:.3} s", seconds(took));
    let entry = world.services(3).remove(0);
    assert!(entry.cost_us.is_some() && entry.health == Health::Up && entry.expires_us <= TTL, "{entry:?}");
    assert_eq!(world.services(0)[0].cost_us, Some(0), "one's own is here");
    assert_eq!(world.offer(0, vec![]), Ok(()));
    settle(&mut world, SECOND, |world| everyone_lists(world, &[]));
    assert_eq!(world.service_news(3), ["+web", "-web withdrawn"]);
}

#[test]
fn the_same_on_a_ring_and_for_whoever_looks_on() {
    let mut world = World::new(seed(1));
    add_ring(&mut world, 5);
    world.start_all();
    world.run_for(10 * SECOND);
    world.offer_named(2, &["web".to_owned()]);
    let wanted = vec![("web".to_owned(), world.id(2))];
    settle(&mut world, 2 * SECOND, |world| everyone_lists(world, &wanted));
    let late = world.add(|config| on_ring(config, 0));
    world.start(late);
    settle(&mut world, 10 * SECOND, |world| everyone_lists(world, &wanted));
}

#[test]
fn what_lives_stays_for_hours_and_costs_a_list_a_minute() {
    let mut world = mesh(4, seed(1));
    offer_all(&mut world, 3);
    let wanted = expected(&world, 3);
    settle(&mut world, 5 * SECOND, |world| everyone_lists(world, &wanted));
    let before = world.service_report(0).published;
    for _ in 0..60 {
        world.run_for(20 * SECOND);
        everyone_lists(&mut world, &wanted).expect("nothing alive vanishes");
    }
    let lists = world.service_report(0).published - before;
    assert!((14..=32).contains(&lists), "{lists} lists in twenty minutes");
    assert!(world.service_news(0).iter().all(|news| news.starts_with('+')), "a renewal is no news");
}

#[test]
fn a_goodbye_ends_services_at_once_and_a_kill_within_their_time() {
    let mut world = mesh(5, seed(1));
    offer_all(&mut world, 2);
    let all = expected(&world, 2);
    settle(&mut world, 5 * SECOND, |world| everyone_lists(world, &all));
    world.stop(4);
    let left = expected(&world, 2);
    settle(&mut world, SECOND, |world| everyone_lists(world, &left));
    world.kill(3);
    let alive = expected(&world, 2);
    world.run_for(SECOND);
    let dead = world.id(3);
    let of_dead = |world: &mut World| world.services(0).into_iter().filter(|entry| entry.member == dead).count();
    assert_eq!(of_dead(&mut world), 2, "a member that does not answer may come back");
    assert!(world.services(0).iter().all(|entry| entry.cost_us.is_some() != (entry.member == dead)), "but is far");
    let took = settle(&mut world, TTL, |world| everyone_lists(world, &alive));
    println!("gone after {:.1} s", seconds(took));
    assert!(world.service_news(0).contains(&"-s0-3 expired".to_owned()));
}

#[test]
fn who_comes_back_with_nothing_to_offer_takes_its_old_services_off() {
    let mut world = mesh(4, seed(1));
    world.offer_named(3, &["web".to_owned()]);
    let wanted = vec![("web".to_owned(), world.id(3))];
    settle(&mut world, 2 * SECOND, |world| everyone_lists(world, &wanted));
    world.restart(3);
    let took = settle(&mut world, 15 * SECOND, |world| everyone_lists(world, &[]));
    println!("off after {:.2} s", seconds(took));
}

#[test]
fn a_board_with_a_wrong_clock_is_listed_as_soon_as_the_time_is_known() {
    for ahead in [50 * SECOND, 3_600 * SECOND] {
        for sign in [1, -1] {
            let mut world = World::new(seed(1));
            add_by_first(&mut world, 5);
            world.set_clock(4, meshline_sim::WallClock { offset_us: sign * ahead.cast_signed(), drift_ppm: 0 });
            world.start_all();
            world.offer_named(4, &["web".to_owned()]);
            let wanted = vec![("web".to_owned(), world.id(4))];
            let took = settle(&mut world, 20 * SECOND, |world| everyone_lists(world, &wanted));
            println!("a clock {} s off: listed after {:.2} s", sign * (ahead / SECOND).cast_signed(), seconds(took));
        }
    }
}

#[test]
fn a_late_joiner_and_both_sides_of_a_healed_partition_list_everything() {
    for seed in seeds(3) {
        let mut world = mesh(6, seed);
        offer_all(&mut world, 4);
        let all = expected(&world, 4);
        settle(&mut world, 5 * SECOND, |world| everyone_lists(world, &all));
        world.part(&[0, 1, 2], &[3, 4, 5]);
        world.run_for(TTL + 30 * SECOND);
        let side: BTreeSet<NodeId> = (0..3).map(|node| world.id(node)).collect();
        assert!(world.service_names(0).iter().all(|(_, owner)| side.contains(owner)), "seed {seed}: beyond its time");
        assert_eq!(world.service_names(0).len(), 12, "seed {seed}: this side lives");
        world.offer_named(5, &["s0-5".to_owned(), "s1-5".to_owned(), "s2-5".to_owned(), "s3-5".to_owned()]);
        world.heal();
        let took = settle(&mut world, 90 * SECOND, |world| everyone_lists(world, &all));
        println!("seed {seed}: one again after {:.1} s", seconds(took));
        let late = world.add(|config| config.peers = vec![meshline_sim::address(0)]);
        world.start(late);
        let took = settle(&mut world, 20 * SECOND, |world| everyone_lists(world, &all));
        println!("seed {seed}: the late joiner has all after {:.1} s", seconds(took));
    }
}

#[test]
fn listings_converge_after_an_hour_of_churn() {
    for seed in seeds(2) {
        let mut world = mesh(8, seed);
        offer_all(&mut world, 2);
        for round in 0..12_usize {
            let node = 1 + (round * 5 + usize::try_from(seed).unwrap_or(0)) % 7;
            match round % 3 {
                0 => world.kill(node),
                1 => world.stop(node),
                _ => {}
            }
            world.run_for(20 * SECOND);
            if !world.is_running(node) {
                world.start(node);
            }
            world.run_for(SECOND);
            world.offer_named(node, &[format!("s0-{node}"), format!("s1-{node}")]);
            world.run_for(9 * SECOND);
        }
        let all = expected(&world, 2);
        let took = settle(&mut world, 60 * SECOND, |world| everyone_lists(world, &all));
        println!("seed {seed}: all agree after {:.1} s", seconds(took));
    }
}

#[test]
fn a_thousand_services_on_a_hundred_members_are_known_to_all() {
    let soak = std::env::var_os("MESHLINE_SOAK").is_some();
    let (nodes, each) = if soak { (100, 10) } else { (24, 42) };
    let mut world = World::new(seed(1));
    add_by_first(&mut world, nodes);
    for node in 0..nodes {
        world.edit(node, |config, _| config.max_links = 8);
    }
    world.start_all();
    world.run_for(30 * SECOND);
    offer_all(&mut world, each);
    let all = expected(&world, each);
    assert!(all.len() >= 1_000);
    let took = settle(&mut world, 60 * SECOND, |world| everyone_lists(world, &all));
    println!("{} services on {nodes} members known to all after {:.2} s", all.len(), seconds(took));
}

#[test]
fn of_a_flapping_service_few_changes_are_told_and_it_is_shown_as_such() {
    let mut world = mesh(3, seed(1));
    let web = |health| vec![offered("web", "_http._tcp", health)];
    for second in 0..60 {
        let health = if second % 2 == 0 { Health::Up } else { Health::Down };
        assert_eq!(world.offer(0, web(health)), Ok(()));
        world.run_for(SECOND);
    }
    let lists = world.service_report(0).published;
    assert!(lists <= 8, "{lists} lists of a service that changed sixty times");
    let told = world.service_news(2).len();
    assert!(told <= 6, "{told} changes told");
    assert!(world.service_report(0).damped == 1 && world.services(0)[0].damped, "its owner shows it");
    assert_eq!(world.offer(0, web(Health::Up)), Ok(()));
    world.run_for(300 * SECOND);
    let entry = world.services(2).remove(0);
    assert!(!entry.damped && entry.health == Health::Up, "calm in the end, as it is now: {entry:?}");
}

#[test]
fn a_member_that_is_started_again_and_again_is_damped_at_the_others() {
    let mut world = mesh(3, seed(1));
    for _ in 0..6 {
        world.offer_named(2, &["web".to_owned()]);
        world.run_for(2 * SECOND);
        world.stop(2);
        world.run_for(SECOND);
        world.start(2);
        world.run_for(4 * SECOND);
    }
    world.offer_named(2, &["web".to_owned()]);
    world.run_for(2 * SECOND);
    let entry = world.services(0).remove(0);
    assert!(entry.damped && entry.penalty > 0, "{entry:?}");
    let told = world.service_news(0).len();
    assert!(told < 12, "{told} of the changes were told");
    world.run_for(300 * SECOND);
    assert_eq!(world.service_news(0).last().map(String::as_str), Some("~web up"), "told as it is once it is calm");
}
