//! Listening sockets.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use meshline_protocol::{Address, Code};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::inbound::{Door, receive};
use crate::limits::{ACCEPT_PAUSE, BACKLOG};

/// Why the mesh could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: Address,
        /// What the system said.
        error: io::Error,
    },
    /// There is no UDP socket.
    #[error("no UDP socket: {0}")]
    Udp(io::Error),
    /// The key does not serve for TLS.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The thread that keeps messages cannot be started.
    #[error("cannot start the thread that keeps messages: {0}")]
    Keeper(io::Error),
}

/// Sockets of one configured address, and the address with its real port.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: Address,
    sockets: Vec<TcpListener>,
}

impl Listener {
    /// Binds all addresses that a configured one stands for.
    pub(crate) async fn bind(address: &Address) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen { address: address.clone(), error };
        // A hosts file may name the same address twice.
        let resolved: BTreeSet<_> = tokio::net::lookup_host(address.as_str()).await.map_err(failed)?.collect();
        let mut sockets: Vec<TcpListener> = Vec::new();
        let mut missing = None;
        for mut resolved in resolved {
            if let Some(first) = sockets.first() {
                resolved.set_port(first.local_addr().map_err(failed)?.port());
            }
            match bind_one(resolved) {
                Ok(socket) => sockets.push(socket),
                // A name may stand for a v6 address on a machine without v6.
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => missing = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        let Some(first) = sockets.first() else {
            return Err(failed(missing.unwrap_or_else(|| io::Error::other("no such host"))));
        };
        let port = first.local_addr().map_err(failed)?.port();
        Ok(Self { address: with_port(address, port), sockets })
    }

    /// The addresses bound.
    pub(crate) fn bound(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok())
    }

    /// Starts to accept; each socket has a task of its own.
    pub(crate) fn run(self, door: &Arc<Door>) -> Vec<AbortHandle> {
        let accept = |socket| tokio::spawn(accept(socket, Arc::clone(door))).abort_handle();
        self.sockets.into_iter().map(accept).collect()
    }
}

async fn accept(socket: TcpListener, door: Arc<Door>) {
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => admit(stream, remote, &door),
            Err(error) => {
                tracing::warn!("connections cannot be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, remote: SocketAddr, door: &Arc<Door>) {
    // Small frames must not wait for the answer to those before them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(remote = %remote, "connection ended before it began: {error}");
        return;
    }
    let Some(stream) = door.meetings.hand_over(stream, remote) else { return };
    let now = door.clock.mono();
    match door.gate.admit(remote.ip(), now) {
        Ok(permit) => drop(tokio::spawn(receive(Arc::clone(door), stream, remote, permit))),
        Err(detail) => door.note(Code::TooManyHandshakes, remote, detail),
    }
}

pub(crate) fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restarted node must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Whoever is met at a router is dialled from this port. Set this late it shares the port with our own connections,
    // and another listener still finds it taken.
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn with_port(address: &Address, port: u16) -> Address {
    let host = address.as_str().rsplit_once(':').map_or("", |(host, _)| host);
    format!("{host}:{port}").parse().unwrap_or_else(|_| address.clone())
}
