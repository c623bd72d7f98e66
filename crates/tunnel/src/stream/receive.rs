//! The receiving half of a stream.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use meshline_mesh::Mono;

use crate::frame::Violation;
use crate::limits::{FIRST_STREAM_WINDOW, MAX_SEGMENTS};

/// A slice smaller than this part of what it is a slice of is copied, so that it does not keep the rest in memory.
const COPY_BELOW: usize = 4 * 1024;

/// How this half ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After so many bytes.
    At(u64),
    /// The other side gave up, with this code.
    Reset(u16),
}

/// Data between its arrival and its being read.
#[derive(Debug)]
pub(crate) struct ReceiveHalf {
    /// In order, to be read.
    ready: VecDeque<Bytes>,
    ready_len: u64,
    /// Offset behind what is ready.
    next: u64,
    /// What lies further ahead, without overlaps.
    ahead: BTreeMap<u64, Bytes>,
    /// The highest offset that came.
    highest: u64,
    pub(crate) end: Option<End>,
    /// The other side may send up to here.
    told: u64,
    window: u64,
    max_window: u64,
    /// When the window was moved last, to see how fast it is read.
    moved_at: Mono,
    pub(crate) credit_due: bool,
    /// Nobody reads any more: what comes is dropped.
    pub(crate) stopped: Option<u16>,
    /// Whoever reads knows the end.
    pub(crate) end_read: bool,
}

impl ReceiveHalf {
    pub(crate) fn new(max_window: u64, now: Mono) -> Self {
        let window = FIRST_STREAM_WINDOW.min(max_window);
        Self {
            ready: VecDeque::new(),
            ready_len: 0,
            next: 0,
            ahead: BTreeMap::new(),
            highest: 0,
            end: None,
            told: window,
            window,
            max_window,
            moved_at: now,
            credit_due: false,
            stopped: None,
            end_read: false,
        }
    }

    /// Takes in data. Returns by how much the highest offset grew, which counts in the credit of the tunnel.
    ///
    /// # Errors
    /// The other side breaks a rule.
    pub(crate) fn take(&mut self, offset: u64, data: Bytes, is_last: bool) -> Result<u64, Violation> {
        let end = offset.checked_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let end = end.filter(|end| *end <= self.told).ok_or_else(|| Violation::new("a stream beyond its credit"))?;
        self.check_end(end, is_last)?;
        let grown = end.saturating_sub(self.highest);
        self.highest = self.highest.max(end);
        if is_last && self.end.is_none() {
            self.end = Some(End::At(end));
        }
        if self.stopped.is_some() || matches!(self.end, Some(End::Reset(_))) {
            self.next = self.highest;
            return Ok(grown);
        }
        self.put(offset, data)?;
        Ok(grown)
    }

    fn check_end(&self, end: u64, is_last: bool) -> Result<(), Violation> {
        let Some(End::At(known)) = self.end else {
            let is_short = is_last && end < self.highest;
            return if is_short { Err(Violation::new("a stream that ends before its data")) } else { Ok(()) };
        };
        if end > known || (is_last && end != known) {
            return Err(Violation::new("a stream that goes on behind its end"));
        }
        Ok(())
    }

    /// The other side gave up after so many bytes. Returns by how much the highest offset grew.
    ///
    /// # Errors
    /// The other side breaks a rule.
    pub(crate) fn reset(&mut self, code: u16, len: u64) -> Result<u64, Violation> {
        if len > self.told || len < self.highest {
            return Err(Violation::new("a reset stream of a length that cannot be"));
        }
        let grown = len - self.highest;
        self.highest = len;
        if self.end != Some(End::At(self.next)) {
            self.end = Some(End::Reset(code));
            self.drop_data();
        }
        Ok(grown)
    }

    fn put(&mut self, offset: u64, mut data: Bytes) -> Result<(), Violation> {
        let behind = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        if behind >= data.len() {
            return Ok(());
        }
        data.advance(behind);
        let offset = offset.max(self.next);
        if offset == self.next && self.ahead.is_empty() {
            self.push(data);
            return Ok(());
        }
        self.put_ahead(offset, data);
        if self.ahead.len() > MAX_SEGMENTS {
            return Err(Violation::new("a stream in too many pieces"));
        }
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= self.next
        {
            let data = entry.remove();
            self.push(data);
        }
        Ok(())
    }

    /// Keeps of a piece what is not here yet: those that came first win.
    fn put_ahead(&mut self, mut offset: u64, mut data: Bytes) {
        if let Some((at, before)) = self.ahead.range(..=offset).next_back() {
            let covered = (at + length(before)).saturating_sub(offset);
            let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(data.len());
            data.advance(covered);
            offset += u64::try_from(covered).unwrap_or(0);
        }
        while !data.is_empty() {
            let later = self.ahead.range(offset..).next().map(|(at, later)| (*at, length(later)));
            let room = later.map_or(u64::MAX, |(at, _)| at - offset);
            let piece = data.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(data.len()));
            if !piece.is_empty() {
                let len = length(&piece);
                self.ahead.insert(offset, owned(piece));
                offset += len;
            }
            if let Some((at, len)) = later.filter(|(at, _)| *at == offset) {
                data.advance(usize::try_from(len).unwrap_or(usize::MAX).min(data.len()));
                offset = at + len;
            }
        }
    }

    fn push(&mut self, data: Bytes) {
        let len = length(&data);
        self.next += len;
        self.ready_len += len;
        // Small pieces are put together: each alone would take more memory than it is counted for.
        match self.ready.back_mut().filter(|last| last.len() + data.len() <= COPY_BELOW) {
            Some(last) => *last = [&last[..], &data[..]].concat().into(),
            None => self.ready.push_back(owned(data)),
        }
    }

    /// Takes at most `limit` bytes that are in order.
    pub(crate) fn read(&mut self, limit: usize) -> Option<Bytes> {
        let first = self.ready.front_mut()?;
        let data = if first.len() <= limit { self.ready.pop_front()? } else { first.split_to(limit) };
        self.ready_len -= length(&data);
        Some(data)
    }

    /// Pieces that wait for what lies before them.
    pub(crate) fn segments(&self) -> usize {
        self.ahead.len()
    }

    /// Whether there is something to read or to learn.
    pub(crate) fn is_readable(&self) -> bool {
        !self.ready.is_empty() || self.is_at_end()
    }

    /// Whether all was read, or the other side gave up.
    pub(crate) fn is_at_end(&self) -> bool {
        match self.end {
            Some(End::At(end)) => self.next >= end && self.ready.is_empty(),
            Some(End::Reset(_)) => true,
            None => false,
        }
    }

    /// Nobody reads any more.
    pub(crate) fn stop(&mut self, code: u16) {
        self.stopped = Some(code);
        self.drop_data();
    }

    fn drop_data(&mut self) {
        self.ready.clear();
        self.ready_len = 0;
        self.ahead.clear();
        self.next = self.highest;
    }

    /// Everything that was sent has come, or does not matter.
    pub(crate) fn is_done(&self) -> bool {
        match self.end {
            Some(End::At(end)) => self.next >= end && (self.end_read || self.stopped.is_some()),
            Some(End::Reset(_)) => self.end_read || self.stopped.is_some(),
            None => false,
        }
    }

    /// Looks whether the window has to move, and grows it up to `share` if it is read faster than it moves. A larger one
    /// shrinks to that.
    pub(crate) fn review(&mut self, share: u64, round_trip_us: u64, now: Mono) {
        if self.end.is_some() || self.stopped.is_some() {
            return;
        }
        let read = self.next - self.ready_len;
        if self.told - read > self.window / 2 {
            return;
        }
        if now.micros_since(self.moved_at) < round_trip_us.saturating_mul(4) {
            self.window *= 2;
        }
        self.window = self.window.min(share).min(self.max_window);
        self.moved_at = now;
        // Credit that was told stands.
        self.told = self.told.max(read + self.window);
        self.credit_due = true;
    }

    /// Whether everything that came was read, and more may come.
    pub(crate) fn is_drained(&self) -> bool {
        self.end.is_none() && self.stopped.is_none() && self.consumed() == self.highest
    }

    /// The credit to tell.
    pub(crate) fn credit(&self) -> u64 {
        self.told
    }

    /// The highest offset that came.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// How much of it was read or thrown away.
    pub(crate) fn consumed(&self) -> u64 {
        self.next - self.ready_len
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

fn owned(data: Bytes) -> Bytes {
    if data.len() < COPY_BELOW { Bytes::copy_from_slice(&data) } else { data }
}
