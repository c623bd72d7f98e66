//! Whether this node reaches itself at the address others see: then two behind the same router reach each other there.

use std::net::SocketAddr;
use std::time::Duration;

use super::answers::send;
use super::questions::time_question;
use crate::input::SocketId;
use crate::now::Mono;
use crate::shared::Shared;

/// Datagrams that go there. The address is what others say, so there are never more than three.
const TRIES: u8 = 2;

/// Between them, and after the last.
const PAUSE: Duration = Duration::from_millis(400);

/// One attempt for each address.
#[derive(Debug, Default)]
pub(super) struct Hairpin {
    to: Option<SocketAddr>,
    exchange: u32,
    sent: u8,
    next_at: Option<Mono>,
    result: Option<bool>,
}

impl Hairpin {
    /// Tries an address, unless it was tried.
    pub(super) fn attempt(&mut self, to: SocketAddr, shared: &mut Shared) {
        if self.to != Some(to) && self.next_at.is_none() {
            *self =
                Self { to: Some(to), exchange: shared.random_u32(), next_at: Some(shared.now.mono), ..Self::default() };
        }
    }

    /// A time frame of our own arrived: whether it is this one, for the first time.
    pub(super) fn came_back(&mut self, exchange: u32) -> bool {
        let came = self.sent > 0 && self.exchange == exchange && self.result != Some(true);
        if came {
            (self.result, self.next_at) = (Some(true), None);
        }
        came
    }

    /// Sends what is due; says whether the attempt has ended.
    pub(super) fn handle_timeout(&mut self, shared: &mut Shared) -> bool {
        let (Some(to), Some(at)) = (self.to, self.next_at) else { return false };
        let now = shared.now.mono;
        if at > now {
            return false;
        }
        if self.sent >= TRIES {
            (self.result, self.next_at) = (Some(false), None);
            return true;
        }
        let question = time_question(self.exchange, shared);
        send(shared, (SocketId::MAIN, to), question);
        self.sent += 1;
        self.next_at = Some(now.after(PAUSE));
        false
    }

    /// What came of it.
    pub(super) fn result(&self) -> Option<(SocketAddr, bool)> {
        Some((self.to?, self.result?))
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.next_at
    }
}
