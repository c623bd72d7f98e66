//! UDP between hosts in networks behind routers: packets that are translated, filtered, lost, late, and short-lived.
//!
//! Network 0 is the Internet; network `n` lies behind the router with index `n − 1`. A packet passes the routers on the way
//! out when it is sent, and those on the way in when it arrives.

mod book;
mod quic;
mod router;
mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use meshline_mesh::SocketId;

pub(crate) use book::Book;
pub(crate) use quic::{QuicDial, UdpEnd};
pub use router::{Filtering, Mapping, Router};

use crate::rng::Rng;

/// The port of every node's main socket.
pub const PORT: u16 = 6_000;

/// The lifetime of a packet that was given none.
const TTL: u8 = 64;

/// Names a router of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterId(pub(crate) usize);

/// Where a host stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) network: usize,
    pub(crate) ip: IpAddr,
}

/// A packet between the routers of its sender and those of its receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transit {
    network: usize,
    from: SocketAddr,
    to: SocketAddr,
    ttl: u8,
}

/// Hosts, routers and sockets.
#[derive(Debug, Default)]
pub(crate) struct Udp {
    pub(crate) places: BTreeMap<usize, Place>,
    pub(crate) routers: Vec<router::Box>,
    /// The ports of open sockets.
    sockets: BTreeMap<(usize, SocketId), u16>,
    last_port: u16,
    /// The most that each node has had open at once.
    pub(crate) most_open: BTreeMap<usize, usize>,
    /// Of a hundred packets.
    pub(crate) loss: u64,
    pub(crate) book: Book,
}

impl Udp {
    /// The port of a socket, if it is open. The main one always is.
    fn port_of(&self, node: usize, socket: SocketId) -> Option<u16> {
        if socket == SocketId::MAIN { Some(PORT) } else { self.sockets.get(&(node, socket)).copied() }
    }

    fn socket_at(&self, node: usize, port: u16) -> Option<SocketId> {
        if port == PORT {
            return Some(SocketId::MAIN);
        }
        self.sockets.iter().find(|((owner, _), open)| *owner == node && **open == port).map(|((_, socket), _)| *socket)
    }

    pub(crate) fn open(&mut self, node: usize, socket: SocketId, port: Option<u16>) {
        self.last_port = 20_000 + (self.last_port + 1) % 40_000;
        self.sockets.insert((node, socket), port.unwrap_or(self.last_port));
        let open = self.sockets.keys().filter(|(owner, _)| *owner == node).count();
        let most = self.most_open.entry(node).or_default();
        *most = open.max(*most);
        // Those of one search, that of another attempt, and the one from which members are called.
        assert!(open <= 256 + 2, "node {node} has {open} sockets open");
    }

    pub(crate) fn close(&mut self, node: usize, socket: SocketId) {
        self.sockets.remove(&(node, socket));
    }

    /// The host of a node is switched off or its process killed.
    pub(crate) fn close_all(&mut self, node: usize) {
        self.sockets.retain(|(owner, _), _| *owner != node);
    }

    /// Extra sockets a node has open.
    pub(crate) fn open_sockets(&self, node: usize) -> usize {
        self.sockets.keys().filter(|(owner, _)| *owner == node).count()
    }

    fn host_at(&self, network: usize, ip: IpAddr) -> Option<usize> {
        self.places.iter().find(|(_, place)| place.network == network && place.ip == ip).map(|(node, _)| *node)
    }

    fn router_at(&self, network: usize, ip: IpAddr) -> Option<usize> {
        self.routers.iter().position(|router| router.outer == network && router.address == ip)
    }

    /// A packet leaves: through the routers outward as far as it has to go.
    fn leave(
        &mut self,
        (node, port): (usize, u16),
        (to, ttl): (SocketAddr, Option<u8>),
        now: u64,
        rng: &mut Rng,
    ) -> Option<Transit> {
        let place = self.places.get(&node)?;
        let mut transit =
            Transit { network: place.network, from: SocketAddr::new(place.ip, port), to, ttl: ttl.unwrap_or(TTL) };
        loop {
            let is_here =
                self.host_at(transit.network, to.ip()).or_else(|| self.router_at(transit.network, to.ip())).is_some();
            let Some(index) = transit.network.checked_sub(1).filter(|_| !is_here) else { return Some(transit) };
            let router = self.routers.get_mut(index)?;
            transit.ttl = transit.ttl.checked_sub(1).filter(|left| *left > 0 && !router.kind.blocks)?;
            transit.from = router.outbound(transit.from, to, now, rng);
            transit.network = router.outer;
            if to.ip() == router.address {
                let inside = router.kind.hairpin.then(|| router.inbound(to.port(), transit.from, now)).flatten()?;
                (transit.network, transit.to) = (index + 1, inside);
                return Some(transit);
            }
        }
    }

    /// It arrives: through the routers inward. Who gets it, at which port, and from where it seems to come.
    fn arrive(&mut self, mut transit: Transit, now: u64) -> Option<(usize, u16, SocketAddr)> {
        if transit.network == 0 {
            transit.ttl = transit.ttl.checked_sub(1).filter(|left| *left > 0)?;
        }
        loop {
            if let Some(node) = self.host_at(transit.network, transit.to.ip()) {
                return Some((node, transit.to.port(), transit.from));
            }
            let index = self.router_at(transit.network, transit.to.ip())?;
            let router = self.routers.get_mut(index).filter(|router| !router.kind.blocks)?;
            let inside = router.inbound(transit.to.port(), transit.from, now)?;
            transit.ttl = transit.ttl.checked_sub(1).filter(|left| *left > 0)?;
            (transit.network, transit.to) = (index + 1, inside);
        }
    }
}
