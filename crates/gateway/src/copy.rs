//! Bytes both ways between something local and a stream of a tunnel.
//!
//! The end of one direction goes on as the end of that direction only. What breaks on one side is a reset on the other,
//! so that nobody takes a broken transfer for a complete one.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::carrier::Stream;
use crate::counters::Place;
use crate::limits::COPY_BUFFER;

/// Code of a reset because the local side broke.
const LOCAL_BROKE: u16 = 1;

/// Something on this host that bytes go to and come from.
pub(crate) trait Local: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the end that follows a reset, where there is such a thing.
    fn abort(&self) {}
}

impl Local for TcpStream {
    fn abort(&self) {
        // Where it fails, the other end reads an ordinary end; there is nothing better to do.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Local for UnixStream {}

/// Another member, by whom a target is reached. Dropped before its end it resets the rest, as a stream does.
pub(crate) struct Onward(pub(crate) Box<dyn Stream>);

impl Local for Onward {}

impl AsyncRead for Onward {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, to)
    }
}

impl AsyncWrite for Onward {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Carries both directions until both have ended, one breaks, or nothing moves for `idle`.
pub(crate) async fn carry(local: Box<dyn Local>, mut stream: Box<dyn Stream>, place: &Place, idle: Duration) {
    let moved = AtomicU64::new(0);
    let mut counted = Counted { local, place, moved: &moved };
    let copying = tokio::io::copy_bidirectional_with_sizes(&mut counted, &mut stream, COPY_BUFFER, COPY_BUFFER);
    let result = tokio::select! {
        result = copying => result.map(|_| ()),
        () = stands_still(&moved, idle) => Err(io::ErrorKind::TimedOut.into()),
    };
    if result.is_err() {
        counted.local.abort();
        stream.reset(LOCAL_BROKE);
    }
}

/// Returns when nothing was counted for at least `idle`.
async fn stands_still(moved: &AtomicU64, idle: Duration) {
    let mut before = None;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(idle).await;
    }
}

/// The local side, with what goes through it counted.
struct Counted<'a> {
    local: Box<dyn Local>,
    place: &'a Place,
    moved: &'a AtomicU64,
}

impl AsyncRead for Counted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.local).poll_read(context, buffer);
        let bytes = buffer.filled().len().saturating_sub(before);
        self.place.counters().sent(bytes);
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.local).poll_write(context, data);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.place.counters().received(bytes);
            self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.local).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.local).poll_shutdown(context)
    }
}
