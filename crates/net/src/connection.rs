//! A connection whose transport is ready, on its way to become a link.

use std::net::SocketAddr;

use bytes::BytesMut;
use meshline_mesh::Transport;
use meshline_protocol::{Address, NodeId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::gate::Permit;

/// Anything that carries bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A ready transport.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// What was read already, on a plain link the line with the hello.
    pub(crate) early: BytesMut,
    pub(crate) transport: Transport,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) proved: Option<NodeId>,
    pub(crate) spent_us: u64,
    /// Held until the hello is accepted; connections that this side opened need none.
    pub(crate) permit: Option<Permit>,
}

/// The address as it is shown: v4 as v4, whatever the socket.
pub(crate) fn shown(address: SocketAddr) -> Address {
    SocketAddr::new(address.ip().to_canonical(), address.port()).into()
}
