//! A connection that gives a client only so much time to take what it asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a write may make no progress at all. The system takes megabytes before the first write waits; who reads
/// nothing for a minute after that has gone, and keeps a place that others want.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(60);

/// A stream whose writes fail when the other end takes nothing for [`STALL_LIMIT`].
pub(super) struct Patient<S> {
    stream: S,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, stalled: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_LIMIT)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::{Patient, STALL_LIMIT};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_at_the_limit() {
        let (near, _far) = duplex(10);
        let began = Instant::now();
        let error = Patient::new(near).write_all(&[0; 11]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (std::io::ErrorKind::TimedOut, STALL_LIMIT.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_not() {
        let (near, mut far) = duplex(10);
        let writing = async { Patient::new(near).write_all(&[0; 40]).await };
        let reading = async {
            for _ in 0..4 {
                // paused time: it passes at once, and what is tested is how much of it may pass
                sleep(STALL_LIMIT - Duration::from_secs(1)).await; // paced: a reader just quick enough
                far.read_exact(&mut [0; 10]).await.expect("written");
            }
        };
        assert!(tokio::join!(writing, reading).0.is_ok());
    }
}
