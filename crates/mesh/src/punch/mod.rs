//! Holes through address translation: attempts agreed on by both sides, made at the same instant of network time.

use crate::input::SocketId;

/// The attempts.
#[derive(Debug, Default)]
pub(crate) struct Punch {}

impl Punch {
    /// A socket could not be opened, or broke.
    pub(crate) fn socket_failed(&mut self, _: SocketId, _: &str) {}
}
