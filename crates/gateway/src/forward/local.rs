//! A listener here, a target there.

use std::sync::Arc;

use meshline_protocol::Code;
use tokio::sync::watch;

use super::{Forward, ForwardState, Listening, Running, udp};
use crate::copy::{Local, carry};
use crate::counters::Counters;
use crate::gateway::Shared;
use crate::refusal::{Refusal, refuse};

pub(super) async fn start(
    forward: &Forward,
    counters: Arc<Counters>,
    shared: &Arc<Shared>,
) -> Result<Running, Refusal> {
    if forward.config.listen.is_udp() {
        return udp::start(forward, counters, shared).await;
    }
    let listening = Listening::on(&forward.config.listen).await?;
    let (_, state) = watch::channel(ForwardState::Listening(listening.at.clone()));
    let (forward, shared) = (Arc::new(forward.clone()), Arc::clone(shared));
    let task = tokio::spawn(async move {
        loop {
            let local = listening.door.accept().await;
            let (forward, counters, shared) = (Arc::clone(&forward), Arc::clone(&counters), Arc::clone(&shared));
            tokio::spawn(async move { one(local, &forward, &counters, &shared).await });
        }
    });
    Ok(Running { task, state })
}

/// One connection: connected at once, or closed at once with the reason kept for whoever asks.
async fn one(local: Box<dyn Local>, forward: &Forward, counters: &Arc<Counters>, shared: &Shared) {
    let Ok(place) = counters.enter(shared.patience.max_connections) else {
        local.abort();
        return;
    };
    let connected = match forward.config.wish(&shared.connector) {
        Ok((via, wish)) => shared.connector.connect(&via, wish).await,
        Err(refusal) => Err(refusal),
    };
    match connected {
        Ok(connected) if connected.flow.is_some() => {
            counters.refused(refuse(Code::InvalidMessage, "the service is one of UDP"));
            local.abort();
        }
        Ok(connected) => carry(local, connected.stream, &place, shared.patience.stream_idle).await,
        Err(refusal) => {
            let refusal = counters.refused(refusal);
            tracing::debug!(code = refusal.code.name(), "a connection of a forward is refused: {}", refusal.detail);
            local.abort();
        }
    }
}
