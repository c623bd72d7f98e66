//! Members whose clocks are far apart come to one instant; liars move nobody far.

use std::time::Duration;

use meshline_protocol::NodeId;

use super::{Instant, LEAST_WAIT, MAX_SHIFT, PACE, trimmed_mean};
use crate::now::Mono;

const SECOND: i64 = 1_000_000;

fn id(n: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(n).expect("few"); 32])
}

/// Rounds in which each tells its neighbours on a ring of which each second one has a link across; how far all are apart.
fn rounds(lefts: &[i64], rounds: u32, liar: Option<(usize, i64)>) -> Vec<i64> {
    let count = lefts.len();
    let mut now = Mono(1_000_000_000);
    let mut instants: Vec<Instant> = lefts.iter().map(|left| Instant::new(*left, now)).collect();
    let begun = now;
    for _ in 0..rounds {
        now = now.after(PACE);
        let passed = i64::try_from(now.micros_since(begun)).expect("short");
        let told: Vec<Option<i64>> =
            instants.iter_mut().zip(lefts).map(|(instant, left)| instant.round(Some(left - passed), now)).collect();
        for (from, left) in told.iter().enumerate() {
            let left = liar.filter(|(liar, _)| *liar == from).map(|(_, lie)| lie).or(*left);
            let Some(left) = left else { continue };
            for to in [from + 1, from + count - 1, from + 3, from + count - 3, from + 7, from + count - 7] {
                instants[to % count].heard(id(from), (left, 0), now);
            }
        }
    }
    instants.iter().map(|instant| instant.left_us(now)).collect()
}

fn apart(lefts: &[i64]) -> i64 {
    lefts.iter().max().expect("some") - lefts.iter().min().expect("some")
}

#[test]
fn members_whose_clocks_are_minutes_apart_come_to_one_instant_within_half_a_minute() {
    let lefts: Vec<i64> = (0..24).map(|n| (30 + (n * 37) % 120 - 60) * SECOND).collect();
    assert!(apart(&lefts) > 100 * SECOND);
    let after = rounds(&lefts, 120, None);
    assert!(apart(&after) < 10_000, "{} µs", apart(&after));
}

#[test]
fn one_that_lies_to_all_its_peers_moves_them_no_further_than_honest_ones_are_apart() {
    let lefts: Vec<i64> = (0..24).map(|n| (60 + n % 5) * SECOND).collect();
    for lie in [-1_000_000 * SECOND, 1_000_000 * SECOND] {
        let after = rounds(&lefts, 40, Some((5, lie)));
        let honest: Vec<i64> = after.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, left)| *left).collect();
        // Ten seconds have passed.
        assert!(honest.iter().all(|left| (50 * SECOND..=54 * SECOND).contains(left)), "{honest:?}");
    }
}

#[test]
fn nobody_is_moved_further_than_clocks_may_be_off() {
    let now = Mono(1_000_000_000);
    let mut instant = Instant::new(30 * SECOND, now);
    (0..4).for_each(|n| instant.heard(id(n), (9_000 * SECOND, 0), now));
    instant.round(Some(30 * SECOND), now);
    assert_eq!(instant.left_us(now), 30 * SECOND + MAX_SHIFT);
}

#[test]
fn whoever_has_no_network_time_goes_by_what_its_peers_say() {
    let now = Mono(1_000_000_000);
    let mut instant = Instant::new(-500 * SECOND, now);
    instant.heard(id(1), (20 * SECOND, 40_000), now);
    instant.round(None, now);
    assert_eq!(instant.left_us(now), 20 * SECOND - 40_000, "less what the words took to arrive");
}

#[test]
fn who_hears_of_it_late_waits_a_moment_for_what_others_say() {
    let now = Mono(1_000_000_000);
    let instant = Instant::new(-SECOND, now);
    assert!(!instant.has_come(now));
    assert_eq!(instant.next_timeout(now), now, "it tells its peers at once");
    assert!(instant.has_come(now.after(LEAST_WAIT)));
    assert!(!Instant::new(10 * SECOND, now).has_come(now.after(LEAST_WAIT)));
}

#[test]
fn when_all_agree_little_is_said() {
    let mut now = Mono(1_000_000_000);
    let mut instant = Instant::new(100 * SECOND, now);
    let mut told = 0;
    for step in 0..200 {
        let left = 100 * SECOND - step * 50_000;
        instant.heard(id(1), (left, 0), now);
        told += usize::from(instant.round(Some(left), now).is_some());
        now = now.after(Duration::from_millis(50));
    }
    assert!(told <= 7, "{told} in ten seconds");
}

#[test]
fn a_quarter_of_what_is_said_on_either_side_is_left_out() {
    assert_eq!(trimmed_mean(Some(10), vec![]), Some((10, 0)));
    assert_eq!(trimmed_mean(None, vec![]), None);
    assert_eq!(trimmed_mean(Some(0), vec![-900, -3, 3, 900]), Some((0, 6)));
    assert_eq!(trimmed_mean(Some(0), vec![900, 900]), Some((600, 900)), "of so few none is left out");
}
