//! The tree by itself: what it is told, and what it wants done.

use meshline_protocol::limits::MAX_ANNOUNCED;
use meshline_protocol::message::{BroadcastHave, BroadcastPlace};
use meshline_protocol::{Bounded, UnixMicros};

use super::firsts::MAX_FIRSTS;
use super::lazy::ANNOUNCED_TO;
use super::missing::{MAX_ANNOUNCERS, MAX_MISSING, MAX_MISSING_A_PEER, MAX_OUTSTANDING};
use super::peer::{ANNOUNCED, ASKED_FOR, GRAFTS, MAX_BROKEN, MAX_QUEUED};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn message(n: u64) -> MessageId {
    MessageId { by: node(200), seq: UnixMicros::new(n), kind: BroadcastKind::Text }
}

fn name(n: u64, hops: Option<u8>) -> BroadcastName {
    BroadcastName { by: node(200), seq: UnixMicros::new(n), kind: BroadcastKind::Text, hops }
}

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000)
}

/// A tree with so many links, of which the first two are eager: that to the root, and one that the other end wants.
fn tree(links: u8) -> Tree {
    let mut tree = linked(links);
    tree.placed(&node(1), place(0, 2), at(0));
    tree.grafted(&node(2), at(0));
    // It has told its place.
    tree.handle_timeout(at(100));
    steps(&mut tree);
    tree
}

/// Node 100, with so many links.
fn linked(links: u8) -> Tree {
    let mut tree = Tree::new(node(100), false, 1);
    (1..=links).for_each(|peer| tree.link_up(node(peer), at(0)));
    tree
}

fn place(root: u8, hops: u8) -> BroadcastPlace {
    BroadcastPlace { root: node(root), hops }
}

fn steps(tree: &mut Tree) -> Vec<Step> {
    std::iter::from_fn(|| tree.poll_step()).collect()
}

fn along(entry: u32) -> BroadcastTrail {
    BroadcastTrail { entry, ..BroadcastTrail::default() }
}

fn arrive(tree: &mut Tree, n: u64, from: u8, now: Mono) -> Vec<Step> {
    tree.arrived((message(n), BroadcastTrail::default()), node(from), &|_| true, now);
    steps(tree)
}

fn announce(tree: &mut Tree, from: u8, names: &[BroadcastName], now: Mono) -> usize {
    let told = names.chunks(MAX_ANNOUNCED).map(|names| have(names, false));
    told.map(|have| tree.announced(node(from), &have, &|_| false, now)).sum()
}

fn have(names: &[BroadcastName], past: bool) -> BroadcastHave {
    BroadcastHave { names: Bounded::from_first(names.iter().copied()), past }
}

/// Whom the tree asks for what at a time.
fn asked(tree: &mut Tree, now: Mono) -> Vec<(NodeId, usize)> {
    tree.handle_timeout(now);
    let ask = |step| match step {
        Step::Want { to, ids } => Some((to, ids.len())),
        Step::Push { .. } | Step::Have { .. } | Step::Graft { .. } | Step::Prune { .. } | Step::Place { .. } => None,
    };
    steps(tree).into_iter().filter_map(ask).collect()
}

#[test]
fn a_message_goes_on_along_eager_links_and_is_announced_on_the_others_a_little_later() {
    let mut tree = tree(5);
    let trail = BroadcastTrail { hops: 1, ..BroadcastTrail::default() };
    assert_eq!(arrive(&mut tree, 1, 1, at(0)), [Step::Push { to: vec![node(2)], id: message(1), trail }]);
    arrive(&mut tree, 2, 1, at(10));
    tree.handle_timeout(at(49));
    assert_eq!(steps(&mut tree), []);
    assert_eq!(tree.next_timeout(), Some(at(50)));
    tree.handle_timeout(at(50));
    let names = vec![name(1, Some(1)), name(2, Some(1))];
    let told = [3, 4, 5].map(|peer| Step::Have { to: node(peer), names: names.clone() });
    assert_eq!(steps(&mut tree), told);
}

#[test]
fn a_peer_that_has_a_message_is_neither_handed_it_nor_told_of_it() {
    let mut tree = tree(3);
    announce(&mut tree, 3, &[name(1, None)], at(0));
    arrive(&mut tree, 1, 1, at(10));
    tree.handle_timeout(at(100));
    assert_eq!(steps(&mut tree), []);
}

#[test]
fn on_many_lazy_links_a_message_is_announced_on_some() {
    let mut tree = tree(40);
    arrive(&mut tree, 1, 1, at(0));
    arrive(&mut tree, 2, 1, at(0));
    tree.handle_timeout(at(50));
    let told = steps(&mut tree);
    assert_eq!(told.len(), ANNOUNCED_TO, "both messages to the same peers");
}

#[test]
fn a_second_copy_prunes_its_link_unless_it_came_in_elsewhere() {
    let mut tree = tree(3);
    arrive(&mut tree, 1, 1, at(0));
    tree.again(&message(1), node(2), along(7), at(1));
    assert_eq!(steps(&mut tree), [], "another entry is no loop");
    tree.again(&message(1), node(1), along(0), at(1));
    assert_eq!(steps(&mut tree), [], "nor is the same link twice");
    tree.again(&message(1), node(2), along(0), at(1));
    assert_eq!(steps(&mut tree), [Step::Prune { to: node(2) }]);
    assert!(!tree.is_eager(&node(2)));
    tree.again(&message(1), node(2), along(0), at(2));
    assert_eq!(steps(&mut tree), [], "it has been told");
    tree.again(&message(1), node(2), along(0), at(600));
    assert_eq!(steps(&mut tree), [Step::Prune { to: node(2) }], "and is told again if it goes on");
}

#[test]
fn copies_prune_nothing_when_their_first_is_long_forgotten() {
    let mut tree = tree(2);
    let last = u64::try_from(MAX_FIRSTS).expect("small");
    for n in 0..=last {
        arrive(&mut tree, n, 1, at(n));
    }
    tree.again(&message(0), node(2), along(0), at(last));
    assert_eq!(steps(&mut tree), []);
    tree.again(&message(1), node(2), along(0), at(last));
    assert_eq!(steps(&mut tree), [Step::Prune { to: node(2) }]);
}

#[test]
fn what_is_announced_and_does_not_come_is_asked_for_one_announcer_after_the_other() {
    let mut tree = tree(5);
    announce(&mut tree, 3, &[name(1, None)], at(0));
    announce(&mut tree, 4, &[name(1, None)], at(1));
    assert_eq!(asked(&mut tree, at(399)), []);
    assert_eq!(asked(&mut tree, at(400)), [(node(3), 1)]);
    assert_eq!(asked(&mut tree, at(899)), []);
    assert_eq!(asked(&mut tree, at(900)), [(node(4), 1)]);
    assert_eq!(tree.report().broken_promises, 1);
    arrive(&mut tree, 1, 4, at(950));
    assert_eq!(tree.report().missing, 0);
    assert_eq!(asked(&mut tree, at(9_000)), []);
}

#[test]
fn what_has_been_there_for_a_while_is_asked_for_at_once() {
    let mut tree = tree(3);
    tree.announced(node(3), &have(&[name(1, None)], true), &|_| false, at(0));
    assert_eq!(asked(&mut tree, at(0)), [(node(3), 1)]);
}

#[test]
fn patience_follows_what_the_tree_takes() {
    let mut tree = tree(3);
    let wait_for = |tree: &mut Tree, n: u64, lag: u64| {
        let now = at(n * 10_000);
        announce(tree, 3, &[name(n, None)], now);
        arrive(tree, n, 1, now.after(Duration::from_millis(lag)));
    };
    (1..50).for_each(|n| wait_for(&mut tree, n, 900));
    assert!(tree.pace.patience() > Duration::from_millis(900), "{:?}", tree.pace.patience());
    (50..200).for_each(|n| wait_for(&mut tree, n, 0));
    assert_eq!(tree.pace.patience(), Duration::from_millis(50));
}

#[test]
fn a_peer_that_breaks_its_promises_is_asked_last_and_then_not_at_all_before_it_hands_something_over() {
    let mut tree = tree(5);
    announce(&mut tree, 3, &[name(1, None)], at(0));
    let mut now = at(0);
    let mut later = |tree: &mut Tree| {
        now = now.after(5 * SECOND);
        asked(tree, now)
    };
    assert_eq!(later(&mut tree), [(node(3), 1)]);
    later(&mut tree);
    announce(&mut tree, 3, &[name(2, None)], at(20_000));
    announce(&mut tree, 4, &[name(2, None)], at(20_000));
    assert_eq!(asked(&mut tree, at(25_000)), [(node(4), 1)], "the other one first");
    arrive(&mut tree, 2, 4, at(25_001));
    for n in 3..3 + u64::from(MAX_BROKEN) {
        let now = at(n * 100_000);
        announce(&mut tree, 3, &[name(n, None)], now);
        asked(&mut tree, now.after(10 * SECOND));
        asked(&mut tree, now.after(20 * SECOND));
    }
    let now = at(10_000_000);
    announce(&mut tree, 3, &[name(1_000, None)], now);
    assert_eq!((tree.report().missing, asked(&mut tree, now.after(10 * SECOND))), (0, Vec::new()));
    arrive(&mut tree, 1_001, 3, now.after(10 * SECOND));
    announce(&mut tree, 3, &[name(1_002, None)], now.after(10 * SECOND));
    assert_eq!(asked(&mut tree, now.after(20 * SECOND)), [(node(3), 1)]);
}

#[test]
fn no_peer_has_us_wait_for_more_than_its_part() {
    let mut tree = tree(32);
    let names =
        |from: u64, count: usize| -> Vec<BroadcastName> { (from..).take(count).map(|n| name(n, None)).collect() };
    assert_eq!(announce(&mut tree, 3, &names(0, MAX_MISSING_A_PEER), at(0)), 0);
    assert_eq!(announce(&mut tree, 3, &names(100_000, 1), at(0)), 1, "one too many");
    assert_eq!(announce(&mut tree, 4, &names(100_000, 1), at(0)), 0, "another one may");
    for peer in 5..=30 {
        announce(&mut tree, peer, &names(u64::from(peer) * 1_000_000, MAX_MISSING_A_PEER), at(0));
    }
    assert_eq!(tree.report().missing, MAX_MISSING);
    // What the first one announced alone goes with it.
    tree.link_down(&node(3), at(0));
    assert_eq!(tree.report().missing, MAX_MISSING - MAX_MISSING_A_PEER);
    assert_eq!(announce(&mut tree, 4, &names(900_000_000, 1), at(1)), 0);
}

#[test]
fn a_message_has_so_many_announcers_at_most() {
    let mut tree = tree(20);
    for peer in 1..=20 {
        announce(&mut tree, peer, &[name(1, None)], at(0));
    }
    let mut now = at(0);
    let mut asks = 0;
    for _ in 0..40 {
        now = now.after(5 * SECOND);
        asks += asked(&mut tree, now).len();
    }
    assert_eq!((asks, tree.report().missing), (MAX_ANNOUNCERS, 0));
}

#[test]
fn a_peer_is_asked_for_so_many_messages_at_once() {
    let mut tree = tree(3);
    let count = 3 * MAX_OUTSTANDING;
    let names: Vec<BroadcastName> = (0..).take(count).map(|n| name(n, None)).collect();
    tree.announced(node(3), &have(&names, true), &|_| false, at(0));
    assert_eq!(asked(&mut tree, at(0)), [(node(3), MAX_OUTSTANDING)]);
    assert_eq!(asked(&mut tree, at(20)), []);
    for n in 0..u64::try_from(MAX_OUTSTANDING).expect("small") {
        arrive(&mut tree, n, 3, at(30));
    }
    assert_eq!(asked(&mut tree, at(50)), [(node(3), MAX_OUTSTANDING)]);
}

#[test]
fn announcements_grafts_and_what_is_asked_for_are_held_to_their_rates() {
    let mut tree = tree(3);
    let names: Vec<BroadcastName> = (0..ANNOUNCED.burst).map(|_| name(1, None)).collect();
    assert_eq!(announce(&mut tree, 3, &names, at(0)), 0);
    assert_eq!(announce(&mut tree, 3, &[name(1, None)], at(0)), 1);
    assert_eq!((0..=GRAFTS.burst).filter(|_| tree.grafted(&node(3), at(0))).count(), 256);
    assert!(tree.grafted(&node(3), at(1_000)));
    let kibibyte = |tree: &mut Tree, now| tree.serve(node(3), message(1), 1_024, now);
    assert_eq!((0..=ASKED_FOR.burst).filter(|_| kibibyte(&mut tree, at(0))).count(), 1_024);
    assert!(kibibyte(&mut tree, at(1_000)));
}

#[test]
fn what_waits_to_be_announced_gives_way_to_the_newest() {
    let mut tree = tree(3);
    let count = u64::try_from(MAX_QUEUED).expect("small");
    for n in 0..=count {
        arrive(&mut tree, n, 1, at(0));
    }
    tree.handle_timeout(at(50));
    let told: Vec<usize> = steps(&mut tree)
        .into_iter()
        .filter_map(|step| if let Step::Have { names, .. } = step { Some(names.len()) } else { None })
        .collect();
    assert_eq!(told, [MAX_QUEUED]);
}

#[test]
fn the_end_of_a_branch_takes_another_link_at_once_and_one_that_all_pruned_a_little_later() {
    let mut tree = tree(4);
    tree.pruned(&node(1), at(0));
    tree.link_down(&node(2), at(0));
    let eager: Vec<NodeId> = tree.eager_peers().collect();
    assert_eq!(eager.len(), 1);
    assert_eq!(steps(&mut tree), [Step::Graft { to: eager[0] }]);
    tree.handle_timeout(at(5_000));
    tree.pruned(&eager[0], at(6_000));
    tree.handle_timeout(at(6_999));
    assert_eq!(steps(&mut tree), []);
    tree.handle_timeout(at(7_000));
    assert!(matches!(steps(&mut tree).as_slice(), [Step::Graft { .. }]));
}

#[test]
fn a_message_goes_along_the_tree_alone_however_many_shortcuts_earlier_versions_give_it() {
    let mut tree = tree(6);
    tree.publish(message(1), false, at(0));
    let copies = |tree: &mut Tree| steps(tree).into_iter().filter(|step| matches!(step, Step::Push { .. })).count();
    assert_eq!(copies(&mut tree), 1);
    let much = BroadcastTrail { shortcuts: 255, entry: 3, ..BroadcastTrail::default() };
    tree.arrived((message(2), much), node(1), &|_| true, at(0));
    assert_eq!(copies(&mut tree), 1);
}

/// A message is announced at 0, asked for, and handed over by node 3 at 500 ms.
fn asked_for(tree: &mut Tree) -> Vec<Step> {
    announce(tree, 3, &[name(1, None)], at(0));
    assert_eq!(asked(tree, at(400)), [(node(3), 1)]);
    arrive(tree, 1, 3, at(500))
}

#[test]
fn whoever_hands_over_what_the_tree_does_not_bring_is_of_the_tree_from_then_on() {
    let mut tree = tree(4);
    asked_for(&mut tree);
    tree.handle_timeout(at(550));
    assert!(!tree.is_eager(&node(3)), "it may still come");
    tree.handle_timeout(at(2_300));
    assert!(steps(&mut tree).contains(&Step::Graft { to: node(3) }));
    assert!(tree.is_eager(&node(3)));
}

#[test]
fn a_tree_that_is_only_slow_stays_as_it_is_and_is_waited_for_longer() {
    let mut tree = tree(4);
    let before = tree.pace.patience();
    asked_for(&mut tree);
    tree.again(&message(1), node(1), along(0), at(530));
    tree.handle_timeout(at(5_000));
    let prunes = steps(&mut tree).into_iter().filter(|step| matches!(step, Step::Prune { .. } | Step::Graft { .. }));
    assert_eq!(prunes.count(), 0);
    assert!(tree.pace.patience() > before, "{:?}", tree.pace.patience());
}

#[test]
fn a_copy_that_is_very_late_prunes_its_link_wherever_it_came_in() {
    let mut tree = tree(4);
    arrive(&mut tree, 1, 1, at(0));
    tree.again(&message(1), node(2), along(7), at(1_999));
    assert_eq!(tree.report().prunes_sent, 0);
    tree.again(&message(1), node(2), along(7), at(2_000));
    assert_eq!(tree.report().prunes_sent, 1);
}

#[test]
fn what_was_asked_for_goes_away_from_the_root_and_is_only_announced_towards_it() {
    let mut tree = tree(4);
    let pushed: Vec<NodeId> = asked_for(&mut tree)
        .into_iter()
        .flat_map(|step| if let Step::Push { to, .. } = step { to } else { Vec::new() })
        .collect();
    assert_eq!(pushed, [node(2)], "node 1 leads to the root");
    tree.handle_timeout(at(550));
    let told = steps(&mut tree).into_iter().any(|step| matches!(step, Step::Have { to, .. } if to == node(1)));
    assert!(told);
}

#[test]
fn a_gap_above_the_parent_is_not_mended_here() {
    let mut tree = tree(4);
    asked_for(&mut tree);
    tree.again(&message(1), node(1), along(9), at(530));
    tree.handle_timeout(at(5_000));
    assert!(!tree.is_eager(&node(3)), "node 1 got it elsewhere too, and mends it");
}

mod loops;
mod places;
