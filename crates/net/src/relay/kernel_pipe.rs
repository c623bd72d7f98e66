//! Pipes of the system through which bytes go from socket to socket without being copied to this process. A pipe is
//! taken when there is much to move and given back when it is empty: pairs that rest hold none.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::limits::{RELAY_PIPES_SPARE, RELAY_TURN};

thread_local! {
    /// Empty ones, for whoever needs one next: one thread carries all pairs of a proxy.
    static SPARE: RefCell<Vec<KernelPipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe of the system, with what is in it.
#[derive(Debug)]
pub(super) struct KernelPipe {
    out: OwnedFd,
    into: OwnedFd,
    held: usize,
}

impl KernelPipe {
    /// An empty one; `None` where the system has no more to give.
    pub(super) fn take() -> Option<Self> {
        SPARE.with_borrow_mut(Vec::pop).or_else(|| {
            let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // A smaller one, where the system says so, only takes more turns.
            let _ = fcntl_setpipe_size(&into, RELAY_TURN);
            Some(Self { out, into, held: 0 })
        })
    }

    /// Leaves an empty one to the next.
    pub(super) fn give_back(self) {
        if self.held == 0 {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < RELAY_PIPES_SPARE {
                    spare.push(self);
                }
            });
        }
    }

    /// Bytes in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes up to `most` bytes from a socket; 0 is its end.
    pub(super) fn fill(&mut self, from: &TcpStream, most: usize) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = from.try_io(Interest::READABLE, || Ok(splice(from, None, &self.into, None, most, flags)?))?;
        self.held += count;
        Ok(count)
    }

    /// Gives what it holds to a socket, as far as that takes it.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = to.try_io(Interest::WRITABLE, || Ok(splice(&self.out, None, to, None, self.held, flags)?))?;
        self.held = self.held.saturating_sub(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{KernelPipe, RELAY_PIPES_SPARE, SPARE};

    fn spare() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn so_many_empty_pipes_are_kept_and_the_next_one_is_closed() {
        let taken: Vec<KernelPipe> = (0..=RELAY_PIPES_SPARE).map(|_| KernelPipe::take().unwrap()).collect();
        for (nth, pipe) in taken.into_iter().enumerate() {
            pipe.give_back();
            assert_eq!(spare(), (nth + 1).min(RELAY_PIPES_SPARE));
        }
        let again = KernelPipe::take().unwrap();
        assert_eq!(spare(), RELAY_PIPES_SPARE - 1, "one of them is used again");
        KernelPipe { held: 1, ..again }.give_back();
        assert_eq!(spare(), RELAY_PIPES_SPARE - 1, "one that is not empty is not");
    }
}
