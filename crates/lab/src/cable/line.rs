//! One direction of a cable as plain state: frames and the time go in, frames come out when they are due.
//!
//! A frame waits its turn, takes its time at the rate, is then lost or flies for the delay. The times are reckoned, not
//! looked at: a program that is late once is not late ever after.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Cable, Carried, MILLION};

/// Bytes that may fly at once: a gigabit a second for a quarter of a second; it bounds the memory of a long delay.
pub(super) const MAX_FLYING: usize = 32 << 20;

/// Two addresses and what kind of frame it is.
const ETHERNET_HEADER: usize = 14;

/// The protocol number of IPv4.
const TCP: u8 = 6;

#[derive(Debug)]
pub(super) struct Line {
    /// Which direction it is: chance differs between the two.
    side: u64,
    cable: Cable,
    random: ChaCha8Rng,
    /// With the time of their coming.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    waiting_bytes: usize,
    /// Until when the frame at the front takes its time.
    sending: Option<(Instant, Vec<u8>)>,
    idle_since: Instant,
    /// By when they arrive, and by their number where that is the same.
    flying: BTreeMap<(Instant, u64), Vec<u8>>,
    flying_bytes: usize,
    number: u64,
    last_due: Instant,
    carried: Carried,
}

impl Line {
    pub(super) fn new(side: u64, cable: Cable, now: Instant) -> Self {
        Self {
            side,
            cable,
            random: random(cable.seed, side),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sending: None,
            idle_since: now,
            flying: BTreeMap::new(),
            flying_bytes: 0,
            number: 0,
            last_due: now,
            carried: Carried::default(),
        }
    }

    pub(super) fn set(&mut self, cable: Cable) {
        if cable.seed != self.cable.seed {
            self.random = random(cable.seed, self.side);
        }
        self.cable = cable;
        if cable.is_cut {
            let gone = self.waiting.len() + self.flying.len() + usize::from(self.sending.is_some());
            self.carried.swallowed += gone as u64;
            self.waiting.clear();
            self.flying.clear();
            self.sending = None;
            (self.waiting_bytes, self.flying_bytes) = (0, 0);
        }
    }

    pub(super) fn carried(&self) -> Carried {
        self.carried
    }

    /// A frame enters.
    pub(super) fn take(&mut self, frame: &[u8], now: Instant) {
        if self.cable.is_cut {
            self.carried.swallowed += 1;
            return;
        }
        self.advance(now);
        let is_free = self.sending.is_none() && self.waiting.is_empty();
        let would_wait = (self.waiting_bytes + frame.len()) as u64;
        if !is_free && would_wait > self.cable.queue_limit() {
            self.carried.dropped += 1;
            self.carried.data_lost += u64::from(has_data(frame));
            return;
        }
        self.waiting_bytes += frame.len();
        self.waiting.push_back((now, frame.to_vec()));
        self.advance(now);
    }

    /// The next frame that has arrived.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.advance(now);
        let first = self.flying.first_entry().filter(|first| first.key().0 <= now)?;
        let frame = first.remove();
        self.flying_bytes -= frame.len();
        self.carried.frames += 1;
        self.carried.data += u64::from(has_data(&frame));
        self.carried.bytes += frame.len() as u64;
        Some(frame)
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        let sent = self.sending.as_ref().map(|(until, _)| *until);
        let arrives = self.flying.first_key_value().map(|((due, _), _)| *due);
        sent.into_iter().chain(arrives).min()
    }

    /// Sends what could be sent by now.
    fn advance(&mut self, now: Instant) {
        loop {
            if let Some((until, frame)) = self.sending.take_if(|(until, _)| *until <= now) {
                self.idle_since = until;
                self.launch(frame, until);
            }
            if self.sending.is_some() {
                return;
            }
            let Some((came, frame)) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= frame.len();
            let until = came.max(self.idle_since) + self.time_of(frame.len());
            self.sending = Some((until, frame));
        }
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let bits = bytes as u64 * 8;
        self.cable.rate_bps.map_or(Duration::ZERO, |rate| Duration::from_nanos(bits * 1_000_000_000 / rate.max(1)))
    }

    /// A frame that was sent flies, if it is not lost.
    fn launch(&mut self, frame: Vec<u8>, sent: Instant) {
        if self.chance(self.cable.loss_ppm) {
            self.carried.lost += 1;
            self.carried.data_lost += u64::from(has_data(&frame));
            return;
        }
        let overtakes = self.chance(self.cable.reorder_ppm);
        let is_twin = self.chance(self.cable.duplicate_ppm);
        let due = if overtakes { sent } else { self.last_due.max(sent + Duration::from_micros(self.cable.delay_us)) };
        if !overtakes {
            self.last_due = due;
        }
        if is_twin {
            self.fly(frame.clone(), due);
        }
        self.fly(frame, due);
    }

    fn fly(&mut self, frame: Vec<u8>, due: Instant) {
        if self.flying_bytes + frame.len() > MAX_FLYING {
            self.carried.dropped += 1;
            self.carried.data_lost += u64::from(has_data(&frame));
            return;
        }
        self.flying_bytes += frame.len();
        self.number += 1;
        self.flying.insert((due, self.number), frame);
    }

    /// Draws nothing for what never happens, so that other chances stay the same without it.
    fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.random.next_u32() % MILLION < ppm
    }
}

/// Whether bytes of a TCP stream are in a frame (IPv4, as the hosts of a lab are).
fn has_data(frame: &[u8]) -> bool {
    let Some((_, packet)) = frame.split_at_checked(ETHERNET_HEADER) else { return false };
    let byte = |at: usize| packet.get(at).copied().unwrap_or(0);
    let words = |bits: u8| 4 * usize::from(bits);
    let ip_header = words(byte(0) & 0xf);
    let headers = ip_header + words(byte(ip_header + 12) >> 4);
    let length = usize::from(u16::from_be_bytes([byte(2), byte(3)]));
    byte(0) >> 4 == 4 && byte(9) == TCP && length > headers
}

fn random(seed: u64, side: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(2).wrapping_add(side))
}
