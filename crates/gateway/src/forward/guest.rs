//! Listening here for another member: allowed by a rule, for as long as its stream lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meshline_protocol::opening::{IncomingStream, ListenStream, StreamAnswer, StreamOpened, StreamRequest};
use meshline_protocol::{Code, NodeId};

use super::Listening;
use crate::carrier::Stream;
use crate::copy::{Local, carry};
use crate::directory::Member;
use crate::exit::Refused;
use crate::gateway::Shared;
use crate::limits::{ANSWER_LIMIT, MAX_GUEST_LISTENERS};
use crate::lines::{ask, write};
use crate::payloads::ended;
use crate::refusal::{Refusal, refuse};

/// How many listeners other members have here.
#[derive(Debug, Default)]
pub(crate) struct Guests(AtomicUsize);

/// The place of one of them.
struct GuestPlace(Arc<Guests>);

impl Guests {
    fn enter(self: &Arc<Self>) -> Result<GuestPlace, Refusal> {
        let next = |taken: usize| (taken < MAX_GUEST_LISTENERS).then_some(taken + 1);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(GuestPlace(Arc::clone(self))),
            Err(_) => Err(refuse(Code::TooManyStreams, format!("{MAX_GUEST_LISTENERS} listeners are open for others"))),
        }
    }
}

impl Drop for GuestPlace {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Listens until the stream ends.
pub(crate) async fn listen(
    mut stream: Box<dyn Stream>,
    request: &ListenStream,
    member: &Member,
    shared: &Arc<Shared>,
) -> Result<(), Refused> {
    let begun = async {
        shared.rules().judge_listen(&request.listen, member)?;
        let place = shared.guests.enter()?;
        Ok((Listening::on(&request.listen).await?, place))
    };
    let (listening, _place) = match begun.await {
        Ok(begun) => begun,
        Err(refusal) => return Err((refusal, stream)),
    };
    let opened = StreamOpened { target: Some(listening.at.clone()), address: None };
    if write(&mut stream, &StreamAnswer::Opened(opened)).await.is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = ended(&mut stream) => return Ok(()),
            local = listening.door.accept() => {
                let (peer, listener, shared) = (member.id, request.listener, Arc::clone(shared));
                tokio::spawn(async move { hand_over(local, peer, listener, &shared).await });
            }
        }
    }
}

async fn hand_over(local: Box<dyn Local>, peer: NodeId, listener: u32, shared: &Shared) {
    let Ok(place) = shared.served.counters.enter(shared.patience.max_connections) else {
        local.abort();
        return;
    };
    let request = StreamRequest::Incoming(IncomingStream { listener });
    let connected = async {
        let mut stream = shared.connector.bare(peer).await?;
        ask(&mut stream, &request, ANSWER_LIMIT).await.map(|_| stream)
    };
    match connected.await {
        Ok(stream) => carry(local, stream, &place, shared.patience.stream_idle).await,
        Err(refusal) => {
            place.counters().refused(refusal);
            local.abort();
        }
    }
}
