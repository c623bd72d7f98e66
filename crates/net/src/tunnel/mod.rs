//! Tunnels on tokio: which there are, the streams that others open, and the way of packets to and from the forwarding
//! plane. What a tunnel decides is [`meshline_tunnel`]'s.

mod session;
mod state;
mod stream;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use meshline_mesh::{Bucket, Rate};
use meshline_protocol::{Code, NodeId, ServiceName};
use meshline_tunnel::{Arrival, Config, Connection, PathInfo, Role, Transmit, TunnelReport};
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::driver::Notice;
use crate::forwarder::Forwarder;
use crate::tls::TlsIdentity;
use session::TlsSession;
use state::Tunnel;

pub use stream::{TunnelFlow, TunnelStream};

/// The service whose datagrams are packets of tunnels.
pub(crate) const SERVICE: &str = "tunnel";

/// Tunnels of this node, in either direction. Each may take its memory, so the bound is for what waits, not for bytes.
/// A quarter is left to those that this node opens.
const MAX_TUNNELS: usize = 1_024;

/// Tunnels that one member may have opened here: one that restarts leaves the old one for a while.
const MAX_FROM_MEMBER: usize = 8;

/// Tunnels that are being opened, by the neighbour that hands over their packets. The source that a datagram names is
/// not proved before the handshake is over: whoever claims others' names must not use up their places.
const MAX_OPENING: usize = 32;

/// Streams of others that wait to be taken.
const MAX_OFFERED: usize = 256;

/// Answers to packets of tunnels that are not known here.
const UNKNOWN: Rate = Rate { per_second: 20, burst: 100 };

/// How long a member may be out of reach before its tunnels end: a cable is back in place by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why no stream could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.name())]
pub struct OpenError {
    /// The name of the refusal.
    pub code: Code,
    /// In words.
    pub detail: String,
}

/// Tunnels that others began, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelsBegun {
    /// There was room for them.
    pub admitted: u64,
    /// No way led back, or as many were there as may be.
    pub turned_away: u64,
}

/// All tunnels of a node. Clones are the same ones.
#[derive(Clone)]
pub struct Tunnels {
    registry: Arc<Registry>,
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tunnels").finish_non_exhaustive()
    }
}

/// What the tunnels share.
pub(crate) struct Registry {
    clock: Clock,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    forwarder: Arc<Forwarder>,
    /// The core is told of destinations there.
    notices: mpsc::Sender<Notice>,
    config: Config,
    tunnels: Mutex<BTreeMap<(NodeId, u64), Arc<Tunnel>>>,
    offered: mpsc::Sender<TunnelStream>,
    taken: tokio::sync::Mutex<mpsc::Receiver<TunnelStream>>,
    unknown: Mutex<Bucket>,
    admitted: AtomicU64,
    turned_away: AtomicU64,
}

impl Tunnels {
    /// No tunnels yet. The forwarding plane brings packets from now on.
    pub(crate) fn new(
        tls: &TlsIdentity,
        forwarder: &Arc<Forwarder>,
        notices: mpsc::Sender<Notice>,
        clock: Clock,
    ) -> Self {
        let (offered, taken) = mpsc::channel(MAX_OFFERED);
        let registry = Arc::new(Registry {
            clock,
            client: tls.client_config(),
            server: tls.server_config(),
            forwarder: Arc::clone(forwarder),
            notices,
            config: Config::default(),
            tunnels: Mutex::new(BTreeMap::new()),
            offered,
            taken: tokio::sync::Mutex::new(taken),
            unknown: Mutex::new(Bucket::new(UNKNOWN, clock.mono())),
            admitted: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        });
        forwarder.serve(tls.id(), clock, Arc::downgrade(&registry));
        Self { registry }
    }

    /// A stream to a member; opens a tunnel if there is none.
    ///
    /// # Errors
    /// [`Code::NoRoute`] at once if there is no way to it, or why the tunnel could not be opened.
    pub async fn open(&self, to: NodeId) -> Result<TunnelStream, OpenError> {
        let tunnel = self.registry.tunnel_to(to)?;
        tunnel.ready().await?;
        let opened = tunnel.with(|state, now| state.connection.open_stream(now)).flatten();
        let id = opened.ok_or_else(|| tunnel.over().unwrap_or_else(too_many_streams))?;
        Ok(TunnelStream::new(tunnel, id))
    }

    /// The next stream that another member opened; `None` when the mesh is shut down.
    pub async fn accept(&self) -> Option<TunnelStream> {
        self.registry.taken.lock().await.recv().await
    }

    /// What there is to tell of each tunnel, with the member at its other end.
    #[must_use]
    pub fn reports(&self) -> Vec<(NodeId, TunnelReport)> {
        let now = self.registry.clock.mono();
        let tunnels = self.registry.all();
        tunnels.into_iter().map(|tunnel| (tunnel.peer, tunnel.lock().connection.report(now))).collect()
    }

    /// What became of the tunnels that others began.
    #[must_use]
    pub fn begun(&self) -> TunnelsBegun {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TunnelsBegun { admitted: of(&self.registry.admitted), turned_away: of(&self.registry.turned_away) }
    }

    /// Ends all tunnels with a word to the other ends.
    pub fn close(&self) {
        for tunnel in self.registry.all() {
            tunnel.with(|state, _| state.connection.close(Code::ShuttingDown, "the node stops"));
        }
    }
}

fn too_many_streams() -> OpenError {
    OpenError { code: Code::TooManyStreams, detail: "the other end allows no more streams".to_owned() }
}

fn failed(error: &rustls::Error) -> OpenError {
    OpenError { code: Code::TlsFailed, detail: error.to_string() }
}

impl Registry {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(NodeId, u64), Arc<Tunnel>>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Tunnel>> {
        self.lock().values().cloned().collect()
    }

    /// The tunnel to a member that is there, or a new one.
    fn tunnel_to(self: &Arc<Self>, to: NodeId) -> Result<Arc<Tunnel>, OpenError> {
        let paths = self.forwarder.paths(&to);
        if paths.is_empty() {
            return Err(OpenError { code: Code::NoRoute, detail: format!("no way leads to {to} at the moment") });
        }
        if let Some(tunnel) = self.usable(&to) {
            return Ok(tunnel);
        }
        let session = TlsSession::opener(&self.client, to).map_err(|error| failed(&error))?;
        let id = self.random();
        let now = self.clock.mono();
        let connection = Connection::new((id, Role::Opener), self.config, PATIENCE, Box::new(session), now);
        self.add((to, None), id, connection, &paths)
            .ok_or_else(|| OpenError { code: Code::TooManyStreams, detail: "too many tunnels".to_owned() })
    }

    /// A tunnel to a member that is up, or that this side is opening: of those that others begin nobody knows yet who
    /// begins them.
    fn usable(&self, to: &NodeId) -> Option<Arc<Tunnel>> {
        let tunnels = self.lock();
        let known = || tunnels.range((*to, 0)..=(*to, u64::MAX)).map(|(_, tunnel)| tunnel);
        let is_up = |tunnel: &&Arc<Tunnel>| !tunnel.is_opening() && tunnel.over().is_none();
        let is_ours = |tunnel: &&Arc<Tunnel>| tunnel.is_opening() && tunnel.from.is_none();
        known().find(is_up).or_else(|| known().find(is_ours)).cloned()
    }

    /// A number that nobody can guess, so that nobody can bring packets for a tunnel before it is known.
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // Without randomness the handshake fails too, and says so.
        let _ = self.client.crypto_provider().secure_random.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn add(
        self: &Arc<Self>,
        (peer, from): (NodeId, Option<NodeId>),
        id: u64,
        connection: Connection,
        paths: &[PathInfo],
    ) -> Option<Arc<Tunnel>> {
        let tunnel = {
            let mut tunnels = self.lock();
            if let Some(known) = tunnels.get(&(peer, id)) {
                // Its first packets came over two links at once.
                return Some(Arc::clone(known));
            }
            if tunnels.len() >= MAX_TUNNELS {
                return None;
            }
            let tunnel = Tunnel::new((peer, id), from, connection, self);
            tunnels.insert((peer, id), Arc::clone(&tunnel));
            tunnel
        };
        tunnel.set_paths(paths);
        Some(tunnel)
    }

    fn forget(&self, peer: NodeId, id: u64) {
        self.lock().remove(&(peer, id));
    }

    /// Hands a stream of another member to whoever takes them, or back.
    fn offer(&self, stream: TunnelStream) -> Result<(), TunnelStream> {
        self.offered.try_send(stream).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Sends a packet on its way. `false` if its link has enough of its kind; `filler` is woken when there is room.
    fn send(&self, to: NodeId, id: u64, transmit: Transmit, filler: impl FnOnce() -> Waker) -> bool {
        // Small traffic has a flow of its own, so that members on the way let it pass before bulk.
        let flow = u32::try_from(id & 0x7fff_ffff).unwrap_or(0) << 1 | u32::from(transmit.is_bulk);
        self.put((to, &transmit.hops), flow, transmit.packet, filler)
    }

    fn put(&self, (to, hops): (NodeId, &[NodeId]), flow: u32, packet: Bytes, filler: impl FnOnce() -> Waker) -> bool {
        let Ok(service) = SERVICE.parse::<ServiceName>() else { return true };
        self.forwarder.send_along((to, hops), (service, flow), packet, filler)
    }

    /// Tells the core that several ways to a member are worth looking for.
    fn note_use(&self, to: NodeId) {
        // It is told again in a minute.
        let _ = self.notices.try_send(Notice::DestinationUsed(to));
    }

    /// A packet came.
    pub(crate) fn deliver(self: &Arc<Self>, src: NodeId, packet: Bytes, arrival: Arrival) {
        let Some(id) = meshline_tunnel::connection_of(&packet) else { return };
        let known = self.lock().get(&(src, id)).cloned();
        match known.or_else(|| self.accept((src, arrival.from), id, &packet)) {
            Some(tunnel) => tunnel.take(packet, arrival),
            None => self.answer_unknown(src, &packet),
        }
    }

    /// A tunnel that a member begins. It proves who it is before anything else.
    fn accept(self: &Arc<Self>, (src, from): (NodeId, NodeId), id: u64, packet: &[u8]) -> Option<Arc<Tunnel>> {
        if !meshline_tunnel::is_beginning(packet) {
            return None;
        }
        let paths = self.forwarder.paths(&src);
        if paths.is_empty() || !self.has_room(src, from) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.admitted.fetch_add(1, Ordering::Relaxed);
        let session = TlsSession::acceptor(&self.server, src).ok()?;
        let connection =
            Connection::new((id, Role::Acceptor), self.config, PATIENCE, Box::new(session), self.clock.mono());
        self.add((src, Some(from)), id, connection, &paths)
    }

    /// Whether a member may begin another tunnel here.
    fn has_room(&self, src: NodeId, from: NodeId) -> bool {
        let tunnels = self.lock();
        let opened = tunnels.range((src, 0)..=(src, u64::MAX)).filter(|(_, tunnel)| !tunnel.is_opening()).count();
        let opening = tunnels.values().filter(|tunnel| tunnel.is_opening() && tunnel.from == Some(from)).count();
        opened < MAX_FROM_MEMBER && opening < MAX_OPENING && tunnels.len() < MAX_TUNNELS / 4 * 3
    }

    fn answer_unknown(&self, to: NodeId, packet: &[u8]) {
        let Some(answer) = meshline_tunnel::unknown(packet) else { return };
        if self.unknown.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.mono())
            && let Some(path) = self.forwarder.paths(&to).first()
        {
            self.put((to, &path.hops), 0, answer, || Waker::noop().clone());
        }
    }

    /// Links or ways have changed.
    pub(crate) fn review_paths(&self) {
        for tunnel in self.all() {
            tunnel.set_paths(&self.forwarder.paths(&tunnel.peer));
        }
    }
}
