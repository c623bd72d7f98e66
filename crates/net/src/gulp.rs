//! Reads a socket in large pieces for readers that ask for small ones: TLS asks for 4 KiB at a time, which costs a call
//! of the system each.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::READ_AT_ONCE;

thread_local! {
    /// The buffer of whoever reads next, so that a socket with nothing to read needs none of its own.
    static SPARE: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
}

/// A socket with the rest of what was read last.
pub(crate) struct Gulp<S> {
    inner: S,
    rest: Option<Rest>,
}

/// A buffer of which a part was not taken yet.
struct Rest {
    buffer: Box<[u8]>,
    taken: usize,
    len: usize,
}

impl Rest {
    /// Hands out as much as there is room for. Says whether anything is left.
    fn give(&mut self, to: &mut ReadBuf<'_>) -> bool {
        let bytes = to.remaining().min(self.len - self.taken);
        to.put_slice(self.buffer.get(self.taken..self.taken + bytes).unwrap_or_default());
        self.taken += bytes;
        self.taken < self.len
    }

    /// Leaves the buffer to whoever reads next.
    fn give_up(self) {
        SPARE.set(Some(self.buffer));
    }
}

/// Lends the buffer of whoever reads next.
pub(crate) fn with_spare<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SPARE.take().unwrap_or_else(|| vec![0; READ_AT_ONCE].into_boxed_slice());
    let done = read(&mut buffer);
    SPARE.set(Some(buffer));
    done
}

impl<S> Gulp<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, rest: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gulp<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut rest = match this.rest.take() {
            Some(rest) => rest,
            None => ready!(poll_gulp(&mut this.inner, context))?,
        };
        if rest.give(buffer) {
            this.rest = Some(rest);
        } else {
            rest.give_up();
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads as much as there is, up to a whole buffer.
fn poll_gulp(inner: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<io::Result<Rest>> {
    let mut buffer = SPARE.take().unwrap_or_else(|| vec![0; READ_AT_ONCE].into_boxed_slice());
    let mut large = ReadBuf::new(&mut buffer);
    let read = Pin::new(inner).poll_read(context, &mut large);
    let len = large.filled().len();
    let rest = Rest { buffer, taken: 0, len };
    match read {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(rest)),
        Poll::Ready(Err(error)) => {
            rest.give_up();
            Poll::Ready(Err(error))
        }
        Poll::Pending => {
            rest.give_up();
            Poll::Pending
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gulp<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn small_reads_get_every_byte_in_order() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let sent: Vec<u8> = (0..200_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let (mut gulp, mut got, mut piece) = (Gulp::new(near), vec![], [0; 1_000]);
        while let bytes @ 1.. = gulp.read(&mut piece).await.unwrap() {
            got.extend_from_slice(&piece[..bytes]);
            assert!(gulp.rest.as_ref().is_none_or(|rest| rest.taken < rest.len && rest.len <= READ_AT_ONCE));
        }
        assert!(got == sent && gulp.rest.is_none(), "nothing is held when all was taken");
    }
}
