//! The rest of the process talks to the mesh through this.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use meshline_mesh as mesh;
use meshline_protocol::message::Over;
use meshline_protocol::{Address, Code, NodeId, ServiceName};
use meshline_services::{Command, Event, Reply};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::clock::Clock;
use crate::companion::CompanionReport;
use crate::detour::{Detour, Detours};
use crate::driver::Incoming;
use crate::forwarder::{Forwarder, Forwarding, Sent};
use crate::ledger::LedgerPort;
use crate::link::BytesByPath;
use crate::refusals::Refusals;
use crate::tap::{Tap, TapReader};
use crate::tunnel::Tunnels;
use crate::udp::{Hub, UdpReport};

/// What the driver is told through a handle.
pub(super) enum Order {
    Command(Command, oneshot::Sender<Reply>),
    Lan(mesh::Input),
    Shutdown(oneshot::Sender<()>),
}

/// A running mesh. Clones are handles of the same one; when the last is dropped, the mesh shuts down by itself.
#[derive(Clone)]
pub struct MeshHandle {
    orders: mpsc::Sender<Order>,
    events: broadcast::Sender<Arc<Event>>,
    datagrams: broadcast::Sender<Arc<Incoming>>,
    tap: Arc<Tap>,
    plane: Plane,
    listening: Arc<[Address]>,
    refusals: Arc<Refusals>,
}

/// What sends datagrams without asking the core.
#[derive(Clone)]
pub(super) struct Plane {
    pub(super) port: LedgerPort,
    pub(super) forwarder: Arc<Forwarder>,
    pub(super) clock: Clock,
    pub(super) tunnels: Tunnels,
    pub(super) detours: Detours,
    pub(super) hub: Arc<Hub>,
}

impl std::fmt::Debug for MeshHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MeshHandle").field("listening", &self.listening).finish_non_exhaustive()
    }
}

impl MeshHandle {
    pub(super) fn new(
        orders: mpsc::Sender<Order>,
        (events, datagrams, tap): (broadcast::Sender<Arc<Event>>, broadcast::Sender<Arc<Incoming>>, Arc<Tap>),
        plane: Plane,
        listening: Arc<[Address]>,
        refusals: Arc<Refusals>,
    ) -> Self {
        Self { orders, events, datagrams, tap, plane, listening, refusals }
    }

    /// Has the core do something. Once the mesh is shut down every command is refused.
    pub async fn command(&self, command: Command) -> Reply {
        let (answer, reply) = oneshot::channel();
        if self.orders.send(Order::Command(command, answer)).await.is_err() {
            return shut_down();
        }
        reply.await.unwrap_or_else(|_| shut_down())
    }

    /// Tells the core that somebody announces a node on the local segment.
    pub async fn lan_seen(&self, sighting: mesh::LanSighting) {
        // A mesh that is shut down wants to know nothing.
        let _ = self.orders.send(Order::Lan(mesh::Input::LanSeen(sighting))).await;
    }

    /// Tells it that such an announcement is there no more.
    pub async fn lan_gone(&self, instance: String) {
        let _ = self.orders.send(Order::Lan(mesh::Input::LanGone(instance))).await;
    }

    /// Everything that happens from now on. Who is too slow loses the oldest and is told how many.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Datagrams that arrive from now on, of services that are not the node's own. Who is too slow loses the oldest.
    #[must_use]
    pub fn datagrams(&self) -> broadcast::Receiver<Arc<Incoming>> {
        self.datagrams.subscribe()
    }

    /// Copies of the frames on all links from now on; `None` if as many watch as may.
    #[must_use]
    pub fn tap(&self) -> Option<TapReader> {
        self.tap.watch()
    }

    /// Sends a datagram of at most 64 KiB to a member: straight into the queue of a link where there is a way, else
    /// through the core, which says why not. One that was dropped because too much waits is refused with
    /// [`Code::SlowReader`].
    pub async fn send_datagram(&self, to: NodeId, service: ServiceName, flow: u32, body: Bytes) -> mesh::Reply {
        self.send_datagram_over(to, (service, flow, Over::Tcp), body).await
    }

    /// As [`MeshHandle::send_datagram`], over what may bear it.
    pub async fn send_datagram_over(
        &self,
        to: NodeId,
        (service, flow, over): (ServiceName, u32, Over),
        body: Bytes,
    ) -> mesh::Reply {
        let now = self.plane.clock.mono();
        match self.plane.forwarder.send(to, (service.clone(), flow, over), body, now) {
            Sent::Queued => mesh::Reply::Sent,
            Sent::Dropped(reason) => mesh::Reply::Refused { code: Code::SlowReader, detail: reason.to_owned() },
            Sent::Unsettled(body) => {
                let command = mesh::Command::SendDatagram { to, service, flow, over, body };
                match self.command(Command::Mesh(command)).await {
                    Reply::Mesh(reply) => reply,
                    Reply::Chat(_) | Reply::Discovery(_) => mesh::Reply::Sent,
                }
            }
        }
    }

    /// Where a ledger gets its frames and leaves them.
    #[must_use]
    pub fn ledger(&self) -> LedgerPort {
        self.plane.port.clone()
    }

    /// The tunnels to other members.
    #[must_use]
    pub fn tunnels(&self) -> &Tunnels {
        &self.plane.tunnels
    }

    /// Connections of this node's own are shown to `detour` from now on, for as long as it lives.
    pub fn set_detour(&self, detour: Weak<dyn Detour>) {
        self.plane.detours.set(detour);
    }

    /// What was forwarded and dropped, and what waits for links.
    #[must_use]
    pub fn forwarding(&self) -> Forwarding {
        self.plane.forwarder.report()
    }

    /// Bytes of frames by the way that links go, of those that have ended too.
    #[must_use]
    pub fn bytes_by_path(&self) -> BytesByPath {
        self.plane.forwarder.tallies().get()
    }

    /// What went over the UDP sockets, QUIC aside.
    #[must_use]
    pub fn udp(&self) -> UdpReport {
        self.plane.hub.report()
    }

    /// What went over UDP beside links.
    #[must_use]
    pub fn companions(&self) -> CompanionReport {
        self.plane.hub.companions().report()
    }

    /// Where it listens, as configured, with real ports.
    #[must_use]
    pub fn listening(&self) -> &[Address] {
        &self.listening
    }

    /// Connections that were turned away before they became links, by the name of the reason.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refusals.counts()
    }

    /// Says goodbye to all, sends what is queued, and stops. Returns within three seconds.
    pub async fn shutdown(&self) {
        self.plane.tunnels.close();
        let (done, stopped) = oneshot::channel();
        if self.orders.send(Order::Shutdown(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

fn shut_down() -> Reply {
    let detail = "the mesh is shut down".to_owned();
    Reply::Mesh(meshline_mesh::Reply::Refused { code: Code::ShuttingDown, detail })
}
