//! Of forwards, the local proxy, what others use here, and tunnels.

use std::collections::BTreeMap;

use meshline_gateway::{GatewayReport, Traffic};
use meshline_net::TunnelReport;
use meshline_protocol::NodeId;

use super::family;

/// A number of a sample and where it is read.
type Sample<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

const TRAFFIC: [Sample<Traffic>; 4] = [
    ("counter", "gateway_connections_total", "connections and UDP addresses served", |one| one.connections),
    ("gauge", "gateway_open", "of them those that are open", |one| one.open),
    ("counter", "gateway_sent_bytes_total", "bytes sent into tunnels", |one| one.sent_bytes),
    ("counter", "gateway_received_bytes_total", "bytes that came out of tunnels", |one| one.received_bytes),
];

const TUNNELS: [Sample<Sum>; 6] = [
    ("gauge", "tunnels", "tunnels that are up", |one| one.up),
    ("gauge", "tunnel_streams", "streams that are open", |one| one.streams),
    ("counter", "tunnel_sent_bytes_total", "bytes in packets sent", |one| one.sent_bytes),
    ("counter", "tunnel_received_bytes_total", "bytes in packets received", |one| one.received_bytes),
    ("counter", "tunnel_lost_total", "packets lost", |one| one.lost),
    ("counter", "tunnel_failovers_total", "moves of traffic because a path died", |one| one.failovers),
];

/// What went through each forward, the proxy and this exit.
pub(super) fn text(report: &GatewayReport) -> String {
    let forwards = report.forwards.iter().map(|row| (format!("part=\"forward\",id=\"{}\"", row.id), &row.traffic));
    let proxy = report.proxy.iter().map(|proxy| ("part=\"socks5\"".to_owned(), &proxy.traffic));
    let served = std::iter::once(("part=\"served\"".to_owned(), &report.served));
    let parts: Vec<(String, &Traffic)> = forwards.chain(proxy).chain(served).collect();
    let counts = TRAFFIC.iter().map(|(kind, name, help, of)| {
        let lines: Vec<String> = parts.iter().map(|(labels, one)| format!("{{{labels}}} {}", of(one))).collect();
        family(kind, name, help, &lines)
    });
    let counts: String = counts.collect();
    let refused = parts.iter().flat_map(|(labels, one)| {
        one.refused.iter().map(move |(code, count)| format!("{{{labels},code=\"{code}\"}} {count}"))
    });
    let refused: Vec<String> = refused.collect();
    counts + &family("counter", "gateway_refused_total", "connections refused, by reason", &refused)
}

/// The tunnels with one member.
#[derive(Default)]
struct Sum {
    up: u64,
    streams: u64,
    sent_bytes: u64,
    received_bytes: u64,
    lost: u64,
    failovers: u64,
}

pub(super) fn tunnels(reports: &[(NodeId, TunnelReport)]) -> String {
    let mut sums: BTreeMap<NodeId, Sum> = BTreeMap::new();
    for (peer, one) in reports {
        let sum = sums.entry(*peer).or_default();
        sum.up += u64::from(one.is_up);
        sum.streams += u64::try_from(one.streams).unwrap_or(u64::MAX);
        sum.sent_bytes += one.sent_bytes;
        sum.received_bytes += one.received_bytes;
        sum.lost += one.lost;
        sum.failovers += one.failovers;
    }
    let families = TUNNELS.iter().map(|(kind, name, help, of)| {
        let lines: Vec<String> = sums.iter().map(|(peer, one)| format!("{{peer=\"{peer}\"}} {}", of(one))).collect();
        family(kind, name, help, &lines)
    });
    families.collect()
}
