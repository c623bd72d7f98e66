//! Clocks: the exchange between two peers, and the vote of all.

use meshline_protocol::{NetworkId, NodeId, UnixMicros};

use crate::now::{Mono, Now};
use crate::time::{Clock, LinkClock, StepContext};

const START: u64 = 1_800_000_000_000_000;

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn network() -> NetworkId {
    "lab".parse().expect("valid")
}

/// Both clocks at a true time; the calendar is `offset` off.
fn at(micros: u64, offset: i64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(START + micros).offset(offset) }
}

/// Runs the four steps with these one-way delays and says what the asker and the answerer measured.
fn exchange(there: u64, back: u64, offset: i64) -> (LinkClock, LinkClock) {
    let network = network();
    let (mut asker, mut answerer) = (LinkClock::default(), LinkClock::default());
    let context = |n, now| StepContext { network: &network, id: id(n), now };
    let mut now = 1_000;
    let step0 = asker.ask(7, context(1, at(now, 0)));
    now += there;
    let step1 = answerer.handle(&step0, context(2, at(now, offset))).expect("step 1");
    now += back;
    let step2 = asker.handle(&step1, context(1, at(now, 0))).expect("step 2");
    now += there;
    let step3 = answerer.handle(&step2, context(2, at(now, offset))).expect("step 3");
    now += back;
    assert_eq!(asker.handle(&step3, context(1, at(now, 0))), None, "the exchange ends with step 3");
    (asker, answerer)
}

#[test]
fn both_sides_measure_the_round_trip_and_agree_on_the_delay() {
    let (asker, answerer) = exchange(2_000, 2_000, 0);
    assert_eq!((asker.rtt_us(), answerer.rtt_us()), (Some(4_000), Some(4_000)));
    assert_eq!((asker.delay_us, answerer.delay_us), (Some(2_000), Some(2_000)));
}

#[test]
fn the_true_offset_lies_within_the_bound_however_lopsided_the_way() {
    for (there, back) in [(1_000, 1_000), (100, 9_000), (9_000, 100), (0, 1)] {
        for offset in [0, 5_000_000, -5_000_000, 1_000_000_000_000] {
            let (asker, answerer) = exchange(there, back, offset);
            let (measured, error) = asker.offset(at(20_000, 0)).expect("measured");
            assert!(measured.abs_diff(offset) <= error, "{there} {back} {offset}: {measured} ± {error}");
            let (measured, error) = answerer.offset(at(20_000, offset)).expect("measured");
            assert!(measured.abs_diff(-offset) <= error, "{there} {back} {offset}: {measured} ± {error}");
        }
    }
}

#[test]
fn steps_that_fit_nothing_measure_nothing() {
    let network = network();
    let context = |n, now| StepContext { network: &network, id: id(n), now };
    let (mut asker, mut answerer, mut stranger) = (LinkClock::default(), LinkClock::default(), LinkClock::default());
    let step0 = asker.ask(7, context(1, at(0, 0)));
    let step1 = answerer.handle(&step0, context(2, at(10, 0))).expect("step 1");
    assert_eq!(stranger.handle(&step1, context(3, at(20, 0))), None, "an answer nobody asked for");
    let mut backwards = step1.clone();
    backwards.time = UnixMicros::new(0);
    assert_eq!(asker.handle(&backwards, context(1, at(20, 0))), None, "answered before it was received");
    let mut held_longer_than_away = step1;
    held_longer_than_away.time = held_longer_than_away.time.offset(1_000_000);
    assert_eq!(asker.handle(&held_longer_than_away, context(1, at(20, 0))), None);
    assert_eq!(asker.rtt_us(), None);
}

#[test]
fn one_member_of_many_does_not_move_a_clock_and_two_that_agree_do() {
    let year = 31_536_000_000_000;
    let mut clock = Clock::new(UnixMicros::new(0));
    clock.set_known_members(9);
    let wall = UnixMicros::new(START);
    clock.vote(id(1), year);
    assert_eq!(clock.judged(wall), wall);
    clock.vote(id(1), year + 6);
    assert_eq!(clock.judged(wall), wall, "a member has one vote");
    clock.vote(id(2), -year);
    assert_eq!(clock.judged(wall), wall, "of two liars and us the one in the middle counts");
    clock.vote(id(2), year);
    assert_eq!(clock.judged(wall), wall.offset(year), "the others that are known may be out of reach");
    clock.vote(id(3), -year);
    assert_eq!(clock.judged(wall), wall.offset(year), "one liar does not move the median");
}

#[test]
fn where_one_member_is_known_nothing_ends_before_both_clocks_say_so_and_small_differences_are_left_alone() {
    let mut clock = Clock::new(UnixMicros::new(START - 1_000_000_000));
    let wall = UnixMicros::new(START);
    let between = |clock: &Clock| (clock.judged(wall), clock.latest(wall));
    for offset in [59_000_000, -59_000_000] {
        clock.vote(id(1), offset);
        assert_eq!(between(&clock), (wall, wall));
    }
    clock.vote(id(1), 61_000_000);
    assert_eq!(between(&clock), (wall, wall.offset(61_000_000)));
    clock.vote(id(1), -61_000_000);
    assert_eq!(between(&clock), (wall.offset(-61_000_000), wall));
    let board = UnixMicros::new(START - 1_000_000_001);
    clock.vote(id(1), 2_000_000_000);
    assert_eq!(
        (clock.judged(board), clock.latest(board)),
        (board.offset(2_000_000_000), board.offset(2_000_000_000)),
        "an own clock from before what was signed says nothing"
    );
}

#[test]
fn of_two_members_and_oneself_the_one_in_the_middle_counts() {
    let year = 31_536_000_000_000;
    let wall = UnixMicros::new(START);
    for (votes, judged) in [([year, 7], 7), ([-year, 7], 0), ([year, year + 9], year), ([-year, -year - 9], -year)] {
        let mut clock = Clock::new(UnixMicros::new(0));
        clock.set_known_members(2);
        clock.vote(id(1), votes[0]);
        assert_eq!(clock.judged(wall), wall, "one of two says nothing");
        clock.vote(id(2), votes[1]);
        let expected = if judged == 7 { wall } else { wall.offset(judged) };
        assert_eq!((clock.judged(wall), clock.latest(wall)), (expected, expected), "{votes:?}");
    }
}

#[test]
fn judged_time_is_never_before_what_the_network_has_signed() {
    let mut clock = Clock::new(UnixMicros::new(START));
    assert_eq!(clock.judged(UnixMicros::new(5)), UnixMicros::new(START));
    assert!(clock.signed(UnixMicros::new(START + 1)));
    assert!(!clock.signed(UnixMicros::new(START)));
    assert_eq!(clock.judged(UnixMicros::new(5)), UnixMicros::new(START + 1));
}
