//! One tunnel, shared by the tasks that use it: whoever brings news hands it to the state and sends what comes of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;
use meshline_protocol::{Code, NodeId};
use meshline_tunnel::{Arrival, Connection, Event, FlowId, PathInfo, StreamId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout_at;

use super::{OpenError, Registry, TunnelStream};

/// UDP payloads of one flow that wait to be taken.
const MAX_FLOW_WAITING: usize = 256;

/// The core is told so often that the member is in use; it forgets after five minutes.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// A tunnel looks at the time so often at least, and notices then that the mesh is gone.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Why streams end that nobody here takes.
pub(super) const REFUSED: u16 = 1;

/// Whether a tunnel may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Waiting,
    Up,
    Over(OpenError),
}

/// One tunnel.
pub(super) struct Tunnel {
    pub(super) peer: NodeId,
    pub(super) id: u64,
    /// The neighbour that handed over its first packet, if another member began it.
    pub(super) from: Option<NodeId>,
    registry: Weak<Registry>,
    state: Mutex<State>,
    readiness: watch::Sender<Readiness>,
    /// The timer has to look again.
    changed: Notify,
    /// A link that had enough bulk waiting has room again.
    has_room: AtomicBool,
}

/// What its lock guards.
pub(super) struct State {
    pub(super) connection: Connection,
    readers: BTreeMap<StreamId, Waker>,
    writers: BTreeMap<StreamId, Waker>,
    flows: BTreeMap<FlowId, mpsc::Sender<Bytes>>,
    /// When the timer wakes at the latest.
    armed: Mono,
    /// When the core was told that the member is in use.
    noted_at: Option<Mono>,
}

impl Tunnel {
    pub(super) fn new(
        (peer, id): (NodeId, u64),
        from: Option<NodeId>,
        connection: Connection,
        registry: &Arc<Registry>,
    ) -> Arc<Self> {
        let state = State {
            connection,
            readers: BTreeMap::new(),
            writers: BTreeMap::new(),
            flows: BTreeMap::new(),
            armed: Mono(u64::MAX),
            noted_at: None,
        };
        let tunnel = Arc::new(Self {
            peer,
            id,
            from,
            registry: Arc::downgrade(registry),
            state: Mutex::new(state),
            readiness: watch::channel(Readiness::Waiting).0,
            changed: Notify::new(),
            has_room: AtomicBool::new(false),
        });
        drop(tokio::spawn(keep_time(Arc::clone(&tunnel), registry.clock)));
        tunnel
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the tunnel and what comes of it.
    pub(super) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State, Mono) -> T) -> Option<T> {
        let registry = self.registry.upgrade()?;
        let now = registry.clock.mono();
        let mut state = self.lock();
        let result = act(&mut state, now);
        self.settle(&mut state, &registry, now);
        Some(result)
    }

    /// Takes in a packet.
    pub(super) fn take(self: &Arc<Self>, packet: Bytes, arrival: Arrival) {
        let packet = packet.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        self.with(|state, now| state.connection.handle_packet(packet, arrival, now));
    }

    /// Routing has changed.
    pub(super) fn set_paths(self: &Arc<Self>, paths: &[PathInfo]) {
        self.with(|state, now| state.connection.set_paths(paths, now));
    }

    /// Wakes whom it concerns, sends what is to be sent, and sees to the timer.
    fn settle(self: &Arc<Self>, state: &mut State, registry: &Arc<Registry>, now: Mono) {
        loop {
            while let Some(event) = state.connection.poll_event() {
                self.handle_event(event, state, registry);
            }
            let Some(transmit) = state.connection.poll_transmit(now) else { break };
            let (first, is_bulk) = (transmit.hops.first().copied(), transmit.is_bulk);
            let has_room = registry.send(self.peer, self.id, transmit, || Arc::clone(self).into());
            if let Some(first) = first.filter(|_| is_bulk && !has_room) {
                state.connection.block(&first);
            }
        }
        if state.noted_at.is_none_or(|at| now.since(at) >= NOTE_EVERY) {
            state.noted_at = Some(now);
            registry.note_use(self.peer);
        }
        if state.connection.is_closed() {
            self.changed.notify_one();
            registry.forget(self.peer, self.id);
        }
        let next = state.connection.poll_timeout().unwrap_or(Mono(u64::MAX));
        if next < state.armed {
            state.armed = next;
            self.changed.notify_one();
        }
    }

    fn handle_event(self: &Arc<Self>, event: Event, state: &mut State, registry: &Arc<Registry>) {
        match event {
            Event::Up => {
                tracing::debug!(peer = %self.peer, "tunnel up");
                self.readiness.send_replace(Readiness::Up);
            }
            Event::Opened(id) => {
                let stream = TunnelStream::new(Arc::clone(self), id);
                if let Err(stream) = registry.offer(stream) {
                    stream.forget();
                    state.connection.release(id, REFUSED);
                }
            }
            Event::Readable(id) => wake(state.readers.remove(&id)),
            Event::Writable(id) => wake(state.writers.remove(&id)),
            Event::FlowsReadable => {
                while let Some((id, payload)) = state.connection.poll_flow() {
                    if let Some(flow) = state.flows.get(&id) {
                        // Whoever does not take them in time loses them: it is UDP.
                        let _ = flow.try_send(payload);
                    }
                }
            }
            Event::Closed { code, detail } => self.end(code, detail, state),
        }
    }

    fn end(&self, code: Code, detail: String, state: &mut State) {
        tracing::debug!(peer = %self.peer, code = code.name(), "tunnel ended: {detail}");
        self.readiness.send_replace(Readiness::Over(OpenError { code, detail }));
        state.flows.clear();
        std::mem::take(&mut state.readers).into_values().for_each(Waker::wake);
        std::mem::take(&mut state.writers).into_values().for_each(Waker::wake);
    }

    /// Waits until both ends are known.
    pub(super) async fn ready(&self) -> Result<(), OpenError> {
        let mut readiness = self.readiness.subscribe();
        loop {
            match readiness.borrow_and_update().clone() {
                Readiness::Up => return Ok(()),
                Readiness::Over(error) => return Err(error),
                Readiness::Waiting => {}
            }
            if readiness.changed().await.is_err() {
                return Err(OpenError { code: Code::ShuttingDown, detail: "the mesh is shut down".to_owned() });
            }
        }
    }

    /// Whether the other end has not proved yet who it is.
    pub(super) fn is_opening(&self) -> bool {
        *self.readiness.borrow() == Readiness::Waiting
    }

    /// Why it is over, if it is.
    pub(super) fn over(&self) -> Option<OpenError> {
        match &*self.readiness.borrow() {
            Readiness::Over(error) => Some(error.clone()),
            Readiness::Waiting | Readiness::Up => None,
        }
    }
}

/// Woken by a link that has room again. It holds its own lock then, so that the timer's task does the rest.
impl Wake for Tunnel {
    fn wake(self: Arc<Self>) {
        self.has_room.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

impl State {
    pub(super) fn wait_read(&mut self, id: StreamId, waker: &Waker) {
        self.readers.insert(id, waker.clone());
    }

    pub(super) fn wait_write(&mut self, id: StreamId, waker: &Waker) {
        self.writers.insert(id, waker.clone());
    }

    /// Payloads of this flow go to the returned end from now on.
    pub(super) fn take_flow(&mut self, id: FlowId) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(MAX_FLOW_WAITING);
        self.flows.insert(id, sender);
        receiver
    }

    /// Nobody uses a stream any more.
    pub(super) fn release(&mut self, id: StreamId, code: u16) {
        self.readers.remove(&id);
        self.writers.remove(&id);
        self.flows.remove(&id);
        self.connection.release(id, code);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Wakes the tunnel when its time has come, as long as it is there.
async fn keep_time(tunnel: Arc<Tunnel>, clock: crate::Clock) {
    loop {
        let at = {
            let state = tunnel.lock();
            if state.connection.is_closed() {
                return;
            }
            state.armed
        };
        let limit = clock.mono().after(LONGEST_SLEEP);
        let is_due = timeout_at(clock.instant(at.min(limit)), tunnel.changed.notified()).await.is_err();
        let has_room = tunnel.has_room.swap(false, Ordering::AcqRel);
        if is_due || has_room {
            let is_there = tunnel.with(|state, now| {
                if has_room {
                    state.connection.unblock();
                }
                if is_due {
                    state.armed = Mono(u64::MAX);
                    state.connection.handle_timeout(now);
                }
            });
            if is_there.is_none() {
                return;
            }
        }
    }
}
