//! Clocks: each link measures its peer's, and all together judge our own.

mod clock;
mod exchange;

pub(crate) use clock::Clock;
pub(crate) use exchange::{LinkClock, StepContext};
