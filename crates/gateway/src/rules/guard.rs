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
    let meant = meant(ip);
    if meant.is_empty() {
        return Err("a translation of nothing");
    }
    meant.into_iter().try_for_each(|ip| match ip {
        IpAddr::V4(ip) => judge_v4(ip),
        IpAddr::V6(ip) => judge_v6(ip),
    })
}

/// The addresses at which a connection to `ip` may end: one that holds an IPv4 address ends at that one. Where in it a
/// network's own translator (RFC 8215) looks is not known here, so there it is any that makes sense.
pub(super) fn meant(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(ip) = ip.to_canonical() else { return vec![ip.to_canonical()] };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => vec![embedded(high, low).into()],
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => vec![embedded(high, low).into()],
        [0x64, 0xff9b, 1, ..] => translated(ip),
        _ => vec![ip.into()],
    }
}

/// What the prefix lengths of RFC 6052, 2.2 make of it. What begins with 0 is none.
fn translated(ip: Ipv6Addr) -> Vec<IpAddr> {
    let [_, _, _, _, _, _, a, b, _, c, d, e, f, g, h, i] = ip.octets();
    let forms = [[a, b, c, d], [b, c, d, e], [c, d, e, f], [f, g, h, i]];
    forms.into_iter().filter(|form| form.first() != Some(&0)).map(|form| Ipv4Addr::from(form).into()).collect()
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

fn judge_v6(ip: Ipv6Addr) -> Result<(), &'static str> {
    match ip {
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
