//! Which addresses probably belong to one hand: those of one network prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshline_protocol::Address;

/// Addresses that one operator can easily have many of: an IPv4 /16 or an IPv6 /48; of names the last two labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    V4([u8; 2]),
    V6([u16; 3]),
    Name(Box<str>),
}

impl Group {
    pub(crate) fn of(address: &Address) -> Self {
        Self::of_host(address.host(), ip_of(address))
    }

    /// Of an address of which shares mean something; `None` for others.
    pub(crate) fn counted(address: &Address) -> Option<Self> {
        let ip = ip_of(address);
        has_shares(address, ip).then(|| Self::of_host(address.host(), ip))
    }

    fn of_host(host: &str, ip: Option<IpAddr>) -> Self {
        match ip {
            Some(IpAddr::V4(ip)) => {
                let [one, two, ..] = ip.octets();
                Self::V4([one, two])
            }
            Some(IpAddr::V6(ip)) => {
                let [one, two, three, ..] = ip.segments();
                Self::V6([one, two, three])
            }
            None => Self::Name(last_labels(host).into()),
        }
    }

    /// Of an address whose prefix means nothing.
    pub(crate) fn alone(address: &Address) -> Self {
        Self::Name(address.as_str().into())
    }
}

/// Whether shares of a prefix mean something for an address: on loopback and in private networks all members have the
/// same prefix, and nobody from outside has an address there.
pub(crate) fn is_counted(address: &Address) -> bool {
    has_shares(address, ip_of(address))
}

fn has_shares(address: &Address, ip: Option<IpAddr>) -> bool {
    match ip {
        Some(IpAddr::V4(ip)) => !is_private_v4(ip),
        Some(IpAddr::V6(ip)) => !is_private_v6(ip),
        None => !address.is_loopback(),
    }
}

fn ip_of(address: &Address) -> Option<IpAddr> {
    address.host().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
}

fn last_labels(host: &str) -> &str {
    let dots: Vec<usize> = host.match_indices('.').map(|(at, _)| at).collect();
    let before = dots.len().checked_sub(2).and_then(|at| dots.get(at));
    before.and_then(|at| host.get(at + 1..)).unwrap_or(host)
}
