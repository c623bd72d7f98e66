//! The UDP sockets of a node: one for each address it listens on, all together [`SocketId::MAIN`], and those the core
//! asks for while it looks for a hole.
//!
//! What arrives is told apart before QUIC sees it. Frames and STUN go to the core over a bounded channel, the newest
//! dropped first; the rest is QUIC's, whose endpoint is made when something of it arrives or is wanted: a node that never
//! needs it does not pay for it. Which socket reaches a remote address is known here alone: QUIC believes in one socket.

mod bound;
mod host;
mod intake;
mod routes;
mod socket;
mod split;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use arc_swap::ArcSwap;
use bytes::Bytes;
use meshline_mesh::SocketId;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::companion::Companions;
use crate::limits::{MAX_PACKETS, MAX_UDP_SOCKETS};
use bound::{Bound, any_like, canonical};
use intake::Intake;
use routes::Routes;
use socket::Stash;

#[cfg(feature = "lan")]
pub(crate) use host::segments;
pub(crate) use host::watch;
pub use intake::UdpReport;
pub(crate) use routes::Route;

/// Any port of any address.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A datagram for the core.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) socket: SocketId,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Bytes,
}

/// All UDP sockets of a node.
pub(crate) struct Hub {
    /// Those of [`SocketId::MAIN`] first.
    sockets: ArcSwap<Vec<Arc<Bound>>>,
    routes: Mutex<Routes>,
    intake: Intake,
    companions: Companions,
    stash: Stash,
    /// Whoever reads all sockets, to be woken when there is another one.
    reader: Mutex<Option<Waker>>,
    /// The socket that took nothing more when QUIC sent last.
    full: Mutex<Option<Arc<Bound>>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hub").field("sockets", &self.sockets.load().len()).finish_non_exhaustive()
    }
}

impl Hub {
    /// Binds a socket beside each listener, on its port if that is free. `is_local`: a node that listens nowhere is to be
    /// reached from this host alone.
    pub(crate) fn bind(
        listening: &BTreeSet<SocketAddr>,
        is_local: bool,
        clock: Clock,
    ) -> io::Result<(Arc<Self>, mpsc::Receiver<Packet>)> {
        let sockets = if listening.is_empty() { vec![anywhere(is_local)?] } else { beside(listening)? };
        let (packets, taken) = mpsc::channel(MAX_PACKETS);
        let hub = Self {
            sockets: ArcSwap::from_pointee(sockets.into_iter().map(Arc::new).collect()),
            routes: Mutex::default(),
            intake: Intake::new(packets, clock),
            companions: Companions::default(),
            stash: Stash::default(),
            reader: Mutex::default(),
            full: Mutex::default(),
        };
        Ok((Arc::new(hub), taken))
    }

    /// The addresses of the main sockets, as bound.
    pub(crate) fn locals(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.load();
        sockets.iter().filter(|socket| socket.id == SocketId::MAIN).map(|socket| socket.local).collect()
    }

    /// The port of a socket.
    #[cfg(test)]
    pub(crate) fn port_of(&self, id: SocketId) -> Option<u16> {
        self.sockets.load().iter().find(|socket| socket.id == id).map(|socket| socket.local.port())
    }

    /// What was received, sent and dropped.
    pub(crate) fn report(&self) -> UdpReport {
        self.intake.report(self.sockets.load().len())
    }

    /// UDP beside links.
    pub(crate) fn companions(&self) -> &Companions {
        &self.companions
    }

    /// Opens another socket, on this port or on any.
    pub(crate) fn open(&self, id: SocketId, port: Option<u16>) -> io::Result<()> {
        let sockets = self.sockets.load_full();
        if sockets.len() >= MAX_UDP_SOCKETS {
            return Err(io::Error::other("as many sockets as may be are open"));
        }
        if sockets.iter().any(|socket| socket.id == id) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let like = sockets.iter().find(|socket| !socket.local.ip().is_loopback()).or_else(|| sockets.first());
        let mut local = like.map_or(ANYWHERE, |socket| any_like(socket.local));
        local.set_port(port.unwrap_or(0));
        let opened = Arc::new(Bound::open(id, local)?);
        self.sockets.store(Arc::new(sockets.iter().cloned().chain([opened]).collect()));
        self.wake_reader();
        Ok(())
    }

    /// Closes a socket that the core opened; as long as QUIC uses it, it stays.
    pub(crate) fn close(&self, id: SocketId) {
        if id != SocketId::MAIN && self.routes().close(id) {
            self.remove(id);
        }
    }

    fn remove(&self, id: SocketId) {
        let left = self.sockets.load().iter().filter(|socket| socket.id != id).cloned().collect();
        self.sockets.store(Arc::new(left));
        // The reader may be waiting for it.
        self.wake_reader();
    }

    /// Sends a datagram, if it leaves at once; says whether it did.
    pub(crate) fn send(&self, id: SocketId, to: SocketAddr, bytes: &[u8], ttl: Option<u8>) -> bool {
        let to = canonical(to);
        let sockets = self.sockets.load();
        let socket = sockets.iter().find(|socket| socket.id == id && socket.reaches(to));
        let sent = socket.map(|socket| socket.send(to, bytes, ttl));
        let is_sent = matches!(sent, Some(Ok(())));
        self.intake.note_sent(bytes.len(), is_sent);
        if let Some(Err(error)) = sent {
            tracing::trace!(address = %to, "datagram not sent: {error}");
        }
        is_sent
    }

    /// Packets of QUIC for `remote` leave from this socket from now on, for as long as what is returned lives.
    pub(crate) fn pin(self: &Arc<Self>, id: SocketId, remote: SocketAddr) -> Option<Route> {
        let remote = canonical(remote);
        let sockets = self.sockets.load();
        let socket = sockets.iter().find(|socket| socket.id == id && socket.reaches(remote))?;
        self.routes().pin(remote, socket);
        Some(Route::new(Arc::clone(self), remote))
    }

    /// As [`Hub::pin`], from the socket where `remote` came in.
    pub(crate) fn pin_arrival(self: &Arc<Self>, remote: SocketAddr) -> Option<Route> {
        let remote = canonical(remote);
        let socket = self.socket_for(remote)?;
        self.routes().pin(remote, &socket);
        Some(Route::new(Arc::clone(self), remote))
    }

    /// The address at this end of a connection, where the system told which one it is.
    pub(crate) fn local_for(&self, remote: SocketAddr, told: Option<IpAddr>) -> SocketAddr {
        let bound = self.socket_for(canonical(remote)).map(|socket| socket.local);
        let bound = bound.unwrap_or(ANYWHERE);
        SocketAddr::new(told.unwrap_or_else(|| bound.ip()), bound.port())
    }

    fn unpin(&self, remote: SocketAddr) {
        let closed = self.routes().unpin(remote);
        if let Some(id) = closed {
            self.remove(id);
        }
    }

    /// The socket from which packets for `remote` leave.
    fn socket_for(&self, remote: SocketAddr) -> Option<Arc<Bound>> {
        let routed = self.routes().find(remote);
        routed.or_else(|| {
            let sockets = self.sockets.load();
            sockets.iter().find(|socket| socket.id == SocketId::MAIN && socket.reaches(remote)).cloned()
        })
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_reader(&self) {
        let waker = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A socket for each address; one whose port is taken gets any.
fn beside(listening: &BTreeSet<SocketAddr>) -> io::Result<Vec<Bound>> {
    let open = |address: &SocketAddr| {
        Bound::open(SocketId::MAIN, *address).or_else(|error| {
            tracing::warn!(address = %address, "the UDP port is taken, another one serves: {error}");
            Bound::open(SocketId::MAIN, SocketAddr::new(address.ip(), 0))
        })
    };
    listening.iter().map(open).collect()
}

/// One socket on any port.
fn anywhere(is_local: bool) -> io::Result<Bound> {
    if is_local {
        return Bound::open(SocketId::MAIN, (Ipv4Addr::LOCALHOST, 0).into());
    }
    let both = Bound::open(SocketId::MAIN, (Ipv6Addr::UNSPECIFIED, 0).into());
    both.or_else(|_| Bound::open(SocketId::MAIN, (Ipv4Addr::UNSPECIFIED, 0).into()))
}
