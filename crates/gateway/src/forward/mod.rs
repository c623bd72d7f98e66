//! Forwards: a listener on one side, a target on the other, a tunnel between.

pub(crate) mod guest;
mod listen;
mod local;
mod reverse;
mod spec;
mod table;
mod udp;

pub use spec::{ForwardConfig, Origin, StoredForwards};
pub use table::{ForwardRow, ForwardState};

pub(crate) use listen::{Door, Listening};
pub(crate) use spec::Forward;
pub(crate) use table::Forwards;
pub(crate) use udp::Session;

use std::sync::Arc;

use crate::counters::Counters;
use crate::gateway::Shared;
use crate::refusal::Refusal;

/// Begins a forward. What it needs on this host is there when this returns; its task runs until it is aborted.
pub(crate) async fn start(
    forward: &Forward,
    (number, counters): (u32, Arc<Counters>),
    shared: &Arc<Shared>,
) -> Result<Running, Refusal> {
    if forward.config.reverse {
        return Ok(reverse::start(forward, number, shared));
    }
    local::start(forward, counters, shared).await
}

/// The task of a forward and what it says of itself.
pub(crate) struct Running {
    pub(crate) task: tokio::task::JoinHandle<()>,
    pub(crate) state: tokio::sync::watch::Receiver<ForwardState>,
}
