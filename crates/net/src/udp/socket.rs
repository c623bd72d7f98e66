//! All sockets as the one that QUIC knows. To QUIC every address is a v6 one: there is one family only.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use meshline_mesh::SocketId;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::bound::{Bound, canonical, mapped};
use super::{Hub, split};
use crate::companion::is_sealed;

/// Reads of one socket before it is another's turn, when all that comes is not QUIC's.
const READS_IN_A_ROW: usize = 16;

/// Buffers filled in one read: each may hold as much as the system gathers of one sender, and stays in memory once it was
/// used.
const BUFFERS: usize = 4;

/// What QUIC sends first, and what tells a handshake from packets of a connection: a long header of type 0.
const INITIAL_MASK: u8 = 0xf0;
const INITIAL: u8 = 0xc0;

/// The first of QUIC, read before there was an endpoint.
#[derive(Debug, Default)]
pub(super) struct Stash(Mutex<Option<(RecvMeta, Vec<u8>)>>);

impl Stash {
    fn put(&self, meta: RecvMeta, bytes: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((meta, bytes.to_vec()));
    }

    fn take(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Option<usize> {
        let (meta, bytes) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (buffer, to) = (buffers.first_mut()?, metas.first_mut()?);
        let length = bytes.len().min(buffer.len());
        buffer.get_mut(..length)?.copy_from_slice(bytes.get(..length)?);
        *to = RecvMeta { len: length, ..meta };
        Some(1)
    }
}

impl Hub {
    /// Reads until something of QUIC comes; everything else is taken out.
    fn poll_quic(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if let Some(count) = self.stash.take(buffers, metas) {
            return Poll::Ready(Ok(count));
        }
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        let few = buffers.len().min(metas.len()).min(BUFFERS);
        let (Some(buffers), Some(metas)) = (buffers.get_mut(..few), metas.get_mut(..few)) else {
            return Poll::Pending;
        };
        for socket in self.sockets.load().iter() {
            for read in 0..READS_IN_A_ROW {
                match socket.poll_recv(context, buffers, metas) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => {
                        tracing::debug!("a UDP socket failed to read: {error}");
                        break;
                    }
                    Poll::Ready(Ok(count)) if self.sift(socket, buffers, metas, count) => {
                        return Poll::Ready(Ok(count));
                    }
                    Poll::Ready(Ok(_)) if read + 1 == READS_IN_A_ROW => context.waker().wake_by_ref(),
                    Poll::Ready(Ok(_)) => {}
                }
            }
        }
        Poll::Pending
    }

    /// Takes out what is not QUIC's; says whether anything is left.
    fn sift(&self, socket: &Arc<Bound>, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta], count: usize) -> bool {
        let mut is_any = false;
        for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()).take(count) {
            let from = canonical(meta.addr);
            split::take_others(buffer, meta, |kind, bytes| {
                if is_sealed(bytes) {
                    self.companions.receive(from, bytes);
                } else {
                    self.intake.take(socket.id, from, (kind, bytes));
                }
            });
            meta.addr = mapped(from);
            is_any |= meta.len > 0;
            let is_initial = buffer.first().is_some_and(|first| first & INITIAL_MASK == INITIAL);
            if socket.id != SocketId::MAIN && meta.len > 0 && is_initial {
                self.routes().note(from, socket);
            }
        }
        is_any
    }

    /// Reads until something of QUIC comes, which is kept for the endpoint, or until `is_over`.
    pub(crate) async fn read_without_quic(&self, is_over: impl Fn() -> bool) {
        std::future::poll_fn(|context| {
            if is_over() {
                return Poll::Ready(());
            }
            crate::gulp::with_spare(|spare| {
                let (mut metas, mut buffers) = ([RecvMeta::default()], [IoSliceMut::new(spare)]);
                // It cannot fail: what a socket says is passed over.
                let _ = ready!(self.poll_quic(context, &mut buffers, &mut metas));
                let ([meta], [buffer]) = (metas, buffers);
                self.stash.put(meta, buffer.get(..meta.len).unwrap_or_default());
                Poll::Ready(())
            })
        })
        .await;
    }

    /// Whoever reads without QUIC looks whether that is over.
    pub(crate) fn hand_over(&self) {
        self.wake_reader();
    }
}

impl AsyncUdpSocket for Hub {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { hub: self, waiting: Mutex::default() })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        // To an address that no socket reaches, it is lost on the way.
        let Some(socket) = self.socket_for(canonical(transmit.destination)) else { return Ok(()) };
        let sent = socket.transmit(transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            *self.full.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.poll_quic(context, buffers, metas)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let port = self.sockets.load().first().map_or(0, |socket| socket.local.port());
        Ok((Ipv6Addr::UNSPECIFIED, port).into())
    }

    fn max_transmit_segments(&self) -> usize {
        self.sockets.load().first().map_or(1, |socket| socket.segments().0)
    }

    fn max_receive_segments(&self) -> usize {
        self.sockets.load().first().map_or(1, |socket| socket.segments().1)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Waits until the socket that was full takes more.
struct Poller {
    hub: Arc<Hub>,
    /// In a lock only because it has to be shared in name.
    waiting: Mutex<Option<Writable>>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Poller")
    }
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_none() {
            let full = self.hub.full.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(socket) = full else { return Poll::Ready(Ok(())) };
            *waiting = Some(Box::pin(async move { socket.writable().await }));
        }
        let Some(writable) = waiting.as_mut() else { return Poll::Ready(Ok(())) };
        let ready = ready!(writable.as_mut().poll(context));
        *waiting = None;
        Poll::Ready(ready)
    }
}
