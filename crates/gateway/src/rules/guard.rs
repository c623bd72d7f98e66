//! Addresses that no exit rule opens: what is behind them trusts whoever is on this host or this wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports on which this member itself listens: its API and the mesh. A way out to them would be a way in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPorts(pub Vec<u16>);

impl OwnPorts {
    /// Whether this member listens on `port`.
    pub(crate) fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }
}

/// Says what `ip` is if it is never reached by rule.
pub(super) fn judge(ip: IpAddr) -> Result<(), &'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => judge_v4(ip),
        IpAddr::V6(ip) => judge_v6(ip),
    }
}

fn judge_v4(ip: Ipv4Addr) -> Result<(), &'static str> {
    let [first, ..] = ip.octets();
    match ip {
        ip if ip.is_loopback() => Err("loopback"),
        ip if ip.is_link_local() => Err("link-local"),
        ip if ip.is_multicast() => Err("multicast"),
        ip if ip.is_broadcast() => Err("broadcast"),
        _ if first == 0 => Err("unspecified"),
        _ => Ok(()),
    }
}

/// Addresses that hold an IPv4 address end where that one does, so they are judged by it.
fn judge_v6(ip: Ipv6Addr) -> Result<(), &'static str> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => judge_v4(embedded(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => judge_v4(embedded(high, low)),
        _ if ip.is_loopback() => Err("loopback"),
        _ if ip.is_unspecified() => Err("unspecified"),
        _ if ip.is_unicast_link_local() => Err("link-local"),
        _ if ip.is_multicast() => Err("multicast"),
        _ => Ok(()),
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
