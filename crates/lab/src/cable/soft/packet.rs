//! The two ends of an IPv4 packet of UDP or TCP, in an Ethernet frame, to read and to change.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Two addresses and what kind of frame it is.
const ETHERNET_HEADER: usize = 14;

/// Protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Places in the header of IPv4.
const IP_CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

pub(super) struct Packet<'a> {
    bytes: &'a mut [u8],
    /// Where the header of UDP or TCP begins.
    ports: usize,
    pub(super) protocol: u8,
}

impl<'a> Packet<'a> {
    /// `None` for whatever is not the first or only piece of a packet of UDP or TCP over IPv4.
    pub(super) fn read(frame: &'a mut [u8]) -> Option<Self> {
        let (_, bytes) = frame.split_at_mut_checked(ETHERNET_HEADER)?;
        let first = *bytes.first()?;
        let (ports, protocol) = (4 * usize::from(first & 0xf), *bytes.get(9)?);
        let length = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
        // Ethernet fills short frames up.
        let packet = Self { bytes: bytes.get_mut(..length)?, ports, protocol };
        let is_whole = packet.word(6) & 0x3fff == 0;
        let header = if protocol == UDP { 8 } else { 20 };
        let is_known = first >> 4 == 4 && is_whole && matches!(protocol, TCP | UDP);
        (is_known && packet.bytes.len() >= ports + header).then_some(packet)
    }

    pub(super) fn source(&self) -> SocketAddrV4 {
        self.end(SOURCE, self.ports)
    }

    pub(super) fn destination(&self) -> SocketAddrV4 {
        self.end(DESTINATION, self.ports + 2)
    }

    pub(super) fn set_source(&mut self, to: SocketAddrV4) {
        self.set(SOURCE, self.ports, to);
    }

    pub(super) fn set_destination(&mut self, to: SocketAddrV4) {
        self.set(DESTINATION, self.ports + 2, to);
    }

    fn end(&self, address: usize, port: usize) -> SocketAddrV4 {
        let [high, low] = [address, address + 2].map(|at| u32::from(self.word(at)));
        SocketAddrV4::new(Ipv4Addr::from(high << 16 | low), self.word(port))
    }

    fn set(&mut self, address: usize, port: usize, to: SocketAddrV4) {
        let [a, b, c, d] = to.ip().octets();
        self.put(address, u16::from_be_bytes([a, b]));
        self.put(address + 2, u16::from_be_bytes([c, d]));
        self.put(port, to.port());
        self.sum_up();
    }

    /// Both checksums anew.
    fn sum_up(&mut self) {
        self.put(IP_CHECKSUM, 0);
        self.put(IP_CHECKSUM, !fold(self.sum(0..self.ports)));
        let checksum = self.ports + if self.protocol == UDP { 6 } else { 16 };
        self.put(checksum, 0);
        let length = self.bytes.len() - self.ports;
        let pseudo = self.sum(SOURCE..SOURCE + 8) + u64::from(self.protocol) + length as u64;
        let sum = !fold(pseudo + self.sum(self.ports..self.bytes.len()));
        // Of UDP zero means that there is none.
        self.put(checksum, if sum == 0 { 0xffff } else { sum });
    }

    fn sum(&self, range: std::ops::Range<usize>) -> u64 {
        let bytes = self.bytes.get(range).unwrap_or_default();
        let word = |pair: &[u8]| match pair {
            [high, low] => u64::from(*high) << 8 | u64::from(*low),
            [high] => u64::from(*high) << 8,
            _ => 0,
        };
        bytes.chunks(2).map(word).sum()
    }

    fn word(&self, at: usize) -> u16 {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(0);
        u16::from_be_bytes([byte(at), byte(at + 1)])
    }

    fn put(&mut self, at: usize, word: u16) {
        let place = self.bytes.get_mut(at..at + 2);
        place.into_iter().for_each(|place| place.copy_from_slice(&word.to_be_bytes()));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "folded until it fits")]
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
