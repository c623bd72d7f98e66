//! Relay pipes: two connections that showed tickets of the same errand, and the bytes between them.
//!
//! What flows is TLS between the two ends; it is copied, not read. Which halves belong together is the core's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_mesh::RelayConnection;
use meshline_protocol::{Code, Fault};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::driver::Notice;
use crate::gate::Permit;
use crate::inbound::refuse;
use crate::limits::{RELAY_BUFFER, RELAY_KEEPALIVE, RELAY_WAIT};

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
    next: u64,
}

impl Relays {
    pub(crate) fn new(notices: mpsc::Sender<Notice>) -> Self {
        Self { notices, waiting: BTreeMap::new(), joined: BTreeMap::new(), next: 0 }
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
    pub(crate) fn join(&mut self, first: RelayConnection, second: RelayConnection) -> bool {
        let halves = (self.take(first), self.take(second));
        let (Some(one), Some(other)) = halves else { return false };
        let notices = self.notices.clone();
        let pipe = tokio::spawn(async move {
            splice(one.stream, other.stream).await;
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

/// Copies both ways until both ends are done or one fails. (Two buffers a pipe; `splice(2)` would spare them and
/// half of the processor time.)
async fn splice(mut one: TcpStream, mut other: TcpStream) {
    for stream in [&one, &other] {
        // Small records are someone's keystrokes; and an end that vanished must not hold the pipe for ever.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(RELAY_KEEPALIVE));
    }
    let _ = copy_bidirectional_with_sizes(&mut one, &mut other, RELAY_BUFFER, RELAY_BUFFER).await;
}

#[cfg(test)]
mod tests;
