//! Tunnels as plain state: many streams and UDP flows between two members, end to end sealed, over several paths at
//! once.
//!
//! [`Connection`] takes packets and the time and returns packets and events; it has no socket, clock, task or random
//! source, and does no cryptography itself: a [`Session`] brings the handshake and the keys. A packet is the body of
//! one datagram of the mesh. It belongs to a *channel*, which is one path for either bulk or small traffic, with packet
//! numbers, acknowledgements, round trips and a window of its own; what is lost on one path is sent again on another.
//!
//! The design follows what QUIC has shown to work (RFC 9000, 9002, and the draft on several paths), with what a mesh
//! changes: hops do not lose and do not reorder, middle members hold one queue for each flow, and a path that dies is
//! known to routing.

mod channel;
mod config;
mod connection;
mod flow;
mod frame;
mod handshake;
mod keys;
pub mod limits;
mod packet;
mod paths;
mod ranges;
mod session;
mod stream;

pub use config::Config;
pub use connection::{Arrival, Connection, Event, PathReport, Read, Role, Transmit, TunnelReport};
pub use frame::{FlowId, StreamId};
pub use packet::{TAG, connection_of, is_beginning, is_open, unknown};
pub use paths::PathInfo;
pub use session::{Keys, Nonce, Open, Seal, Session};
