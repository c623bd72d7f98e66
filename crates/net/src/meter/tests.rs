//! Links that carry so much and are asked now and then.

use super::*;

/// A link of a given rate into which more is sent than it carries, looked at every 200 ms.
struct Busy {
    meter: Meter,
    now: Mono,
    acked: u64,
    segments: u32,
    lost: u32,
}

impl Busy {
    fn new() -> Self {
        Self { meter: Meter::default(), now: Mono(1_000_000), acked: 0, segments: 0, lost: 0 }
    }

    fn step(&mut self, bps: u64, lost: u32, waiting: bool, app_limited: bool) -> LinkMeasured {
        self.now = Mono(self.now.0 + 200_000);
        self.acked += bps / 40;
        self.segments += 100;
        self.lost += lost;
        let tcp = TcpInfo {
            retransmitted: self.lost,
            segments: self.segments,
            acked: self.acked,
            unsent: 0,
            min_rtt_us: 900,
            delivery_rate: bps / 8,
            app_limited,
        };
        let seen = Seen { received: self.acked, sent: self.acked, carried: self.acked, waiting };
        assert!(self.meter.wants_to_ask(&seen, self.now));
        self.meter.look(seen, Some(tcp), self.now).expect("worth telling")
    }
}

#[test]
fn a_link_into_which_more_is_sent_shows_what_it_carries() {
    let mut busy = Busy::new();
    busy.step(10_000_000, 0, true, false);
    let known = busy.step(10_000_000, 0, true, true);
    assert_eq!(known.goodput_bps, Some(10_000_000), "it waited, whatever the system thinks");
    assert_eq!((known.min_rtt_us, known.loss_ppm), (Some(900), Some(0)));
    assert!(known.heard && known.carried);
}

#[test]
fn a_degradation_to_a_twentieth_shows_within_a_second_and_a_half() {
    let mut busy = Busy::new();
    for _ in 0..20 {
        busy.step(100_000_000, 0, true, false);
    }
    let steps = (1..20).find(|_| busy.step(5_000_000, 0, true, false).goodput_bps < Some(6_000_000)).expect("seen");
    assert!(steps <= 7, "{steps} steps of 200 ms");
}

#[test]
fn an_end_that_takes_in_what_waits_is_heard_although_it_says_nothing() {
    let heard = |waiting| {
        let mut meter = Meter::default();
        let seen = Seen { sent: 100_000, carried: 1, waiting, ..Seen::default() };
        meter.look(seen, Some(TcpInfo::default()), Mono(0));
        let seen = Seen { sent: 200_000, carried: 2, ..seen };
        let tcp = TcpInfo { acked: 50_000, ..TcpInfo::default() };
        meter.look(seen, Some(tcp), Mono(200_000)).expect("worth telling").heard
    };
    assert!(heard(true));
    assert!(!heard(false));
}

#[test]
fn what_is_sent_slowly_says_nothing_of_the_link() {
    let mut busy = Busy::new();
    for _ in 0..3 {
        busy.step(50_000_000, 0, true, false);
    }
    let known = (0..20).map(|_| busy.step(1_000_000, 0, false, true)).last().expect("steps");
    assert_eq!(known.goodput_bps, Some(50_000_000), "the last that was known holds");
}

#[test]
fn one_slow_moment_does_not_show() {
    let mut busy = Busy::new();
    for _ in 0..5 {
        busy.step(50_000_000, 0, true, false);
    }
    assert_eq!(busy.step(1_000_000, 0, true, false).goodput_bps, Some(50_000_000));
}

#[test]
fn loss_is_the_share_sent_again_and_the_past_fades() {
    let mut busy = Busy::new();
    let known = (0..20).map(|_| busy.step(10_000_000, 3, true, false)).last().expect("steps");
    assert_eq!(known.loss_ppm, Some(30_000));
    let known = (0..100).map(|_| busy.step(10_000_000, 0, true, false)).last().expect("steps");
    assert!(known.loss_ppm < Some(1_000), "{known:?}");
}

#[test]
fn a_link_at_rest_has_nothing_to_tell_and_is_not_asked_again() {
    let mut meter = Meter::default();
    let seen = Seen { received: 500, ..Seen::default() };
    assert!(meter.wants_to_ask(&seen, Mono(0)));
    assert_eq!(meter.look(seen, Some(TcpInfo::default()), Mono(0)), None);
    let later = Mono(10_000_000);
    assert!(!meter.wants_to_ask(&seen, later));
    assert!(meter.wants_to_ask(&seen, Mono(60_000_000)), "but once a minute");
    let little = Seen { received: 900, sent: 300, ..seen };
    assert_eq!(meter.look(little, None, later), None, "time frames are no traffic");
}
