//! How much of what a link sends may lie below its queue: unsent in the system, or in one write. Nobody schedules it
//! there, so small traffic waits for all of it.
//!
//! On a link whose goodput is known it is what goes in [`UNSENT_TIME`]. Where the system ran dry while the queue had
//! more, the writer came too late, and the goodput says nothing of the line: then it is twice as much.

use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::SockRef;

use crate::limits::{MAX_UNSENT, MIN_UNSENT, UNSENT_TIME, WRITE_AT_ONCE};

/// The allowance of one link.
#[derive(Debug)]
pub(super) struct Slack {
    bytes: u32,
    /// The socket, where it can be told.
    socket: Option<OwnedFd>,
}

impl Slack {
    pub(super) fn new(socket: Option<OwnedFd>) -> Self {
        Self { bytes: MAX_UNSENT, socket }
    }

    /// Takes in what a look found. Returns what a write may hold from now on, if that has changed.
    pub(super) fn look(&mut self, goodput_bps: Option<u64>, ran_dry: bool) -> Option<usize> {
        let bytes = allowed(self.bytes, goodput_bps, ran_dry);
        if bytes == self.bytes {
            return None;
        }
        self.bytes = bytes;
        if let Some(socket) = &self.socket {
            // Not every system can; the queue then lies deeper there.
            let _ = SockRef::from(socket).set_tcp_notsent_lowat(bytes);
        }
        Some(usize::try_from(bytes).unwrap_or(WRITE_AT_ONCE).min(WRITE_AT_ONCE))
    }
}

/// What is allowed after a look, if so much was before it.
fn allowed(before: u32, goodput_bps: Option<u64>, ran_dry: bool) -> u32 {
    if ran_dry {
        return before.saturating_mul(2).min(MAX_UNSENT);
    }
    goodput_bps.map_or(before, |bps| bytes_in(UNSENT_TIME, bps).clamp(MIN_UNSENT, MAX_UNSENT))
}

fn bytes_in(time: Duration, bps: u64) -> u32 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    u32::try_from(bps.saturating_mul(micros) / 8_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_goes_in_its_time_between_the_bounds() {
        let after = |bps| allowed(MAX_UNSENT, Some(bps), false);
        let in_time = |bytes: u32| u64::from(bytes) * 8_000_000 / u64::try_from(UNSENT_TIME.as_micros()).unwrap();
        assert_eq!(after(160_000_000), 30_000);
        assert_eq!((after(1_000_000), after(u64::MAX)), (MIN_UNSENT, MAX_UNSENT));
        assert_eq!((after(in_time(MIN_UNSENT) - 100), after(in_time(MAX_UNSENT) + 100)), (MIN_UNSENT, MAX_UNSENT));
    }

    #[test]
    fn a_link_of_unknown_goodput_keeps_what_it_has_and_one_that_ran_dry_gets_twice_as_much() {
        assert_eq!(allowed(MIN_UNSENT, None, false), MIN_UNSENT);
        assert_eq!(allowed(MIN_UNSENT, Some(1_000_000), true), 2 * MIN_UNSENT);
        assert_eq!(allowed(MAX_UNSENT, Some(1_000_000), true), MAX_UNSENT);
    }

    #[test]
    fn changes_alone_are_told_and_a_write_holds_no_more_than_ever() {
        let mut slack = Slack::new(None);
        assert_eq!(slack.look(None, false), None);
        assert_eq!(slack.look(Some(1_000_000), false), Some(usize::try_from(MIN_UNSENT).unwrap()));
        assert_eq!(slack.look(Some(1_000_000), false), None);
        assert_eq!(slack.look(Some(u64::MAX), false), Some(WRITE_AT_ONCE));
    }
}
