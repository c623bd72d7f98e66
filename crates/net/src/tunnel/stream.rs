//! One stream of a tunnel, as tokio knows streams, and the UDP flow beside it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_tunnel::{Read, StreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Mutex, mpsc};

use super::state::Tunnel;

/// The code of a stream that was dropped before its end.
const DROPPED: u16 = 2;

/// Ordered bytes to and from another member. Shutting it down ends one direction; dropping it before its end resets
/// what is not ended.
pub struct TunnelStream {
    tunnel: Arc<Tunnel>,
    id: StreamId,
    code: u16,
    is_forgotten: bool,
}

impl std::fmt::Debug for TunnelStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TunnelStream").field("peer", &self.tunnel.peer).field("id", &self.id).finish()
    }
}

impl TunnelStream {
    pub(super) fn new(tunnel: Arc<Tunnel>, id: StreamId) -> Self {
        Self { tunnel, id, code: DROPPED, is_forgotten: false }
    }

    /// Who is at the other end: it proved its key in the handshake of the tunnel.
    #[must_use]
    pub fn peer(&self) -> NodeId {
        self.tunnel.peer
    }

    /// Ends both directions at once; the other end is told the code.
    pub fn reset(mut self, code: u16) {
        self.code = code;
    }

    /// The UDP payloads that belong to this stream. Whoever asks last gets them.
    #[must_use]
    pub fn flow(&self) -> TunnelFlow {
        let incoming = self.tunnel.lock().take_flow(self.id);
        TunnelFlow { tunnel: Arc::clone(&self.tunnel), id: self.id, incoming: Arc::new(Mutex::new(incoming)) }
    }

    /// Lets go of it without a word: whoever calls this holds the lock and says it there.
    pub(super) fn forget(mut self) {
        self.is_forgotten = true;
    }

    fn ended(&self, code: u16) -> io::Error {
        match self.tunnel.over() {
            Some(error) => io::Error::new(io::ErrorKind::ConnectionAborted, error),
            None => io::Error::new(io::ErrorKind::ConnectionReset, format!("reset by the other end with code {code}")),
        }
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        if self.is_forgotten {
            return;
        }
        let (id, code) = (self.id, self.code);
        self.tunnel.with(|state, _| state.release(id, code));
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let id = self.id;
        let read = self.tunnel.with(|state, now| {
            let mut found = false;
            while buffer.remaining() > 0 {
                match state.connection.read(id, buffer.remaining(), now) {
                    Read::Data(data) => {
                        buffer.put_slice(&data);
                        found = true;
                    }
                    Read::Blocked if !found => {
                        state.wait_read(id, context.waker());
                        return Read::Blocked;
                    }
                    other @ (Read::Blocked | Read::Finished | Read::Reset(_)) => {
                        return if found { Read::Finished } else { other };
                    }
                }
            }
            Read::Finished
        });
        match read {
            Some(Read::Blocked) if self.tunnel.over().is_some() => Poll::Ready(Err(self.ended(0))),
            Some(Read::Blocked) => Poll::Pending,
            Some(Read::Reset(code)) => Poll::Ready(Err(self.ended(code))),
            Some(Read::Finished | Read::Data(_)) => Poll::Ready(Ok(())),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        // What is over still takes what fits its window, and nobody would ever read it.
        if self.tunnel.over().is_some() {
            return Poll::Ready(Err(self.ended(0)));
        }
        let id = self.id;
        let written = self.tunnel.with(|state, now| {
            let written = state.connection.write(id, data, now);
            if written == Ok(0) && !data.is_empty() {
                state.wait_write(id, context.waker());
            }
            written
        });
        match written {
            Some(Ok(0)) if !data.is_empty() => match self.tunnel.over() {
                Some(_) => Poll::Ready(Err(self.ended(0))),
                None => Poll::Pending,
            },
            Some(Ok(bytes)) => Poll::Ready(Ok(bytes)),
            Some(Err(code)) => Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, self.ended(code)))),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let id = self.id;
        self.tunnel.with(|state, now| state.connection.finish(id, now));
        Poll::Ready(Ok(()))
    }
}

/// UDP payloads to and from another member: unordered, perhaps lost, never doubled by the tunnel. It lives as long as
/// its stream. Clones are the same flow.
#[derive(Clone)]
pub struct TunnelFlow {
    tunnel: Arc<Tunnel>,
    id: StreamId,
    incoming: Arc<Mutex<mpsc::Receiver<Bytes>>>,
}

impl std::fmt::Debug for TunnelFlow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TunnelFlow").field("peer", &self.tunnel.peer).field("id", &self.id).finish()
    }
}

impl TunnelFlow {
    /// Sends a payload of at most 65,507 bytes; `false` if it was dropped at once.
    pub fn send(&self, payload: Bytes) -> bool {
        let id = self.id;
        self.tunnel.with(|state, now| state.connection.send_flow(id, payload, now)).unwrap_or(false)
    }

    /// The next payload; `None` when the stream or the tunnel is over.
    pub async fn recv(&self) -> Option<Bytes> {
        self.incoming.lock().await.recv().await
    }
}
