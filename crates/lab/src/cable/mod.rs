//! A cable between two hosts that is as good or as bad as a test wants, and may change while it lies.
//!
//! [`Cable`] says what it does to frames in one direction, [`Lab::cable`](crate::Lab::cable) lays it, and [`LaidCable`]
//! changes it. It is a TAP device on each host and the program `lab-cable` between them, because not every kernel can
//! delay or lose frames itself. That the hosts' own queues stay short is left to the program: it takes frames at once
//! and lets them wait, or drops them, by its own rules.

mod line;
mod program;
mod soft;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::process::Process;

pub use program::run_cable;
pub use soft::{By, Ports, Soft};

/// Waiting frames of a cable with a rate, unless said otherwise.
const QUEUE_MS: u64 = 100;
const MILLION: u32 = 1_000_000;

/// What a cable does to frames in one direction. A new one carries everything at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Cable {
    delay_us: u64,
    rate_bps: Option<u64>,
    queue: Queue,
    loss_ppm: u32,
    duplicate_ppm: u32,
    reorder_ppm: u32,
    seed: u64,
    is_cut: bool,
}

/// How much may wait for the rate; what comes on top is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Queue {
    Ms(u64),
    Bytes(u64),
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

impl Cable {
    /// One that carries everything at once.
    pub const fn new() -> Self {
        Self {
            delay_us: 0,
            rate_bps: None,
            queue: Queue::Ms(QUEUE_MS),
            loss_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            seed: 1,
            is_cut: false,
        }
    }

    /// How long a frame takes one way, in milliseconds. A round trip takes twice that if both directions have it.
    pub const fn delay_ms(self, delay_ms: u64) -> Self {
        self.delay_us(delay_ms * 1000)
    }

    /// How long a frame takes one way, in microseconds.
    pub const fn delay_us(self, delay_us: u64) -> Self {
        Self { delay_us, ..self }
    }

    /// Megabits of whole Ethernet frames in a second.
    pub const fn rate_mbit(self, rate: u64) -> Self {
        self.rate_kbit(rate * 1000)
    }

    /// Kilobits of whole Ethernet frames in a second.
    pub const fn rate_kbit(self, rate: u64) -> Self {
        Self { rate_bps: Some(rate * 1000), ..self }
    }

    /// How much may wait for the rate, in milliseconds at that rate; 100 unless told. What comes on top is dropped.
    pub const fn queue_ms(self, queue_ms: u64) -> Self {
        Self { queue: Queue::Ms(queue_ms), ..self }
    }

    /// How much may wait for the rate, in bytes.
    pub const fn queue_bytes(self, bytes: u64) -> Self {
        Self { queue: Queue::Bytes(bytes), ..self }
    }

    /// How many of a hundred frames are lost, each by chance of its own, after they took their time at the rate.
    pub fn loss_percent(self, percent: f64) -> Self {
        Self { loss_ppm: ppm(percent), ..self }
    }

    /// How many of a hundred frames arrive twice.
    pub fn duplicate_percent(self, percent: f64) -> Self {
        Self { duplicate_ppm: ppm(percent), ..self }
    }

    /// How many of a hundred frames arrive without the delay, before those sent ahead of them.
    pub fn reorder_percent(self, percent: f64) -> Self {
        Self { reorder_ppm: ppm(percent), ..self }
    }

    /// What chance goes by, so that a run can be repeated.
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether everything vanishes without a word, what is under way too.
    pub const fn cut(self, is_cut: bool) -> Self {
        Self { is_cut, ..self }
    }

    /// How many bytes may wait.
    fn queue_limit(&self) -> u64 {
        match (self.queue, self.rate_bps) {
            (Queue::Bytes(bytes), _) => bytes,
            (Queue::Ms(ms), Some(rate)) => rate.saturating_mul(ms) / 8000,
            (Queue::Ms(_), None) => 0,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn ppm(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u32
}

/// A direction of a cable, as the hosts were named when it was laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the first host to the second.
    Forth,
    /// From the second host to the first.
    Back,
    /// Both, each for itself.
    Both,
}

impl Direction {
    fn covers(self, side: usize) -> bool {
        match self {
            Self::Forth => side == 0,
            Self::Back => side == 1,
            Self::Both => true,
        }
    }
}

/// What became of the frames of one direction since the cable was laid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// Frames that arrived, twins too.
    pub frames: u64,
    /// Their bytes, with Ethernet headers.
    pub bytes: u64,
    /// Frames lost by chance.
    pub lost: u64,
    /// Frames that found the queue full.
    pub dropped: u64,
    /// Frames that went into a cut.
    pub swallowed: u64,
    /// Frames with bytes of a TCP stream in them that arrived.
    pub data: u64,
    /// Those that were lost by chance or found the queue full.
    pub data_lost: u64,
}

/// What the program is told, a line each; it answers each with [`Carried`] of both directions.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Tell,
    Set {
        direction: Direction,
        cable: Cable,
    },
    /// Puts a NAT in the way, with this address outside: the second host is inside.
    Translate {
        soft: Soft,
        address: Ipv4Addr,
    },
}

/// A cable that lies between two hosts, until it is dropped.
#[derive(Debug)]
pub struct LaidCable {
    program: Process,
    now: [Cable; 2],
}

impl LaidCable {
    #[track_caller]
    pub(crate) fn new(program: Process, cable: Cable) -> Self {
        let mut laid = Self { program, now: [cable; 2] };
        laid.set(Direction::Both, cable);
        laid
    }

    /// From now on it does this; what is already under way arrives as it would have.
    ///
    /// # Panics
    /// If the cable's program has ended.
    #[track_caller]
    pub fn set(&mut self, direction: Direction, cable: Cable) {
        self.change(direction, |_| cable);
    }

    /// Changes one thing and leaves the rest: `cable.change(Direction::Both, |is| is.loss_percent(30.0))`.
    ///
    /// # Panics
    /// If the cable's program has ended.
    #[track_caller]
    pub fn change(&mut self, direction: Direction, change: impl Fn(Cable) -> Cable) {
        for (side, only) in [Direction::Forth, Direction::Back].into_iter().enumerate() {
            let Some(now) = self.now.get_mut(side).filter(|_| direction.covers(side)) else { continue };
            *now = change(*now);
            let order = Order::Set { direction: only, cable: *now };
            self.order(&order);
        }
    }

    /// Lets everything vanish, so that no host is told.
    #[track_caller]
    pub fn cut(&mut self, direction: Direction) {
        self.change(direction, |cable| cable.cut(true));
    }

    /// Carries again what it carried before it was cut.
    #[track_caller]
    pub fn mend(&mut self, direction: Direction) {
        self.change(direction, |cable| cable.cut(false));
    }

    /// Puts a NAT in the way that remembers nobody yet, with this address outside: the second host is inside.
    #[track_caller]
    pub(crate) fn translate(&mut self, soft: Soft, address: Ipv4Addr) {
        self.order(&Order::Translate { soft, address });
    }

    /// What became of the frames: forth, and back.
    ///
    /// # Panics
    /// If the cable's program has ended.
    #[track_caller]
    pub fn carried(&mut self) -> [Carried; 2] {
        self.order(&Order::Tell)
    }

    #[track_caller]
    fn order(&mut self, order: &Order) -> [Carried; 2] {
        let mark = self.program.mark();
        self.program.say(&serde_json::to_string(order).expect("plain values"));
        let (_, answer) = self.program.wait_after(mark, "{");
        serde_json::from_str(&answer).expect("its answer")
    }
}
