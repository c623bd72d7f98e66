//! The router of this host: where the system sends what is for nobody here. Linux tells in `/proc/net/route`.

use std::net::{Ipv4Addr, UdpSocket};

/// Where the system keeps its routes.
const ROUTES: &str = "/proc/net/route";

/// Routes read: a host that is a router itself may have very many, and the default one stands first.
const MAX_ROUTES: usize = 256;

/// A router, and this host as it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Router {
    pub(super) address: Ipv4Addr,
    pub(super) local: Ipv4Addr,
}

impl Router {
    /// The default router, if this host has a private address on the way to it: others need nothing forwarded.
    pub(super) fn find() -> Option<Self> {
        let address = default_route(&std::fs::read_to_string(ROUTES).ok()?)?;
        let local = local_towards(address)?;
        is_private(local).then_some(Self { address, local })
    }
}

/// The address this host would send from. Nothing is sent.
fn local_towards(address: Ipv4Addr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((address, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(local) => Some(local),
        std::net::IpAddr::V6(_) => None,
    }
}

/// Private networks, and what providers translate for many (RFC 6598).
fn is_private(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private() || (a == 100 && (64..128).contains(&b))
}

/// The router of the default route with the least metric. Addresses are in the order of the machine.
pub(super) fn default_route(table: &str) -> Option<Ipv4Addr> {
    let route = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let destination = fields.next()?;
        let gateway = u32::from_str_radix(fields.next()?, 16).ok()?;
        let metric: u32 = fields.nth(3)?.parse().ok()?;
        let mask = fields.next()?;
        let is_default = destination == "00000000" && mask == "00000000" && gateway != 0;
        is_default.then(|| (metric, Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    table.lines().skip(1).take(MAX_ROUTES).filter_map(route).min().map(|(_, gateway)| gateway)
}
