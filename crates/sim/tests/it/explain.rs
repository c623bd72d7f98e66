//! What a node says of members whose links ended.

use meshline_protocol::message::Role;
use meshline_sim::{MS, Pair, Reach, SECOND, World, address, seed};

use crate::relay::relayed;
use crate::support::settle;

#[test]
fn who_was_linked_says_that_nobody_is_at_the_moment() {
    let mut pair = Pair::linked(seed(1));
    pair.run_for(60 * SECOND);
    pair.kill(1);
    pair.run_for(60 * SECOND);
    let ready = pair.status(0).ready;
    assert_eq!((ready.ready, ready.reason.as_str()), (true, "alone: no other member is linked at the moment"));
    pair.restart(0);
    pair.run_for(60 * SECOND);
    assert_eq!(pair.status(0).ready.reason, "alone: no other member could be linked so far", "a new run, a new start");
}

#[test]
fn a_killed_view_was_linked_until_then_and_nobody_waits_to_dial_it() {
    let mut world = World::new(seed(1));
    world.add(|_| {});
    let view = world.add(|config| {
        config.roles = vec![Role::View];
        config.listen.clear();
        config.peers = vec![address(0)];
    });
    world.start_all();
    assert!(world.run_until(2 * SECOND, MS, |world| world.is_linked(0, view)).is_some());
    world.run_for(660 * SECOND);
    world.kill(view);
    world.run_for(130 * SECOND);
    let told = world.explain(0, view).expect("known");
    println!("{}\n{:#?}\n{:#?}", told.summary, told.advice, told.attempts);
    let name = &told.row.name;
    assert!(told.summary.starts_with(&format!("{name} was linked until 2 min ago (connection_lost)")), "{told:?}");
    assert_eq!(told.advice, [format!("{name} was linked until 2 min ago (connection_lost): see whether it runs")]);
    assert_eq!(told.next_attempt_ms, None, "it has no address");
    let last = told.attempts.last().expect("an end");
    assert_eq!((last.transport, last.outcome), ("inbound", "connection_lost"));
    assert!(last.detail.starts_with("up for 11 min: "), "{last:?}");
}

#[test]
fn a_killed_proxy_is_named_where_the_link_through_it_ended() {
    let mut world = World::closed(seed(1));
    for _ in 0..2 {
        world.add(|config| config.proxies = vec![address(2)]);
    }
    world.add(|config| config.roles = vec![Role::Proxy]);
    world.set_reach(&address(0), Reach::Silent);
    world.set_reach(&address(1), Reach::Silent);
    world.start_all();
    settle(&mut world, 10 * SECOND, relayed);
    world.run_for(60 * SECOND);
    world.kill(2);
    // Long enough for more failed attempts than are remembered.
    world.run_for(610 * SECOND);
    let told = world.explain(0, 1).expect("known");
    println!("{}\n{:#?}\n{:#?}\n{:#?}", told.summary, told.why, told.advice, told.attempts);
    let end = told.attempts.iter().find(|one| one.transport == "relay" && one.outcome == "connection_lost");
    let detail = &end.expect("how the link ended").detail;
    let proxy = world.explain(0, 2).expect("known").row.name;
    assert!(detail.contains(&format!("through {proxy}: ")), "{detail}");
    let start = format!("the link with {} through {proxy} ended 10 min ago (connection_lost)", told.row.name);
    let advice = told.advice.iter().find(|line| line.starts_with(&start)).expect("the proxy is named");
    assert!(advice.ends_with(&format!("{proxy} is not linked either: see whether it runs")), "{advice}");
}
