//! Opening connections: straight, plain, or through a proxy that granted a ticket; each perhaps through another member.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use meshline_mesh::{DialTarget, Mono, Transport};
use meshline_protocol::message::{Message, Relay};
use meshline_protocol::{Address, Code, Encoding, Frame, NodeId, Ticket, frame};
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::approach::Approach;
use crate::clock::Clock;
use crate::connection::{Connection, Stream, keep_little_unsent, shown};
use crate::detour::{Carried, Detours, Errand, Opened as Borne};
use crate::gulp::Gulp;
use crate::limits::{DIAL_LIMIT, MEET_HANDSHAKE};
use crate::meet::{Meeting, Meetings};
use crate::quic::Quic;
use crate::tls::{ProveError, TlsIdentity, check_expected};

/// What opens connections.
pub(crate) struct Dialler {
    pub(crate) hands: Hands,
    pub(crate) clock: Clock,
    pub(crate) quic: Arc<Quic>,
    pub(crate) meetings: Arc<Meetings>,
    /// A connection to the proxy that waits for its ticket.
    pub(crate) approach: Option<Approach>,
}

impl Dialler {
    /// Opens a connection within [`DIAL_LIMIT`].
    pub(crate) async fn dial(mut self, target: DialTarget) -> Result<Connection, ProveError> {
        let began = self.clock.mono();
        let deadline = self.clock.instant(began.after(DIAL_LIMIT));
        let attempt = Box::pin(self.attempt(target, began));
        timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn attempt(&mut self, target: DialTarget, began: Mono) -> Result<Connection, ProveError> {
        let hands = &self.hands;
        let opened = match target {
            DialTarget::Direct { address, plain: true, .. } => plain(&address).await,
            DialTarget::Direct { address, expected, plain: false } => direct(&address, expected, hands).await,
            DialTarget::Quic { socket, remote, peer, rtt_us } => {
                let rtt = rtt_us.map(Duration::from_micros);
                return self.quic.dial((socket, remote), peer, rtt).await;
            }
            DialTarget::Meet { local, remote, peer, client, rtt_us } => {
                let rtt = rtt_us.map(Duration::from_micros);
                met(self.meetings.begin(&local, remote, rtt).await?, peer, client, &hands.tls).await
            }
            DialTarget::Relay { proxy, ticket, peer, client } => {
                let waiting = match self.approach.take() {
                    Some(approach) => approach.take().await,
                    None => None,
                };
                relayed((&proxy, waiting), ticket, client, hands).await.and_then(|opened| opened.expect(Some(peer)))
            }
        };
        Ok(opened?.into_connection(self.clock.mono().micros_since(began)))
    }
}

/// What dialling takes.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) tls: TlsIdentity,
    pub(crate) detours: Detours,
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
    stream: Box<dyn Stream>,
    socket: Option<OwnedFd>,
    pub(crate) transport: Transport,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) proved: Option<NodeId>,
    through: Option<NodeId>,
}

impl Opened {
    fn expect(self, expected: Option<NodeId>) -> Result<Self, ProveError> {
        if let Some(proved) = self.proved {
            check_expected(proved, expected)?;
        }
        Ok(self)
    }

    /// A connection that was met is used from now on: it ends in good order.
    fn keep(&self) {
        if let Some(socket) = &self.socket {
            // Where this cannot be, its end only looks like a break.
            let _ = SockRef::from(socket).set_linger(None);
        }
    }

    fn into_connection(self, spent_us: u64) -> Connection {
        Connection {
            stream: self.stream,
            socket: self.socket,
            early: BytesMut::new(),
            transport: self.transport,
            local: self.local,
            remote: self.remote,
            proved: self.proved,
            through: self.through,
            spent_us,
            permit: None,
            quic: None,
        }
    }
}

async fn plain(address: &Address) -> Result<Opened, ProveError> {
    let socket = connect(address).await?;
    let (local, remote) = ends(&socket)?;
    let (local, remote) = (shown(local), shown(remote));
    let lever = keep_little_unsent(&socket);
    let (stream, transport) = (Box::new(socket), Transport::Plain);
    Ok(Opened { stream, socket: lever, transport, local, remote, proved: None, through: None })
}

async fn direct(address: &Address, expected: Option<NodeId>, hands: &Hands) -> Result<Opened, ProveError> {
    let bearer = bear(address, expected, &hands.detours).await?;
    let opened = over_tls(bearer, Transport::Tcp, true, &hands.tls).await?;
    if let Some(id) = opened.proved {
        hands.detours.answered(address, id);
    }
    opened.expect(expected)
}

/// Goes on with the first connection whose other end is the member that is met.
pub(crate) async fn met(
    mut meeting: Meeting,
    peer: NodeId,
    client: bool,
    tls: &TlsIdentity,
) -> Result<Opened, ProveError> {
    loop {
        let stream = meeting.next().await;
        let from = stream.peer_addr().ok();
        let opened = timeout(MEET_HANDSHAKE, over_tls(Bearer::Socket(stream), Transport::Tcp, client, tls)).await;
        match opened.map(|opened| opened.and_then(|opened| opened.expect(Some(peer)))) {
            Ok(Ok(opened)) => {
                opened.keep();
                return Ok(opened);
            }
            Ok(Err(error)) => {
                meeting.was_somebody_else(from);
                tracing::debug!(code = error.code.name(), "met somebody else: {}", error.detail);
            }
            Err(_) => tracing::debug!("met somebody who says nothing"),
        }
    }
}

/// Shows the ticket and goes on as TLS client or server, as the errand says.
async fn relayed(
    (proxy, waiting): (&Address, Option<Bearer>),
    ticket: Ticket,
    client: bool,
    hands: &Hands,
) -> Result<Opened, ProveError> {
    let mut bearer = match waiting {
        Some(bearer) => bearer,
        None => bear(proxy, None, &hands.detours).await?,
    };
    let line = Frame::from(Message::Relay(Relay::Ticket(ticket)));
    let line = frame::encode(&line, Encoding::Json).map_err(|error| ProveError::new(Code::BadTicket, &error))?;
    bearer.write(&line).await.map_err(|error| ProveError::new(Code::ConnectionLost, &error))?;
    over_tls(bearer, Transport::Relay, client, &hands.tls).await
}

/// What bears a link, before TLS.
pub(crate) enum Bearer {
    Socket(TcpStream),
    /// Another member carries it to this address.
    Carried {
        by: NodeId,
        stream: Box<dyn Carried>,
        address: Address,
    },
}

impl Bearer {
    async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.write_all(line).await,
            Self::Carried { stream, .. } => {
                stream.write_all(line).await?;
                stream.flush().await
            }
        }
    }
}

/// Connects straight, or through the member that the configuration names.
pub(crate) async fn bear(address: &Address, expected: Option<NodeId>, detours: &Detours) -> Result<Bearer, ProveError> {
    let opened = detours.open(Errand::Link(expected), address, || connect(address)).await?;
    Ok(match opened {
        Borne::Straight(socket) => Bearer::Socket(socket),
        Borne::Through { by, stream } => Bearer::Carried { by, stream, address: address.clone() },
    })
}

async fn over_tls(bearer: Bearer, transport: Transport, client: bool, tls: &TlsIdentity) -> Result<Opened, ProveError> {
    match bearer {
        Bearer::Socket(socket) => {
            let (local, remote) = ends(&socket)?;
            let lever = keep_little_unsent(&socket);
            let (stream, proved) = secured(Gulp::new(socket), client, tls).await?;
            Ok(Opened {
                stream,
                socket: lever,
                transport,
                local: shown(local),
                remote: shown(remote),
                proved: Some(proved),
                through: None,
            })
        }
        Bearer::Carried { by, stream, address } => {
            let (stream, proved) = secured(stream, client, tls).await?;
            // This end has no address that the other end could see.
            let local = shown(SocketAddr::from(([0; 4], 0)));
            Ok(Opened {
                stream,
                socket: None,
                transport,
                local,
                remote: address,
                proved: Some(proved),
                through: Some(by),
            })
        }
    }
}

async fn secured<S>(bearer: S, client: bool, tls: &TlsIdentity) -> Result<(Box<dyn Stream>, NodeId), ProveError>
where
    S: Stream + 'static,
{
    let (stream, proved) = if client { tls.connect(bearer).await? } else { tls.accept(bearer).await? };
    Ok((Box::new(stream), proved))
}

/// Connects to the first address of a host that answers.
pub(crate) async fn connect(address: &Address) -> Result<TcpStream, ProveError> {
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
    Ok(socket)
}

fn ends(socket: &TcpStream) -> Result<(SocketAddr, SocketAddr), ProveError> {
    let both = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?)));
    both.map_err(|error| ProveError::new(Code::ConnectionLost, &error))
}

fn too_slow() -> ProveError {
    ProveError::new(Code::HandshakeTimeout, &format!("no connection within {} s", DIAL_LIMIT.as_secs()))
}
