//! What kind of address a host is, and which of the addresses a member announces it was seen at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshline_protocol::Address;

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine only.
    Loopback,
    /// This segment only.
    LinkLocal,
    /// A private network: RFC 1918, RFC 4193, and the carriers' RFC 6598.
    Private,
    /// Everywhere.
    Public,
    /// Nobody listens there: unspecified, multicast, reserved, and forms that hide another address.
    Nowhere,
}

impl Reach {
    /// The reach of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [first, second, ..] = ip.octets();
        match first {
            127 => Self::Loopback,
            0 | 224.. => Self::Nowhere,
            100 if (64..128).contains(&second) => Self::Private,
            _ if ip.is_link_local() => Self::LinkLocal,
            _ if ip.is_private() => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // Unspecified and the old IPv4-compatible form; NAT64 and 6to4, which lead to an IPv4 address inside.
            [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0x2002, ..] => Self::Nowhere,
            _ if ip.is_multicast() => Self::Nowhere,
            _ if ip.is_unicast_link_local() => Self::LinkLocal,
            _ if ip.is_unique_local() => Self::Private,
            _ => Self::Public,
        }
    }

    /// Whether the server may be made to connect to `target` by somebody seen at `observed`: to public addresses
    /// by everyone, to loopback, a segment or a private network only by those who are seen in one themselves.
    #[must_use]
    pub fn may_dial(target: IpAddr, observed: IpAddr) -> bool {
        match Self::of(target) {
            Self::Public => true,
            Self::Nowhere => false,
            reach @ (Self::Loopback | Self::LinkLocal | Self::Private) => reach == Self::of(observed),
        }
    }
}

/// Under which address limits are counted: one IPv4 address or one IPv6 /64, which is the least a
/// subscriber has. `None` for loopback, which is not limited.
#[must_use]
pub fn account_of(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(IpAddr::V4(ip)),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Some(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
        }
    }
}

/// The address to list for `announced` by a member seen at `observed`, if being seen there proves it: its host is
/// the observed one, or it is unspecified, which means "where you see me". On loopback all names of it are equal.
#[must_use]
pub fn proved_by(observed: IpAddr, announced: &Address) -> Option<Address> {
    let observed = observed.to_canonical();
    if announced.port() == 0 {
        return None;
    }
    if observed.is_loopback() && announced.is_loopback() {
        return Some(announced.clone());
    }
    let host: IpAddr = announced.host().parse().ok()?;
    let host = host.to_canonical();
    if host.is_unspecified() {
        return Some(std::net::SocketAddr::new(observed, announced.port()).into());
    }
    (host == observed).then(|| announced.clone())
}
