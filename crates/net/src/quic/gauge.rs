//! What a QUIC connection does, told as the system tells of a TCP one, and how much is put into it.
//!
//! As with TCP, little may stand below the link's own queue, where nobody schedules it: what is not confirmed may be as
//! much as the window of the congestion control and a little more. So when it takes no more, it is known how much arrived.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::limits::{MAX_UNSENT, QUIC_LEAST_ROOM};
use crate::tcp_info::TcpInfo;

/// Counts beside a connection.
pub(crate) struct Gauge {
    pub(super) connection: quinn::Connection,
    written: AtomicU64,
    read: AtomicU64,
    /// Of what was written, what has arrived for certain.
    arrived: AtomicU64,
    /// Bytes that may be unconfirmed.
    room: AtomicU64,
    /// It took no more since it was looked at last.
    was_full: AtomicBool,
    before: Mutex<Before>,
}

/// What was seen at the last look.
#[derive(Debug, Default)]
struct Before {
    read: u64,
    pieces: u64,
    holes: u32,
    is_full: bool,
}

impl Gauge {
    pub(super) fn new(connection: quinn::Connection) -> Self {
        Self {
            connection,
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            room: AtomicU64::new(QUIC_LEAST_ROOM),
            was_full: AtomicBool::new(false),
            before: Mutex::default(),
        }
    }

    /// The hello was accepted: more may come at once.
    pub(crate) fn accept(&self) {
        self.connection.set_receive_window(quinn::VarInt::from_u32(crate::limits::QUIC_WINDOW));
    }

    pub(super) fn note_read(&self, bytes: usize) {
        self.read.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn note_written(&self, bytes: usize) {
        self.written.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    /// Lets as much be unconfirmed as may be under way, and a little that waits for its turn.
    pub(super) fn make_room(&self) {
        let window = self.connection.stats().path.cwnd;
        let room = (window + window.min(MAX_UNSENT.into())).max(QUIC_LEAST_ROOM);
        if self.room.swap(room, Ordering::Relaxed) != room {
            self.connection.set_send_window(room);
        }
    }

    /// It takes no more: all but the room has arrived.
    pub(super) fn note_full(&self) {
        let arrived = self.written.load(Ordering::Relaxed).saturating_sub(self.room.load(Ordering::Relaxed));
        self.arrived.fetch_max(arrived, Ordering::Relaxed);
        self.was_full.store(true, Ordering::Relaxed);
    }

    /// What is known of it now.
    pub(crate) fn look(&self) -> TcpInfo {
        let stats = self.connection.stats();
        let read = self.read.load(Ordering::Relaxed);
        let is_full = self.was_full.swap(false, Ordering::Relaxed);
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if stats.frame_rx.stream > before.pieces && read == before.read {
            // Something came, and nothing could be read.
            before.holes = before.holes.wrapping_add(1);
        }
        // Emptying takes a little longer than filling.
        let has_waited = is_full || before.is_full;
        let holes = before.holes;
        *before = Before { read, pieces: stats.frame_rx.stream, holes, is_full };
        let segment = stats.path.current_mtu.max(1);
        let room = if has_waited { self.room.load(Ordering::Relaxed) } else { 0 };
        let under_way = room.min(stats.path.cwnd);
        TcpInfo {
            retransmitted: least(stats.path.lost_packets),
            segments: least(stats.path.sent_packets),
            acked: self.arrived.load(Ordering::Relaxed),
            received: read,
            segments_in: least(stats.frame_rx.stream),
            segment_bytes_in: segment.into(),
            unsent: least(room - under_way),
            segment_bytes: segment.into(),
            unconfirmed: least(under_way.div_ceil(segment.into())),
            behind_a_hole_in: holes,
            min_rtt_us: u32::try_from(stats.path.min_rtt.as_micros()).unwrap_or(u32::MAX),
            ..TcpInfo::default()
        }
    }
}

/// Its low part: counters of the system go round too.
fn least(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
