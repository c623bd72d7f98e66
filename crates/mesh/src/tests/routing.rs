//! Costs, ways and forwarding on their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshline_protocol::message::{AdvertisedLink, Datagram, LinkState, Over, RecordText};
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use crate::bucket::{Bucket, Rate};
use crate::now::Mono;
use crate::routing::damping::Damping;
use crate::routing::own::Own;
use crate::routing::{Drop, Forward, Graph, Table, cost_us, forward};

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn link(peer: u8, rtt_us: u32) -> AdvertisedLink {
    AdvertisedLink { peer: id(peer), rtt_us, jitter_us: 0, loss_ppm: 0, goodput_kbps: 100_000, weight: 100 }
}

fn state(links: Vec<AdvertisedLink>, carries: bool) -> LinkState {
    LinkState {
        kind: LinkState::TYPE.to_owned(),
        network: "lab".parse().expect("a name"),
        seq: UnixMicros::new(1),
        expires: UnixMicros::new(u64::MAX),
        carries,
        links: Bounded::from_first(links),
    }
}

/// The graph of links that both ends advertise with the same round trip.
fn graph(links: &[(u8, u8, u32)], idle: &[u8]) -> Graph {
    let mut states: BTreeMap<NodeId, (Vec<AdvertisedLink>, bool)> = BTreeMap::new();
    for (a, b, rtt) in links {
        for (from, to) in [(*a, *b), (*b, *a)] {
            let entry = states.entry(id(from)).or_insert_with(|| (Vec::new(), !idle.contains(&from)));
            entry.0.push(link(to, *rtt));
        }
    }
    let states: BTreeMap<NodeId, LinkState> =
        states.into_iter().map(|(id, (links, carries))| (id, state(links, carries))).collect();
    Graph::new(states.iter().map(|(id, state)| (*id, state)))
}

fn table(links: &[(u8, u8, u32)], idle: &[u8]) -> Table {
    Table::compute(&graph(links, idle), id(0), true, |_| true)
}

fn hops(table: &Table, to: u8) -> Vec<Vec<u8>> {
    let Some(route) = table.routes.get(&id(to)) else { return Vec::new() };
    let number = |hop: &NodeId| hop.as_bytes()[0];
    route.paths.iter().map(|path| path.hops.iter().map(number).collect()).collect()
}

const SQUARE: [(u8, u8, u32); 4] = [(0, 1, 1_000), (1, 2, 1_000), (0, 3, 5_000), (3, 2, 5_000)];

#[test]
fn cost_grows_with_delay_loss_and_slowness_and_is_never_nothing() {
    let base = cost_us(&link(1, 10_000));
    assert!(cost_us(&link(1, 20_000)) > base);
    assert!(cost_us(&AdvertisedLink { loss_ppm: 100_000, ..link(1, 10_000) }) > base);
    assert!(cost_us(&AdvertisedLink { goodput_kbps: 1_000, ..link(1, 10_000) }) > base + 60_000);
    assert!(cost_us(&AdvertisedLink { weight: 1_000, ..link(1, 10_000) }) > 9 * base);
    assert!(cost_us(&AdvertisedLink { weight: 0, ..link(1, 0) }) > 0);
    let most = AdvertisedLink {
        rtt_us: u32::MAX,
        jitter_us: u32::MAX,
        loss_ppm: u32::MAX,
        goodput_kbps: 1,
        weight: u16::MAX,
        ..link(1, 0)
    };
    assert!(cost_us(&most) < u64::MAX / 1_000, "sums of paths do not overflow");
}

#[test]
fn the_best_way_is_first_and_the_spare_one_shares_nothing_with_it() {
    assert_eq!(hops(&table(&SQUARE, &[]), 2), [vec![1, 2], vec![3, 2]]);
    let with_direct = [SQUARE.as_slice(), &[(0, 2, 50_000)]].concat();
    assert_eq!(hops(&table(&with_direct, &[]), 2), [vec![1, 2], vec![3, 2], vec![2]]);
    let direct_best = [SQUARE.as_slice(), &[(0, 2, 100)]].concat();
    assert_eq!(hops(&table(&direct_best, &[]), 2), [vec![2], vec![1, 2], vec![3, 2]]);
}

#[test]
fn shares_follow_the_costs() {
    let table = table(&SQUARE, &[]);
    let paths = &table.routes[&id(2)].paths;
    assert!(paths[0].share > 2 * paths[1].share);
    assert!((990..=1_000).contains(&paths.iter().map(|path| path.share).sum::<u32>()));
}

#[test]
fn a_member_that_does_not_carry_is_an_end_only() {
    assert_eq!(hops(&table(&SQUARE, &[1]), 2), [vec![3, 2]]);
    assert_eq!(hops(&table(&SQUARE, &[1]), 1)[0], [1]);
    assert_eq!(hops(&table(&[(0, 1, 1), (1, 2, 1)], &[1]), 2), Vec::<Vec<u8>>::new());
}

#[test]
fn a_link_that_one_end_claims_alone_is_none() {
    let states = [(id(0), state(vec![link(1, 10)], true)), (id(1), state(Vec::new(), true))];
    let graph = Graph::new(states.iter().map(|(id, state)| (*id, state)));
    assert_eq!(graph.links(), 0);
    assert!(Table::compute(&graph, id(0), true, |_| false).routes.is_empty());
}

fn datagram(path: &[u8], ttl: u8, detours: u8) -> Datagram {
    let service = "test".parse().expect("a name");
    let path = Bounded::from_first(path.iter().map(|n| id(*n)));
    Datagram { src: id(9), dst: id(2), flow: 1, service, ttl, path, detours, over: Over::Tcp, seek: None }
}

#[test]
fn a_datagram_follows_its_path_and_takes_one_detour_where_that_broke() {
    let table = Arc::new(table(&SQUARE, &[]));
    let all = |_: &NodeId| true;
    let Forward::To(next, line) = forward(&table, &datagram(&[1], 5, 0), Some(&id(9)), all) else { panic!() };
    assert_eq!((next, line.path.len(), line.ttl, line.detours), (id(1), 0, 4, 0));
    let without_one = |hop: &NodeId| *hop != id(1);
    let Forward::To(next, line) = forward(&table, &datagram(&[1], 5, 0), Some(&id(9)), without_one) else { panic!() };
    assert_eq!((next, line.path.len(), line.detours), (id(3), 0, 1), "the spare way");
    let second = forward(&table, &datagram(&[1], 5, 1), Some(&id(9)), without_one);
    assert_eq!(second, Forward::Drop(Drop::NoRoute), "a second detour could go in circles");
}

#[test]
fn what_cannot_go_on_is_dropped_for_a_reason() {
    let table = Arc::new(table(&SQUARE, &[]));
    let all = |_: &NodeId| true;
    let drop = |datagram: &Datagram| forward(&table, datagram, Some(&id(9)), all);
    assert_eq!(drop(&datagram(&[1], 0, 0)), Forward::Drop(Drop::TtlExceeded));
    assert_eq!(drop(&datagram(&[1, 0], 9, 0)), Forward::Drop(Drop::NoRoute), "a path that comes back");
    assert_eq!(drop(&Datagram { dst: id(0), ..datagram(&[], 0, 0) }), Forward::Deliver);
    let own = Arc::new(Table { carries: false, ..(*table).clone() });
    assert_eq!(forward(&own, &datagram(&[1], 9, 0), Some(&id(9)), all), Forward::Drop(Drop::NotCarried));
    assert!(matches!(forward(&own, &datagram(&[], 9, 0), None, all), Forward::To(..)), "own ones are sent");
}

#[test]
fn the_third_end_of_a_link_within_a_short_time_keeps_it_from_being_told_for_a_while() {
    let mut damping = Damping::default();
    let at = |seconds: u64| Mono(seconds * 1_000_000);
    for second in 0..2 {
        damping.ended(id(1), at(second));
        assert!(!damping.is_suppressed(&id(1), at(second)));
    }
    damping.ended(id(1), at(2));
    assert!(damping.is_suppressed(&id(1), at(2)) && damping.is_watching());
    assert!(damping.is_suppressed(&id(1), at(11)));
    assert!(!damping.is_suppressed(&id(1), at(40)) && !damping.is_watching());
    assert!(!damping.is_suppressed(&id(2), at(2)), "others are not touched");
}

#[test]
fn a_change_is_told_at_once_and_many_changes_ever_more_slowly() {
    let mut own = Own::new();
    let (mut now, mut told) = (Mono(1_000_000), 0);
    for _ in 0..60_000 {
        own.changed(now);
        if own.is_due(None, now, Vec::new) {
            own.told(Vec::new(), now);
            told += 1;
        }
        now = now.after(Duration::from_millis(1));
    }
    assert!((28..=40).contains(&told), "{told} times in a minute of changes");
}

#[test]
fn a_link_that_got_worse_is_told_sooner_than_one_that_got_better_and_noise_never() {
    let told_after = |before: u32, after: u32| {
        let mut own = Own::new();
        own.changed(Mono(0));
        own.told(vec![link(1, before)], Mono(0));
        (1..600_u64).find(|n| {
            let now = Mono(n * 100_000);
            own.measured(&link(1, after), now);
            let due = own.is_due(None, now, || vec![link(1, after)]);
            if due {
                own.told(vec![link(1, after)], now);
            }
            due
        })
    };
    assert!(told_after(10_000, 100_000).is_some_and(|tenths| tenths <= 25));
    assert!(told_after(100_000, 10_000).is_some_and(|tenths| (95..=120).contains(&tenths)));
    assert_eq!(told_after(10_000, 11_000), None);
    assert_eq!(told_after(500, 2_000), None, "a millisecond is not worth it");
}

#[test]
fn among_many_members_costs_are_told_again_so_much_later_for_each_and_a_lost_link_at_once() {
    let told = |members: Option<u32>| -> Vec<u32> {
        let mut own = Own::new();
        own.told(vec![link(1, 1_000)], Mono(0));
        let is_told = |tenth: &u32| {
            let (now, links) = (Mono(u64::from(*tenth) * 100_000), vec![link(1, 1_000 + tenth * 1_000)]);
            own.measured(&links[0], now);
            let is_due = own.is_due(members, now, || links.clone());
            if is_due {
                own.told(links, now);
            }
            is_due
        };
        (1..3_000).filter(is_told).collect()
    };
    assert!(told(None).len() > 12, "{:?}", told(None));
    let among_a_hundred = told(Some(100));
    assert!(among_a_hundred.windows(2).all(|two| two[1] - two[0] >= 200), "{among_a_hundred:?}");
    assert!(among_a_hundred.len() >= 7, "{among_a_hundred:?}");
    let among_thousands = told(Some(5_000));
    assert!(among_thousands.len() >= 3, "a minute at the longest: {among_thousands:?}");

    let mut own = Own::new();
    own.told(Vec::new(), Mono(0));
    own.changed(Mono(1_000_000));
    assert!(own.is_due(Some(5_000), Mono(1_010_000), Vec::new));
}

#[test]
fn a_bucket_gives_its_burst_at_once_and_its_rate_in_the_long_run() {
    let mut bucket = Bucket::new(Rate { per_second: 10, burst: 3 }, Mono(0));
    assert!(bucket.is_full(Mono(0)));
    assert_eq!((0..10).filter(|_| bucket.take(Mono(0))).count(), 3);
    assert!(!bucket.take(Mono(99_999)) && bucket.take(Mono(100_000)));
    let taken = (0..100_000_u64).filter(|n| bucket.take(Mono(200_000 + n * 100))).count();
    assert!((100..=104).contains(&taken), "{taken} in ten seconds");
}

#[test]
fn links_that_come_up_one_after_the_other_are_told_together_and_a_lost_one_at_once() {
    let told_at = |ups: &[u64], lost: Option<u64>| {
        let mut own = Own::new();
        (0..3_000_u64).find(|ms| {
            let now = Mono(ms * 1_000);
            if ups.contains(ms) {
                own.regrouped(false, now);
            }
            if lost == Some(*ms) {
                own.changed(now);
            }
            own.is_due(None, now, Vec::new)
        })
    };
    assert_eq!(told_at(&[10], None), Some(120));
    assert_eq!(told_at(&[10, 60, 150], None), Some(260));
    let endless: Vec<u64> = (10..3_000).step_by(50).collect();
    assert_eq!(told_at(&endless, None), Some(1_020), "after a second at the latest");
    assert_eq!(told_at(&[10, 60], Some(70)), Some(80));
}
