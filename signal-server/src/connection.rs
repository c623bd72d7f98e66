//! A client's connection: how many there may be, and what happens to clients that do not read or do not stop writing.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::address::account_of;
use crate::settings::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, WRITE_TIMEOUT};

/// After the answer, how long the rest of what the client sends is taken and thrown away. Closing at once would reset
/// the connection, and the client might never read why it was refused.
const LINGER: Duration = Duration::from_secs(1);

/// How much of the rest is taken.
const MAX_LINGER: usize = 256 * 1024;

/// Who is connected how often.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_account: HashMap<IpAddr, usize>,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    Total,
    Address,
}

impl NoSlot {
    /// Its name in answers and counters.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Total => "too_many_connections",
            Self::Address => "too_many_connections_per_address",
        }
    }
}

impl Slots {
    /// Takes a slot for a connection from `address`, until the slot is dropped.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Slot, NoSlot> {
        let account = account_of(address);
        let mut open = self.lock();
        if open.total >= MAX_CONNECTIONS {
            return Err(NoSlot::Total);
        }
        if let Some(account) = account {
            let count = open.by_account.entry(account).or_default();
            if *count >= MAX_CONNECTIONS_PER_ADDRESS {
                return Err(NoSlot::Address);
            }
            *count += 1;
        }
        open.total += 1;
        Ok(Slot { slots: Arc::clone(self), account })
    }

    pub(crate) fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    account: Option<IpAddr>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.total = open.total.saturating_sub(1);
        let Some(account) = self.account else { return };
        if let Some(count) = open.by_account.get_mut(&account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_account.remove(&account);
            }
        }
    }
}

/// A stream that gives up on a client that does not read, and closes without a reset.
#[derive(Debug)]
pub(crate) struct ClientStream {
    stream: TcpStream,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl ClientStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None, linger: None }
    }

    /// Passes on the outcome of a write, unless it has been pending for too long.
    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, SLOW_READER)))
    }
}

/// The reason of the error when a client does not read.
const SLOW_READER: &str = "slow_reader";

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let until = Box::pin(tokio::time::sleep_until(Instant::now() + LINGER));
            self.linger = Some(Linger { until, left: MAX_LINGER });
        }
        let Self { stream, linger: Some(linger), .. } = &mut *self else { return Poll::Ready(Ok(())) };
        let mut waste = [0; 4_096];
        while linger.left > 0 && linger.until.as_mut().poll(context).is_pending() {
            let mut waste = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut *stream).poll_read(context, &mut waste)) {
                Ok(()) if !waste.filled().is_empty() => linger.left = linger.left.saturating_sub(waste.filled().len()),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
