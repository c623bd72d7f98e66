//! The driver: one task that owns the core, hands it what happens and does what it wants done.

mod execute;
mod handle;
mod looks;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_mesh::{Config, DialId, LinkId, PortMapping, RelayConnection};
use meshline_protocol::message::Datagram;
use meshline_protocol::signal::NodeList;
use meshline_protocol::{Address, Code, Decoded, Fault, Frame, NodeId, Ticket as RelayTicket};
use meshline_services::Event;
use meshline_services::chat::Ticket;
use tokio::sync::{broadcast, mpsc};

use crate::approach::Approaches;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::core::Core;
use crate::detour::Detours;
use crate::forwarder::Forwarder;
use crate::gate::Gate;
use crate::inbound::Door;
use crate::keeper::{KeepSink, Keeper};
use crate::ledger::{LedgerInbox, LedgerPort};
use crate::limits::{MAX_COMMANDS, MAX_EVENTS, MAX_INCOMING};
use crate::link::{Encoder, LinkContext};
use crate::listener::{Listener, StartError};
use crate::portmap::PortMaps;
use crate::quic::Quic;
use crate::refusals::Refusals;
use crate::relay::{Half, Relays};
use crate::store::{Store, StoreSink};
use crate::tap::{Hook, Tap};
use crate::tcp_info::Asker;
use crate::tls::TlsIdentity;
use crate::tunnel::Tunnels;
use crate::udp::{self, Hub};

pub use handle::MeshHandle;
use handle::Plane;
use run::{Channels, Driver};

/// Is shown every event, in order, on the driver's own task: it must not block.
pub type EventSink = Box<dyn FnMut(&Event) + Send>;

/// What the I/O needs to know; the core has the rest.
pub struct Settings {
    /// The clock that the core was made with.
    pub clock: Clock,
    /// The node's key.
    pub key: KeyPair,
    /// Where to listen; port 0 takes any.
    pub listen: Vec<Address>,
    /// A node that listens nowhere receives over UDP from this host alone.
    pub is_local: bool,
    /// Links without TLS are taken, from loopback only.
    pub plain: bool,
    /// Relay tickets are taken.
    pub proxy: bool,
    /// Bits a second that are relayed for one member, both ways together; `None` for as many as go.
    pub relay_bps_per_member: Option<u64>,
    /// Routers are asked to forward the ports, if the node listens beyond loopback.
    pub port_mapping: bool,
    /// Is shown every event.
    pub on_event: Option<EventSink>,
    /// Keeps the core's memory on disk.
    pub store: Option<StoreSink>,
    /// Keeps what services want kept; without it nothing is.
    pub keep: Option<KeepSink>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.key.id();
        formatter.debug_struct("Settings").field("id", &id).field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings that belong to the configuration of a core.
    #[must_use]
    pub fn new(clock: Clock, key: KeyPair, config: &Config) -> Self {
        Self {
            clock,
            key,
            listen: config.listen.clone(),
            is_local: config.network.is_open(),
            plain: config.plain,
            proxy: config.is_proxy(),
            relay_bps_per_member: config.relay_bps_per_member,
            port_mapping: false,
            on_event: None,
            store: None,
            keep: None,
        }
    }
}

/// Binds the listeners and starts the driver on the current runtime.
///
/// # Errors
/// [`StartError`], which names the address that cannot be bound. Nothing is left running then.
pub async fn start<C: Core>(settings: Settings, core: C) -> Result<MeshHandle, StartError> {
    start_with(settings, core, PortMaps::start).await
}

/// As [`start`], with another way to have ports forwarded.
async fn start_with<C, P>(settings: Settings, core: C, port_maps: P) -> Result<MeshHandle, StartError>
where
    C: Core,
    P: FnOnce(&[Address], mpsc::Sender<Notice>) -> Option<PortMaps>,
{
    let tls = TlsIdentity::new(&settings.key)?;
    let listeners = bind(&settings.listen).await?;
    let (notices, incoming) = mpsc::channel(MAX_INCOMING);
    let (orders, ordered) = mpsc::channel(MAX_COMMANDS);
    let (events, _) = broadcast::channel(MAX_EVENTS);
    let (datagrams, _) = broadcast::channel(MAX_EVENTS);
    let (alive, gone) = mpsc::channel(1);
    let refusals = Arc::new(Refusals::default());
    let tap = Arc::new(Tap::default());
    let ledger = Arc::new(LedgerInbox::default());
    let forwarder = Arc::new(Forwarder::new(Arc::clone(&tap)));
    let tunnels = Tunnels::new(&tls, &forwarder, notices.clone(), settings.clock);
    let door = door(&settings, &tls, &refusals, &notices);
    let keeper =
        settings.keep.map(|sink| Keeper::new(sink, notices.clone())).transpose().map_err(StartError::Keeper)?;
    let detours = Detours::default();
    let listening: Arc<[Address]> = listeners.iter().map(|listener| listener.address.clone()).collect();
    let port_maps = settings.port_mapping.then(|| port_maps(&listening, notices.clone())).flatten();
    let bound = listeners.iter().flat_map(Listener::bound).collect();
    let (hub, packets) = Hub::bind(&bound, settings.is_local, settings.clock).map_err(StartError::Udp)?;
    let (quic, serving) = Quic::serve(Arc::clone(&hub), Arc::clone(&door));
    let watching = tokio::spawn(udp::watch(hub.locals(), notices.clone())).abort_handle();
    let accepting = listeners.into_iter().flat_map(|listener| listener.run(&door)).chain([serving, watching]).collect();
    let driver = Driver {
        core,
        tls,
        detours: detours.clone(),
        context: LinkContext {
            notices: notices.clone(),
            clock: settings.clock,
            forwarder: Arc::clone(&forwarder),
            alive,
        },
        channels: Channels { notices: incoming, orders: ordered, packets, gone },
        accepting,
        port_maps,
        hub: Arc::clone(&hub),
        quic,
        meetings: Arc::clone(&door.meetings),
        links: BTreeMap::new(),
        dials: BTreeMap::new(),
        waiting: BTreeMap::new(),
        relays: Relays::new(notices, settings.relay_bps_per_member, settings.clock),
        approaches: Approaches::default(),
        encoder: Encoder::default(),
        events: events.clone(),
        on_event: settings.on_event,
        store: settings.store.map(Store::new),
        keeper,
        forwarder: Arc::clone(&forwarder),
        diverted: Vec::new(),
        ledger: Arc::clone(&ledger),
        asker: Asker::new(),
        has_carried: false,
        datagrams: datagrams.clone(),
        tap: Hook::new(Arc::clone(&tap), settings.clock),
        refusals: Arc::clone(&refusals),
        next_link: 0,
        next_request: 0,
    };
    drop(tokio::spawn(driver.run(Arc::clone(&listening))));
    let port = LedgerPort::new(ledger, Arc::clone(&forwarder), settings.clock);
    let plane = Plane { port, forwarder, clock: settings.clock, tunnels, detours, hub };
    Ok(MeshHandle::new(orders, (events, datagrams, tap), plane, listening, refusals))
}

async fn bind(addresses: &[Address]) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(Listener::bind(address).await?);
    }
    Ok(listeners)
}

fn door(settings: &Settings, tls: &TlsIdentity, refusals: &Arc<Refusals>, notices: &mpsc::Sender<Notice>) -> Arc<Door> {
    Arc::new(Door {
        tls: tls.clone(),
        plain: settings.plain,
        proxy: settings.proxy,
        gate: Arc::new(Gate::default()),
        meetings: Arc::default(),
        refusals: Arc::clone(refusals),
        notices: notices.clone(),
        clock: settings.clock,
    })
}

/// A datagram that arrived, with its content.
pub type Incoming = (Datagram, Bytes);

/// What tasks tell the driver.
pub(crate) enum Notice {
    /// A connection is ready to become a link.
    Opened { connection: Box<Connection>, dial: Option<DialId> },
    /// An attempt to connect failed.
    DialFailed { dial: DialId, code: Code, detail: String },
    /// Something came over a link; if the reader waits, it wants to be released afterwards.
    Frame { link: LinkId, decoded: Decoded, waits: bool },
    /// Something for the core came over UDP beside a link.
    FrameBeside { link: LinkId, frame: Frame },
    /// What came over a link is no frame.
    Fault { link: LinkId, fault: Fault },
    /// What may wait for a link has left its queue.
    Drained { link: LinkId },
    /// A connection ended by itself.
    Ended { link: LinkId, code: Code, detail: String },
    /// A relay ticket arrived.
    RelayArrived { ticket: RelayTicket, half: Half },
    /// A relay pipe ended, or waited too long.
    RelayEnded(RelayConnection),
    /// A signal server answered.
    SignalAnswer { url: String, result: Result<Box<NodeList>, String> },
    /// A name was looked up.
    Resolved { name: Address, addresses: Vec<SocketAddr> },
    /// Routers forward these ports here, all of them.
    PortsMapped(Vec<PortMapping>),
    /// A write of a service is on disk, and all before it; or cannot be.
    Kept { ticket: Ticket, result: Result<(), String> },
    /// The addresses at which this host receives over UDP.
    UdpAddresses(Vec<SocketAddr>),
    /// Somebody here sends to a member for a while.
    DestinationUsed(NodeId),
    /// A stranger was turned away.
    Refused { remote: Address, code: Code, detail: String },
}
