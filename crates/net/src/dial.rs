//! Opening connections: straight, plain, or through a proxy that granted a ticket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use meshline_mesh::{DialTarget, Mono, Transport};
use meshline_protocol::message::{Message, Relay};
use meshline_protocol::{Address, Code, Encoding, Frame, NodeId, Ticket, frame};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::clock::Clock;
use crate::connection::{Connection, keep_little_unsent, shown};
use crate::gulp::Gulp;
use crate::limits::{DIAL_LIMIT, MEET_HANDSHAKE};
use crate::meet::{Meeting, Meetings};
use crate::quic::Quic;
use crate::tls::{ProveError, TlsIdentity, check_expected};

/// What opens connections.
pub(crate) struct Dialler {
    pub(crate) tls: TlsIdentity,
    pub(crate) clock: Clock,
    pub(crate) quic: Arc<Quic>,
    pub(crate) meetings: Arc<Meetings>,
}

impl Dialler {
    /// Opens a connection within [`DIAL_LIMIT`].
    pub(crate) async fn dial(self, target: DialTarget) -> Result<Connection, ProveError> {
        let began = self.clock.mono();
        let deadline = self.clock.instant(began.after(DIAL_LIMIT));
        let attempt = Box::pin(self.attempt(target, began));
        timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn attempt(&self, target: DialTarget, began: Mono) -> Result<Connection, ProveError> {
        let tls = &self.tls;
        let opened = match target {
            DialTarget::Direct { address, plain: true, .. } => plain(&address).await,
            DialTarget::Direct { address, expected, plain: false } => direct(&address, expected, tls).await,
            DialTarget::Quic { socket, remote, peer } => return self.quic.dial(socket, remote, peer).await,
            DialTarget::Meet { local, remote, peer, client } => {
                met(self.meetings.begin(&local, remote).await?, peer, client, tls).await
            }
            DialTarget::Relay { proxy, ticket, peer, client } => {
                relayed(&proxy, ticket, client, tls).await.and_then(|opened| opened.expect(Some(peer)))
            }
        };
        Ok(opened?.into_connection(self.clock.mono().micros_since(began)))
    }
}

/// Connects, lets the other side prove its key, and closes.
pub(crate) async fn prove(
    address: &Address,
    identity: &TlsIdentity,
    expected: Option<NodeId>,
) -> Result<NodeId, ProveError> {
    let attempt = async {
        let socket = connect(address).await?;
        let (mut stream, proved) = identity.connect(socket).await?;
        // Whether the other side is told goodbye changes nothing about what it proved.
        let _ = stream.shutdown().await;
        check_expected(proved, expected)
    };
    timeout(DIAL_LIMIT, attempt).await.unwrap_or_else(|_| Err(too_slow()))
}

/// What an attempt came to.
pub(crate) struct Opened {
    stream: Box<dyn crate::connection::Stream>,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) proved: Option<NodeId>,
}

impl Opened {
    fn expect(self, expected: Option<NodeId>) -> Result<Self, ProveError> {
        if let Some(proved) = self.proved {
            check_expected(proved, expected)?;
        }
        Ok(self)
    }

    fn into_connection(self, spent_us: u64) -> Connection {
        Connection {
            stream: self.stream,
            early: BytesMut::new(),
            transport: self.transport,
            local: shown(self.local),
            remote: shown(self.remote),
            proved: self.proved,
            spent_us,
            permit: None,
            quic: None,
        }
    }
}

async fn plain(address: &Address) -> Result<Opened, ProveError> {
    let socket = connect(address).await?;
    let (local, remote) = ends(&socket)?;
    Ok(Opened { stream: Box::new(socket), transport: Transport::Plain, local, remote, proved: None })
}

async fn direct(address: &Address, expected: Option<NodeId>, tls: &TlsIdentity) -> Result<Opened, ProveError> {
    let socket = connect(address).await?;
    over_tls(socket, Transport::Tcp, true, tls).await?.expect(expected)
}

/// Goes on with the first connection whose other end is the member that is met.
pub(crate) async fn met(
    mut meeting: Meeting,
    peer: NodeId,
    client: bool,
    tls: &TlsIdentity,
) -> Result<Opened, ProveError> {
    loop {
        let opened = timeout(MEET_HANDSHAKE, over_tls(meeting.next().await, Transport::Tcp, client, tls)).await;
        match opened.map(|opened| opened.and_then(|opened| opened.expect(Some(peer)))) {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => tracing::debug!(code = error.code.name(), "met somebody else: {}", error.detail),
            Err(_) => tracing::debug!("met somebody who says nothing"),
        }
    }
}

/// Shows the ticket and goes on as TLS client or server, as the errand says.
async fn relayed(proxy: &Address, ticket: Ticket, client: bool, tls: &TlsIdentity) -> Result<Opened, ProveError> {
    let mut socket = connect(proxy).await?;
    let line = Frame::from(Message::Relay(Relay::Ticket(ticket)));
    let line = frame::encode(&line, Encoding::Json).map_err(|error| ProveError::new(Code::BadTicket, &error))?;
    socket.write_all(&line).await.map_err(|error| ProveError::new(Code::ConnectionLost, &error))?;
    over_tls(socket, Transport::Relay, client, tls).await
}

async fn over_tls(
    socket: TcpStream,
    transport: Transport,
    client: bool,
    tls: &TlsIdentity,
) -> Result<Opened, ProveError> {
    let (local, remote) = ends(&socket)?;
    let socket = Gulp::new(socket);
    let (stream, proved) = if client { tls.connect(socket).await? } else { tls.accept(socket).await? };
    Ok(Opened { stream: Box::new(stream), transport, local, remote, proved: Some(proved) })
}

/// Connects to the first address of a host that answers.
async fn connect(address: &Address) -> Result<TcpStream, ProveError> {
    let unreachable = |error| ProveError::new(Code::Unreachable, &error);
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host(address.as_str()).await.map_err(unreachable)?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for (tried, candidate) in resolved.iter().enumerate() {
        // A silent address leaves time for those after it.
        let share = DIAL_LIMIT / u32::try_from(resolved.len() - tried).unwrap_or(u32::MAX);
        match connect_one(*candidate, share).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

async fn connect_one(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let socket = timeout(limit, TcpStream::connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    socket.set_nodelay(true)?;
    keep_little_unsent(&socket);
    Ok(socket)
}

fn ends(socket: &TcpStream) -> Result<(SocketAddr, SocketAddr), ProveError> {
    let both = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?)));
    both.map_err(|error| ProveError::new(Code::ConnectionLost, &error))
}

fn too_slow() -> ProveError {
    ProveError::new(Code::HandshakeTimeout, &format!("no connection within {} s", DIAL_LIMIT.as_secs()))
}
