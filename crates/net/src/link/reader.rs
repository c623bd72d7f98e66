//! The reading half of a link.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use meshline_protocol::{Code, Decoded, Decoder, Fault, Frame, Message};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf, ReadHalf};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::pace::Pace;
use super::{Shared, tell};
use crate::clock::Clock;
use crate::connection::Stream;
use crate::driver::Notice;
use crate::forwarder::Forwarder;
use crate::limits::{FRAME_GRACE, LINGER_BYTES, READ_AT_ONCE, READ_BEFORE_HELLO};
use crate::tls;

thread_local! {
    /// Bytes land here first, so that a link that waits for some needs no buffer of its own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into_boxed_slice());
}

pub(super) struct Reader {
    half: ReadHalf<Box<dyn Stream>>,
    input: BytesMut,
    decoder: Decoder,
    accepted: bool,
    /// Of the frame that is in `input` in part, while the rest is awaited.
    pace: Option<Pace>,
    shared: Arc<Shared>,
    around: Around,
}

/// What a reader needs beside its link.
pub(super) struct Around {
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) clock: Clock,
    pub(super) forwarder: Arc<Forwarder>,
}

/// Why reading ended.
enum Ending {
    /// What came is no frame, or too slow: the peer is to be told.
    Fault(Fault),
    /// The connection ended.
    Lost(Code, String),
    /// The link is being closed, or the driver is gone.
    Unwanted,
}

impl Reader {
    pub(super) fn new(half: ReadHalf<Box<dyn Stream>>, early: BytesMut, shared: Arc<Shared>, around: Around) -> Self {
        Self { half, input: early, decoder: Decoder::new(), accepted: false, pace: None, shared, around }
    }

    /// Reads until the connection ends or the link is closed.
    pub(super) async fn run(&mut self) {
        let link = self.shared.id;
        let notice = match self.read_frames().await {
            Ending::Fault(fault) => Notice::Fault { link, fault },
            Ending::Lost(code, detail) => Notice::Ended { link, code, detail },
            Ending::Unwanted => return self.discard().await,
        };
        let is_fault = matches!(notice, Notice::Fault { .. });
        if let Some(room) = tell(&self.around.notices, notice) {
            room.await;
        }
        if is_fault {
            self.discard().await;
        }
    }

    async fn read_frames(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.hand_over().await {
                return ending;
            }
            match self.read_more().await {
                Ok(bytes) => {
                    self.shared.note_received(bytes);
                    self.shared.heard_at.store(self.around.clock.mono().0, Ordering::Relaxed);
                }
                Err(ending) => return ending,
            }
        }
    }

    /// Hands over all frames that are complete.
    async fn hand_over(&mut self) -> Result<(), Ending> {
        let mut has_passed = false;
        loop {
            if self.shared.is_closing() || self.around.notices.is_closed() {
                return Err(Ending::Unwanted);
            }
            if !self.accepted
                && let Some(encoding) = self.shared.accepted()
            {
                self.decoder.accept(encoding);
                self.accepted = true;
            }
            let Some(decoded) = self.decoder.decode(&mut self.input).map_err(Ending::Fault)? else { break };
            self.pace = None;
            let Some(decoded) = self.pass_on(decoded) else {
                has_passed = true;
                continue;
            };
            // Behind the first message may stand datagrams, which pass only when the core has called the link up by it.
            let waits = !self.accepted || self.shared.peer.get().is_none();
            let notice = Notice::Frame { link: self.shared.id, decoded, waits };
            if let Some(room) = tell(&self.around.notices, notice) {
                room.await;
            }
            if waits {
                self.shared.verdict.notified().await;
            }
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if has_passed {
            // Lets the writers at what was put into their queues before there is more.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Forwards a datagram that goes on from here; everything else comes back.
    fn pass_on(&self, decoded: Decoded) -> Option<Decoded> {
        match (decoded, self.shared.peer.get()) {
            (Decoded::Frame(Frame { message: Message::Datagram(datagram), body: Some(body) }), Some(peer)) => {
                self.shared.carried.fetch_add(1, Ordering::Relaxed);
                let back = self.around.forwarder.pass_on(peer, self.shared.is_encrypted, datagram, body);
                back.map(|(datagram, body)| {
                    Decoded::Frame(Frame { message: Message::Datagram(datagram), body: Some(body) })
                })
            }
            (decoded, _) => Some(decoded),
        }
    }

    /// Reads at least a byte, or says why none comes.
    async fn read_more(&mut self) -> Result<usize, Ending> {
        let read = if self.decoder.is_partial(&self.input) {
            let now = self.around.clock.mono();
            let deadline = self.pace.get_or_insert_with(|| Pace::begin(now)).deadline();
            // In a box: most of the time nothing is partial, and the link should not hold room for it.
            let clock = self.around.clock;
            match Box::pin(timeout_at(clock.instant(deadline), self.fill())).await {
                Ok(read) => read,
                Err(_) => return Err(Ending::Fault(too_slow())),
            }
        } else {
            self.fill().await
        };
        match read {
            Ok(0) => Err(Ending::Lost(Code::ConnectionLost, "closed by the other side".to_owned())),
            Ok(bytes) => {
                if let Some(pace) = &mut self.pace {
                    pace.progress(bytes, self.around.clock.mono());
                }
                Ok(bytes)
            }
            Err(error) => {
                let failure = tls::failure(&error);
                Err(Ending::Lost(failure.code, failure.detail))
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let limit = if self.accepted { READ_AT_ONCE } else { READ_BEFORE_HELLO };
        let Self { half, input, decoder, .. } = self;
        let missing = decoder.missing(input);
        if self.accepted && missing > 0 {
            // The rest of a body goes straight to its place, in memory of its own.
            set_apart(input, missing);
            return half.read_buf(&mut (&mut *input).limit(missing)).await;
        }
        poll_fn(|context| poll_fill(half, limit, context, |bytes| input.extend_from_slice(bytes))).await
    }

    /// Takes what still comes off the stream, so that closing it does not become a reset that swallows our reason.
    async fn discard(&mut self) {
        self.input = BytesMut::new();
        let half = &mut self.half;
        let mut left = LINGER_BYTES;
        while left > 0 {
            match poll_fn(|context| poll_fill(half, READ_AT_ONCE, context, |_| {})).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => left = left.saturating_sub(bytes),
            }
        }
    }
}

/// Has room for a body of which so many bytes are missing, and for nothing else.
fn set_apart(input: &mut BytesMut, missing: usize) {
    if input.capacity() - input.len() < missing {
        let mut apart = BytesMut::with_capacity(input.len() + missing);
        apart.extend_from_slice(input);
        *input = apart;
    }
}

/// Reads at most `limit` bytes into the scratch buffer and hands them on.
fn poll_fill(
    half: &mut ReadHalf<Box<dyn Stream>>,
    limit: usize,
    context: &mut Context<'_>,
    mut take: impl FnMut(&[u8]),
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch.get_mut(..limit).unwrap_or_default());
        ready!(Pin::new(half).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
}

fn too_slow() -> Fault {
    Fault::new(Code::FrameTimeout, format!("a frame stood still for {} s or came too slowly", FRAME_GRACE.as_secs()))
}
