//! What the forwarding plane did, in numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters since start, and what waits now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Others' datagrams put into the queue of a link.
    pub forwarded_frames: u64,
    /// Their bytes on the wire.
    pub forwarded_bytes: u64,
    /// Datagrams from here put into the queue of a link.
    pub sent_frames: u64,
    /// Their bytes on the wire.
    pub sent_bytes: u64,
    /// Datagrams that waited for a link that went down and were sent another way.
    pub rerouted_frames: u64,
    /// Datagrams dropped, by reason: `flow_full`, `link_full`, `too_many_flows`, `node_full`, `link_down`, or as in reports.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Datagrams that wait for all links now.
    pub waiting_frames: usize,
    /// What they take, lines and bookkeeping included.
    pub waiting_bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    forwarded: Traffic,
    sent: Traffic,
    rerouted: AtomicU64,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default)]
struct Traffic {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    fn add(&self, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.frames.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Counters {
    /// One was queued; `others` if it is not from here.
    pub(super) fn forward(&self, bytes: usize, others: bool) {
        if others { self.forwarded.add(bytes) } else { self.sent.add(bytes) }
    }

    pub(super) fn reroute(&self) {
        self.rerouted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop(&self, reason: &'static str, count: u64) {
        *self.dropped.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += count;
    }

    pub(super) fn report(&self) -> Forwarding {
        let (forwarded_frames, forwarded_bytes) = self.forwarded.get();
        let (sent_frames, sent_bytes) = self.sent.get();
        Forwarding {
            forwarded_frames,
            forwarded_bytes,
            sent_frames,
            sent_bytes,
            rerouted_frames: self.rerouted.load(Ordering::Relaxed),
            dropped: self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            waiting_frames: 0,
            waiting_bytes: 0,
        }
    }
}
