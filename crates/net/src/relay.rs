//! Relay pipes: two connections that showed tickets of the same errand, and the bytes between them.
//!
//! What flows is TLS between the two ends; it is passed on, not read. Which halves belong together is the core's to say.

mod kernel_pipe;
mod pipe;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_mesh::RelayConnection;
use meshline_protocol::{Code, Fault, NodeId};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::driver::Notice;
use crate::gate::Permit;
use crate::inbound::refuse;
use crate::limits::{MAX_SHARES, RELAY_WAIT};
use pipe::Pair;
use share::Share;

/// One connection with a ticket.
pub(crate) struct Half {
    stream: TcpStream,
    /// Held until it is joined: so long it is a stranger like any other.
    permit: Permit,
}

impl Half {
    pub(crate) fn new(stream: TcpStream, permit: Permit) -> Self {
        Self { stream, permit }
    }
}

/// All halves and pipes.
pub(crate) struct Relays {
    notices: mpsc::Sender<Notice>,
    waiting: BTreeMap<RelayConnection, (Half, AbortHandle)>,
    /// Each pipe is here under both its halves.
    joined: BTreeMap<RelayConnection, (RelayConnection, Arc<AbortHandle>)>,
    /// Each member's part, for as long as there is room.
    shares: BTreeMap<NodeId, Arc<Share>>,
    /// Bits a second a member may have.
    rate_bps: Option<u64>,
    clock: Clock,
    next: u64,
}

impl Relays {
    pub(crate) fn new(notices: mpsc::Sender<Notice>, rate_bps: Option<u64>, clock: Clock) -> Self {
        let (waiting, joined, shares) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { notices, waiting, joined, shares, rate_bps, clock, next: 0 }
    }

    /// Bytes relayed for each member so far.
    pub(crate) fn bytes(&self) -> Vec<(NodeId, u64)> {
        self.shares.iter().map(|(member, share)| (*member, share.bytes())).collect()
    }

    /// The part of a member. Of more than there is room for, those without a pipe are forgotten.
    fn share(&mut self, member: NodeId) -> Arc<Share> {
        if self.shares.len() >= MAX_SHARES && !self.shares.contains_key(&member) {
            self.shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let rate_bps = self.rate_bps;
        Arc::clone(self.shares.entry(member).or_insert_with(|| Arc::new(Share::new(rate_bps))))
    }

    /// Keeps a half until it is joined or [`RELAY_WAIT`] is over.
    pub(crate) fn keep(&mut self, half: Half) -> RelayConnection {
        let connection = RelayConnection(self.next);
        self.next += 1;
        let notices = self.notices.clone();
        let expiry = tokio::spawn(async move {
            sleep(RELAY_WAIT).await;
            let _ = notices.send(Notice::RelayEnded(connection)).await;
        });
        self.waiting.insert(connection, (half, expiry.abort_handle()));
        connection
    }

    /// Splices two halves. If one is gone, so is the other.
    pub(crate) fn join(&mut self, first: RelayConnection, second: RelayConnection, members: [NodeId; 2]) -> bool {
        let halves = (self.take(first), self.take(second));
        let (Some(one), Some(other)) = halves else { return false };
        let (notices, shares) = (self.notices.clone(), members.map(|member| self.share(member)));
        let pair = Pair { ends: [one.stream, other.stream], shares, clock: self.clock };
        let pipe = tokio::spawn(async move {
            pair.carry().await;
            let _ = notices.send(Notice::RelayEnded(first)).await;
        });
        let pipe = Arc::new(pipe.abort_handle());
        self.joined.insert(first, (second, Arc::clone(&pipe)));
        self.joined.insert(second, (first, pipe));
        true
    }

    /// Refuses a waiting half with its reason, or ends a pipe.
    pub(crate) fn drop_connection(&mut self, connection: RelayConnection, code: Code) {
        if let Some(half) = self.take(connection) {
            let fault = Fault::new(code, "the proxy does not relay this");
            drop(tokio::spawn(async move {
                refuse(half.stream, fault).await;
                drop(half.permit);
            }));
        } else {
            self.end(connection);
        }
    }

    /// Forgets a half or a pipe that ended; whether it was known.
    pub(crate) fn end(&mut self, connection: RelayConnection) -> bool {
        if self.take(connection).is_some() {
            return true;
        }
        let Some((other, pipe)) = self.joined.remove(&connection) else { return false };
        self.joined.remove(&other);
        pipe.abort();
        true
    }

    /// Ends everything.
    pub(crate) fn clear(&mut self) {
        for (_, expiry) in std::mem::take(&mut self.waiting).into_values() {
            expiry.abort();
        }
        for (_, pipe) in std::mem::take(&mut self.joined).into_values() {
            pipe.abort();
        }
    }

    fn take(&mut self, connection: RelayConnection) -> Option<Half> {
        let (half, expiry) = self.waiting.remove(&connection)?;
        expiry.abort();
        Some(half)
    }
}

#[cfg(test)]
mod tests;
