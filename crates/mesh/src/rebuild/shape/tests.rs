//! When a mesh is bad, when a member says so, and when one that may acts on it.

use std::time::Duration;

use meshline_protocol::message::RebuildCause;

use super::{BAD_LOOKS, ENOUGH, FIRST_PAUSE, Facts, GOOD_LOOKS, LOOK, MOVED_BY, Next, SETTLING, Watch};
use crate::now::Mono;

fn good() -> Facts {
    Facts { members: 40, fill: 6, links: 7, idle: 1, longest: 4, degrees: vec![7; 40] }
}

fn bad() -> Facts {
    Facts { longest: 20, ..good() }
}

fn minute(n: u64) -> Mono {
    Mono(0).after(SETTLING + LOOK * u32::try_from(n).expect("few"))
}

#[test]
fn a_good_mesh_is_good_and_each_fault_has_its_name() {
    assert_eq!(good().cause(), None);
    assert_eq!(bad().cause(), Some(RebuildCause::LongWays));
    let uneven = Facts { degrees: [vec![7; 30], vec![3; 10]].concat(), ..good() };
    assert_eq!(uneven.cause(), Some(RebuildCause::UnevenLoad));
    let nearly = Facts { degrees: [vec![7; 31], vec![3; 9]].concat(), ..good() };
    assert_eq!(nearly.cause(), None);
    assert_eq!(Facts { idle: 4, ..good() }.cause(), Some(RebuildCause::IdleLinks));
    assert_eq!(Facts { idle: 4, links: 5, ..good() }.cause(), None, "few links, idle or not, are worth keeping");
    assert_eq!(Facts::default().cause(), None);
}

#[test]
fn the_bound_on_ways_grows_with_the_logarithm_of_the_members() {
    let most = |members| Facts { members, ..good() }.most_hops();
    assert_eq!((most(40), most(1_000), most(10_000)), (8, 12, 14));
}

#[test]
fn it_is_proposed_after_several_bad_looks_in_a_row_once_and_not_if_enough_do() {
    let mut watch = Watch::default();
    for n in 1..u64::from(BAD_LOOKS) {
        assert_eq!(watch.look(&bad(), (0, false), minute(n)), Next::Nothing);
    }
    assert_eq!(watch.look(&good(), (0, false), minute(5)), Next::Nothing);
    for n in 6..6 + u64::from(BAD_LOOKS) - 1 {
        assert_eq!(watch.look(&bad(), (0, false), minute(n)), Next::Nothing, "one good look begins the count anew");
    }
    let mut crowd = Watch::default();
    for n in 0..20 {
        assert_eq!(crowd.look(&bad(), (ENOUGH, false), minute(n)), Next::Nothing, "enough propose it");
    }
    assert_eq!(watch.look(&bad(), (0, false), minute(20)), Next::Propose(RebuildCause::LongWays));
    assert_eq!(watch.look(&bad(), (0, false), minute(21)), Next::Nothing);
    assert_eq!(watch.look(&bad(), (0, false), minute(36)), Next::Propose(RebuildCause::LongWays), "it counts no more");
}

#[test]
fn good_looks_in_a_row_take_it_back() {
    let mut watch = Watch::default();
    for n in 0..u64::from(BAD_LOOKS) {
        watch.look(&bad(), (0, false), minute(n));
    }
    for n in 0..u64::from(GOOD_LOOKS) {
        assert_eq!(watch.cause(), Some(RebuildCause::LongWays));
        watch.look(&good(), (0, false), minute(10 + n));
    }
    assert_eq!(watch.cause(), None);
}

#[test]
fn one_that_may_sign_acts_when_enough_propose_it_and_it_finds_the_same() {
    let mut watch = Watch::default();
    for n in 0..20 {
        assert_eq!(watch.look(&good(), (MOVED_BY, true), minute(n)), Next::Nothing, "it finds nothing itself");
    }
    for n in 20..24 {
        assert_eq!(watch.look(&bad(), (MOVED_BY - 1, true), minute(n)), Next::Nothing);
    }
    assert_eq!(
        watch.look(&bad(), (MOVED_BY - 2, true), minute(24)),
        Next::Propose(RebuildCause::LongWays),
        "with its own: too few"
    );
    assert_eq!(watch.look(&bad(), (MOVED_BY - 1, true), minute(25)), Next::Order(RebuildCause::LongWays));
}

#[test]
fn between_two_orders_that_help_nothing_the_pause_doubles() {
    let mut watch = Watch::default();
    let mut now = minute(0);
    let mut last = now;
    for pause in [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4] {
        watch.rebuilt(now);
        last = now;
        while watch.look(&bad(), (MOVED_BY, true), now) != Next::Order(RebuildCause::LongWays) {
            now = now.after(LOOK);
        }
        let took = now.since(last);
        assert!(took >= pause && took < pause + LOOK * 2, "{took:?}");
    }
    assert!(now > last);
    assert!(watch.next_timeout().is_some_and(|at| at >= last.after(Duration::from_secs(1))));
}
