//! Relayed links: asking a proxy for one, and being the proxy.

mod client;
mod server;

pub(crate) use client::{Known, RelayClient};
pub(crate) use server::RelayServer;
