//! Who is chosen when there are more than fit.

use std::collections::BTreeSet;

use super::super::sample::{Chance, SHARE_MICROS};
use super::*;

fn filled(members: u16) -> Registry {
    let mut registry = registry(ROOMY);
    for n in 0..members {
        let roles = if n.is_multiple_of(10) { vec![Role::Node, Role::Proxy] } else { vec![Role::Node] };
        announce(&mut registry, n, &Announcement { roles: Bounded::from_first(roles), ..text(n) }).expect("welcome");
    }
    registry
}

#[test]
fn all_are_listed_while_they_fit() {
    let mut registry = filled(128);
    let list = list_of(&mut registry, &open(), 128, NOW);
    assert_eq!(ids(&list.nodes), sorted(&(0..128).collect::<Vec<_>>()));
    assert_eq!(ids(&list.proxies), sorted(&(0..128).step_by(10).collect::<Vec<_>>()));
}

#[test]
fn beyond_the_limit_a_random_choice_is_listed() {
    let mut registry = filled(129);
    let first = ids(&list_of(&mut registry, &open(), 128, NOW).nodes);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 128, "nobody twice");
    let mut seen = BTreeSet::new();
    for round in 0..200 {
        let now = NOW.offset(round * SHARE_MICROS);
        let list = list_of(&mut registry, &open(), 5, now);
        assert_eq!((list.nodes.len(), list.proxies.len()), (5, 5));
        seen.extend(ids(&list.nodes));
    }
    assert!(seen.len() > 120, "{} of 129 were ever chosen", seen.len());
    assert!(list_of(&mut registry, &open(), 0, NOW).nodes.is_empty());
}

#[test]
fn one_choice_serves_all_callers_for_a_moment() {
    let mut registry = filled(100);
    let first = registry.list(&open(), 10, NOW);
    assert_eq!(registry.list(&open(), 10, NOW.offset(SHARE_MICROS - 1)), first);
    assert_ne!(registry.list(&open(), 10, NOW.offset(SHARE_MICROS)), first);
    let first = registry.list(&open(), 10, NOW);
    assert_ne!(registry.list(&open(), 11, NOW), first, "another limit is another choice");
}

#[test]
fn who_left_or_changed_is_never_listed_from_an_older_choice() {
    let mut registry = filled(100);
    for _ in 0..20 {
        let list = list_of(&mut registry, &open(), 10, NOW);
        let gone = list.nodes[0].id.expect("given");
        let n = (0..100).find(|n| id(*n) == gone).expect("one of them");
        depart(&mut registry, n, NOW.offset(1), NOW).expect("its own");
        assert!(!ids(&list_of(&mut registry, &open(), 10, NOW).nodes).contains(&gone));
    }
    let before = list_of(&mut registry, &open(), 10, NOW).nodes;
    let n = (0..100).find(|n| Some(id(*n)) == before[0].id).expect("one of them");
    let renamed = Announcement { seq: NOW.offset(1), name: "new".parse().expect("a name"), ..text(n) };
    announce(&mut registry, n, &renamed).expect("newer");
    let after = list_of(&mut registry, &open(), 100, NOW).nodes;
    let name = after.iter().find(|node| node.id == Some(id(n))).and_then(|node| node.name.clone());
    assert_eq!(name.expect("listed").as_str(), "new");
}

#[test]
fn who_has_just_come_is_listed_at_once_while_all_fit() {
    let mut registry = registry(ROOMY);
    for n in 0..50 {
        announce(&mut registry, n, &text(n)).expect("welcome");
        assert_eq!(list_of(&mut registry, &open(), 128, NOW).nodes.len(), usize::from(n) + 1);
    }
}

#[test]
fn a_network_that_nobody_announced_has_an_empty_list() {
    let mut registry = registry(ROOMY);
    let list = list(&mut registry, NOW);
    assert!(list.nodes.is_empty() && list.proxies.is_empty());
    assert_eq!(registry.totals().networks, 0, "and is not remembered for having been asked for");
}

#[test]
fn every_subset_is_equally_likely() {
    let mut chance = Chance::new(7);
    let mut counts = [0_u32; 10];
    for _ in 0..10_000 {
        let picked = chance.pick(10, 3);
        assert_eq!(picked.len(), 3);
        picked.into_iter().for_each(|at| counts[at] += 1);
    }
    assert!(counts.iter().all(|count| (2_800..3_200).contains(count)), "{counts:?}");
    assert_eq!(chance.pick(3, 5).len(), 3);
    assert!(chance.pick(0, 5).is_empty());
}

#[test]
fn strangers_see_members_of_open_networks_and_only_how_many_there_are_of_closed_ones() {
    let mut registry = filled(12);
    announce(&mut registry, 1, &member_text(1)).expect("a member");
    let more = Announcement { network: "zoo".parse().expect("a name"), ..text(2) };
    announce(&mut registry, 2, &more).expect("welcome");
    let overview = registry.overview(1, 5);
    assert_eq!((overview.closed_networks, overview.closed_members, overview.more_open), (1, 1, 1));
    assert_eq!((overview.open[0].name.as_str(), overview.open[0].members), ("lab", 12));
    assert_eq!(overview.open[0].rows.len(), 5);
}
