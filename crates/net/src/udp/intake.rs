//! What arrives for the core: so many a second and no more waiting than there is room for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use meshline_mesh::{Mono, SocketId};
use tokio::sync::mpsc;

use super::Packet;
use super::split::Kind;
use crate::clock::Clock;
use crate::limits::{MAX_PACKET, PACKET_BURST, PACKETS_PER_SECOND};

/// Microseconds of waiting that pay for one packet.
const PACKET_COST_US: u64 = 1_000_000 / PACKETS_PER_SECOND;
const MAX_CREDIT_US: u64 = PACKET_COST_US * PACKET_BURST;

/// What went over the UDP sockets, QUIC aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpReport {
    /// Sockets that are open.
    pub sockets: usize,
    /// Datagrams handed to the core.
    pub received: u64,
    /// Datagrams that were nobody's, too long, or too many.
    pub dropped: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes in those.
    pub sent_bytes: u64,
    /// Datagrams that could not be sent.
    pub unsent: u64,
}

#[derive(Debug)]
pub(super) struct Intake {
    packets: mpsc::Sender<Packet>,
    clock: Clock,
    credit: Mutex<Credit>,
    received: AtomicU64,
    dropped: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    unsent: AtomicU64,
}

/// Waiting time saved up.
#[derive(Debug)]
struct Credit {
    us: u64,
    at: Mono,
}

impl Credit {
    fn take(&mut self, now: Mono) -> bool {
        self.us = MAX_CREDIT_US.min(self.us.saturating_add(now.micros_since(self.at)));
        self.at = now;
        let left = self.us.checked_sub(PACKET_COST_US);
        self.us = left.unwrap_or(self.us);
        left.is_some()
    }
}

impl Intake {
    pub(super) fn new(packets: mpsc::Sender<Packet>, clock: Clock) -> Self {
        Self {
            packets,
            clock,
            credit: Mutex::new(Credit { us: MAX_CREDIT_US, at: Mono(0) }),
            received: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
        }
    }

    /// Something that is not QUIC's arrived.
    pub(super) fn take(&self, socket: SocketId, from: SocketAddr, (kind, bytes): (Kind, &[u8])) {
        let is_taken = kind == Kind::Mesh
            && bytes.len() <= MAX_PACKET
            && self.credit.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.mono())
            && self.packets.try_send(Packet { socket, from, bytes: Bytes::copy_from_slice(bytes) }).is_ok();
        let counter = if is_taken { &self.received } else { &self.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_sent(&self, bytes: usize, is_sent: bool) {
        if is_sent {
            self.sent.fetch_add(1, Ordering::Relaxed);
            self.sent_bytes.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        } else {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn report(&self, sockets: usize) -> UdpReport {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UdpReport {
            sockets,
            received: of(&self.received),
            dropped: of(&self.dropped),
            sent: of(&self.sent),
            sent_bytes: of(&self.sent_bytes),
            unsent: of(&self.unsent),
        }
    }
}
