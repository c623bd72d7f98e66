//! The only place where the time is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meshline_mesh::{Mono, Now};
use meshline_protocol::UnixMicros;
use tokio::time::Instant;

/// Both clocks of this process. Make one at the start and give it to everything: [`Mono`] counts from there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose [`Mono`] is zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time is read")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time by both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time is read")]
    pub fn now(&self) -> Now {
        // A clock set before 1970 reads as 1970: every record is then "not yet", none is wrongly ended.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(), wall: UnixMicros::new(micros(wall)) }
    }

    /// Microseconds since the start, by the clock that never jumps.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time is read")]
    pub fn mono(&self) -> Mono {
        Mono(micros(Instant::now().duration_since(self.started)))
    }

    /// When `at` will be, for timers.
    pub(crate) fn instant(&self, at: Mono) -> Instant {
        self.started + Duration::from_micros(at.0)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
