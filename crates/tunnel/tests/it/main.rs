//! Tunnels between two ends over an emulated network, in virtual time.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod hostile;
mod network;
mod session;
mod transfer;
