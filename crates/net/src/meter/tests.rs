//! Links that carry so much and are asked now and then.

use super::*;

/// A link of a given rate into which more is sent than it carries, looked at every 200 ms.
struct Busy {
    meter: Meter,
    now: Mono,
    acked: u64,
    segments: u32,
    lost: u32,
    retransmitted: u32,
}

impl Busy {
    fn new() -> Self {
        Self { meter: Meter::default(), now: Mono(1_000_000), acked: 0, segments: 0, lost: 0, retransmitted: 0 }
    }

    fn step(&mut self, bps: u64, lost: u32, waiting: bool) -> LinkMeasured {
        self.segments += 100;
        self.lost += lost;
        self.retransmitted += lost;
        self.confirm(bps / 40, 0, waiting)
    }

    /// A fifth of a second later so many bytes more are confirmed, and segments of a thousand bytes stand behind a hole.
    fn confirm(&mut self, bytes: u64, out_of_order: u32, waiting: bool) -> LinkMeasured {
        self.now = Mono(self.now.0 + 200_000);
        self.acked += bytes;
        let tcp = TcpInfo {
            retransmitted: self.retransmitted,
            duplicates: self.retransmitted - self.lost,
            segments: self.segments,
            acked: self.acked,
            received: self.acked,
            segments_in: u32::try_from(self.acked / 1_000).expect("little"),
            segment_bytes_in: 1_000,
            segment_bytes: 1_000,
            unconfirmed: 100 + out_of_order,
            out_of_order,
            min_rtt_us: 900,
            ..TcpInfo::default()
        };
        let seen = Seen { received: self.acked, heard_at: self.now, sent: self.acked, carried: self.now.0, waiting };
        assert!(self.meter.wants_to_ask(&seen, self.now));
        self.meter.look(seen, Some(tcp), self.now).expect("worth telling")
    }
}

#[test]
fn a_link_into_which_more_is_sent_shows_what_it_carries() {
    let mut busy = Busy::new();
    busy.step(10_000_000, 0, true);
    assert_eq!(busy.step(90_000_000, 0, true).goodput_bps, None, "a shaper lets the first of it pass");
    let known = busy.step(10_000_000, 0, true);
    assert_eq!((known.goodput_bps, known.goodput_in_bps), (Some(10_000_000), Some(90_000_000)));
    assert_eq!(known.waiting_bytes, 100_000 + WRITE_BYTES);
    assert_eq!((known.min_rtt_us, known.loss_ppm), (Some(900), Some(0)));
    assert!(known.heard == Some(busy.now) && known.carried);
}

#[test]
fn a_slow_link_is_measured_over_a_longer_span_and_a_hole_that_is_filled_is_no_rate() {
    let mut busy = Busy::new();
    // A megabit a second, of which two seconds stand behind a hole and are then confirmed at once.
    for step in 0..60 {
        let known = match step % 20 {
            0..10 => busy.confirm(25_000, 0, true),
            behind @ 10..19 => busy.confirm(0, 25 * (behind - 9), true),
            _ => busy.confirm(250_000, 0, true),
        };
        let near = |bps: u64| bps.abs_diff(1_000_000) < 20_000;
        assert!(known.goodput_bps.is_none_or(near), "step {step}: {known:?}");
        assert!(step < 10 || known.goodput_bps.is_some());
    }
}

#[test]
fn what_comes_in_is_counted_as_the_system_does_and_not_by_records() {
    let mut meter = Meter::default();
    // A megabit a second: the system counts each segment, and a record of 16 KiB is read every 131 ms.
    for step in 0..100_u64 {
        let now = Mono(1_000_000 + step * 100_000);
        // One second of three stands behind a hole.
        let received = if step % 30 < 20 { step } else { step / 30 * 30 + 20 } * 12_500;
        let segments_in = u32::try_from(step * 25 / 2).expect("few");
        let tcp = TcpInfo { received, segments_in, segment_bytes_in: 1_000, ..TcpInfo::default() };
        let seen = Seen { received: step * 12_500 / 16_384 * 16_384, ..Seen::default() };
        let tcp = meter.wants_to_ask(&seen, now).then_some(tcp);
        let known = meter.look(seen, tcp, now).and_then(|known| known.goodput_in_bps);
        assert!(known.is_none_or(|bps| bps < 1_020_000), "step {step}: {known:?}");
    }
    assert!(meter.told.goodput_in_bps.is_some());
}

#[test]
fn a_cut_is_no_rate() {
    let mut busy = Busy::new();
    for _ in 0..10 {
        busy.step(10_000_000, 0, true);
    }
    let last = busy.now;
    while busy.now.micros_since(last) < 5_000_000 {
        assert_eq!(busy.confirm(0, 0, true).goodput_bps, Some(10_000_000));
    }
}

#[test]
fn a_degradation_to_a_twentieth_shows_within_a_second_and_a_half() {
    let mut busy = Busy::new();
    for _ in 0..20 {
        busy.step(100_000_000, 0, true);
    }
    let steps = (1..20).find(|_| busy.step(5_000_000, 0, true).goodput_bps < Some(6_000_000)).expect("seen");
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
        meter.look(seen, Some(tcp), Mono(200_000)).expect("worth telling").heard.is_some()
    };
    assert!(heard(true));
    assert!(!heard(false));
}

#[test]
fn a_hole_stalls_a_link_at_both_ends_until_it_is_filled() {
    let mut near = Busy::new();
    near.confirm(50_000, 0, true);
    assert!(!near.confirm(50_000, 0, true).stalled);
    assert!(near.confirm(0, 3, true).stalled);
    assert!(!near.confirm(50_000, 0, true).stalled);

    let (mut far, mut now) = (Meter::default(), Mono(0));
    let mut seen = Seen { received: 100_000, carried: 1, ..Seen::default() };
    let mut come = |received, segments_in, behind_a_hole_in| {
        (now, seen.carried) = (Mono(now.0 + 200_000), seen.carried + 1);
        let tcp = TcpInfo { received, segments_in, behind_a_hole_in, ..TcpInfo::default() };
        assert!(far.wants_to_ask(&seen, now), "although nothing can be read");
        let known = far.look(seen, Some(tcp), now).expect("worth telling");
        (known.heard == Some(now), known.stalled)
    };
    come(1_000, 1, 0);
    assert_eq!(come(2_000, 2, 0), (false, false), "what can be read is told by whoever reads");
    assert_eq!(come(2_000, 4, 2), (true, true), "two came behind a hole");
    assert_eq!(come(2_000, 4, 2), (false, true), "nothing more comes");
    assert_eq!(come(5_000, 5, 2), (false, false));
}

#[test]
fn what_is_sent_slowly_says_nothing_of_the_link() {
    let mut busy = Busy::new();
    for _ in 0..3 {
        busy.step(50_000_000, 0, true);
    }
    let known = (0..20).map(|_| busy.step(1_000_000, 0, false)).last().expect("steps");
    assert_eq!(known.goodput_bps, Some(50_000_000), "the last that was known holds");
}

#[test]
fn one_slow_moment_does_not_show() {
    let mut busy = Busy::new();
    for _ in 0..5 {
        busy.step(50_000_000, 0, true);
    }
    assert_eq!(busy.step(1_000_000, 0, true).goodput_bps, Some(50_000_000));
}

#[test]
fn loss_is_the_share_sent_again_of_the_last_fifteen_seconds_and_the_past_is_forgotten() {
    let mut busy = Busy::new();
    // The first look is what others are compared with; then all of the first second is lost.
    busy.step(10_000_000, 0, true);
    for _ in 0..5 {
        busy.step(10_000_000, 100, true);
    }
    let known = (0..45).map(|_| busy.step(10_000_000, 3, true)).last().expect("steps");
    assert_eq!(known.loss_ppm, Some((500 + 45 * 3) * 1_000_000 / 5_000), "ten seconds with their beginning");
    let known = (0..75).map(|_| busy.step(10_000_000, 3, true)).last().expect("steps");
    assert_eq!(known.loss_ppm, Some(30_000), "the beginning is more than twenty seconds ago");
}

#[test]
fn a_pause_does_not_make_a_link_forget_its_loss() {
    let mut busy = Busy::new();
    for _ in 0..10 {
        busy.step(10_000_000, 3, true);
    }
    busy.now = Mono(busy.now.0 + 600_000_000);
    assert_eq!(busy.step(10_000_000, 3, true).loss_ppm, Some(30_000));
    let known = (0..2).map(|_| busy.step(10_000_000, 0, true)).last().expect("steps");
    assert_eq!(known.loss_ppm, Some(30 * 1_000_000 / 1_200));
}

#[test]
fn what_was_sent_again_for_nothing_is_no_loss_although_that_is_known_later() {
    let mut busy = Busy::new();
    busy.step(10_000_000, 0, true);
    for _ in 0..20 {
        busy.step(10_000_000, 10, true);
        // What the other end had already is told a round trip later.
        busy.lost -= 8;
        busy.step(10_000_000, 0, true);
    }
    let known = busy.step(10_000_000, 0, true);
    assert_eq!(known.loss_ppm, Some(40 * 1_000_000 / 4_100));
}

#[test]
fn a_link_at_rest_has_nothing_to_tell_and_is_not_asked_again() {
    let mut meter = Meter::default();
    let seen = Seen { received: 500, ..Seen::default() };
    assert!(meter.wants_to_ask(&seen, Mono(0)));
    assert_eq!(meter.look(seen, Some(TcpInfo::default()), Mono(0)), None);
    let later = Mono(4_000_000);
    assert!(!meter.wants_to_ask(&seen, later));
    assert!(meter.wants_to_ask(&seen, Mono(5_000_000)), "but every 5 s");
    let little = Seen { received: 900, sent: 300, ..seen };
    assert_eq!(meter.look(little, None, later), None, "time frames are no traffic");
}
