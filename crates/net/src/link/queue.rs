//! What waits to be written on one link: control frames in their order, and behind them datagrams, flow by flow.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::Notify;

use super::fair::{Dropped, Fair, FlowKey, Waiting};
use crate::limits::{BULK_LOW, FRAMES_AT_ONCE, MAX_BULK_BYTES, MAX_QUEUED_BYTES, MAX_QUEUED_FRAMES, WRITE_AT_ONCE};

/// Room for list entries that an idle queue keeps.
const IDLE_CAPACITY: usize = 8;

/// Slices that a datagram takes in a write: its line and its body.
const SLICES: usize = 2;

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
    datagrams: Fair,
    /// Frames that may wait: behind all others, in turn with datagrams.
    bulk: VecDeque<Bytes>,
    bulk_bytes: usize,
    /// Bulk was queued since the queue last told that there is little left.
    bulk_pushed: bool,
    /// The next write begins with bulk.
    bulk_turn: bool,
    /// Datagrams are not taken any more.
    diverted: bool,
    closed: bool,
    /// Bytes written at once.
    at_once: AtOnce,
}

/// Bytes written at once: as many as ever, until something is known of the link.
#[derive(Clone, Copy, Debug)]
struct AtOnce(usize);

impl Default for AtOnce {
    fn default() -> Self {
        Self(WRITE_AT_ONCE)
    }
}

/// What became of a datagram.
#[derive(Debug, PartialEq)]
pub(crate) enum Pushed {
    /// It waits, unless it was dropped.
    Done(Option<Dropped>),
    /// The link takes no more: it has to go another way.
    Closed(Waiting),
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
    /// One of several whose datagrams share a room.
    pub(super) fn sharing(in_all: Arc<AtomicUsize>) -> Self {
        let state = State { datagrams: Fair::sharing(in_all), ..State::default() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

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
        let was_empty = state.is_empty();
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        true
    }

    /// Adds a frame that may wait; `false` if there is no room.
    pub(super) fn push_bulk(&self, frame: Bytes) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return true;
        }
        if state.bulk_bytes + frame.len() > MAX_BULK_BYTES || state.bulk.len() >= MAX_QUEUED_FRAMES {
            return false;
        }
        let was_empty = state.is_empty();
        state.bulk_bytes += frame.len();
        state.bulk_pushed = true;
        state.bulk.push_back(frame);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        true
    }

    /// Whether there is little bulk left; told once for each time some was queued.
    pub(super) fn take_drained(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_drained = state.bulk_bytes <= BULK_LOW;
        is_drained && std::mem::take(&mut state.bulk_pushed)
    }

    /// Adds a datagram behind those of its flow.
    pub(super) fn push_datagram(&self, waiting: Waiting) -> Pushed {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed || state.diverted {
            return Pushed::Closed(waiting);
        }
        let was_empty = state.is_empty();
        let dropped = state.datagrams.push(waiting);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        Pushed::Done(dropped)
    }

    /// Whether a flow has enough waiting; if so, `filler` is woken when it has room.
    pub(super) fn is_enough(&self, key: &FlowKey, filler: impl FnOnce() -> Waker) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).datagrams.is_enough(key, filler)
    }

    /// Takes no more datagrams and hands out those that wait.
    pub(super) fn divert(&self) -> Vec<Waiting> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.diverted = true;
        state.datagrams.drain()
    }

    /// Datagrams that wait, and their bytes.
    pub(super) fn depth(&self) -> (usize, usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).datagrams.depth()
    }

    /// A write takes so many bytes from now on.
    pub(super) fn write_at_once(&self, bytes: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).at_once = AtOnce(bytes);
    }

    /// Takes no more frames; the writer ends when those in it are written.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    /// Takes at least one frame, and as many as make one write.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_empty() {
            state.frames.shrink_to(IDLE_CAPACITY);
            return if state.closed { Taken::Closed } else { Taken::Nothing };
        }
        let (mut batch, mut bytes) = state.take_frames();
        let bulk_first = state.bulk_turn && state.frames.is_empty();
        if bulk_first {
            bytes += state.take_bulk(&mut batch);
        }
        state.take_datagrams(&mut batch, bytes);
        if batch.is_empty() {
            state.take_bulk(&mut batch);
        }
        state.bulk_turn = !bulk_first;
        Taken::Frames(batch)
    }

    /// Waits until it is worth looking again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.datagrams.is_empty() && self.bulk.is_empty()
    }

    fn take_frames(&mut self) -> (VecDeque<Bytes>, usize) {
        let mut bytes = 0;
        let fitting = self.frames.iter().take(FRAMES_AT_ONCE).take_while(|frame| {
            let first = bytes == 0;
            bytes += frame.len();
            first || bytes <= self.at_once.0
        });
        let fitting = fitting.count();
        let batch: VecDeque<Bytes> = self.frames.drain(..fitting).collect();
        let taken = batch.iter().map(Bytes::len).sum::<usize>();
        self.bytes -= taken;
        (batch, taken)
    }

    /// One frame of bulk: what comes meanwhile goes before the next.
    fn take_bulk(&mut self, batch: &mut VecDeque<Bytes>) -> usize {
        let Some(frame) = self.bulk.pop_front() else { return 0 };
        let length = frame.len();
        self.bulk_bytes -= length;
        batch.push_back(frame);
        length
    }

    /// Fills up with datagrams what is left of a write. No more: what waits here is in order of its turns, what waits
    /// below is not.
    fn take_datagrams(&mut self, batch: &mut VecDeque<Bytes>, mut bytes: usize) {
        while batch.len() + SLICES <= FRAMES_AT_ONCE && self.frames.is_empty() {
            let room = if batch.is_empty() { usize::MAX } else { self.at_once.0.saturating_sub(bytes) };
            let Some(next) = self.datagrams.pop(room) else { return };
            bytes += next.len();
            batch.extend([next.head, next.body]);
        }
    }
}
