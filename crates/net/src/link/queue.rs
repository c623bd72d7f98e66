//! What waits to be written on one link.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::limits::{FRAMES_AT_ONCE, MAX_QUEUED_BYTES, MAX_QUEUED_FRAMES, WRITE_AT_ONCE};

/// Room for list entries that an idle queue keeps.
const IDLE_CAPACITY: usize = 8;

/// A bounded queue of encoded frames: the driver pushes and never waits, the writer waits and takes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    closed: bool,
}

/// What the writer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Frames to write together.
    Frames(VecDeque<Bytes>),
    /// Nothing at the moment.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl Queue {
    /// Adds a frame; `false` if there is no room. A frame without a body that finds none shows that the peer does not
    /// read; frames with bodies leave a quarter of the room to them.
    pub(super) fn push(&self, frame: Bytes, has_body: bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return true;
        }
        let (bytes, frames) = if has_body {
            (MAX_QUEUED_BYTES / 4 * 3, MAX_QUEUED_FRAMES / 4 * 3)
        } else {
            (MAX_QUEUED_BYTES, MAX_QUEUED_FRAMES)
        };
        if state.bytes + frame.len() > bytes || state.frames.len() >= frames {
            return false;
        }
        let was_empty = state.frames.is_empty();
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        true
    }

    /// Takes no more frames; the writer ends when those in it are written.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    /// Takes at least one frame, and as many as make one write.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.frames.is_empty() {
            state.frames.shrink_to(IDLE_CAPACITY);
            return if state.closed { Taken::Closed } else { Taken::Nothing };
        }
        let mut bytes = 0;
        let fitting = state.frames.iter().take(FRAMES_AT_ONCE).take_while(|frame| {
            let first = bytes == 0;
            bytes += frame.len();
            first || bytes <= WRITE_AT_ONCE
        });
        let fitting = fitting.count();
        let batch: VecDeque<Bytes> = state.frames.drain(..fitting).collect();
        state.bytes -= batch.iter().map(Bytes::len).sum::<usize>();
        Taken::Frames(batch)
    }

    /// Waits until it is worth looking again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
