//! A frame that goes to many links is written once an encoding.

use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::{Encoding, Frame, frame};

/// The last frame in the encodings it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    last: Option<Encoded>,
}

#[derive(Debug)]
struct Encoded {
    /// Held, so that its address stays taken and means this frame.
    frame: Arc<Frame>,
    json: Option<Bytes>,
    bson: Option<Bytes>,
}

impl Encoder {
    /// The bytes of a frame; `None`, with a line in the log, if our own core made one that breaks a limit.
    pub(crate) fn encode(&mut self, frame: &Arc<Frame>, encoding: Encoding) -> Option<Bytes> {
        if self.last.as_ref().is_none_or(|last| !Arc::ptr_eq(&last.frame, frame)) {
            self.last = None;
        }
        let last = self.last.get_or_insert_with(|| Encoded { frame: Arc::clone(frame), json: None, bson: None });
        let slot = match encoding {
            Encoding::Json | Encoding::Other => &mut last.json,
            Encoding::Bson => &mut last.bson,
        };
        if slot.is_none() {
            match frame::encode(frame, encoding) {
                Ok(bytes) => *slot = Some(bytes),
                Err(error) => tracing::error!(message = frame.message.kind(), "frame not sent: {error}"),
            }
        }
        slot.clone()
    }

    /// Lets go of the last frame.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }
}
