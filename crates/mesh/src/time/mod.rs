//! Clocks: each link measures its peer's, all together are network time, and what hellos say judges our own.

mod clock;
mod exchange;
mod network;
mod reading;

pub(crate) use clock::Clock;
pub(crate) use exchange::{LinkClock, StepContext};
#[cfg(test)]
pub(crate) use network::MAX_READINGS;
pub(crate) use network::{Estimate, NetworkTime};
pub(crate) use reading::Reading;
