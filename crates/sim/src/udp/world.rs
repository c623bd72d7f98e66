//! Hosts and routers of a world, and the packets between them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use meshline_mesh::{Input as Mesh, PortMapping, SocketId};
use meshline_protocol::Address;
use meshline_protocol::message::NatTransport;

use super::router::{Box as RouterBox, Router};
use super::{PORT, Place, RouterId, Transit};
use crate::schedule::Due;
use crate::world::World;

impl World {
    /// A router that stands in the Internet.
    pub fn router(&mut self, kind: Router) -> RouterId {
        self.add_router(kind, 0)
    }

    /// A router behind another one.
    pub fn router_behind(&mut self, kind: Router, outer: RouterId) -> RouterId {
        self.add_router(kind, outer.0 + 1)
    }

    fn add_router(&mut self, kind: Router, outer: usize) -> RouterId {
        let index = self.udp.routers.len();
        let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let address = if outer == 0 { [198, 51, 100, last] } else { [100, 64, 0, last] };
        self.udp.routers.push(RouterBox::new(kind, address.into(), outer));
        RouterId(index)
    }

    /// A router's address outside.
    ///
    /// # Panics
    /// If there is no such router.
    #[must_use]
    pub fn router_address(&self, router: RouterId) -> IpAddr {
        self.udp.routers.get(router.0).map_or_else(|| panic!("there is no router {}", router.0), |one| one.address)
    }

    /// Gives a node's host an address, in the Internet or behind a router, for UDP and for what it listens on.
    ///
    /// # Panics
    /// If the address is none.
    pub fn place(&mut self, node: usize, ip: &str, router: Option<RouterId>) {
        let Ok(ip) = ip.parse::<IpAddr>() else { panic!("{ip} is no address") };
        self.udp.places.insert(node, Place { network: router.map_or(0, |router| router.0 + 1), ip });
        self.listeners.clear();
        let host = self.host_mut(node);
        if !host.config.listen.is_empty() {
            host.config.listen = vec![SocketAddr::new(ip, PORT).into()];
        }
        if self.is_running(node) {
            self.tell_addresses(node);
        }
    }

    /// A router becomes one of another kind, and forgets what it knew.
    pub fn change_router(&mut self, router: RouterId, kind: Router) {
        if let Some(found) = self.udp.routers.get_mut(router.0) {
            found.kind = kind;
            found.flush();
        }
    }

    /// A router gets another address outside, and with it forgets what it knew.
    pub fn renumber_router(&mut self, router: RouterId, address: IpAddr) {
        if let Some(found) = self.udp.routers.get_mut(router.0) {
            found.address = address;
            found.flush();
        }
    }

    /// A router forwards a port to a node's main socket from now on, and the node is told so.
    ///
    /// # Panics
    /// If there is no such router.
    pub fn forward(&mut self, router: RouterId, port: u16, node: usize) {
        let (inside, outside) = (self.udp_address(node, PORT), self.router_address(router));
        if let Some(found) = self.udp.routers.get_mut(router.0) {
            found.forwarded.insert(port, inside);
        }
        let external = SocketAddr::new(outside, port);
        let mapped = vec![PortMapping { transport: NatTransport::Udp, external, by: "pcp" }];
        self.input(node, Mesh::PortsMapped { mapped });
    }

    /// Of a hundred UDP packets so many are lost.
    pub fn set_udp_loss(&mut self, percent: u64) {
        self.udp.loss = percent;
    }

    /// The most probes a node sent in one attempt.
    #[must_use]
    pub fn most_probes(&self, node: usize) -> u32 {
        self.udp.book.most_asks(node)
    }

    /// The most sockets a node has had open at once beside its main one.
    #[must_use]
    pub fn most_sockets(&self, node: usize) -> usize {
        self.udp.most_open.get(&node).copied().unwrap_or(0)
    }

    /// Sockets a node has open beside its main one.
    #[must_use]
    pub fn extra_sockets(&self, node: usize) -> usize {
        self.udp.open_sockets(node)
    }

    /// When a node last sent a packet of an attempt.
    #[must_use]
    pub fn last_punch(&self, node: usize) -> Option<u64> {
        self.udp.book.last.get(&node).copied()
    }

    /// Packets of attempts that arrived at addresses of which no node runs.
    #[must_use]
    pub fn strays(&self, at: SocketAddr) -> u32 {
        self.udp.book.strays.get(&at).copied().unwrap_or(0)
    }

    pub(crate) fn udp_address(&self, node: usize, port: u16) -> SocketAddr {
        let ip = self.udp.places.get(&node).map_or_else(|| IpAddr::from([0, 0, 0, 0]), |place| place.ip);
        SocketAddr::new(ip, port)
    }

    /// A node is told the addresses of its host, if that has any for UDP.
    pub(crate) fn tell_addresses(&mut self, node: usize) {
        if self.udp.places.contains_key(&node) {
            let addresses = vec![self.udp_address(node, PORT)];
            self.input(node, Mesh::UdpAddresses { addresses });
        }
    }

    /// Closes a socket, unless a QUIC link uses it.
    pub(crate) fn close_socket(&mut self, node: usize, socket: SocketId) {
        if self.udp.port_of(node, socket).is_some_and(|port| !self.network.uses(node, port)) {
            self.udp.close(node, socket);
        }
    }

    /// A node is told other addresses of its host than it has.
    pub fn tell_udp_addresses(&mut self, node: usize, addresses: Vec<SocketAddr>) {
        self.input(node, Mesh::UdpAddresses { addresses });
    }

    /// Hosts to which a node sent packets of attempts.
    #[must_use]
    pub fn tried_hosts(&self, node: usize) -> BTreeSet<IpAddr> {
        self.udp.book.tried_hosts(node)
    }

    /// Packets of attempts that nodes sent to an address.
    #[must_use]
    pub fn sent_to(&self, address: SocketAddr) -> u32 {
        self.udp.book.addressed.get(&address).copied().unwrap_or(0)
    }

    /// Packets of all kinds that a node sent to a host.
    #[must_use]
    pub fn packets_to(&self, node: usize, host: IpAddr) -> u32 {
        self.udp.book.sent.get(&(node, host)).copied().unwrap_or(0)
    }

    /// Puts any bytes on their way to a node, as if from an address.
    pub fn forge_packet(&mut self, node: usize, from: SocketAddr, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.input(node, Mesh::Packet { socket: SocketId::MAIN, from, bytes });
    }

    /// A packet that seems to come from an address arrives at a router from outside, for the usual port.
    pub fn knock(&mut self, router: RouterId, from: SocketAddr) {
        if let Some(found) = self.udp.routers.get_mut(router.0) {
            let _ = found.inbound(PORT, from, self.now);
        }
    }

    /// Packets that nodes were given lately, with where they came from: what somebody on the way could play again.
    pub fn overheard(&mut self) -> Vec<(usize, SocketAddr, Bytes)> {
        std::mem::take(&mut self.overheard)
    }

    pub(crate) fn send_packet(&mut self, at: (usize, SocketId), to: SocketAddr, ttl: Option<u8>, bytes: Bytes) {
        let now = self.now;
        let Some(port) = self.udp.port_of(at.0, at.1) else { return };
        self.udp.book.sent(at, to, &bytes, now);
        let Some(transit) = self.udp.leave((at.0, port), (to, ttl), now, &mut self.rng) else { return };
        // What is lost is lost behind the own router.
        if self.rng.below(100) >= self.udp.loss {
            let at = self.later();
            self.schedule.enter(at, Due::Packet { transit, bytes });
        }
    }

    pub(crate) fn on_packet(&mut self, transit: Transit, bytes: Bytes) {
        let (now, told) = (self.now, transit.to);
        let arrived = self.udp.arrive(transit, now);
        let Some((node, port, from)) = arrived.filter(|(node, ..)| self.is_running(*node)) else {
            if arrived.is_some() {
                self.udp.book.strayed(told, &bytes);
            }
            return;
        };
        let Some(socket) = self.udp.socket_at(node, port) else { return };
        self.udp.book.heard(node, from, &bytes);
        if self.overhears {
            self.overheard.push((node, from, bytes.clone()));
        }
        self.input(node, Mesh::Packet { socket, from, bytes });
    }

    /// From where a listener sees the TCP connections of a host come, if both have addresses.
    pub(crate) fn tcp_source(&self, from: usize, to: usize) -> Option<IpAddr> {
        let (here, there) = (self.udp.places.get(&from)?, self.udp.places.get(&to)?);
        let (mut network, mut ip) = (here.network, here.ip);
        while network != there.network && network > 0 {
            let router = self.udp.routers.get(network - 1)?;
            (network, ip) = (router.outer, router.address);
        }
        Some(ip)
    }

    /// Packets of attempts that arrived at hosts of which no node runs, all ports of one together.
    #[must_use]
    pub fn strays_at(&self, host: IpAddr) -> u32 {
        self.udp.book.strays.iter().filter(|(at, _)| at.ip() == host).map(|(_, count)| *count).sum()
    }

    /// Who would answer at an address that hosts in different networks may have.
    pub(crate) fn placed_listener(&self, from: usize, address: &Address) -> Option<Option<usize>> {
        let ip: IpAddr = address.host().parse().ok()?;
        let network = self.udp.places.get(&from)?.network;
        let at = |network: usize| {
            let there = self.udp.places.iter().filter(|(_, place)| place.network == network && place.ip == ip);
            let mut nodes = there.map(|(node, _)| *node);
            nodes.find(|node| self.hosts.get(*node).is_some_and(|host| host.config.listen.contains(address)))
        };
        Some(at(network).or_else(|| at(0)))
    }
}
