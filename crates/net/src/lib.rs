//! The I/O under the pure core: TCP and TLS, links, the driver, relay pipes and an HTTP client.
//!
//! Nothing is decided here that a peer could notice twice: the driver hands what happens to a [`Core`] and does what
//! comes out. One task owns the core; each link has a reader task and a writer task, which only move frames over
//! bounded queues; everything a stranger may do before the core accepts it has a limit in [`limits`].
//!
//! Start with [`start`], which returns the [`MeshHandle`] through which the rest of the process talks to the mesh.

mod approach;
mod clock;
mod companion;
mod connection;
mod core;
mod detour;
mod dial;
mod driver;
mod forwarder;
mod gate;
mod gulp;
#[cfg_attr(test, expect(clippy::disallowed_methods, reason = "its tests measure"))]
pub mod http;
mod inbound;
mod keeper;
#[cfg(feature = "lan")]
pub mod lan;
mod ledger;
pub mod limits;
mod link;
mod listener;
mod meet;
mod meter;
mod portmap;
mod quic;
mod refusals;
mod relay;
mod signal;
mod store;
mod tap;
mod tcp_info;
pub mod tls;
mod tunnel;
mod udp;

pub use clock::Clock;
pub use companion::CompanionReport;
pub use core::Core;
pub use detour::{Carried, Detour, Errand, Way};
pub use driver::Incoming;
pub use driver::{EventSink, MeshHandle, Settings, start};
pub use forwarder::Forwarding;
pub use keeper::KeepSink;
pub use ledger::{LedgerNews, LedgerPort};
pub use link::{BytesByPath, PathBytes};
pub use listener::StartError;
pub use meshline_tunnel::{PathReport, TunnelReport};
pub use store::StoreSink;
pub use tap::{Content, TapReader, Tapped};
pub use tunnel::{OpenError, TunnelFlow, TunnelStream, Tunnels, TunnelsBegun};
pub use udp::UdpReport;
