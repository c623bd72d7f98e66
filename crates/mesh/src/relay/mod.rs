//! Relayed links: asking a proxy for one, and being the proxy.

mod client;
mod places;
mod server;
mod warm;

pub(crate) use client::{Known, RelayClient, Surplus};
#[cfg(test)]
pub(crate) use client::{MAX_AWAITED, MAX_BROKEN};
#[cfg(test)]
pub(crate) use places::MAX_FAILED;
#[cfg(test)]
pub(crate) use server::MAX_COUNTED;
pub(crate) use server::RelayServer;
pub(crate) use warm::is_quicker;
