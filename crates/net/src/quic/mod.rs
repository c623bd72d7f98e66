//! Links over QUIC: the same TLS 1.3 with the same certificates as over TCP, and one stream that carries the same frames.
//!
//! A stranger costs what one over TCP costs: it stands at the same gate, and while many do, it has to prove its address
//! first (a retry, RFC 9000 §8.1). Whether a link lives is for the core to say, so QUIC's own limit on silence lies above
//! the core's and it sends nothing to keep a connection.

mod config;
mod gauge;
mod stream;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use meshline_mesh::{Mono, SocketId, Transport};
use meshline_protocol::{Code, Fault, NodeId};
use quinn::{ClientConfig, ConnectionError, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout_at};

use crate::connection::{Connection, shown};
use crate::driver::Notice;
use crate::gate::Permit;
use crate::inbound::Door;
use crate::limits::{HANDSHAKE_LIMIT, RETRY_FROM, ROUTE_LINGER};
use crate::tls::{ProveError, TlsIdentity, check_expected, proved};
use crate::udp::{Hub, Route};

pub(crate) use gauge::Gauge;
use stream::QuicStream;

/// What a connection is closed with when no link comes of it; the reason is its name.
const REFUSED: VarInt = VarInt::from_u32(1);

/// The endpoint of a node, made when it is needed first.
pub(crate) struct Quic {
    hub: Arc<Hub>,
    door: Arc<Door>,
    made: OnceLock<Option<Made>>,
}

/// What there is once it was needed.
struct Made {
    endpoint: Endpoint,
    client: ClientConfig,
}

/// A connection whose handshake is done.
struct Proved {
    connection: quinn::Connection,
    peer: NodeId,
    route: Option<Route>,
}

impl Quic {
    /// Takes what arrives at the sockets from now on.
    pub(crate) fn serve(hub: Arc<Hub>, door: Arc<Door>) -> (Arc<Self>, AbortHandle) {
        let quic = Arc::new(Self { hub, door, made: OnceLock::new() });
        let serving = tokio::spawn(Arc::clone(&quic).accept());
        (quic, serving.abort_handle())
    }

    /// Whether there is an endpoint yet.
    #[cfg(test)]
    fn is_made(&self) -> bool {
        self.made.get().is_some()
    }

    async fn accept(self: Arc<Self>) {
        self.hub.read_without_quic(|| self.made.get().is_some()).await;
        let Some(made) = self.made() else { return };
        while let Some(incoming) = made.endpoint.accept().await {
            self.admit(incoming);
        }
    }

    fn made(&self) -> Option<&Made> {
        let made = self.made.get_or_init(|| {
            let made = config::endpoint(&self.door.tls, Arc::clone(&self.hub));
            let made = made.map_err(|error| tracing::error!("no QUIC: {error}")).ok();
            made.map(|(endpoint, client)| Made { endpoint, client })
        });
        self.hub.hand_over();
        made.as_ref()
    }

    fn admit(self: &Arc<Self>, incoming: Incoming) {
        let remote = incoming.remote_address();
        if self.door.gate.strangers() >= RETRY_FROM && incoming.may_retry() {
            // Where it claims to be from is counted when it has shown that it is there.
            let _ = incoming.retry();
            return;
        }
        let began = self.door.clock.mono();
        match self.door.gate.admit(remote.ip(), began) {
            Ok(permit) => drop(tokio::spawn(Arc::clone(self).receive(incoming, began, permit))),
            Err(detail) => {
                self.door.note(Code::TooManyHandshakes, remote, detail);
                incoming.refuse();
            }
        }
    }

    /// Takes one connection that arrived to where it is a link, or refused.
    async fn receive(self: Arc<Self>, incoming: Incoming, began: Mono, permit: Permit) {
        let remote = incoming.remote_address();
        let deadline = self.door.clock.instant(began.after(HANDSHAKE_LIMIT));
        let opened = async {
            let connecting = incoming.accept().map_err(|error| failure(&error))?;
            let proved = self.prove(connecting.await.map_err(|error| failure(&error))?, None)?;
            let halves = proved.connection.accept_bi().await.map_err(|error| failure(&error))?;
            Ok::<_, ProveError>((proved, halves))
        };
        let fault = match timeout_at(deadline, Box::pin(opened)).await {
            Ok(Ok((proved, halves))) => {
                let connection = self.connection_of(proved, halves, began, Some(permit));
                let _ = self.door.notices.send(Notice::Opened { connection: Box::new(connection), dial: None }).await;
                return;
            }
            Ok(Err(error)) => Fault::new(error.code, error.detail),
            Err(_) => Fault::new(Code::HandshakeTimeout, "QUIC handshake too slow"),
        };
        self.door.note(fault.code, remote, &fault.detail);
    }

    /// Connects from a socket to where a member's packets come from; `rtt` is the round trip as far as it is known. The
    /// caller limits the time.
    pub(crate) async fn dial(
        &self,
        (socket, remote): (SocketId, SocketAddr),
        peer: NodeId,
        rtt: Option<Duration>,
    ) -> Result<Connection, ProveError> {
        let began = self.door.clock.mono();
        let unreachable = |detail: &str| ProveError::new(Code::Unreachable, &detail);
        let route = self.hub.pin(socket, remote).ok_or_else(|| unreachable("no socket reaches this address"))?;
        let Made { endpoint, client } = self.made().ok_or_else(|| unreachable("there is no QUIC here"))?;
        let connecting = endpoint.connect_with(config::expecting(client, rtt), remote, config::SERVER_NAME);
        let connecting = connecting.map_err(|error| unreachable(&error.to_string()))?;
        let connection = connecting.await.map_err(|error| failure(&error))?;
        let proved = self.prove(connection, Some((peer, route)))?;
        let halves = proved.connection.open_bi().await.map_err(|error| failure(&error))?;
        Ok(self.connection_of(proved, halves, began, None))
    }

    /// Takes down who is there, and refuses another than is expected.
    fn prove(&self, connection: quinn::Connection, expected: Option<(NodeId, Route)>) -> Result<Proved, ProveError> {
        let (expected, route) = expected.unzip();
        let peer = peer_of(&connection).and_then(|peer| check_expected(peer, expected));
        match peer {
            Ok(peer) => {
                let route = route.or_else(|| self.hub.pin_arrival(connection.remote_address()));
                Ok(Proved { connection, peer, route })
            }
            Err(error) => {
                connection.close(REFUSED, error.code.name().as_bytes());
                Err(error)
            }
        }
    }

    fn connection_of(
        &self,
        proved: Proved,
        halves: (SendStream, RecvStream),
        began: Mono,
        permit: Option<Permit>,
    ) -> Connection {
        let Proved { connection, peer, route } = proved;
        let remote = connection.remote_address();
        let local = self.hub.local_for(remote, connection.local_ip());
        let gauge = Arc::new(Gauge::new(connection.clone()));
        drop(tokio::spawn(keep(connection, route)));
        Connection {
            socket: None,
            through: None,
            stream: Box::new(QuicStream::new(halves, Arc::clone(&gauge))),
            early: BytesMut::new(),
            transport: Transport::Quic,
            local: shown(local),
            remote: shown(remote),
            proved: Some(peer),
            spent_us: self.door.clock.mono().micros_since(began),
            permit,
            quic: Some(gauge),
        }
    }
}

/// Holds the way to the other end until its last packet has left.
async fn keep(connection: quinn::Connection, route: Option<Route>) {
    connection.closed().await;
    sleep(ROUTE_LINGER).await;
    drop(route);
}

fn peer_of(connection: &quinn::Connection) -> Result<NodeId, ProveError> {
    let identity = connection.peer_identity();
    let certificates = identity.as_ref().and_then(|any| any.downcast_ref::<Vec<CertificateDer<'static>>>());
    proved(certificates.map(Vec::as_slice)).map_err(|error| ProveError::new(Code::TlsFailed, &error))
}

/// The name of what ended a connection before it was a link.
fn failure(error: &ConnectionError) -> ProveError {
    /// Transport errors from here on are alerts of TLS (RFC 9001 §4.8).
    const ALERTS: std::ops::Range<u64> = 0x100..0x200;
    let code = match error {
        ConnectionError::TransportError(fault) if ALERTS.contains(&u64::from(fault.code)) => Code::TlsFailed,
        ConnectionError::ConnectionClosed(close) if ALERTS.contains(&u64::from(close.error_code)) => Code::TlsFailed,
        ConnectionError::ApplicationClosed(close) if close.error_code == REFUSED => Code::IdentityMismatch,
        ConnectionError::TimedOut => Code::HandshakeTimeout,
        ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => Code::ConnectionLost,
    };
    ProveError::new(code, error)
}
