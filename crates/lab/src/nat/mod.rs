//! Sites behind real NATs: routers made of the kernel's own rules, each in a network namespace.
//!
//! In the middle stands the core, which routes and does nothing else. Every public address is a leg of its own to it,
//! through a cable that delays and loses as a test wants, so a packet whose time to live is 2 at home dies in the core:
//! after the router of its sender, before any other. A [`Home`] is a host behind such a leg and its router:
//!
//! ```no_run
//! use meshline_lab::{Lab, Nat};
//! let Some(lab) = Lab::with_nats() else { return }; // says `skipped: …` where the system cannot do it
//! let home = lab.behind(Nat::Port).delay_ms(20).loss(2.0);
//! home.run("true"); // and all else that a `Site` can do
//! ```
//!
//! With [`Home::with_ipv6`] its host has a public IPv6 address as well.
//!
//! What the kernel's rules cannot do (a cone that does not keep ports, ports that two hosts never share, a limit of
//! mappings, mappings that only outgoing packets keep) [`Soft`] does in user space, in the cable of the leg.

mod between;
mod cell;
mod forwards;
mod home;
mod ipv6;
mod router;
mod rules;

pub use between::Between;
pub use cell::{Cell, Meeting};
pub use forwards::PortDaemon;
pub use home::{Carrier, Edge, Home};
pub(crate) use router::Router;

use std::fmt;
use std::str::FromStr;

pub use crate::cable::{By, Ports, Soft};

/// What stands between a site and the others. "Same port" is the port the site itself uses, as Linux keeps it if it is
/// free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nat {
    /// Nothing: a public address.
    None,
    /// Full cone: one port for all destinations, anybody may answer. Two hosts must not use the same port.
    Full,
    /// One port for all destinations; whoever was written to may answer from any port.
    Addr,
    /// One port for all destinations; an answer comes from where the packet went.
    Port,
    /// Symmetric: another port, by chance, for each destination.
    Sym,
    /// Symmetric: the next port in a row for each destination.
    SymSeq,
    /// Symmetric by address: one port for all ports of an address, another for another address.
    SymAdm,
    /// As `Port`, but the router answers for itself, and remembers who came unasked: their port is taken then.
    Lax,
    /// A firewall without translation: only answers come in.
    Firewall,
    /// As `Port`, and no UDP gets through.
    NoUdp,
    /// As `Port`, and whoever comes unasked is refused aloud: TCP with a reset, the rest with ICMP.
    Rst,
    /// As `Rst`, and no UDP gets through.
    RstNoUdp,
    /// As `Port`, and hosts inside reach each other by their public ports.
    Hairpin,
    /// As `Port`, behind the `Port` of a carrier.
    Carrier,
    /// As `Port`, and an idle UDP mapping is forgotten after 20 s.
    T20,
    /// As `Port`, and an idle UDP mapping is forgotten after 10 s.
    T10,
    /// One in user space, which does what the kernel's rules cannot.
    Soft(Soft),
}

impl Nat {
    /// All of the kernel's.
    pub const ALL: [Self; 16] = [
        Self::None,
        Self::Full,
        Self::Addr,
        Self::Port,
        Self::Sym,
        Self::SymSeq,
        Self::SymAdm,
        Self::Lax,
        Self::Firewall,
        Self::NoUdp,
        Self::Rst,
        Self::RstNoUdp,
        Self::Hairpin,
        Self::Carrier,
        Self::T20,
        Self::T10,
    ];

    /// Its short name, as tables have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Addr => "addr",
            Self::Port => "port",
            Self::Sym => "sym",
            Self::SymSeq => "symseq",
            Self::SymAdm => "symadm",
            Self::Lax => "lax",
            Self::Firewall => "fw",
            Self::NoUdp => "noudp",
            Self::Rst => "rst",
            Self::RstNoUdp => "rstnoudp",
            Self::Hairpin => "hair",
            Self::Carrier => "cg",
            Self::T20 => "t20",
            Self::T10 => "t10",
            Self::Soft(_) => "soft",
        }
    }

    /// After how many seconds an idle UDP mapping is forgotten, where it is not as Linux does it.
    const fn forgets_s(self) -> Option<u64> {
        match self {
            Self::T20 => Some(20),
            Self::T10 => Some(10),
            Self::None | Self::Full | Self::Addr | Self::Port | Self::Sym | Self::SymSeq | Self::SymAdm => None,
            Self::Lax | Self::Firewall | Self::NoUdp | Self::Rst | Self::Hairpin | Self::Carrier => None,
            Self::RstNoUdp | Self::Soft(_) => None,
        }
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Nat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|nat| nat.name() == text).ok_or_else(|| format!("{text:?} is none of {}", known()))
    }
}
