//! How much memory a tunnel may use, whatever the other side does.

use crate::limits::{CAREFUL_PIECE, FIRST_STREAM_WINDOW, MAX_STREAMS};

/// Bounds of one tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of one stream that may wait to be read.
    pub stream_window: u64,
    /// Bytes of all streams together that may wait to be read.
    pub tunnel_window: u64,
    /// Bytes of one stream that may wait to be sent or acknowledged.
    pub send_buffer: u64,
    /// Bytes of all streams together that may wait to be sent or acknowledged.
    pub send_buffers: u64,
}

impl Config {
    /// Bounds for a tunnel that takes about so many bytes in all.
    #[must_use]
    pub fn for_memory(bytes: u64) -> Self {
        let bytes = bytes.max(4 * FIRST_STREAM_WINDOW);
        Self { stream_window: bytes / 4, tunnel_window: bytes / 2, send_buffer: bytes / 4, send_buffers: bytes / 2 }
    }

    /// What either side may send of one stream before it hears anything: the same for all, so that nothing has to be
    /// said.
    pub(crate) fn first_stream_credit(self) -> u64 {
        FIRST_STREAM_WINDOW
    }

    /// What one stream may have of the last quarter of `all`, which the streams share.
    pub(crate) fn careful_piece(all: u64) -> u64 {
        CAREFUL_PIECE.min(all / 8 / u64::from(MAX_STREAMS)).max(1)
    }

    /// What either side may send of all streams before it hears anything.
    pub(crate) fn first_tunnel_credit(self) -> u64 {
        2 * FIRST_STREAM_WINDOW
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::for_memory(32 * 1024 * 1024)
    }
}
