//! UDP through tunnels: each address that talks to us has a stream of its own, whose flow carries its payloads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::{Code, Target};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until};

use super::{Forward, ForwardState, Running};
use crate::carrier::{Flow, Stream, Task};
use crate::connector::Connected;
use crate::counters::{Counters, Place};
use crate::gateway::{Patience, Shared};
use crate::limits::{MAX_PAYLOAD, MAX_UDP_WAITING, UDP_RETRY};
use crate::payloads::ended;
use crate::refusal::{Refusal, refuse};

pub(super) async fn start(
    forward: &Forward,
    counters: Arc<Counters>,
    shared: &Arc<Shared>,
) -> Result<Running, Refusal> {
    let (socket, at) = bind(&forward.config.listen).await?;
    let (_, state) = watch::channel(ForwardState::Listening(at));
    let (forward, ours) = (Arc::new(forward.clone()), Arc::clone(shared));
    let dial = move || -> Task<'static, Result<Connected, Refusal>> {
        let (forward, shared) = (Arc::clone(&forward), Arc::clone(&ours));
        Box::pin(async move {
            let (via, wish) = forward.config.wish(&shared.connector)?;
            shared.connector.connect(&via, wish).await
        })
    };
    let patience = shared.patience;
    let task = tokio::spawn(async move { run(Arc::new(socket), counters, patience, dial).await });
    Ok(Running { task, state })
}

/// A socket, and the target that leads to it, with the port that the system chose.
pub(super) async fn bind(listen: &Target) -> Result<(UdpSocket, Target), Refusal> {
    let failed = |error: std::io::Error| refuse(Code::TargetRefused, format!("cannot listen on {listen}: {error}"));
    let Some(address) = listen.address() else { return Err(refuse(Code::InvalidMessage, "not an address")) };
    let socket = UdpSocket::bind((address.host(), address.port())).await.map_err(failed)?;
    let at = Target::Udp(socket.local_addr().map_err(failed)?.into());
    Ok((socket, at))
}

/// Gives each address that sends to `socket` a stream of its own, which `dial` opens.
pub(super) async fn run(
    socket: Arc<UdpSocket>,
    counters: Arc<Counters>,
    patience: Patience,
    dial: impl Fn() -> Task<'static, Result<Connected, Refusal>>,
) {
    let mut sessions: BTreeMap<SocketAddr, mpsc::Sender<Bytes>> = BTreeMap::new();
    let mut buffer = vec![0; MAX_PAYLOAD];
    loop {
        let Ok((bytes, from)) = socket.recv_from(&mut buffer).await else { continue };
        let payload = Bytes::copy_from_slice(buffer.get(..bytes).unwrap_or_default());
        let Err(payload) = offer(&sessions, &from, payload) else { continue };
        sessions.retain(|_, session| !session.is_closed());
        let Ok(place) = counters.enter(patience.max_udp_peers) else { continue };
        let (queue, waiting) = mpsc::channel(MAX_UDP_WAITING);
        // The first payload finds room in a queue that is empty.
        let _ = queue.try_send(payload);
        sessions.insert(from, queue);
        let back = Arc::clone(&socket);
        // UDP that finds no room in the system is lost, as everywhere.
        let answer = move |payload: Bytes| drop(back.try_send_to(&payload, from));
        let session = Session { waiting, place, idle: patience.udp_idle };
        tokio::spawn(session.run(dial(), answer));
    }
}

/// Hands a payload to the session of its address; back if there is none. One that finds no room is dropped.
fn offer(sessions: &BTreeMap<SocketAddr, mpsc::Sender<Bytes>>, from: &SocketAddr, payload: Bytes) -> Result<(), Bytes> {
    match sessions.get(from).map(|session| session.try_send(payload.clone())) {
        Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => Ok(()),
        Some(Err(mpsc::error::TrySendError::Closed(_))) | None => Err(payload),
    }
}

/// One address and its stream.
pub(crate) struct Session {
    pub(crate) waiting: mpsc::Receiver<Bytes>,
    pub(crate) place: Place,
    pub(crate) idle: Duration,
}

impl Session {
    /// Connects and carries until either side is silent for too long or the stream ends.
    pub(crate) async fn run(
        self,
        connecting: impl Future<Output = Result<Connected, Refusal>> + Send,
        answer: impl Fn(Bytes) + Send,
    ) {
        let connected = connecting.await.and_then(|connected| match connected.flow {
            Some(flow) => Ok((connected.stream, flow)),
            None => Err(refuse(Code::InvalidMessage, "the service is not one of UDP")),
        });
        match connected {
            Ok((stream, flow)) => self.carry(stream, flow.as_ref(), answer).await,
            Err(refusal) => {
                let refusal = self.place.counters().refused(refusal);
                tracing::debug!(code = refusal.code.name(), "UDP is refused: {}", refusal.detail);
                // What comes meanwhile finds this session, whose queue runs full.
                tokio::time::sleep(UDP_RETRY).await;
            }
        }
    }

    async fn carry(mut self, mut stream: Box<dyn Stream>, flow: &dyn Flow, answer: impl Fn(Bytes) + Send) {
        let mut last = Instant::now();
        loop {
            tokio::select! {
                payload = self.waiting.recv() => {
                    let Some(payload) = payload else { return };
                    self.place.counters().sent(payload.len());
                    flow.send(payload);
                }
                payload = flow.recv() => {
                    let Some(payload) = payload else { return };
                    self.place.counters().received(payload.len());
                    answer(payload);
                }
                () = ended(&mut stream) => return,
                () = sleep_until(last + self.idle) => return,
            }
            last = Instant::now();
        }
    }
}
