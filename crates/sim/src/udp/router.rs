//! One router with address translation, or a firewall: what it lets out under which address, and what it lets in.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::SECOND;
use crate::rng::Rng;

/// How the port outside follows from the socket inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The same for all destinations, and the one inside if that is free.
    Independent,
    /// The same for all destinations, by chance.
    Moved,
    /// Another one for each destination, by chance.
    Random,
    /// Another one for each destination, so many above the last.
    Counting(i16),
}

/// Who may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Anyone.
    None,
    /// Hosts that were written to.
    Address,
    /// Addresses and ports that were written to.
    Port,
}

/// A kind of router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// How ports are chosen.
    pub mapping: Mapping,
    /// Who may answer.
    pub filtering: Filtering,
    /// Whether a packet to the own address outside comes back in.
    pub hairpin: bool,
    /// Whether the router itself keeps a state for packets that it does not let in, which then stand in the way of ours.
    pub open: bool,
    /// Nothing of UDP passes.
    pub blocks: bool,
    /// After so many microseconds without a packet a mapping is forgotten.
    pub timeout: u64,
}

impl Router {
    /// One port for all, and only those written to may answer: most homes.
    #[must_use]
    pub const fn port() -> Self {
        let filtering = Filtering::Port;
        Self {
            mapping: Mapping::Independent,
            filtering,
            hairpin: false,
            open: false,
            blocks: false,
            timeout: 120 * SECOND,
        }
    }

    /// Anyone may answer.
    #[must_use]
    pub const fn full() -> Self {
        Self { filtering: Filtering::None, ..Self::port() }
    }

    /// Hosts written to may answer from any port.
    #[must_use]
    pub const fn address() -> Self {
        Self { filtering: Filtering::Address, ..Self::port() }
    }

    /// One port for all that is not the one inside.
    #[must_use]
    pub const fn moving() -> Self {
        Self { mapping: Mapping::Moved, ..Self::port() }
    }

    /// Another port for each destination, by chance.
    #[must_use]
    pub const fn symmetric() -> Self {
        Self { mapping: Mapping::Random, ..Self::port() }
    }

    /// Another port for each destination, counted up.
    #[must_use]
    pub const fn counting() -> Self {
        Self { mapping: Mapping::Counting(1), ..Self::port() }
    }

    /// One that keeps a state of what it does not let in.
    #[must_use]
    pub const fn lax() -> Self {
        Self { open: true, ..Self::port() }
    }

    /// No UDP at all.
    #[must_use]
    pub const fn blocked() -> Self {
        Self { blocks: true, ..Self::port() }
    }
}

#[derive(Clone, Debug)]
struct Mapped {
    port: u16,
    last: u64,
    /// Whom it was used for, and when last.
    remotes: BTreeMap<SocketAddr, u64>,
}

/// A router that runs.
#[derive(Debug)]
pub(crate) struct Box {
    pub(crate) kind: Router,
    /// Its address outside.
    pub(crate) address: IpAddr,
    /// The network it stands in: 0 is the Internet, `n` is behind the router `n − 1`.
    pub(crate) outer: usize,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), Mapped>,
    /// States of packets that were not let in: from where, to which port, when.
    clashes: BTreeMap<(SocketAddr, u16), u64>,
    counted: u16,
    /// Ports outside that are forwarded whoever comes there, and where to.
    pub(crate) forwarded: BTreeMap<u16, SocketAddr>,
}

/// A state of a packet that was not answered lasts so long.
const UNANSWERED: u64 = 30 * SECOND;

impl Box {
    pub(crate) fn new(kind: Router, address: IpAddr, outer: usize) -> Self {
        Self {
            kind,
            address,
            outer,
            mappings: BTreeMap::new(),
            clashes: BTreeMap::new(),
            counted: 30_000,
            forwarded: BTreeMap::new(),
        }
    }

    /// All states are gone, as after a restart.
    pub(crate) fn flush(&mut self) {
        self.mappings.clear();
        self.clashes.clear();
    }

    fn is_free(&self, port: u16) -> bool {
        self.mappings.values().all(|mapped| mapped.port != port)
    }

    fn forget_old(&mut self, now: u64) {
        let timeout = self.kind.timeout;
        for mapped in self.mappings.values_mut() {
            mapped.remotes.retain(|_, last| now - *last < timeout);
        }
        self.mappings.retain(|_, mapped| now - mapped.last < timeout);
        self.clashes.retain(|_, last| now - *last < UNANSWERED);
    }

    /// The source of a packet outside.
    pub(crate) fn outbound(&mut self, from: SocketAddr, to: SocketAddr, now: u64, rng: &mut Rng) -> SocketAddr {
        self.forget_old(now);
        let usual = match self.kind.mapping {
            Mapping::Independent | Mapping::Moved => (from, None),
            Mapping::Random | Mapping::Counting(_) => (from, Some(to)),
        };
        let wanted = self.mappings.get(&usual).map_or_else(|| from.port(), |mapped| mapped.port);
        let has_way = self.mappings.get(&usual).is_some_and(|mapped| mapped.remotes.contains_key(&to));
        let clashes = !has_way && self.clashes.contains_key(&(to, wanted));
        let key = if clashes || self.mappings.contains_key(&(from, Some(to))) { (from, Some(to)) } else { usual };
        if !self.mappings.contains_key(&key) {
            let port = self.choose(from.port(), clashes, rng);
            self.mappings.insert(key, Mapped { port, last: now, remotes: BTreeMap::new() });
        }
        let port = match self.mappings.get_mut(&key) {
            Some(mapped) => {
                mapped.last = now;
                mapped.remotes.insert(to, now);
                mapped.port
            }
            None => wanted,
        };
        SocketAddr::new(self.address, port)
    }

    fn choose(&mut self, inside: u16, clashes: bool, rng: &mut Rng) -> u16 {
        match self.kind.mapping {
            Mapping::Independent if !clashes && self.is_free(inside) => inside,
            Mapping::Counting(step) => {
                self.counted = self.counted.wrapping_add_signed(step).max(1_024);
                self.counted
            }
            Mapping::Independent | Mapping::Moved | Mapping::Random => loop {
                let port = 1_024 + u16::try_from(rng.below(64_512)).unwrap_or(0);
                if self.is_free(port) {
                    break port;
                }
            },
        }
    }

    /// For whom a packet is that arrives from outside, if it is let in.
    pub(crate) fn inbound(&mut self, port: u16, from: SocketAddr, now: u64) -> Option<SocketAddr> {
        self.forget_old(now);
        if let Some(inside) = self.forwarded.get(&port) {
            // What answers leaves from the same port.
            let new = Mapped { port, last: now, remotes: BTreeMap::new() };
            let mapped = self.mappings.entry((*inside, Some(from))).or_insert(new);
            mapped.last = now;
            mapped.remotes.insert(from, now);
            return Some(*inside);
        }
        let filtering = self.kind.filtering;
        let found =
            self.mappings.iter_mut().filter(|(_, mapped)| mapped.port == port).find(|(_, mapped)| match filtering {
                Filtering::None => true,
                Filtering::Address => mapped.remotes.keys().any(|remote| remote.ip() == from.ip()),
                Filtering::Port => mapped.remotes.contains_key(&from),
            });
        let Some(((inside, _), mapped)) = found else {
            if self.kind.open {
                self.clashes.insert((from, port), now);
            }
            return None;
        };
        mapped.last = now;
        mapped.remotes.insert(from, now);
        Some(*inside)
    }
}
