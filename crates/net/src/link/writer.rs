//! The writing half of a link.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use meshline_protocol::Code;
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::queue::Taken;
use super::{Shared, tell};
use crate::connection::Stream;
use crate::driver::Notice;
use crate::limits::{FRAMES_AT_ONCE, WRITE_STALL_LIMIT};
use crate::tls;

pub(super) struct Writer {
    half: WriteHalf<Box<dyn Stream>>,
    shared: Arc<Shared>,
    notices: mpsc::Sender<Notice>,
}

impl Writer {
    pub(super) fn new(half: WriteHalf<Box<dyn Stream>>, shared: Arc<Shared>, notices: mpsc::Sender<Notice>) -> Self {
        Self { half, shared, notices }
    }

    /// Writes until the link is closed or the connection fails.
    pub(super) async fn run(&mut self) {
        let Err((code, detail)) = self.write_frames().await else {
            // The end of TLS and of the stream; if it cannot be said any more, the other side notices anyway.
            let _ = self.half.shutdown().await;
            return;
        };
        if let Some(room) = tell(&self.notices, Notice::Ended { link: self.shared.id, code, detail }) {
            room.await;
        }
    }

    async fn write_frames(&mut self) -> Result<(), (Code, String)> {
        loop {
            match self.shared.queue.take() {
                Taken::Frames(batch) => {
                    self.write_batch(batch).await?;
                    if self.shared.queue.take_drained()
                        && let Some(room) = tell(&self.notices, Notice::Drained { link: self.shared.id })
                    {
                        room.await;
                    }
                }
                Taken::Nothing => {
                    progress(|context| Pin::new(&mut self.half).poll_flush(context)).await?;
                    self.shared.queue.changed().await;
                }
                Taken::Closed => return Ok(()),
            }
        }
    }

    async fn write_batch(&mut self, mut batch: VecDeque<Bytes>) -> Result<(), (Code, String)> {
        while !batch.is_empty() {
            let written = progress(|context| poll_write(&mut self.half, &batch, context)).await?;
            self.shared.note_sent(written);
            advance(&mut batch, written);
        }
        Ok(())
    }
}

/// Awaits a step that must not take longer than [`WRITE_STALL_LIMIT`].
async fn progress<T>(mut step: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>) -> Result<T, (Code, String)> {
    let at_once = poll_fn(|context| Poll::Ready(step(context))).await;
    let done = match at_once {
        Poll::Ready(done) => done,
        // In a box: most steps are done at once, and an idle link should not hold room for a timer.
        Poll::Pending => Box::pin(timeout(WRITE_STALL_LIMIT, poll_fn(step)))
            .await
            .map_err(|_| (Code::SlowReader, format!("nothing was taken for {} s", WRITE_STALL_LIMIT.as_secs())))?,
    };
    done.map_err(|error| {
        let failure = tls::failure(&error);
        (failure.code, failure.detail)
    })
}

fn poll_write(
    half: &mut WriteHalf<Box<dyn Stream>>,
    batch: &VecDeque<Bytes>,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); FRAMES_AT_ONCE];
    for (slice, frame) in slices.iter_mut().zip(batch) {
        *slice = IoSlice::new(frame);
    }
    let filled = slices.get(..batch.len().min(FRAMES_AT_ONCE)).unwrap_or_default();
    match Pin::new(half).poll_write_vectored(context, filled) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other @ (Poll::Ready(_) | Poll::Pending) => other,
    }
}

fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = batch.front_mut() {
        if written < front.len() {
            front.advance(written);
            return;
        }
        written -= front.len();
        batch.pop_front();
    }
}
