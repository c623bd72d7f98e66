//! Bytes of links by the way they go, of those that have ended too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meshline_mesh::Transport;

/// Bytes of frames on links that go one way, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathBytes {
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

/// Bytes of frames by the way that links go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BytesByPath {
    /// Straight to the member at the other end.
    pub direct: PathBytes,
    /// Through a proxy.
    pub relay: PathBytes,
}

/// What links of one kind count together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// What all links count.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    direct: Arc<Tally>,
    relay: Arc<Tally>,
}

impl Tally {
    fn get(&self) -> PathBytes {
        PathBytes { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }
}

impl Tallies {
    /// Where a link counts.
    pub(super) fn of(&self, transport: Transport) -> Arc<Tally> {
        Arc::clone(if transport == Transport::Relay { &self.relay } else { &self.direct })
    }

    /// What was counted so far.
    pub(crate) fn get(&self) -> BytesByPath {
        BytesByPath { direct: self.direct.get(), relay: self.relay.get() }
    }
}
