//! The one stream of a connection as something that carries bytes both ways.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::{RecvStream, SendStream, VarInt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Gauge;

/// What a connection is closed with when its link ends.
const ENDED: VarInt = VarInt::from_u32(0);

type Delivered = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends its connection when it is dropped.
pub(super) struct QuicStream {
    send: SendStream,
    recv: RecvStream,
    gauge: Arc<Gauge>,
    /// The end was said; done when the other side has all.
    ending: Option<Delivered>,
}

impl QuicStream {
    pub(super) fn new((send, recv): (SendStream, RecvStream), gauge: Arc<Gauge>) -> Self {
        Self { send, recv, gauge, ending: None }
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        self.gauge.connection.close(ENDED, b"");
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(AsyncRead::poll_read(Pin::new(&mut this.recv), context, buffer))?;
        this.gauge.note_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// As much of all slices as there is room for.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.gauge.make_room();
        let mut written = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            match Pin::new(&mut this.send).poll_write(context, slice) {
                Poll::Ready(Ok(bytes)) => {
                    written += bytes;
                    if bytes < slice.len() {
                        break;
                    }
                }
                Poll::Ready(Err(error)) if written == 0 => return Poll::Ready(Err(error.into())),
                Poll::Pending if written == 0 => {
                    this.gauge.note_full();
                    return Poll::Pending;
                }
                // What is wrong shows again next time.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        this.gauge.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Done when all has arrived: the end of the connection, which follows, would overtake it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ending = this.ending.get_or_insert_with(|| {
            // It was said before, or the other side wants nothing any more.
            let _ = this.send.finish();
            let stopped = this.send.stopped();
            Box::pin(async move { drop(stopped.await) })
        });
        ready!(ending.as_mut().poll(context));
        Poll::Ready(Ok(()))
    }
}
