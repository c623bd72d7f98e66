//! One direction of a cable, by values: frames and times in, frames and times out.

use std::time::{Duration, Instant};

use super::line::{Line, MAX_FLYING};
use super::{Cable, Carried, Direction, Order};

const FRAME: [u8; 1000] = [7; 1000];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends so many frames at one moment; how much later each arrives.
fn arrivals(line: &mut Line, count: usize, start: Instant) -> Vec<Duration> {
    (0..count).for_each(|_| line.take(&FRAME, start));
    let mut arrivals = Vec::new();
    while let Some(due) = line.due() {
        while line.poll(due).is_some() {
            arrivals.push(due.saturating_duration_since(start));
        }
    }
    arrivals
}

fn line(cable: Cable) -> (Line, Instant) {
    let now = Instant::now();
    (Line::new(0, cable, now), now)
}

#[test]
fn a_frame_arrives_after_its_delay_and_not_before() {
    let (mut line, now) = line(Cable::new().delay_us(1500));
    line.take(&FRAME, now);
    assert_eq!(line.poll(now + Duration::from_micros(1499)), None);
    assert_eq!(line.poll(now + Duration::from_micros(1500)).as_deref(), Some(&FRAME[..]));
    assert_eq!((line.poll(now + ms(9)), line.due()), (None, None));
}

#[test]
fn frames_take_their_time_at_the_rate_and_then_the_delay() {
    // 1000 bytes take 8 ms.
    let (mut line, now) = line(Cable::new().rate_mbit(1).delay_ms(5));
    assert_eq!(arrivals(&mut line, 3, now), [ms(13), ms(21), ms(29)]);
    // What was idle for a while owes nothing and has saved nothing.
    assert_eq!(arrivals(&mut line, 2, now + ms(1000)), [ms(13), ms(21)]);
}

#[test]
fn what_finds_the_queue_full_is_dropped() {
    // One is being sent, and so many bytes wait.
    for (queue, fit) in [(Cable::new().queue_ms(16), 3), (Cable::new().queue_bytes(1999), 2), (Cable::new(), 13)] {
        let (mut line, now) = line(queue.rate_mbit(1));
        assert_eq!(arrivals(&mut line, 20, now).len(), fit, "{queue:?}");
        assert_eq!(line.carried().dropped, 20 - fit as u64);
    }
}

#[test]
fn what_flies_is_bounded() {
    let (mut line, now) = line(Cable::new().delay_ms(10_000));
    let fit = MAX_FLYING / FRAME.len();
    assert_eq!(arrivals(&mut line, fit + 1, now).len(), fit);
    assert_eq!(line.carried().dropped, 1);
}

#[test]
fn losses_keep_to_their_share_and_come_again_with_the_seed() {
    let lost = |seed| {
        let (mut line, now) = line(Cable::new().loss_percent(30.0).seed(seed));
        let arrived = arrivals(&mut line, 10_000, now).len() as u64;
        assert_eq!(arrived + line.carried().lost, 10_000);
        line.carried().lost
    };
    // Four standard deviations of the binomial: 4 × √(10000 × 0.3 × 0.7).
    assert!((2817..=3183).contains(&lost(1)), "{}", lost(1));
    assert_eq!(lost(1), lost(1));
    assert_ne!(lost(1), lost(2));
}

#[test]
fn the_two_directions_lose_different_frames() {
    let now = Instant::now();
    let pattern = |side| {
        let mut line = Line::new(side, Cable::new().loss_percent(50.0), now);
        (0..64).map(|_| arrivals(&mut line, 1, now).len()).collect::<Vec<_>>()
    };
    assert_ne!(pattern(0), pattern(1));
}

#[test]
fn frames_may_arrive_twice_or_before_their_elders() {
    let (mut twice, now) = line(Cable::new().duplicate_percent(100.0));
    assert_eq!(arrivals(&mut twice, 2, now).len(), 4);
    let (mut line, now) = line(Cable::new().delay_ms(20));
    line.take(&[1], now);
    line.set(Cable::new().delay_ms(20).reorder_percent(100.0));
    line.take(&[2], now);
    assert_eq!(line.poll(now), Some(vec![2]));
    assert_eq!(line.poll(now + ms(20)), Some(vec![1]));
}

/// A frame of IPv4 and TCP with so many bytes of a stream, both headers with four bytes of options, padded as Ethernet does.
fn tcp_frame(payload: u8) -> Vec<u8> {
    let mut frame = vec![0; 14 + 24 + 24 + usize::from(payload)];
    (frame[14], frame[14 + 9], frame[14 + 24 + 12]) = (0x46, 6, 0x60);
    frame[14 + 3] = 48 + payload;
    frame.resize(frame.len().max(60), 0);
    frame
}

#[test]
fn frames_with_bytes_of_a_stream_are_counted_apart() {
    let (mut line, now) = line(Cable::new());
    let mut other = tcp_frame(9);
    other[14 + 9] = 17;
    for frame in [&tcp_frame(1), &tcp_frame(0), &other, &vec![0x46; 20], &vec![1]] {
        line.take(frame, now);
        line.poll(now).expect("arrives at once");
    }
    assert_eq!((line.carried().frames, line.carried().data, line.carried().data_lost), (5, 1, 0));
    line.set(Cable::new().loss_percent(100.0));
    for frame in [tcp_frame(1), tcp_frame(0)] {
        line.take(&frame, now);
    }
    assert_eq!((line.poll(now), line.carried().lost, line.carried().data_lost), (None, 2, 1));
    line.set(Cable::new().rate_kbit(1).queue_bytes(0));
    (0..3).for_each(|_| line.take(&tcp_frame(1), now));
    assert_eq!((line.carried().dropped, line.carried().data_lost), (2, 3));
}

#[test]
fn a_shorter_delay_lets_nobody_overtake() {
    let (mut line, now) = line(Cable::new().delay_ms(20));
    line.take(&[1], now);
    line.set(Cable::new());
    line.take(&[2], now);
    assert_eq!(line.poll(now + ms(19)), None);
    assert_eq!((line.poll(now + ms(20)), line.poll(now + ms(20))), (Some(vec![1]), Some(vec![2])));
}

#[test]
fn a_cut_swallows_what_is_under_way_and_what_comes() {
    let cable = Cable::new().rate_mbit(1).delay_ms(5);
    let (mut line, now) = line(cable);
    (0..3).for_each(|_| line.take(&FRAME, now));
    assert_eq!(line.poll(now + ms(9)), None, "one flies, one is being sent, one waits");
    line.set(cable.cut(true));
    line.take(&FRAME, now + ms(10));
    assert_eq!((line.poll(now + ms(100)), line.due()), (None, None));
    line.set(cable);
    assert_eq!(arrivals(&mut line, 1, now + ms(200)), [ms(13)]);
    let carried = Carried { frames: 1, bytes: 1000, swallowed: 4, ..Carried::default() };
    assert_eq!(line.carried(), carried);
}

#[test]
fn an_order_is_a_line_that_is_read_as_it_was_meant() {
    let cable = Cable::new().rate_kbit(64).queue_bytes(3000).loss_percent(0.5).seed(9);
    let text = serde_json::to_string(&Order::Set { direction: Direction::Back, cable }).expect("plain values");
    assert!(!text.contains('\n'));
    let Ok(Order::Set { direction, cable: read }) = serde_json::from_str(&text) else { panic!("{text}") };
    assert_eq!((direction, read), (Direction::Back, cable));
}
