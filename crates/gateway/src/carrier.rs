//! What carries streams between members: the tunnels of the mesh, or pipes in a test.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use meshline_net::{TunnelFlow, TunnelStream, Tunnels};
use meshline_protocol::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::refusal::{Refusal, refuse};

/// A future that is kept somewhere.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens streams to members and takes theirs.
pub trait Carrier: Send + Sync + 'static {
    /// A stream to a member; at once a refusal if there is no way to it.
    fn open(&self, to: NodeId) -> Task<'_, Result<Box<dyn Stream>, Refusal>>;

    /// The next stream that another member opened; `None` at the end of the mesh.
    fn accept(&self) -> Task<'_, Option<Box<dyn Stream>>>;
}

/// A stream to a member. Shutting it down ends one direction; dropping it before its end resets the rest.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Who is at the other end.
    fn peer(&self) -> NodeId;

    /// Ends both directions at once.
    fn reset(self: Box<Self>, code: u16);

    /// The UDP payloads that belong to the stream. To be asked once.
    fn flow(&self) -> Box<dyn Flow>;
}

/// UDP payloads to and from a member.
pub trait Flow: Send + Sync {
    /// Sends one; `false` if it was dropped at once.
    fn send(&self, payload: Bytes) -> bool;

    /// The next one; `None` when the stream is over. May be given up at any time without loss.
    fn recv(&self) -> Task<'_, Option<Bytes>>;
}

impl Carrier for Tunnels {
    fn open(&self, to: NodeId) -> Task<'_, Result<Box<dyn Stream>, Refusal>> {
        Box::pin(async move {
            let stream = Self::open(self, to).await.map_err(|error| refuse(error.code, error.detail))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn accept(&self) -> Task<'_, Option<Box<dyn Stream>>> {
        Box::pin(async move { Self::accept(self).await.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

impl Stream for TunnelStream {
    fn peer(&self) -> NodeId {
        Self::peer(self)
    }

    fn reset(self: Box<Self>, code: u16) {
        Self::reset(*self, code);
    }

    fn flow(&self) -> Box<dyn Flow> {
        Box::new(Self::flow(self))
    }
}

impl Flow for TunnelFlow {
    fn send(&self, payload: Bytes) -> bool {
        Self::send(self, payload)
    }

    fn recv(&self) -> Task<'_, Option<Bytes>> {
        Box::pin(Self::recv(self))
    }
}
