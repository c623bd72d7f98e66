//! A NAT in user space, in the way of a cable: what the rules of the kernel cannot do. Plain state: frames and the time go
//! in, changed frames come out.
//!
//! It tells mapping, filtering and choice of ports apart, never gives a port to two hosts, counts its mappings, and can
//! leave it to outgoing packets alone to keep one. It knows nothing of connections: TCP is treated as UDP is.

mod packet;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use packet::Packet;

/// What part of the other end a rule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum By {
    /// Nothing: it is the same for all.
    Nothing,
    /// Its address.
    Address,
    /// Its address and port.
    Both,
}

/// How the outer port of a mapping is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ports {
    /// The inner one if nobody has it.
    Kept,
    /// By chance.
    Chance,
    /// The next.
    Next,
}

/// A NAT in user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Soft {
    /// What a mapping goes by: with `Nothing` there is one for each inner socket.
    pub mapping: By,
    /// What somebody must share with whom the socket wrote to, to be let in: with `Nothing` anybody is.
    pub filter: By,
    /// Which outer port a mapping gets.
    pub ports: Ports,
    /// Whether hosts inside reach each other by their outer ports.
    pub turns_back: bool,
    /// Mappings at once; a further one is refused.
    pub max_mappings: usize,
    /// After how many idle seconds a mapping is forgotten.
    pub forgets_s: u64,
    /// Whether what comes in keeps a mapping too.
    pub inbound_keeps: bool,
}

impl Soft {
    /// A cone that does not keep ports: the commonest kind that the kernel's rules cannot do.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mapping: By::Nothing,
            filter: By::Both,
            ports: Ports::Chance,
            turns_back: false,
            max_mappings: 4096,
            forgets_s: 120,
            inbound_keeps: false,
        }
    }
}

impl Default for Soft {
    fn default() -> Self {
        Self::new()
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Back to where it came from, changed.
    Back,
    Drop,
}

/// Ports that are given: those below are for services.
const FIRST_PORT: u16 = 1024;

/// A mapping: protocol, inner socket, and what it goes by of the other end.
type Key = (u8, SocketAddrV4, SocketAddrV4);

#[derive(Debug)]
struct Mapping {
    outer: u16,
    kept: Instant,
    /// Whom it wrote to, as far as the filter looks. Bounded by the packets of a test.
    known: BTreeSet<SocketAddrV4>,
}

/// The NAT at work, with an address of its own outside.
#[derive(Debug)]
pub(super) struct Translator {
    soft: Soft,
    address: Ipv4Addr,
    random: ChaCha8Rng,
    next: u16,
    mappings: BTreeMap<Key, Mapping>,
    /// By protocol and outer port.
    outer: BTreeMap<(u8, u16), Key>,
}

impl Translator {
    pub(super) fn new(soft: Soft, address: Ipv4Addr) -> Self {
        let random = ChaCha8Rng::seed_from_u64(1);
        let (mappings, outer) = (BTreeMap::new(), BTreeMap::new());
        Self { soft, address, random, next: FIRST_PORT, mappings, outer }
    }

    /// A frame from inside.
    pub(super) fn leaves(&mut self, frame: &mut [u8], now: Instant) -> Verdict {
        self.expire(now);
        let Some(mut packet) = Packet::read(frame) else { return Verdict::Drop };
        let (inner, to) = (packet.source(), packet.destination());
        let Some(outer) =
            self.map((packet.protocol, inner, part(self.soft.mapping, to)), part(self.soft.filter, to), now)
        else {
            return Verdict::Drop;
        };
        packet.set_source(SocketAddrV4::new(self.address, outer));
        if *to.ip() != self.address {
            return Verdict::Pass;
        }
        if self.soft.turns_back && self.arrives(frame, now) { Verdict::Back } else { Verdict::Drop }
    }

    /// A frame from outside; whether it is let in.
    pub(super) fn arrives(&mut self, frame: &mut [u8], now: Instant) -> bool {
        self.expire(now);
        let Some(mut packet) = Packet::read(frame) else { return false };
        let (from, to) = (packet.source(), packet.destination());
        let Some(key) = self.outer.get(&(packet.protocol, to.port())).filter(|_| *to.ip() == self.address) else {
            return false;
        };
        let Some(mapping) = self.mappings.get_mut(key) else { return false };
        if !mapping.known.contains(&part(self.soft.filter, from)) {
            return false;
        }
        if self.soft.inbound_keeps {
            mapping.kept = now;
        }
        packet.set_destination(key.1);
        true
    }

    /// The outer port of a mapping, which is made if there is none yet.
    fn map(&mut self, key: Key, known: SocketAddrV4, now: Instant) -> Option<u16> {
        if !self.mappings.contains_key(&key) {
            if self.mappings.len() >= self.soft.max_mappings {
                return None;
            }
            let outer = self.free_port(key)?;
            self.outer.insert((key.0, outer), key);
            self.mappings.insert(key, Mapping { outer, kept: now, known: BTreeSet::new() });
        }
        let mapping = self.mappings.get_mut(&key)?;
        mapping.kept = now;
        mapping.known.insert(known);
        Some(mapping.outer)
    }

    /// The first that nobody has, from where the rule begins.
    fn free_port(&mut self, (protocol, inner, _): Key) -> Option<u16> {
        let begin = match self.soft.ports {
            Ports::Kept => inner.port(),
            Ports::Chance => u16::try_from(self.random.next_u32() >> 16).unwrap_or(FIRST_PORT),
            Ports::Next => self.next,
        };
        let later = (begin.max(FIRST_PORT)..=u16::MAX).chain(FIRST_PORT..begin.max(FIRST_PORT));
        let free = later.into_iter().find(|port| !self.outer.contains_key(&(protocol, *port)))?;
        self.next = free.checked_add(1).unwrap_or(FIRST_PORT);
        Some(free)
    }

    /// Forgets what is idle. A lab has few mappings, and few packets a second.
    fn expire(&mut self, now: Instant) {
        let idle = Duration::from_secs(self.soft.forgets_s);
        self.mappings.retain(|_, mapping| now.saturating_duration_since(mapping.kept) < idle);
        let mappings = &self.mappings;
        self.outer.retain(|_, key| mappings.contains_key(key));
    }
}

/// What a rule sees of an end.
fn part(by: By, end: SocketAddrV4) -> SocketAddrV4 {
    match by {
        By::Nothing => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        By::Address => SocketAddrV4::new(*end.ip(), 0),
        By::Both => end,
    }
}
