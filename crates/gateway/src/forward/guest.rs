//! Listening here for another member: allowed by a rule, for as long as its stream lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meshline_protocol::opening::{IncomingStream, ListenStream, StreamAnswer, StreamOpened, StreamRequest};
use meshline_protocol::{Code, NodeId, Target};
use tokio::net::UdpSocket;

use super::{Door, Listening, udp};
use crate::carrier::{Stream, Task};
use crate::connector::Connected;
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
        Ok((shared.guests.enter()?, Guest::on(&request.listen).await?))
    };
    let (_place, (guest, at)) = match begun.await {
        Ok(begun) => begun,
        Err(refusal) => return Err((refusal, stream)),
    };
    let opened = StreamOpened { target: Some(at), address: None };
    if write(&mut stream, &StreamAnswer::Opened(opened)).await.is_ok() {
        tokio::select! {
            () = ended(&mut stream) => {}
            () = guest.serve(member.id, request.listener, shared) => {}
        }
    }
    Ok(())
}

/// What listens for another member.
enum Guest {
    Connections(Door),
    Payloads(UdpSocket),
}

impl Guest {
    async fn on(listen: &Target) -> Result<(Self, Target), Refusal> {
        match listen {
            Target::Udp(_) => udp::bind(listen).await.map(|(socket, at)| (Self::Payloads(socket), at)),
            Target::Tcp(_) | Target::Unix(_) | Target::Serial(..) => {
                let Listening { door, at } = Listening::on(listen).await?;
                Ok((Self::Connections(door), at))
            }
        }
    }

    /// Hands on whatever comes, for ever.
    async fn serve(self, peer: NodeId, listener: u32, shared: &Arc<Shared>) {
        match self {
            Self::Connections(door) => loop {
                let (local, shared) = (door.accept().await, Arc::clone(shared));
                tokio::spawn(async move { hand_over(local, peer, listener, &shared).await });
            },
            Self::Payloads(socket) => {
                let ours = Arc::clone(shared);
                let dial = move || -> Task<'static, Result<Connected, Refusal>> {
                    let shared = Arc::clone(&ours);
                    Box::pin(async move { hand_back(peer, listener, true, &shared).await })
                };
                let counters = Arc::clone(&shared.served.counters);
                udp::run(Arc::new(socket), counters, shared.patience, dial).await;
            }
        }
    }
}

/// A stream back to whoever asked for the listener.
async fn hand_back(peer: NodeId, listener: u32, udp: bool, shared: &Shared) -> Result<Connected, Refusal> {
    let mut stream = shared.connector.bare(peer).await?;
    // Before the answer: payloads come right behind it.
    let flow = udp.then(|| stream.flow());
    let request = StreamRequest::Incoming(IncomingStream { listener });
    let opened = ask(&mut stream, &request, ANSWER_LIMIT).await?;
    Ok(Connected { by: peer, stream, flow, opened })
}

async fn hand_over(local: Box<dyn Local>, peer: NodeId, listener: u32, shared: &Shared) {
    let Ok(place) = shared.served.counters.enter(shared.patience.max_connections) else {
        local.abort();
        return;
    };
    match hand_back(peer, listener, false, shared).await {
        Ok(connected) => carry(local, connected.stream, &place, shared.patience.stream_idle).await,
        Err(refusal) => {
            place.counters().refused(refusal);
            local.abort();
        }
    }
}
