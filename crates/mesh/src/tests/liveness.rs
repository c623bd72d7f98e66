//! When a link is asked, and when it is given up.

use std::time::Duration;

use meshline_protocol::message::{Echo, Gossip, Routing, RoutingAck, Summary};
use meshline_protocol::{Bounded, Message};

use crate::input::Transport;
use crate::link::{LinkDue, Liveness, answer_time, is_traffic};
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
fn on_an_idle_link_one_end_asks_and_when_it_falls_silent_the_other_does() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(false, s(0.1));
    liveness.answered();
    // Of a short line nothing more need be known at once.
    liveness.measured(1_000, s(0.1));
    let mut last = s(0.1);
    for round in 1..10 {
        last = s(14.0 * f64::from(round));
        assert_eq!(liveness.due(last), None, "asked by the other end in round {round}");
        liveness.heard(false, last);
        liveness.asked(1_000, last);
    }
    assert!(death(&mut liveness) <= last.after(Duration::from_millis(21_500)));
}

/// Both ends of a link whose frames take `delay`, for so long: how often the one that dialled asks, and the other one.
fn both_ends(delay: Duration, until: f64) -> (usize, usize) {
    let rtt_us = u64::try_from(2 * delay.as_micros()).expect("short");
    let mut ends = [Liveness::new(s(0.0)), Liveness::new(s(0.0))];
    ends[0].lead(true);
    let mut asks = [0, 0];
    // Frames under way: when they arrive, at which end, and which step of an exchange they are.
    let mut under_way: Vec<(Mono, usize, u8)> = Vec::new();
    loop {
        under_way.sort_unstable();
        let timer = ends.iter().map(Liveness::next_timeout).min().expect("two");
        let now = under_way.first().map_or(timer, |(at, ..)| timer.min(*at));
        if now >= s(until) {
            return (asks[0], asks[1]);
        }
        if under_way.first().is_some_and(|(at, ..)| *at == now) {
            let (_, end, step) = under_way.remove(0);
            ends[end].heard(false, now);
            match step {
                1 => {
                    ends[end].answered();
                    ends[end].measured(rtt_us, now);
                }
                2 => ends[end].asked(rtt_us, now),
                _ => {}
            }
            if step < 3 {
                under_way.push((now.after(delay), 1 - end, step + 1));
            }
        }
        for (end, other) in [(0, 1), (1, 0)] {
            match ends[end].due(now) {
                Some(LinkDue::Ask) => {
                    asks[end] += 1;
                    under_way.push((now.after(delay), other, 0));
                }
                Some(LinkDue::Dead) => panic!("all is answered"),
                None => {}
            }
        }
    }
}

#[test]
fn the_end_that_dialled_asks_and_the_other_one_only_shows_that_it_is_there() {
    for (ms, first) in [(1, 1), (9, 1), (50, 4), (150, 4), (400, 4)] {
        let delay = Duration::from_millis(ms);
        assert_eq!(both_ends(delay, 10.0), (first, 1), "{ms} ms there");
        let (led, followed) = both_ends(delay, 600.0);
        assert!((40..=48).contains(&led) && followed == 1, "{ms} ms there: {led} and {followed} in ten minutes");
    }
}

#[test]
fn when_the_end_that_asks_falls_silent_the_other_one_notices_in_time() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(false, s(0.2));
    liveness.answered();
    liveness.measured(200_000, s(0.2));
    liveness.asked(200_000, s(0.3));
    assert!(death(&mut liveness) <= s(0.3 + 0.6 + 6.5), "between the first asks");
}

#[test]
fn where_somebody_waits_for_messages_both_ends_ask() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(true, s(0.1));
    liveness.answered();
    liveness.asked(1_000, s(0.2));
    assert!(liveness.next_timeout() <= s(3.1), "the link is active");
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

/// A QUIC link on which nothing was said yet: asked at the start, and answered.
fn quic() -> Liveness {
    quiet(Transport::Quic)
}

/// The same over whatever.
fn quiet(transport: Transport) -> Liveness {
    let mut liveness = Liveness::of(transport, s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(false, s(0.1));
    liveness.answered();
    liveness.measured(1_000, s(0.1));
    liveness
}

#[test]
fn a_message_over_a_hole_that_is_shut_shows_it_within_seven_seconds() {
    for said in [0.2, 1.0, 7.5] {
        let mut liveness = quic();
        liveness.spoke(s(said));
        liveness.spoke(s(said + 0.3));
        assert!(death(&mut liveness) <= s(said + 7.0), "said at {said}");
    }
    let mut liveness = quic();
    assert!(death(&mut liveness) > s(14.0), "nothing was said");
}

#[test]
fn a_message_over_a_proxy_that_passes_nothing_on_shows_it_within_seven_seconds() {
    for said in [0.2, 1.0, 7.5] {
        let mut liveness = quiet(Transport::Relay);
        liveness.spoke(s(said));
        assert!(death(&mut liveness) <= s(said + 7.0), "said at {said}");
    }
    assert!(death(&mut quiet(Transport::Relay)) > s(21.0), "nothing was said");
}

#[test]
fn what_is_answered_or_said_over_tcp_costs_no_ask_more() {
    let mut liveness = quic();
    liveness.spoke(s(1.0));
    liveness.heard(true, s(1.4));
    assert_eq!(liveness.due(s(1.6)), None, "something came back");
    assert_eq!(liveness.next_timeout(), s(4.0), "as with any traffic");
    let mut tcp = Liveness::of(Transport::Tcp, s(0.0));
    assert_eq!(tcp.due(s(0.0)), Some(LinkDue::Ask));
    tcp.heard(false, s(0.1));
    tcp.answered();
    tcp.measured(1_000, s(0.1));
    tcp.spoke(s(1.0));
    assert_eq!(tcp.next_timeout(), s(4.0));
}

/// What an unanswered ask is waited for on a link whose answers take no time worth speaking of.
const LEAST: Duration = Duration::from_millis(300);
const AT_ONCE: Duration = Duration::from_millis(1);

/// A link that was asked and answered, and then carries a datagram every 10 ms from second 10 until it is dead or the
/// time is over. `hears` says whether something comes back at a time.
fn stream(liveness: &mut Liveness, answer: Duration, until: f64, hears: impl Fn(Mono) -> bool) -> (Option<Mono>, u32) {
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.heard(false, s(0.0));
    liveness.answered();
    let (mut now, mut asks) = (s(10.0), 0);
    while now < s(until) {
        liveness.carry(answer, now);
        match liveness.due(now) {
            Some(LinkDue::Dead) => return (Some(now), asks),
            Some(LinkDue::Ask) => {
                asks += 1;
                if hears(now) {
                    liveness.heard(false, now);
                    liveness.answered();
                }
            }
            None => {}
        }
        now = now.after(Duration::from_millis(10));
    }
    (None, asks)
}

#[test]
fn a_link_that_carries_datagrams_is_asked_ten_times_a_second() {
    let (dead, asks) = stream(&mut Liveness::new(s(0.0)), AT_ONCE, 12.0, |_| true);
    assert_eq!(dead, None);
    assert!((19..=21).contains(&asks), "{asks}");
}

#[test]
fn a_silent_cut_of_a_link_that_carries_datagrams_shows_within_half_a_second() {
    let cut = s(11.05);
    let (dead, _) = stream(&mut Liveness::new(s(0.0)), AT_ONCE, 20.0, |now| now < cut);
    let dead = dead.expect("dead");
    assert!(dead >= cut.after(LEAST) && dead <= cut.after(Duration::from_millis(450)), "{dead:?}");
}

#[test]
fn an_ask_behind_bulk_is_waited_for_as_long_as_the_bulk_takes() {
    let behind = |goodput| answer_time(0, 0, goodput, 200_000);
    assert_eq!(behind(Some(1_000_000)), Duration::from_millis(1_600));
    assert_eq!(behind(Some(100_000_000)), Duration::from_millis(16));
    assert_eq!(behind(None), Duration::from_millis(3_200), "on an unknown link as on a slow one");
    assert_eq!(answer_time(0, 0, None, u64::MAX), Duration::from_millis(6_500));
}

#[test]
fn a_link_with_a_long_round_trip_gets_the_patience_it_needs() {
    assert_eq!(answer_time(1_000, 0, None, 0), Duration::from_millis(3));
    assert_eq!(answer_time(200_000, 20_000, None, 0), Duration::from_millis(680));
    // 128 KiB at a megabit a second are more than a second.
    assert_eq!(answer_time(0, 0, Some(1_000_000), 0), Duration::from_micros(1_048_576));
    assert_eq!(answer_time(u64::MAX, 0, Some(0), 0), Duration::from_millis(6_500), "and no more than an idle one");
}

#[test]
fn after_the_last_datagram_a_link_is_an_ordinary_one_again() {
    let mut liveness = Liveness::new(s(0.0));
    stream(&mut liveness, AT_ONCE, 11.0, |_| true);
    let mut asks = 0;
    let mut now = s(11.0);
    while now < s(20.0) {
        now = liveness.next_timeout();
        assert_ne!(liveness.due(now), Some(LinkDue::Dead));
        liveness.heard(false, now);
        liveness.answered();
        asks += 1;
    }
    assert!(asks <= 14, "ten in the first second, then one every three: {asks}");
}

/// A link whose ask at second 10 stays unanswered, and which is not looked at from 0.2 s later until then. Says when it is
/// given up after that.
fn death_after_a_stop(answer: Duration, until: f64) -> Duration {
    let mut liveness = Liveness::new(s(0.0));
    stream(&mut liveness, answer, 10.2, |_| false);
    liveness.carry(answer, s(until));
    assert_eq!(liveness.due(s(until)), Some(LinkDue::Ask), "nothing was read meanwhile");
    let mut now = s(until);
    loop {
        now = now.after(Duration::from_millis(10));
        liveness.carry(answer, now);
        if liveness.due(now) == Some(LinkDue::Dead) {
            return now.since(s(until));
        }
    }
}

#[test]
fn who_was_stopped_itself_asks_once_more_and_waits_for_no_more_than_the_answer() {
    let ms = Duration::from_millis;
    assert_eq!(death_after_a_stop(AT_ONCE, 10.45), ms(100));
    assert_eq!(death_after_a_stop(ms(180), 10.45), ms(180), "where the round trip is long, so is the wait");
    assert_eq!(death_after_a_stop(ms(500), 10.45), ms(500));
    assert_eq!(death_after_a_stop(AT_ONCE, 11.3), LEAST, "after a sleep all is asked anew");
}

#[test]
fn who_was_stopped_itself_keeps_a_link_that_answers_the_ask() {
    let mut liveness = Liveness::new(s(0.0));
    stream(&mut liveness, AT_ONCE, 10.2, |_| false);
    liveness.carry(AT_ONCE, s(10.95));
    assert_eq!(liveness.due(s(10.95)), Some(LinkDue::Ask));
    liveness.heard(false, s(11.04));
    liveness.answered();
    for ms in 0..100 {
        let now = s(11.05 + f64::from(ms) / 1_000.0);
        liveness.carry(AT_ONCE, now);
        assert_ne!(liveness.due(now), Some(LinkDue::Dead));
    }
}

#[test]
fn what_is_told_late_to_have_come_delays_the_end_by_no_more_than_that() {
    // Asked at 10.0 and cut; what came before is noticed 90 ms after the ask.
    let mut liveness = Liveness::new(s(0.0));
    stream(&mut liveness, AT_ONCE, 10.05, |_| false);
    liveness.heard(true, s(10.09));
    let mut now = s(10.1);
    loop {
        liveness.carry(AT_ONCE, now);
        if liveness.due(now) == Some(LinkDue::Dead) {
            break;
        }
        now = now.after(Duration::from_millis(10));
    }
    assert_eq!(now, s(10.39));
}

#[test]
fn an_answer_behind_what_was_lost_is_waited_for() {
    let mut liveness = Liveness::new(s(0.0));
    stream(&mut liveness, AT_ONCE, 10.2, |_| false);
    liveness.wait_for(Duration::from_secs(1));
    assert_eq!(death(&mut liveness), s(11.0));
}

#[test]
fn an_old_unanswered_ask_does_not_kill_a_link_at_its_first_datagram() {
    let mut liveness = Liveness::new(s(0.0));
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    liveness.carry(AT_ONCE, s(3.0));
    assert_eq!(liveness.due(s(3.0)), Some(LinkDue::Ask));
}

#[test]
fn what_nodes_tell_each_other_about_themselves_keeps_no_link_active() {
    let routing = Message::Routing(Routing::Ack(RoutingAck { entries: Bounded::default() }));
    let summary = Summary { digest: String::new(), entries: Bounded::default(), reply: false };
    assert!(!is_traffic(&routing) && !is_traffic(&Message::Gossip(Gossip::Summary(summary))));
    assert!(is_traffic(&Message::Ping(Echo { nonce: 1, text: String::new() })));
}

#[test]
fn a_link_on_a_long_line_is_asked_again_soon_until_it_was_measured_some_times() {
    let asked_until = |rtt_us: u64, until: f64| {
        let mut liveness = Liveness::new(s(0.0));
        liveness.lead(true);
        let mut asked = vec![];
        while liveness.next_timeout() < s(until) {
            let now = liveness.next_timeout();
            assert_eq!(liveness.due(now), Some(LinkDue::Ask));
            asked.push(now);
            let answered = now.after(Duration::from_micros(rtt_us));
            liveness.heard(false, answered);
            liveness.answered();
            liveness.measured(rtt_us, answered);
        }
        assert!(liveness.loss() < f64::EPSILON);
        asked
    };
    assert_eq!(asked_until(100_000, 14.0), [s(0.0), s(0.3), s(0.6), s(0.9)]);
    assert_eq!(asked_until(100_000, 16.0).len(), 5, "and then as an idle link");
    assert_eq!(asked_until(20_000, 14.0).len(), 4);
    assert_eq!(asked_until(19_999, 14.0), [s(0.0)], "where it is off by little");
}

#[test]
fn an_answer_that_is_held_up_is_waited_for_before_the_next_of_the_first_asks() {
    let mut liveness = Liveness::new(s(0.0));
    liveness.lead(true);
    assert_eq!(liveness.due(s(0.0)), Some(LinkDue::Ask));
    assert_eq!(liveness.due(s(1.9)), None, "another ask would make the answer useless");
    liveness.heard(false, s(2.0));
    liveness.answered();
    liveness.measured(2_000_000, s(2.0));
    assert_eq!(liveness.due(s(2.2)), Some(LinkDue::Ask));
}
