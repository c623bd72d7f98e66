//! Tunnels between two ends over an emulated network, in virtual time.

mod hostile;
mod network;
mod session;
mod transfer;
