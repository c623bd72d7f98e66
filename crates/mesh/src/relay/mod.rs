//! Relayed links: asking a proxy for one, and being the proxy.

mod client;
mod server;
mod warm;

pub(crate) use client::{Known, RelayClient, Surplus};
pub(crate) use server::RelayServer;
#[cfg(test)]
pub(crate) use {client::MAX_AWAITED, server::MAX_COUNTED};
