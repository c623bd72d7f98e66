//! What stands for tunnels: pipes in memory that end and break like streams.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use meshline_gateway::{Carrier, Flow, Refusal, Stream, Task};
use meshline_protocol::{Code, NodeId};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

const BUFFER: usize = 64 * 1024;

type Door = mpsc::Sender<Box<dyn Stream>>;

/// All members that can be reached.
#[derive(Clone, Default)]
pub(crate) struct Pipes(Arc<Mutex<BTreeMap<NodeId, Door>>>, Arc<Mutex<Vec<NodeId>>>);

impl Pipes {
    /// The end of one member.
    pub(crate) fn join(&self, id: NodeId) -> Pipe {
        let (door, streams) = mpsc::channel(64);
        self.0.lock().unwrap().insert(id, door);
        Pipe { id, pipes: self.clone(), streams: tokio::sync::Mutex::new(streams) }
    }

    /// No way leads to it any more.
    pub(crate) fn cut(&self, id: NodeId) {
        self.0.lock().unwrap().remove(&id);
    }

    /// It was started anew: the next stream to it, on a tunnel of before, ends with whatever is said there.
    pub(crate) fn forget(&self, id: NodeId) {
        self.1.lock().unwrap().push(id);
    }

    fn has_forgotten(&self, id: NodeId) -> bool {
        let mut forgotten = self.1.lock().unwrap();
        let at = forgotten.iter().position(|forgotten| *forgotten == id);
        at.map(|at| forgotten.remove(at)).is_some()
    }
}

pub(crate) struct Pipe {
    id: NodeId,
    pipes: Pipes,
    streams: tokio::sync::Mutex<mpsc::Receiver<Box<dyn Stream>>>,
}

impl Carrier for Pipe {
    fn open(&self, to: NodeId) -> Task<'_, Result<Box<dyn Stream>, Refusal>> {
        let door = self.pipes.0.lock().unwrap().get(&to).cloned();
        let (from, is_forgotten) = (self.id, self.pipes.has_forgotten(to));
        Box::pin(async move {
            let none = || Refusal { code: Code::NoRoute, detail: format!("no way leads to {to}") };
            let door = door.ok_or_else(none)?;
            let (ours, theirs) = pair(to, from);
            if !is_forgotten {
                door.send(theirs).await.map_err(|_| none())?;
            }
            Ok(ours)
        })
    }

    fn accept(&self) -> Task<'_, Option<Box<dyn Stream>>> {
        Box::pin(async move { self.streams.lock().await.recv().await })
    }
}

fn pair(to: NodeId, from: NodeId) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let (here, there) = tokio::io::duplex(BUFFER);
    let (send_here, receive_there) = mpsc::channel(64);
    let (send_there, receive_here) = mpsc::channel(64);
    let breaks: [Arc<AtomicBool>; 2] = Default::default();
    let [a, b] = breaks;
    let end = |peer, io, send, receive, broken: &Arc<AtomicBool>, breaks: &Arc<AtomicBool>| PipeStream {
        peer,
        io,
        flow: PipeFlow { send, receive: Arc::new(tokio::sync::Mutex::new(receive)) },
        broken: Arc::clone(broken),
        breaks: Arc::clone(breaks),
        is_ended: false,
    };
    let ours = end(to, here, send_here, receive_here, &a, &b);
    let theirs = end(from, there, send_there, receive_there, &b, &a);
    (Box::new(ours), Box::new(theirs))
}

struct PipeStream {
    peer: NodeId,
    io: DuplexStream,
    flow: PipeFlow,
    /// The other end broke.
    broken: Arc<AtomicBool>,
    /// Set when this end breaks.
    breaks: Arc<AtomicBool>,
    is_ended: bool,
}

impl Drop for PipeStream {
    fn drop(&mut self) {
        if !self.is_ended {
            self.breaks.store(true, Ordering::SeqCst);
        }
    }
}

impl Stream for PipeStream {
    fn peer(&self) -> NodeId {
        self.peer
    }

    fn reset(self: Box<Self>, _: u16) {
        self.breaks.store(true, Ordering::SeqCst);
    }

    fn flow(&self) -> Box<dyn Flow> {
        Box::new(self.flow.clone())
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let is_end = matches!(polled, Poll::Ready(Ok(()))) && buffer.filled().len() == before && buffer.remaining() > 0;
        if is_end && self.broken.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        polled
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_ended = true;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[derive(Clone)]
struct PipeFlow {
    send: mpsc::Sender<Bytes>,
    receive: Arc<tokio::sync::Mutex<mpsc::Receiver<Bytes>>>,
}

impl Flow for PipeFlow {
    fn send(&self, payload: Bytes) -> bool {
        self.send.try_send(payload).is_ok()
    }

    fn recv(&self) -> Task<'_, Option<Bytes>> {
        Box::pin(async move { self.receive.lock().await.recv().await })
    }
}
