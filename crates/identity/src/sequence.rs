//! Sequences of signed records.

use meshline_protocol::UnixMicros;

/// The sequence of one author and type: the clock's microseconds, but always above the last one, so that it
/// grows over restarts even if the clock went back. The last value is kept on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence(UnixMicros);

impl Sequence {
    /// Goes on behind `last`, the value kept on disk.
    #[must_use]
    pub fn after(last: UnixMicros) -> Self {
        Self(last)
    }

    /// The next value at `now`.
    pub fn next(&mut self, now: UnixMicros) -> UnixMicros {
        self.0 = now.max(self.0.offset(1));
        self.0
    }

    /// The last value given out.
    #[must_use]
    pub fn last(&self) -> UnixMicros {
        self.0
    }
}
