//! What was sent to whom: caps that no node may exceed, checked with every packet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use meshline_mesh::SocketId;
use meshline_protocol::frame::decode_datagram;
use meshline_protocol::{Decoded, Message};

use crate::SECOND;

/// Packets to one address, and those that came from it.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    sent: u32,
    heard: u32,
}

/// Packets of attempts.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By node, attempt and address.
    counts: BTreeMap<(usize, u32, SocketAddr), Count>,
    /// Step 0, by node and attempt.
    asks: BTreeMap<(usize, u32), u32>,
    /// When each node asked within the last second.
    pace: BTreeMap<usize, VecDeque<u64>>,
    /// When each node sent last for an attempt.
    pub(crate) last: BTreeMap<usize, u64>,
    /// Packets of all kinds, by who sent them and to which host.
    pub(crate) sent: BTreeMap<(usize, IpAddr), u32>,
    /// Packets of attempts by where they were sent.
    pub(crate) addressed: BTreeMap<SocketAddr, u32>,
    /// Packets of attempts that arrived at a host that does not take part.
    pub(crate) strays: BTreeMap<SocketAddr, u32>,
}

/// The attempt and step of a packet, if it belongs to one.
fn attempt(bytes: &[u8]) -> Option<(u32, u8)> {
    let Ok(Decoded::Frame(frame)) = decode_datagram(bytes) else { return None };
    let Message::Time(time) = frame.message else { return None };
    Some((time.attempt?, time.step))
}

impl Book {
    /// A node sends.
    ///
    /// # Panics
    /// If it sends more than it may.
    pub(crate) fn sent(&mut self, from: (usize, SocketId), to: SocketAddr, bytes: &[u8], now: u64) {
        let (node, socket) = from;
        *self.sent.entry((node, to.ip())).or_default() += 1;
        let Some((number, step)) = attempt(bytes) else { return };
        assert!(bytes.len() <= 400, "node {node} sends {} bytes", bytes.len());
        self.last.insert(node, now);
        *self.addressed.entry(to).or_default() += 1;
        if socket == SocketId::MAIN {
            let count = self.counts.entry((node, number, to)).or_default();
            count.sent += 1;
            let (sent, heard) = (count.sent, count.heard);
            assert!(sent <= heard + 3, "node {node} sent {sent} packets to {to} and heard {heard}");
        }
        if step == 0 {
            let asks = self.asks.entry((node, number)).or_default();
            *asks += 1;
            assert!(*asks <= 2_000, "node {node} sent {asks} probes in one attempt");
            let pace = self.pace.entry(node).or_default();
            pace.push_back(now);
            while pace.front().is_some_and(|first| now - first > SECOND) {
                pace.pop_front();
            }
            // A thousand a second, and what may go at once.
            assert!(pace.len() <= 1_256, "node {node} sent {} probes within a second", pace.len());
        }
    }

    /// A node is given a packet.
    pub(crate) fn heard(&mut self, node: usize, from: SocketAddr, bytes: &[u8]) {
        if let Some((number, _)) = attempt(bytes) {
            self.counts.entry((node, number, from)).or_default().heard += 1;
        }
    }

    /// A packet arrived at a host of which no node runs.
    pub(crate) fn strayed(&mut self, to: SocketAddr, bytes: &[u8]) {
        if attempt(bytes).is_some() {
            *self.strays.entry(to).or_default() += 1;
        }
    }

    /// Hosts to which a node sent packets from its main socket.
    pub(crate) fn tried_hosts(&self, node: usize) -> BTreeSet<IpAddr> {
        let sent = self.counts.iter().filter(|((owner, ..), count)| *owner == node && count.sent > 0);
        sent.map(|((_, _, to), _)| to.ip()).collect()
    }

    /// The most probes a node sent in one attempt.
    pub(crate) fn most_asks(&self, node: usize) -> u32 {
        self.asks.iter().filter(|((owner, _), _)| *owner == node).map(|(_, asks)| *asks).max().unwrap_or(0)
    }
}
