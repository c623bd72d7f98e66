//! One pipe: what comes from either end goes to the other, as it is.
//!
//! Little is read and written by way of one buffer that all pairs of a thread share; much goes through a pipe of the
//! system (`splice(2)`). A direction that rests holds nothing. An end is passed on as an end, a break as a break.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::kernel_pipe::KernelPipe;
use super::share::{Both, Share};
use crate::clock::Clock;
use crate::connection::keep_little_unsent;
use crate::limits::{RELAY_BUFFER, RELAY_KEEPALIVE, RELAY_PIPE_KEPT};

thread_local! {
    /// The buffer for little.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; RELAY_BUFFER].into_boxed_slice());
}

/// The two ends and whose they are.
pub(super) struct Pair {
    pub(super) ends: [TcpStream; 2],
    pub(super) shares: [Arc<Share>; 2],
    pub(super) clock: Clock,
}

/// What a read came to.
enum Read {
    End,
    /// Written already, all of it.
    Passed(usize),
    /// Read, and not all of it could be written.
    Rest(usize, Vec<u8>),
}

impl Pair {
    /// Carries both ways until both ends are done, or one breaks: then the other breaks too.
    pub(super) async fn carry(mut self) {
        for end in &self.ends {
            // Small records are someone's keystrokes; and an end that vanished must not hold the pipe for ever.
            let _ = end.set_nodelay(true);
            let _ = SockRef::from(end).set_tcp_keepalive(&TcpKeepalive::new().with_time(RELAY_KEEPALIVE));
            keep_little_unsent(end);
        }
        if self.both_ways().await.is_err() {
            for end in &mut self.ends {
                // Closing then resets: who is cut off must not take it for the end.
                let _ = SockRef::from(&*end).set_linger(Some(Duration::ZERO));
            }
        }
    }

    async fn both_ways(&mut self) -> io::Result<()> {
        let [one, other] = &mut self.ends;
        let ((one_in, one_out), (other_in, other_out)) = (one.split(), other.split());
        let (shares, clock) = (&self.shares, self.clock);
        let mut there = pin!(Direction { from: one_in, to: other_out, both: Both(shares), clock }.carry());
        let mut back = pin!(Direction { from: other_in, to: one_out, both: Both(shares), clock }.carry());
        let (mut there_done, mut back_done) = (false, false);
        poll_fn(|context| {
            if !there_done && let Poll::Ready(result) = there.as_mut().poll(context) {
                result?;
                there_done = true;
            }
            if !back_done && let Poll::Ready(result) = back.as_mut().poll(context) {
                result?;
                back_done = true;
            }
            if there_done && back_done { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

/// One way of a pair.
struct Direction<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    both: Both<'a>,
    clock: Clock,
}

impl Direction<'_> {
    async fn carry(mut self) -> io::Result<()> {
        loop {
            self.pay().await;
            match self.pass_little().await? {
                Read::End => return self.end(),
                Read::Rest(count, rest) => {
                    self.write(&rest).await?;
                    self.charge(count);
                }
                Read::Passed(count) if count < RELAY_BUFFER => self.charge(count),
                Read::Passed(count) => {
                    self.charge(count);
                    if self.pass_much().await? {
                        return self.end();
                    }
                }
            }
        }
    }

    fn end(&self) -> io::Result<()> {
        match SockRef::from(self.to.as_ref()).shutdown(std::net::Shutdown::Write) {
            // It is gone altogether: the other direction will say so, if it matters.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    fn charge(&self, count: usize) {
        self.both.charge(count, self.clock.mono());
    }

    /// Waits until both members may have more.
    async fn pay(&self) {
        let wait = self.both.wait(self.clock.mono());
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Reads what there is, up to a buffer, and writes it at once.
    async fn pass_little(&mut self) -> io::Result<Read> {
        poll_fn(|context| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                // A short read tells tokio that the socket is empty, which spares asking it again.
                ready!(Pin::new(&mut self.from).poll_read(context, &mut buffer))?;
                let filled = buffer.filled();
                let mut written = 0;
                while let Some(rest) = filled.get(written..).filter(|rest| !rest.is_empty()) {
                    match self.to.try_write(rest) {
                        Ok(count) => written += count,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            return Poll::Ready(Ok(Read::Rest(filled.len(), rest.to_vec())));
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Ok(if filled.is_empty() { Read::End } else { Read::Passed(written) }))
            })
        })
        .await
    }

    /// Writes what did not fit.
    async fn write(&self, mut rest: &[u8]) -> io::Result<()> {
        self.both.hold(rest.len());
        let held = Held(&self.both, rest.len());
        while !rest.is_empty() {
            self.to.writable().await?;
            match self.to.try_write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        drop(held);
        Ok(())
    }

    /// Moves by way of the system until there is nothing to move. Says whether it was the end.
    async fn pass_much(&self) -> io::Result<bool> {
        // Without a pipe the buffer serves for much as well.
        let Some(mut pipe) = KernelPipe::take() else { return Ok(false) };
        let mut work = Some(self.both.work());
        let is_end = loop {
            yield_now().await;
            self.pay().await;
            match pipe.fill(self.from.as_ref(), self.both.turn()) {
                Ok(0) => break true,
                Ok(count) => {
                    work.get_or_insert_with(|| self.both.work());
                    self.drain(&mut pipe).await?;
                    self.charge(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    work = None;
                    match timeout(RELAY_PIPE_KEPT, self.from.readable()).await {
                        Ok(ready) => ready?,
                        Err(_) => break false,
                    }
                }
                Err(error) => return Err(error),
            }
        };
        pipe.give_back();
        Ok(is_end)
    }

    async fn drain(&self, pipe: &mut KernelPipe) -> io::Result<()> {
        self.both.hold(pipe.held());
        let held = Held(&self.both, pipe.held());
        while pipe.held() > 0 {
            match pipe.drain(self.to.as_ref()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.to.writable().await?,
                Err(error) => return Err(error),
            }
        }
        drop(held);
        Ok(())
    }
}

/// Bytes that lie here, until it goes.
struct Held<'a>(&'a Both<'a>, usize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release(self.1);
    }
}
