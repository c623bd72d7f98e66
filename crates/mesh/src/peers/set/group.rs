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
        match address.host().parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V4(ip)) => {
                let [one, two, ..] = ip.octets();
                Self::V4([one, two])
            }
            Ok(IpAddr::V6(ip)) => {
                let [one, two, three, ..] = ip.segments();
                Self::V6([one, two, three])
            }
            Err(_) => Self::Name(last_labels(address.host()).into()),
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
    match address.host().parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => !is_private_v4(ip),
        Ok(IpAddr::V6(ip)) => !is_private_v6(ip),
        Err(_) => !address.is_loopback(),
    }
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
