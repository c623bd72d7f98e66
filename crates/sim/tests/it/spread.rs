//! Messages to all along a tree: what they cost, and who gets them when nodes die, part, drop or lie.

use std::collections::BTreeSet;

use bytes::Bytes;
use meshline_mesh::Config;
use meshline_protocol::message::{
    Broadcast, BroadcastGraft, BroadcastHave, BroadcastKind, BroadcastName, BroadcastPrune, BroadcastWant, Echo,
};
use meshline_protocol::{Bounded, Frame, Message, NodeId, UnixMicros};
use meshline_sim::invariants::heard_once;
use meshline_sim::spread::{Conduct, Method, Setting, Spread};
use meshline_sim::{MS, Puppet, SECOND, World, address, seed};

use crate::support::{linked_puppet, misbehaved, seconds, settle};

/// A hundred nodes on a ring with six random links each across it, all up.
fn hundred(seed: u64) -> World {
    let mut world = World::new(seed).verified_once();
    let near = cables(&mut world, 100, 8);
    for (node, peers) in near.into_iter().enumerate() {
        // Each link is dialled from one end.
        world.add(|config: &mut Config| {
            config.peers = peers.into_iter().filter(|peer| *peer > node).map(address).collect();
            config.max_links = 16;
        });
    }
    world.start_all();
    world.run_for(5 * SECOND);
    world
}

fn cables(world: &mut World, nodes: usize, degree: usize) -> Vec<BTreeSet<usize>> {
    let mut pairs: BTreeSet<(usize, usize)> =
        (0..nodes).map(|node| (node.min((node + 1) % nodes), node.max((node + 1) % nodes))).collect();
    while pairs.len() < nodes * degree / 2 {
        let (one, other) = (world.rng().index(nodes), world.rng().index(nodes));
        if one != other {
            pairs.insert((one.min(other), one.max(other)));
        }
    }
    let mut near = vec![BTreeSet::new(); nodes];
    for (one, other) in &pairs {
        near[*one].insert(*other);
        near[*other].insert(*one);
    }
    world.lay_cables(&pairs.into_iter().collect::<Vec<_>>());
    near
}

fn copies(world: &World) -> u64 {
    (0..world.len()).map(|node| world.sent(node, "broadcast.flood")).sum()
}

/// Has a node say something and waits until all running have it; the copies it took, and the time.
fn say(world: &mut World, node: usize, text: &str) -> (u64, u64) {
    let before = copies(world);
    world.say(node, text);
    let all = world.running();
    let took = settle(world, 20 * SECOND, |world| heard_once(world, node, text, &all));
    world.run_for(SECOND);
    (copies(world) - before, took)
}

#[test]
fn a_message_costs_a_hundred_nodes_with_eight_links_little_more_than_a_copy_each() {
    let mut world = hundred(seed(1));
    let (first, took) = say(&mut world, 0, "the first");
    println!("the first message: {first} copies, all within {:.3} s", seconds(took));
    for author in 0..10 {
        say(&mut world, 7 * author, &format!("warming {author}"));
    }
    let mut all = 0;
    for author in 0..20 {
        all += say(&mut world, 5 * author, &format!("message {author}")).0;
    }
    let each = all as f64 / (20.0 * 99.0);
    println!("{each:.3} copies a node and message; a flood takes some seven");
    assert!(each <= 1.05, "{each}");
}

#[test]
fn half_of_the_nodes_die_and_the_rest_get_the_next_message() {
    let mut world = hundred(seed(2));
    for author in 0..3 {
        say(&mut world, author, &format!("warming {author}"));
    }
    for node in (1..100).filter(|node| node % 2 == 1) {
        world.kill(node);
    }
    // Only those whom links still reach can get anything.
    let reached = component(&world, 0);
    println!("{} of 50 are one mesh", reached.len());
    world.say(0, "who is there");
    let took = settle(&mut world, 10 * SECOND, |world| heard_once(world, 0, "who is there", &reached));
    println!("all of them have it after {:.3} s", seconds(took));
}

/// The running nodes that links reach from one, itself included.
fn component(world: &World, from: usize) -> Vec<usize> {
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        let next = world.running().into_iter().filter(|other| world.is_linked(node, *other));
        open.extend(next.filter(|other| found.insert(*other)).collect::<Vec<_>>());
    }
    found.into_iter().collect()
}

#[test]
fn what_one_half_said_while_the_network_was_parted_is_in_the_other_soon_after() {
    let mut world = hundred(seed(3));
    let (one, other): (Vec<usize>, Vec<usize>) = (0..100).partition(|node| *node < 50);
    say(&mut world, 0, "before");
    world.part(&one, &other);
    // Until the links across are given up.
    world.run_for(60 * SECOND);
    world.say(3, "here");
    world.say(97, "there");
    world.run_for(5 * SECOND);
    assert_eq!((world.times_heard(60, "here"), world.times_heard(60, "there")), (0, 1));
    world.heal();
    let all = world.running();
    let linked = settle(&mut world, 120 * SECOND, |world| {
        let is_across = (0..50).any(|node| (50..100).any(|peer| world.is_linked(node, peer)));
        if is_across { Ok(()) } else { Err("no link across yet".to_owned()) }
    });
    let took = settle(&mut world, 10 * SECOND, |world| {
        heard_once(world, 3, "here", &all)?;
        heard_once(world, 97, "there", &all)
    });
    println!("first link after {:.1} s, all have both {:.3} s later", seconds(linked), seconds(took));
}

#[test]
fn members_that_drop_delay_or_only_promise_keep_nothing_from_the_others() {
    for (what, conduct) in [
        ("drop", Conduct::Drops),
        ("promise only", Conduct::Promises),
        ("are five seconds late", Conduct::Delays(5 * SECOND)),
    ] {
        let setting = Setting { nodes: 300, seed: seed(4), ..Setting::default() };
        let mut spread = Spread::new(&setting);
        let source = spread.any_honest();
        spread.publish(source);
        spread.corrupt(20, conduct);
        for _ in 0..10 {
            let source = spread.any_honest();
            let outcome = spread.publish(source);
            assert_eq!(outcome.reached, 300, "a fifth {what}");
            println!("a fifth {what}: {:.3} copies a node, asked {}", outcome.copies_per_node(), outcome.asked);
            assert!(outcome.copies_per_node() < 3.0, "a fifth {what}: {outcome:?}");
        }
    }
}

#[test]
fn flooding_and_pushing_cost_more_or_reach_fewer_on_the_same_links() {
    let outcome = |method| {
        let mut spread = Spread::new(&Setting { nodes: 500, method, seed: seed(5), ..Setting::default() });
        (0..5).for_each(|source| {
            spread.publish(source * 90);
        });
        spread.publish(17)
    };
    let (tree, flood, push) = (outcome(Method::Tree), outcome(Method::Flood), outcome(Method::Push(3)));
    for (what, outcome) in [("tree", tree), ("flood", flood), ("push to three", push)] {
        println!(
            "{what}: {:.3} copies, {} of 500, {} hops",
            outcome.copies_per_node(),
            outcome.reached,
            outcome.last_hops
        );
    }
    assert_eq!((tree.reached, flood.reached), (500, 500));
    assert!(tree.copies_per_node() <= 1.05 && flood.copies_per_node() > 6.0 && push.copies_per_node() > 2.5);
}

#[test]
fn messages_of_many_at_once_reach_all() {
    let mut spread = Spread::new(&Setting { nodes: 200, seed: seed(6), ..Setting::default() });
    let sources: Vec<usize> = (0..50).map(|nth| nth * 4).collect();
    let outcome = spread.publish_all(&sources, 2 * MS);
    println!("{outcome:?}");
    assert_eq!(outcome.reached, 200);
    let outcome = spread.publish_all(&sources, 2 * MS);
    assert_eq!(outcome.reached, 200);
    println!("{outcome:?}");
    assert!(outcome.copies_per_node() < 2.0, "{outcome:?}");
}

fn name(by: NodeId, n: u64) -> BroadcastName {
    BroadcastName { by, seq: UnixMicros::new(n), kind: BroadcastKind::Text, hops: None }
}

fn have(names: impl IntoIterator<Item = BroadcastName>, past: bool) -> Frame {
    Message::Broadcast(Broadcast::Have(BroadcastHave { names: Bounded::from_first(names), past })).into()
}

fn asked(world: &World, puppet: &Puppet) -> usize {
    let is_want = |message: &&&Message| matches!(message, Message::Broadcast(Broadcast::Want(_)));
    world.puppet_got(puppet).iter().filter(is_want).count()
}

#[test]
fn a_member_that_makes_names_up_is_believed_no_longer_and_harms_nobody() {
    let (mut pair, puppet) = linked_puppet(seed(7));
    let mut most = 0;
    for round in 0..200 {
        let by = NodeId::from_bytes([9; 32]);
        let names: Vec<BroadcastName> = (0..256).map(|n| name(by, round * 256 + n)).collect();
        pair.puppet_send(&puppet, have(names, true));
        pair.run_for(100 * MS);
        most = most.max(pair.status(0).spread.broken_promises);
    }
    pair.run_for(30 * SECOND);
    let asked = asked(&pair, &puppet);
    let report = pair.status(0).spread;
    println!("asked {asked} times, {report:?}");
    assert!(asked < 40 && report.missing == 0, "asked {asked} times");
    assert!(most >= 16, "broken promises are counted: {most}");
    pair.say(1, "all is well");
    pair.run_for(SECOND);
    assert_eq!(pair.times_heard(0, "all is well"), 1);
}

#[test]
fn a_member_that_grafts_and_prunes_without_end_gets_no_more_than_its_rate() {
    let (mut pair, puppet) = linked_puppet(seed(8));
    let seq = pair.say(0, &"x".repeat(16_000));
    let own = pair.id(0);
    let before = pair.sent(0, "broadcast.flood");
    for _ in 0..2_000 {
        let want = BroadcastWant { names: Bounded::from_first([BroadcastName { seq, ..name(own, 0) }]) };
        pair.puppet_send(&puppet, Message::Broadcast(Broadcast::Want(want)));
        pair.puppet_send(&puppet, Message::Broadcast(Broadcast::Graft(BroadcastGraft {})));
        pair.puppet_send(&puppet, Message::Broadcast(Broadcast::Prune(BroadcastPrune {})));
    }
    pair.run_for(100 * MS);
    let served = pair.sent(0, "broadcast.flood") - before;
    println!("served {served} of 2000");
    assert!((1..=90).contains(&served), "served {served} times 16 KiB");
    assert!(pair.status(0).refused.get("rate_limited").is_some_and(|count| *count > 1_000));
    assert!(misbehaved(&pair).is_empty());
}

#[test]
fn a_member_that_repeats_a_message_is_pruned_and_tells_nobody_anything_twice() {
    let (mut pair, puppet) = linked_puppet(seed(9));
    let seq = pair.say(1, "once");
    pair.run_for(SECOND);
    let own = pair.id(1);
    let want = BroadcastWant { names: Bounded::from_first([BroadcastName { seq, ..name(own, 0) }]) };
    pair.puppet_send(&puppet, Message::Broadcast(Broadcast::Want(want)));
    pair.run_for(100 * MS);
    let copy = pair.puppet_got(&puppet).into_iter().rev().find_map(|message| match message {
        Message::Broadcast(Broadcast::Flood(line)) => Some(line.clone()),
        _ => None,
    });
    let line = copy.expect("it was asked for");
    for _ in 0..100 {
        let frame =
            Frame { message: Message::Broadcast(Broadcast::Flood(line.clone())), body: Some(Bytes::from_static(b"?")) };
        pair.puppet_send(&puppet, frame);
    }
    pair.run_for(SECOND);
    let prunes = pair
        .puppet_got(&puppet)
        .into_iter()
        .filter(|message| matches!(message, Message::Broadcast(Broadcast::Prune(_))));
    assert_eq!(prunes.count(), 1, "told once, not a hundred times");
    assert_eq!(pair.times_heard(0, "once"), 1);
    pair.puppet_send(&puppet, Message::Ping(Echo { nonce: 5, text: String::new() }));
    pair.run_for(SECOND);
    assert!(pair.puppet_got(&puppet).iter().any(|message| matches!(message, Message::Pong(echo) if echo.nonce == 5)));
}
