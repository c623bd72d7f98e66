//! Network time: what readings tell of clocks, and all of them together of the one in common.

use meshline_protocol::limits::MAX_INTEGER;
use meshline_protocol::{NodeId, UnixMicros};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::now::{Mono, Now};
use crate::time::{Estimate, MAX_READINGS, NetworkTime, Reading};

const START: i64 = 1_800_000_000_000_000;
const SECOND: u64 = 1_000_000;
const MINUTE: i64 = 60_000_000;
const YEAR: i64 = 31_536_000_000_000;
const NOTHING_SIGNED: UnixMicros = UnixMicros::new(0);

fn id(n: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).expect("small")
}

/// A calendar clock that is ahead of the right one and gains on it.
#[derive(Clone, Copy)]
struct Calendar {
    ahead: i64,
    ppm: i64,
}

impl Calendar {
    fn at(self, micros: u64) -> i64 {
        START + self.ahead + signed(micros) + signed(micros) * self.ppm / 1_000_000
    }

    fn now(self, micros: u64) -> Now {
        Now { mono: Mono(micros), wall: stamp(self.at(micros)) }
    }
}

fn stamp(micros: i64) -> UnixMicros {
    UnixMicros::new(u64::try_from(micros).expect("after 1970"))
}

fn right() -> Calendar {
    Calendar { ahead: 0, ppm: 0 }
}

/// An exchange that ends at `now`: the answer took `back`.
fn read(clock: Calendar, (there, back): (u64, u64), now: u64) -> Reading {
    Reading::new(stamp(clock.at(now - back)), there + back, Mono(now))
}

struct Random(ChaCha12Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn between(&mut self, bound: i64) -> i64 {
        signed(self.below(2 * bound.unsigned_abs() + 1)) - bound
    }

    /// Both ways, lopsided at will.
    fn way(&mut self) -> (u64, u64) {
        let longest = [100, 20_000, 400_000][usize::try_from(self.below(3)).expect("small")];
        (self.below(longest), self.below(longest))
    }

    /// The clock of an honest member: some are well set, some were set by hand.
    fn calendar(&mut self) -> Calendar {
        let most = [1_000, 50_000, MINUTE][usize::try_from(self.below(3)).expect("small")];
        Calendar { ahead: self.between(most), ppm: self.between(50) }
    }
}

fn middle_of(mut clocks: Vec<i64>) -> i64 {
    clocks.sort_unstable();
    i64::midpoint(clocks[(clocks.len() - 1) / 2], clocks[clocks.len() / 2])
}

/// A node whose clock is `own` and honest members, read a few times each; and when that was.
struct Case {
    time: NetworkTime,
    own: Calendar,
    honest: Vec<Calendar>,
    now: u64,
    least_error: Vec<u64>,
}

fn case(random: &mut Random, honest: usize) -> Case {
    let mut case = Case {
        time: NetworkTime::default(),
        own: Calendar { ppm: 0, ..random.calendar() },
        honest: (0..honest).map(|_| random.calendar()).collect(),
        now: SECOND,
        least_error: vec![u64::MAX; honest],
    };
    for _ in 0..=random.below(4) {
        case.now += 3 * SECOND + random.below(12 * SECOND);
        for n in 0..honest {
            let way = random.way();
            case.time.read(id(n), read(case.honest[n], way, case.now), Mono(case.now));
            case.least_error[n] = case.least_error[n].min((way.0 + way.1) / 2);
        }
    }
    case.now += random.below(15 * SECOND);
    case
}

impl Case {
    fn estimate(&self) -> Estimate {
        self.time.estimate(self.own.now(self.now), NOTHING_SIGNED)
    }

    /// The honest clocks less the node's own, that one included.
    fn offsets(&self) -> Vec<i64> {
        let own = self.own.at(self.now);
        self.honest.iter().map(|clock| clock.at(self.now) - own).chain([0]).collect()
    }
}

#[test]
fn the_median_of_all_clocks_lies_within_the_bound_whatever_the_ways_are_like() {
    for seed in 0..2_000 {
        let random = &mut Random::new(seed);
        let members = 1 + usize::try_from(random.below(12)).expect("small");
        let case = case(random, members);
        let found = case.estimate();
        assert_eq!(found.members, members);
        let off = found.offset_us.abs_diff(middle_of(case.offsets()));
        assert!(off <= found.error_us, "seed {seed}: {found:?} is off by {off}");
        // Five exchanges 15 s apart at most.
        let most = case.least_error.iter().max().expect("one") + 75 * 50 + 5;
        assert!(found.error_us <= most, "seed {seed}: {found:?}, but no way was worse than {most}");
    }
}

#[test]
fn fewer_than_half_of_the_members_cannot_move_it_beyond_what_honest_ones_say() {
    for seed in 0..2_000 {
        let random = &mut Random::new(seed);
        let honest = 2 + usize::try_from(random.below(8)).expect("small");
        let mut case = case(random, honest);
        // Fewer than half of all others.
        let liars = random.below(u64::try_from(honest).expect("small"));
        for liar in 0..usize::try_from(liars).expect("small") {
            let said = Calendar { ahead: random.between(20 * YEAR), ppm: random.between(1_000) };
            let way = (random.below(5 * SECOND), 0);
            case.time.read(id(1_000 + liar), read(said, way, case.now), Mono(case.now));
        }
        let found = case.estimate();
        let offsets = case.offsets();
        let worst = signed(case.least_error.iter().max().expect("one") + 75 * 50 + 5);
        let (least, most) = (*offsets.iter().min().expect("one"), *offsets.iter().max().expect("one"));
        let said = format!("seed {seed}: {found:?}, honest clocks are {least} to {most} ahead");
        assert!((least - worst..=most + worst).contains(&found.offset_us), "{said}");
        let (low, high) = (found.offset_us - signed(found.error_us), found.offset_us + signed(found.error_us));
        assert!(low <= most && least <= high, "{said}");
    }
}

#[test]
fn one_clock_is_known_to_half_a_round_trip_and_a_millisecond_between_the_asks_of_an_idle_link() {
    for seed in 0..2_000 {
        let random = &mut Random::new(seed);
        let (clock, own) = (random.calendar(), Calendar { ppm: 0, ..random.calendar() });
        let mut now = 10 * SECOND;
        let mut way = random.way();
        let mut reading = read(clock, way, now);
        for _ in 0..10 {
            now += random.below(15 * SECOND);
            let (offset, error) = reading.offset(own.now(now));
            let off = offset.abs_diff(clock.at(now) - own.at(now));
            assert!(off <= error, "seed {seed}: off by {off}, bound {error}");
            assert!(error <= (way.0 + way.1) / 2 + 1_000, "seed {seed}: {error} for {way:?}");
            way = random.way();
            reading.merge(read(clock, way, now));
        }
    }
}

#[test]
fn a_clock_that_was_set_is_believed_from_its_next_reading_on() {
    let own = right();
    let mut reading = read(Calendar { ahead: 5_000, ppm: 0 }, (100, 100), SECOND);
    reading.merge(read(Calendar { ahead: 5_000, ppm: 0 }, (90_000, 10_000), 2 * SECOND));
    assert_eq!(reading.offset(own.now(2 * SECOND)), (5_000, 153), "the better of two that agree");
    reading.merge(read(Calendar { ahead: -MINUTE, ppm: 0 }, (90_000, 10_000), 3 * SECOND));
    assert_eq!(reading.offset(own.now(3 * SECOND)), (-MINUTE + 40_000, 50_003));
}

#[test]
fn setting_the_own_clock_back_moves_only_the_own_clock() {
    let mut time = NetworkTime::default();
    for n in 0..3 {
        time.read(id(n), read(right(), (0, 0), SECOND), Mono(SECOND));
    }
    time.advance(right().now(SECOND));
    let back = Calendar { ahead: -YEAR, ppm: 0 };
    time.advance(back.now(2 * SECOND));
    let found = time.estimate(back.now(2 * SECOND), NOTHING_SIGNED);
    assert_eq!((found.offset_us, found.members), (YEAR, 3));
}

#[test]
fn after_a_sleep_readings_count_no_more_because_the_steady_clock_slept_too() {
    let mut time = NetworkTime::default();
    time.read(id(1), read(right(), (0, 0), SECOND), Mono(SECOND));
    time.advance(right().now(SECOND));
    time.advance(Calendar { ahead: 1_999_999, ppm: 0 }.now(2 * SECOND));
    assert_eq!(time.estimate(right().now(2 * SECOND), NOTHING_SIGNED).members, 1);
    time.advance(Calendar { ahead: 1_999_999 + 2_000_000, ppm: 0 }.now(3 * SECOND));
    let alone = Estimate { offset_us: 0, error_us: 0, members: 0 };
    assert_eq!(time.estimate(right().now(3 * SECOND), NOTHING_SIGNED), alone);
}

#[test]
fn alone_the_own_clock_is_network_time_and_members_that_went_count_for_ten_minutes() {
    let mut time = NetworkTime::default();
    let own = right();
    assert_eq!(time.estimate(own.now(0), NOTHING_SIGNED), Estimate { offset_us: 0, error_us: 0, members: 0 });
    for n in 0..2 {
        time.read(id(n), read(Calendar { ahead: MINUTE, ppm: 0 }, (0, 0), SECOND), Mono(SECOND));
    }
    let last = time.estimate(own.now(601 * SECOND), NOTHING_SIGNED);
    assert_eq!((last.offset_us, last.members), (MINUTE, 2));
    assert!((30_000..31_000).contains(&last.error_us), "{last:?}");
    assert_eq!(time.estimate(own.now(601 * SECOND + 1), NOTHING_SIGNED).members, 0);
}

#[test]
fn clocks_from_before_what_the_network_has_signed_count_for_nothing() {
    let mut time = NetworkTime::default();
    let behind = Calendar { ahead: -YEAR, ppm: 0 };
    let newest = stamp(START - MINUTE);
    let nothing_known = time.estimate(behind.now(SECOND), newest);
    assert_eq!((nothing_known.offset_us, nothing_known.error_us), (YEAR - MINUTE - signed(SECOND), MAX_INTEGER));
    time.read(id(1), read(right(), (0, 0), SECOND), Mono(SECOND));
    time.read(id(2), read(Calendar { ahead: -2 * YEAR, ppm: 0 }, (0, 0), SECOND), Mono(SECOND));
    let found = time.estimate(behind.now(SECOND), newest);
    assert_eq!((found.offset_us, found.members), (YEAR, 1));
}

#[test]
fn a_further_clock_takes_the_place_of_one_not_read_for_long_and_of_no_other() {
    let mut time = NetworkTime::default();
    let fill = |time: &mut NetworkTime, from: usize, now: u64| {
        for n in from..from + MAX_READINGS {
            time.read(id(n), read(right(), (0, 0), now), Mono(now));
        }
    };
    let late = Calendar { ahead: YEAR, ppm: 0 };
    fill(&mut time, 0, SECOND);
    assert_eq!(time.estimate(right().now(SECOND), NOTHING_SIGNED).members, MAX_READINGS);
    for n in 0..MAX_READINGS {
        time.read(id(5_000 + n), read(late, (0, 0), 60 * SECOND), Mono(60 * SECOND));
    }
    let kept = time.estimate(right().now(60 * SECOND), NOTHING_SIGNED);
    assert_eq!((kept.members, kept.offset_us), (MAX_READINGS, 0), "what was read within the minute stays");
    fill(&mut time, 1_000, 61 * SECOND);
    time.forget(&id(1_000));
    time.read(id(9_000), read(right(), (0, 0), 61 * SECOND), Mono(61 * SECOND));
    time.read(id(9_001), read(late, (0, 0), 61 * SECOND), Mono(61 * SECOND));
    let kept = time.estimate(right().now(61 * SECOND), NOTHING_SIGNED);
    assert_eq!((kept.members, kept.offset_us), (MAX_READINGS, 0));
}
