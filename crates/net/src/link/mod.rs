//! One link: a reader task, a writer task, and what the driver shares with them.
//!
//! Until the link is up the reader hands over one frame at a time and waits for the verdict, because the length of lines,
//! the encoding of what comes next and where it goes depend on it. An idle link holds no buffer of its own.

mod encoder;
mod fair;
mod outlet;
mod pace;
mod queue;
mod reader;
mod slack;
mod tally;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests measure")]
mod tests;
mod writer;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use meshline_mesh::{LinkId, LinkMeasured, Mono, Transport};
use meshline_protocol::{Encoding, NodeId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::companion::Companion;
use crate::connection::Connection;
use crate::driver::Notice;
use crate::forwarder::Forwarder;
use crate::gate::Permit;
use crate::limits::{CLOSE_LIMIT, LINGER_LIMIT};
use crate::meter::{Meter, Seen};
use crate::quic::Gauge;
use crate::tcp_info::Asker;

pub(crate) use encoder::Encoder;
pub(crate) use fair::Waiting;
pub(crate) use outlet::Outlet;
pub(crate) use queue::Pushed;
use queue::Queue;
use slack::Slack;
pub(crate) use tally::Tallies;
use tally::Tally;
pub use tally::{BytesByPath, PathBytes};

/// What a link's tasks need of the rest.
#[derive(Clone)]
pub(crate) struct LinkContext {
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) clock: Clock,
    pub(crate) forwarder: Arc<Forwarder>,
    /// Dropped when the link is quite gone, so that a shutdown can wait for it.
    pub(crate) alive: mpsc::Sender<()>,
}

/// The driver's end of a link.
pub(crate) struct Link {
    shared: Arc<Shared>,
    encoding: Encoding,
    permit: Option<Permit>,
    bearer: Bearer,
    meter: Meter,
    slack: Slack,
    tasks: Tasks,
}

/// Who can tell of the connection all the way.
enum Bearer {
    /// The system, by both addresses.
    Tcp(SocketAddr, SocketAddr),
    Quic(Arc<Gauge>),
    /// Nobody.
    Unknown,
}

struct Tasks {
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    alive: mpsc::Sender<()>,
}

/// What the two tasks of a link and the driver share.
struct Shared {
    id: LinkId,
    queue: Queue,
    /// How to read from now on; [`NOT_ACCEPTED`] at first.
    reading: AtomicU8,
    /// The core has judged the frame that was handed over.
    verdict: Notify,
    /// Nothing that still comes in is wanted.
    closing: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
    /// What all links that go the same way count.
    tally: Arc<Tally>,
    /// When some arrived last, in microseconds of the steady clock.
    heard_at: AtomicU64,
    /// Datagrams that went over it, either way.
    carried: AtomicU64,
    /// Who is at the other end, once the link is up.
    peer: OnceLock<NodeId>,
    /// UDP beside it, once both sides want that.
    companion: OnceLock<Arc<Companion>>,
    /// Nobody but the other end can read what goes over it.
    is_encrypted: bool,
    /// The member through whose exit it goes.
    through: Option<NodeId>,
    /// UDP bears the link itself.
    is_udp: bool,
}

const NOT_ACCEPTED: u8 = 0;
const JSON: u8 = 1;
const BSON: u8 = 2;

impl Link {
    /// Starts the tasks of a link.
    pub(crate) fn open(id: LinkId, connection: Connection, context: LinkContext) -> Self {
        let queue = Queue::sharing(context.forwarder.waiting());
        let nature = (connection.transport, connection.through);
        let tally = context.forwarder.tallies().of(connection.transport);
        let shared = Arc::new(Shared::new(id, (queue, tally), connection.early.len(), nature));
        let bearer = match (connection.quic.clone(), connection.ends()) {
            (Some(gauge), _) => Bearer::Quic(gauge),
            (None, Some((local, remote))) => Bearer::Tcp(local, remote),
            (None, None) => Bearer::Unknown,
        };
        let LinkContext { notices, clock, forwarder, alive } = context;
        let (read_half, write_half) = tokio::io::split(connection.stream);
        let around = reader::Around { notices: notices.clone(), clock, forwarder };
        let mut reader = reader::Reader::new(read_half, connection.early, Arc::clone(&shared), around);
        let mut writer = writer::Writer::new(write_half, Arc::clone(&shared), notices);
        let tasks = Tasks {
            reader: tokio::spawn(async move { reader.run().await }),
            writer: tokio::spawn(async move { writer.run().await }),
            alive,
        };
        let (meter, slack) = (Meter::default(), Slack::new(connection.socket));
        Self { shared, encoding: Encoding::Json, permit: connection.permit, bearer, meter, slack, tasks }
    }

    /// How to write to it now.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Queues an encoded frame; `false` if the peer has let too much pile up.
    pub(crate) fn send(&self, frame: Bytes, has_body: bool) -> bool {
        self.shared.queue.push(frame, has_body)
    }

    /// What the forwarding plane puts datagrams into.
    pub(crate) fn outlet(&self) -> Outlet {
        Outlet::new(Arc::clone(&self.shared), self.encoding)
    }

    /// Who is at the other end, once it is up.
    pub(crate) fn peer(&self) -> Option<NodeId> {
        self.shared.peer.get().copied()
    }

    /// There is UDP beside it from now on.
    pub(crate) fn accompany(&self, companion: Arc<Companion>) {
        // Once in its life.
        let _ = self.shared.companion.set(companion);
    }

    /// UDP beside it.
    pub(crate) fn companion(&self) -> Option<&Arc<Companion>> {
        self.shared.companion.get()
    }

    /// What there is to tell of the link since it was looked at last.
    pub(crate) fn look(&mut self, asker: &Asker, now: Mono) -> Option<LinkMeasured> {
        let (sent, received) = self.counters();
        let carried = self.shared.carried.load(Ordering::Relaxed);
        let heard_at = Mono(self.shared.heard_at.load(Ordering::Relaxed));
        let seen = Seen { received, heard_at, sent, carried, waiting: self.shared.queue.depth().0 > 0 };
        let tcp = match &self.bearer {
            _ if !self.meter.wants_to_ask(&seen, now) => None,
            Bearer::Tcp(local, remote) => asker.ask(*local, *remote),
            Bearer::Quic(gauge) => Some(gauge.look()),
            Bearer::Unknown => None,
        };
        let measured = self.meter.look(seen, tcp, now);
        if let Some(tcp) = tcp {
            let ran_dry = seen.waiting && tcp.unsent == 0;
            let write = self.slack.look(self.meter.goodput_bps(), ran_dry);
            write.into_iter().for_each(|bytes| self.shared.queue.write_at_once(bytes));
        }
        measured
    }

    /// Whether datagrams went over it within the last second.
    pub(crate) fn is_carrying(&self, now: Mono) -> bool {
        self.meter.is_carrying(now)
    }

    /// Takes no more datagrams and hands out those that wait, to go another way.
    pub(crate) fn divert(&self) -> Vec<Waiting> {
        self.shared.queue.divert()
    }

    /// The hello was accepted.
    pub(crate) fn accept(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.permit = None;
        if let Bearer::Quic(gauge) = &self.bearer {
            gauge.accept();
        }
        let reading = if encoding == Encoding::Bson { BSON } else { JSON };
        self.shared.reading.store(reading, Ordering::Release);
    }

    /// The frame that was handed over has been judged: the next one may come.
    pub(crate) fn release(&self) {
        self.shared.verdict.notify_one();
    }

    /// Bytes of frames sent and received so far.
    pub(crate) fn counters(&self) -> (u64, u64) {
        (self.shared.sent.load(Ordering::Relaxed), self.shared.received.load(Ordering::Relaxed))
    }

    /// Sends what is queued within [`CLOSE_LIMIT`], then ends the connection.
    pub(crate) fn close(self) {
        self.shared.close();
        let Tasks { mut reader, mut writer, alive } = self.tasks;
        drop(tokio::spawn(async move {
            let _ = timeout(CLOSE_LIMIT, &mut writer).await;
            writer.abort();
            let _ = timeout(LINGER_LIMIT, &mut reader).await;
            reader.abort();
            drop(alive);
        }));
    }

    /// Ends the connection at once; what is queued is lost.
    pub(crate) fn abort(self) {
        self.shared.close();
        self.tasks.writer.abort();
        self.tasks.reader.abort();
    }
}

impl Shared {
    fn new(
        id: LinkId,
        (queue, tally): (Queue, Arc<Tally>),
        early: usize,
        (transport, through): (Transport, Option<NodeId>),
    ) -> Self {
        let shared = Self {
            id,
            queue,
            reading: AtomicU8::new(NOT_ACCEPTED),
            verdict: Notify::new(),
            closing: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            tally,
            heard_at: AtomicU64::new(0),
            carried: AtomicU64::new(0),
            peer: OnceLock::new(),
            companion: OnceLock::new(),
            is_encrypted: transport != Transport::Plain,
            is_udp: transport == Transport::Quic,
            through,
        };
        shared.note_received(early);
        shared
    }

    fn note_sent(&self, bytes: usize) {
        count(&self.sent, bytes);
        count(&self.tally.sent, bytes);
    }

    fn note_received(&self, bytes: usize) {
        count(&self.received, bytes);
        count(&self.tally.received, bytes);
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.queue.close();
        self.verdict.notify_one();
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The encoding to read, once the hello is accepted.
    fn accepted(&self) -> Option<Encoding> {
        match self.reading.load(Ordering::Acquire) {
            JSON => Some(Encoding::Json),
            BSON => Some(Encoding::Bson),
            _ => None,
        }
    }
}

/// Tells the driver something and returns what there is to wait for, if anything: room. That is rare, and in a box an
/// idle task need not be large enough for it.
fn tell(notices: &mpsc::Sender<Notice>, notice: Notice) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let Err(TrySendError::Full(notice)) = notices.try_send(notice) else { return None };
    let notices = notices.clone();
    Some(Box::pin(async move {
        // A driver that is gone wants to hear nothing.
        let _ = notices.send(notice).await;
    }))
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
}
