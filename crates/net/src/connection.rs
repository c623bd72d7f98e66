//! A connection whose transport is ready, on its way to become a link.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::BytesMut;
use meshline_mesh::Transport;
use meshline_protocol::{Address, NodeId};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::gate::Permit;
use crate::limits::MAX_UNSENT;
use crate::quic::Gauge;

/// Anything that carries bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A ready transport.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// The TCP socket that bears it, where there is one, to be told how much it may hold unsent.
    pub(crate) socket: Option<OwnedFd>,
    /// What was read already, on a plain link the line with the hello.
    pub(crate) early: BytesMut,
    pub(crate) transport: Transport,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) proved: Option<NodeId>,
    /// The member through whose exit it goes.
    pub(crate) through: Option<NodeId>,
    pub(crate) spent_us: u64,
    /// Held until the hello is accepted; connections that this side opened need none.
    pub(crate) permit: Option<Permit>,
    /// What measures it, if QUIC bears it.
    pub(crate) quic: Option<Arc<Gauge>>,
}

impl Connection {
    /// Both addresses of the TCP connection that bears it alone. What a proxy relays, or a member carries, is another
    /// connection behind it.
    pub(crate) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let ends = || Some((self.local.as_str().parse().ok()?, self.remote.as_str().parse().ok()?));
        match self.transport {
            Transport::Tcp | Transport::Plain if self.through.is_none() => ends(),
            Transport::Tcp | Transport::Plain | Transport::Relay | Transport::Quic => None,
        }
    }
}

/// Keeps what a socket holds that was not sent yet small: what waits there is in nobody's order any more. Returns what
/// to tell it by how small, once its rate is known; `None` if the system allows no more open files.
pub(crate) fn keep_little_unsent(socket: &TcpStream) -> Option<OwnedFd> {
    // Not every system can; the queue then lies deeper there.
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(MAX_UNSENT);
    socket.as_fd().try_clone_to_owned().ok()
}

/// The address as it is shown: v4 as v4, whatever the socket.
pub(crate) fn shown(address: SocketAddr) -> Address {
    SocketAddr::new(address.ip().to_canonical(), address.port()).into()
}
