//! Many nodes in one process: virtual time, a network that can be broken at will, and checks of what must hold.
//!
//! A [`World`] drives the same [`meshline_services::Stack`] that the daemon drives, with nothing real around it:
//! the time is a number, links are queues, the disk is a value kept for the next start. Everything follows from
//! one seed, so whatever fails can be repeated exactly; a test that panics prints how.
//!
//! The queue of events stays small because only the head of each link direction is in it.

mod commands;
mod config;
mod disk;
mod faults;
mod finding;
mod host;
pub mod invariants;
mod large;
mod network;
mod outputs;
mod pair;
mod puppet;
mod records;
mod relay;
mod rng;
pub mod scenario;
mod schedule;
mod seed;
mod services;
mod shelf;
mod signal;
mod spoil;
pub mod spread;
mod udp;
mod watch;
mod windows;
mod wire;
mod world;

pub use config::{Reach, address};
pub use finding::Asked;
pub use host::{Logged, WallClock};
pub use pair::Pair;
pub use puppet::Puppet;
pub use relay::Misdeed;
pub use rng::Rng;
pub use seed::{seed, seeds};
pub use services::offered;
pub use spoil::Spoiling;
pub use udp::{Filtering, Mapping, PORT, Router, RouterId};
pub use watch::LinkChanges;
pub use wire::Wire;
pub use world::{SIGNAL, World};

/// The calendar time at which every world begins, by a right clock: early in 2027.
pub const EPOCH: meshline_protocol::UnixMicros = meshline_protocol::UnixMicros::new(1_800_000_000_000_000);

/// A millisecond of virtual time.
pub const MS: u64 = 1_000;

/// A second of virtual time.
pub const SECOND: u64 = 1_000_000;
