//! When a link is asked, and when it is given up.

use std::time::Duration;

use crate::link::{LinkDue, Liveness};
use crate::now::Mono;

fn s(seconds: f64) -> Mono {
    Mono::default().after(Duration::from_secs_f64(seconds))
}

/// The time at which a link is given up after which nothing is heard.
fn death(liveness: &mut Liveness) -> Mono {
    loop {
        let now = liveness.next_timeout();
        if liveness.due(now) == Some(LinkDue::Dead) {
            return now;
        }
    }
}

#[test]
fn a_silent_cut_of_an_idle_link_shows_within_21_and_a_half_seconds() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(false, s(0.1));
    liveness.answered();
    assert!(death(&mut liveness) <= s(0.1 + 21.5));
}

#[test]
fn a_silent_cut_of_an_active_link_shows_within_10_seconds() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.answered();
    liveness.heard(true, s(0.2));
    assert!(death(&mut liveness) <= s(0.2 + 3.0 + 6.5));
}

#[test]
fn whatever_is_heard_keeps_a_link_alive_even_if_asks_stay_unanswered() {
    let mut liveness = Liveness::new(s(0.0));
    for tick in 0..600 {
        let now = s(f64::from(tick) * 0.1);
        liveness.heard(true, now);
        assert_ne!(liveness.due(now), Some(LinkDue::Dead), "at {now:?}");
    }
    assert!(liveness.loss() > 0.9, "the asks were lost all the same");
}

#[test]
fn an_answered_link_loses_nothing() {
    let mut liveness = Liveness::new(s(0.0));
    for tick in 0..10 {
        let now = s(f64::from(tick) * 15.0);
        assert_eq!(liveness.due(now), Some(LinkDue::Ask));
        liveness.heard(false, now);
        liveness.answered();
    }
    assert!(liveness.loss().abs() < f64::EPSILON);
}
