//! Reads a socket in large pieces for readers that ask for small ones: TLS asks for 4 KiB at a time, which costs a call
//! of the system each.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::READ_AT_ONCE;

thread_local! {
    /// Bytes land here first, so that a socket with nothing to read needs no buffer of its own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into_boxed_slice());
}

/// A socket with the rest of what was read last.
pub(crate) struct Gulp<S> {
    inner: S,
    rest: Bytes,
}

impl<S> Gulp<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, rest: Bytes::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gulp<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            let bytes = this.rest.len().min(buffer.remaining());
            buffer.put_slice(this.rest.get(..bytes).unwrap_or_default());
            this.rest.advance(bytes);
            if this.rest.is_empty() {
                this.rest = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut large = ReadBuf::new(scratch);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut large))?;
            let filled = large.filled();
            let bytes = filled.len().min(buffer.remaining());
            let (now, later) = filled.split_at(bytes);
            buffer.put_slice(now);
            this.rest = Bytes::copy_from_slice(later);
            Poll::Ready(Ok(()))
        })
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
            assert!(gulp.rest.len() < READ_AT_ONCE);
        }
        assert!(got == sent && gulp.rest.is_empty());
    }
}
