//! The sending half of a stream.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use meshline_mesh::Mono;

use crate::limits::{SPARSE_BURST, SPARSE_RATE};
use crate::ranges::Ranges;

/// What this half has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// More may be written.
    Open,
    /// All was written; the end stands where the data ends.
    Finished,
    /// Given up by this side, with this code.
    Reset(u16),
}

/// Data between being written here and being acknowledged by the other side.
#[derive(Debug)]
pub(crate) struct SendHalf {
    /// With the offsets at which they begin.
    segments: VecDeque<(u64, Bytes)>,
    /// Everything below was acknowledged.
    base: u64,
    /// What was written.
    end: u64,
    /// What was sent once.
    sent: u64,
    /// The other side takes no more than this.
    pub(crate) credit: u64,
    /// What had been sent when the other side gave credit last: it is known to read that far, or about so.
    confirmed: u64,
    lost: Ranges,
    arrived: Ranges,
    pub(crate) state: State,
    /// The end or the reset has to be sent.
    pub(crate) end_due: bool,
    /// The end or the reset was acknowledged.
    pub(crate) end_arrived: bool,
    /// Bytes it may still send as small traffic, and since when.
    sparse: (u64, Mono),
    /// The other side wants no more, with this code.
    pub(crate) stopped: Option<u16>,
}

impl SendHalf {
    pub(crate) fn new(credit: u64, now: Mono) -> Self {
        Self {
            segments: VecDeque::new(),
            base: 0,
            end: 0,
            sent: 0,
            credit,
            confirmed: 0,
            lost: Ranges::default(),
            arrived: Ranges::default(),
            state: State::Open,
            end_due: false,
            end_arrived: false,
            sparse: (SPARSE_BURST, now),
            stopped: None,
        }
    }

    /// Bytes that are held here.
    pub(crate) fn held(&self) -> u64 {
        self.end - self.base
    }

    /// What was sent once.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The other side takes so much, and reads.
    pub(crate) fn give(&mut self, credit: u64) {
        self.credit = self.credit.max(credit);
        self.confirmed = self.sent;
    }

    /// Bytes of which nobody knows yet whether they are read.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.sent - self.confirmed
    }

    /// Bytes that were never sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    /// Bytes written in all.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn write(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let at = self.end;
        self.end += u64::try_from(data.len()).unwrap_or(0);
        self.segments.push_back((at, data));
    }

    pub(crate) fn finish(&mut self) {
        if self.state == State::Open {
            self.state = State::Finished;
            self.end_due = true;
        }
    }

    /// Gives up; what waits is dropped.
    pub(crate) fn reset(&mut self, code: u16) {
        if matches!(self.state, State::Reset(_)) || self.is_done() {
            return;
        }
        self.state = State::Reset(code);
        self.end_due = true;
        self.segments.clear();
        self.lost = Ranges::default();
        self.end = self.sent;
        self.base = self.sent;
    }

    /// Nothing is left to do.
    pub(crate) fn is_done(&self) -> bool {
        let is_delivered = matches!(self.state, State::Reset(_)) || self.base == self.end;
        self.state != State::Open && self.end_arrived && is_delivered
    }

    /// Whether there is anything to send that the other side takes.
    pub(crate) fn is_ready(&self) -> bool {
        match self.state {
            State::Reset(_) => false,
            State::Open => self.has_data(),
            State::Finished => self.has_data() || (self.end_due && self.sent == self.end),
        }
    }

    fn has_data(&self) -> bool {
        !self.lost.is_empty() || self.sent < self.end.min(self.credit)
    }

    /// Bytes that could be sent now.
    pub(crate) fn waiting(&self) -> u64 {
        self.end.min(self.credit) - self.sent.min(self.credit)
    }

    /// New bytes that may be sent before the credit of the tunnel is asked for is none; what was lost has been counted.
    pub(crate) fn takes_new(&self) -> bool {
        self.lost.is_empty() && self.sent < self.end.min(self.credit)
    }

    /// The next piece to send: at most `limit` bytes, at most `fresh` of them for the first time, and whether it is the
    /// last.
    pub(crate) fn next_piece(&mut self, limit: u64, fresh: u64) -> Option<(Range<u64>, bool)> {
        if let Some(range) = self.lost.first() {
            let piece = range.start..range.end.min(range.start + limit);
            self.lost.remove(piece.clone());
            return Some(self.with_end(piece));
        }
        let len = (self.end.min(self.credit) - self.sent.min(self.credit)).min(limit).min(fresh);
        let piece = self.sent..self.sent + len;
        let is_end = self.end_due && self.state == State::Finished && piece.end == self.end;
        if len == 0 && !is_end {
            return None;
        }
        self.sent = piece.end;
        Some(self.with_end(piece))
    }

    fn with_end(&mut self, piece: Range<u64>) -> (Range<u64>, bool) {
        let is_last = self.state == State::Finished && piece.end == self.end;
        if is_last {
            self.end_due = false;
        }
        (piece, is_last)
    }

    /// Writes a piece into a packet.
    pub(crate) fn copy(&self, piece: &Range<u64>, out: &mut BytesMut) {
        let first = self.segments.partition_point(|(at, data)| at + len(data) <= piece.start);
        for (at, data) in self.segments.iter().skip(first) {
            if *at >= piece.end {
                return;
            }
            let from = usize::try_from(piece.start.saturating_sub(*at)).unwrap_or(0);
            let to = usize::try_from(piece.end - at).unwrap_or(usize::MAX).min(data.len());
            out.put_slice(data.get(from..to).unwrap_or_default());
        }
    }

    /// A piece arrived. Says whether there is new room.
    pub(crate) fn acknowledge(&mut self, piece: Range<u64>, is_last: bool) -> bool {
        self.end_arrived |= is_last;
        if matches!(self.state, State::Reset(_)) || piece.end <= self.base {
            return false;
        }
        self.lost.remove(piece.clone());
        self.arrived.insert(piece);
        let before = self.base;
        if let Some(first) = self.arrived.first().filter(|first| first.start <= self.base) {
            self.base = self.base.max(first.end);
            self.arrived.pop_first();
        }
        while self.segments.front().is_some_and(|(at, data)| at + len(data) <= self.base) {
            self.segments.pop_front();
        }
        self.base > before
    }

    /// A piece was lost.
    pub(crate) fn note_lost(&mut self, piece: Range<u64>, is_last: bool) {
        if matches!(self.state, State::Reset(_)) {
            return;
        }
        if is_last && !self.end_arrived {
            self.end_due = true;
        }
        for gap in self.arrived.gaps(piece.start.max(self.base)..piece.end.max(self.base)) {
            self.lost.insert(gap);
        }
        // The end goes with the last piece, or alone.
    }

    /// Whether what waits may go with the small traffic.
    pub(crate) fn is_sparse(&self, now: Mono) -> bool {
        self.waiting() <= self.allowance(now)
    }

    fn allowance(&self, now: Mono) -> u64 {
        let (left, since) = self.sparse;
        (left + now.micros_since(since).saturating_mul(SPARSE_RATE) / 1_000_000).min(SPARSE_BURST)
    }

    /// So much was sent.
    pub(crate) fn charge(&mut self, bytes: u64, now: Mono) {
        self.sparse = (self.allowance(now).saturating_sub(bytes), now);
    }
}

fn len(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
