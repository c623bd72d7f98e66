//! All streams of a tunnel: who may open how many, which are to be served next, and the credit they share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;

use super::{End, ReceiveHalf, SendHalf, State, Stream};
use crate::config::Config;
use crate::frame::{self, Frame, StreamId, Violation};
use crate::limits::{FIRST_STREAM_WINDOW, MAX_OWN_STREAMS, MAX_STREAMS, MAX_TUNNEL_SEGMENTS};

/// Something about a stream that whoever uses it wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened(StreamId),
    Readable(StreamId),
    Writable(StreamId),
}

/// Which traffic a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Sparse,
    Bulk,
}

/// A stream and how it stands in the queues.
#[derive(Debug)]
struct Entry {
    stream: Stream,
    queued: Option<Lane>,
    /// How much of what was consumed is in the credit of the tunnel.
    counted: u64,
    /// How many of its pieces that wait are in the sum.
    segments: usize,
    /// It was handed to whoever uses it and not given back: its events are told.
    in_use: bool,
}

/// The streams of one side.
#[derive(Debug)]
pub(crate) struct Streams {
    entries: BTreeMap<StreamId, Entry>,
    config: Config,
    /// Lowest bit of the ids that this side gives.
    parity: StreamId,
    /// Streams opened by this side and by the other, in all.
    opened: (u32, u32),
    /// Streams that either side may have opened, in all.
    limits: (u32, u32),
    /// Streams of the other side that are over.
    over: u32,
    limit_due: bool,
    queues: [VecDeque<StreamId>; 2],
    /// Streams with a credit, a reset or a stop to send.
    control: BTreeSet<StreamId>,
    /// Streams whose write found what all share used up: what others hold keeps them, so others' news is theirs.
    crowded: BTreeSet<StreamId>,
    /// Written here and not sent.
    backlog: u64,
    /// Written here and not acknowledged.
    held: u64,
    /// Sent for the first time, and what the other side allows.
    sent: (u64, u64),
    /// The most that was ever allowed at once: what the other side has for all streams.
    allowance: u64,
    /// Received, consumed and allowed.
    received: u64,
    consumed: u64,
    allowed: u64,
    credit_due: bool,
    /// Half of what may wait to be read does: the other side becomes careful, and has to hear of every stream that is
    /// read.
    is_full: bool,
    changes: VecDeque<Change>,
    /// Pieces of all streams that wait for what lies before them.
    segments: usize,
}

impl Streams {
    pub(crate) fn new(config: Config, is_opener: bool) -> Self {
        Self {
            entries: BTreeMap::new(),
            config,
            parity: u32::from(!is_opener),
            opened: (0, 0),
            limits: (MAX_STREAMS, MAX_STREAMS),
            over: 0,
            limit_due: false,
            queues: [VecDeque::new(), VecDeque::new()],
            control: BTreeSet::new(),
            crowded: BTreeSet::new(),
            backlog: 0,
            held: 0,
            sent: (0, config.first_tunnel_credit()),
            allowance: config.first_tunnel_credit(),
            received: 0,
            consumed: 0,
            allowed: config.tunnel_window,
            credit_due: config.tunnel_window > config.first_tunnel_credit(),
            is_full: false,
            changes: VecDeque::new(),
            segments: 0,
        }
    }

    pub(crate) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that wait to be sent for the first time.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog
    }

    /// Bytes written and not acknowledged.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Opens a stream; `None` if there are too many.
    pub(crate) fn open(&mut self, now: Mono) -> Option<StreamId> {
        if self.opened.0 >= self.limits.0 || self.entries.len() >= MAX_OWN_STREAMS {
            return None;
        }
        let id = self.opened.0.checked_mul(2)? | self.parity;
        self.opened.0 += 1;
        self.insert(id, now);
        Some(id)
    }

    fn insert(&mut self, id: StreamId, now: Mono) {
        let credit = self.config.first_stream_credit();
        let stream =
            Stream { send: SendHalf::new(credit, now), receive: ReceiveHalf::new(self.config.stream_window, now) };
        self.entries.insert(id, Entry { stream, queued: None, counted: 0, segments: 0, in_use: true });
    }

    /// The entry that a frame of the other side means; `None` if it is over already.
    fn meant(&mut self, id: StreamId, now: Mono) -> Result<Option<&mut Entry>, Violation> {
        let index = id >> 1;
        if id & 1 == self.parity {
            if index >= self.opened.0 {
                return Err(Violation::new("a stream that nobody opened"));
            }
        } else if index >= self.limits.1 {
            return Err(Violation::new("more streams than allowed"));
        }
        while id & 1 != self.parity && index >= self.opened.1 {
            let opened = self.opened.1 << 1 | (self.parity ^ 1);
            self.opened.1 += 1;
            self.insert(opened, now);
            self.changes.push_back(Change::Opened(opened));
        }
        Ok(self.entries.get_mut(&id))
    }

    /// Takes in a frame about a stream; others are left alone.
    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Mono) -> Result<(), Violation> {
        match frame {
            Frame::Stream { id, offset, is_last, data } => {
                let Some(entry) = self.meant(id, now)? else { return Ok(()) };
                let was_readable = entry.stream.receive.is_readable();
                let grown = entry.stream.receive.take(offset, data, is_last)?;
                let is_readable = entry.stream.receive.is_readable();
                if is_readable && !was_readable {
                    self.changes.push_back(Change::Readable(id));
                }
                self.receive(grown)?;
                self.settle(id);
            }
            Frame::Reset { id, code, len } => {
                let Some(entry) = self.meant(id, now)? else { return Ok(()) };
                let grown = entry.stream.receive.reset(code, len)?;
                self.changes.push_back(Change::Readable(id));
                self.receive(grown)?;
                self.settle(id);
            }
            Frame::Credit { id, to } => {
                let Some(entry) = self.meant(id, now)? else { return Ok(()) };
                entry.stream.send.give(to);
                self.enqueue(id, now);
            }
            Frame::Stop { id, code } => {
                let Some(entry) = self.meant(id, now)? else { return Ok(()) };
                entry.stream.send.stopped = Some(code);
                self.changes.push_back(Change::Writable(id));
                self.reset(id, code);
            }
            Frame::TunnelCredit { to } => {
                self.sent.1 = self.sent.1.max(to);
                self.allowance = self.allowance.max(self.sent.1 - self.sent.0);
            }
            Frame::StreamLimit { to } => self.limits.0 = self.limits.0.max(to),
            Frame::Ack(_) | Frame::Flow { .. } | Frame::Ping | Frame::Close { .. } => {}
        }
        Ok(())
    }

    fn receive(&mut self, grown: u64) -> Result<(), Violation> {
        self.received += grown;
        if self.segments > MAX_TUNNEL_SEGMENTS {
            return Err(Violation::new("streams in too many pieces"));
        }
        if self.received > self.allowed {
            return Err(Violation::new("streams beyond the credit of the tunnel"));
        }
        if !self.is_full && self.received - self.consumed >= self.config.tunnel_window / 2 {
            self.is_full = true;
            let drained = self.entries.iter_mut().filter(|(_, entry)| entry.stream.receive.is_drained());
            for (id, entry) in drained {
                entry.stream.receive.credit_due = true;
                self.control.insert(*id);
            }
        }
        Ok(())
    }

    /// Counts what was consumed of a stream, and takes it out when it is over.
    fn settle(&mut self, id: StreamId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let consumed = entry.stream.receive.consumed();
        self.consumed += consumed - entry.counted;
        entry.counted = consumed;
        let segments = entry.stream.receive.segments();
        self.segments = self.segments - entry.segments + segments;
        entry.segments = segments;
        let unused = self.allowed - self.consumed;
        // Seldom enough to cost nothing, and so that what is told is never far below what could be.
        if unused < self.config.tunnel_window / 16 * 15 {
            self.allowed = self.consumed + self.config.tunnel_window;
            self.credit_due = true;
        }
        if entry.stream.receive.credit_due {
            self.control.insert(id);
        }
        let is_told = !entry.in_use && entry.stream.receive.highest() == entry.counted;
        if entry.stream.send.is_done() && entry.stream.receive.is_done() && is_told {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: StreamId) {
        self.entries.remove(&id);
        self.control.remove(&id);
        self.crowded.remove(&id);
        if id & 1 != self.parity {
            self.over += 1;
            let limit = self.over.saturating_add(MAX_STREAMS);
            if limit >= self.limits.1.saturating_add(MAX_STREAMS / 4) {
                self.limits.1 = limit;
                self.limit_due = true;
            }
        }
    }

    /// Writes as much as there is room for; returns how much.
    pub(crate) fn write(&mut self, id: StreamId, data: &[u8], now: Mono) -> Result<usize, u16> {
        let room = self.room(id)?;
        if room == 0 && self.held >= self.config.send_buffers / 4 * 3 {
            self.crowded.insert(id);
        }
        let len = data.len().min(room);
        let Some((piece, entry)) = data.get(..len).zip(self.entries.get_mut(&id)) else { return Ok(0) };
        entry.stream.send.write(Bytes::copy_from_slice(piece));
        let len64 = u64::try_from(len).unwrap_or(0);
        self.backlog += len64;
        self.held += len64;
        self.enqueue(id, now);
        Ok(len)
    }

    /// Bytes that may be written now.
    ///
    /// # Errors
    /// The code with which this direction ended.
    pub(crate) fn room(&self, id: StreamId) -> Result<usize, u16> {
        let Some(entry) = self.entries.get(&id) else { return Err(0) };
        let send = &entry.stream.send;
        match (send.stopped, send.state) {
            (Some(code), _) | (None, State::Reset(code)) => return Err(code),
            (None, State::Finished) => return Err(0),
            (None, State::Open) => {}
        }
        let buffers = self.config.send_buffers;
        let (all, rest) = (buffers.saturating_sub(self.held), buffers / 4);
        let own = self.share(self.config.send_buffer, buffers).saturating_sub(send.held());
        let careful = Config::careful_piece(buffers).saturating_sub(send.held()).min(all);
        Ok(usize::try_from(own.min(all.saturating_sub(rest)).max(careful.min(own))).unwrap_or(usize::MAX))
    }

    /// Tells everybody who waits for what all share that there is some again.
    fn tell_crowded(&mut self) {
        if self.held < self.config.send_buffers / 4 * 3 {
            self.changes.extend(std::mem::take(&mut self.crowded).into_iter().map(Change::Writable));
        }
    }

    pub(crate) fn finish(&mut self, id: StreamId, now: Mono) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stream.send.finish();
            self.enqueue(id, now);
        }
    }

    pub(crate) fn reset(&mut self, id: StreamId, code: u16) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (held, waiting) = (entry.stream.send.held(), entry.stream.send.unsent());
        entry.stream.send.reset(code);
        self.held -= held - entry.stream.send.held();
        self.backlog -= waiting - entry.stream.send.unsent();
        if entry.stream.send.end_due {
            self.control.insert(id);
        }
        self.tell_crowded();
        self.settle(id);
    }

    pub(crate) fn stop(&mut self, id: StreamId, code: u16) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let receive = &mut entry.stream.receive;
        if receive.stopped.is_none() && !receive.is_at_end() {
            self.control.insert(id);
        }
        receive.stop(code);
        self.settle(id);
    }

    /// Nobody on this side uses the stream any more: what was not finished is reset, what was not read is not wanted.
    pub(crate) fn release(&mut self, id: StreamId, code: u16) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.in_use = false;
        if entry.stream.send.state == State::Open {
            self.reset(id, code);
        }
        self.stop(id, code);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stream.receive.end_read = true;
        }
        self.settle(id);
    }

    /// Takes at most `limit` bytes. `Ok(None)` if there are none yet.
    ///
    /// # Errors
    /// How the stream ended.
    pub(crate) fn read(
        &mut self,
        id: StreamId,
        limit: usize,
        (rtt_us, now): (u64, Mono),
    ) -> Result<Option<Bytes>, End> {
        let share = self.share(self.config.stream_window, self.config.tunnel_window);
        let Some(entry) = self.entries.get_mut(&id) else { return Err(End::At(0)) };
        let receive = &mut entry.stream.receive;
        if let Some(data) = receive.read(limit) {
            receive.review(share, rtt_us, now);
            receive.credit_due |= self.is_full && receive.is_drained();
            self.settle(id);
            if self.received - self.consumed < self.config.tunnel_window / 8 * 3 {
                self.is_full = false;
            }
            return Ok(Some(data));
        }
        let end = receive.end.filter(|_| receive.is_at_end());
        if let Some(end) = end {
            receive.end_read = true;
            self.settle(id);
            return Err(end);
        }
        Ok(None)
    }

    /// What one stream may have of what all share: streams that nobody reads leave half of it to others, or a few of
    /// them would hold up every other one. What a first window holds is everybody's.
    fn share(&self, own: u64, all: u64) -> u64 {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX).max(1);
        own.min(FIRST_STREAM_WINDOW.max(all / 2 / count))
    }

    /// Bytes that a stream may send for the first time by the credit of the tunnel. The last quarter is for streams that
    /// are read.
    fn fresh(&self, send: &SendHalf) -> u64 {
        let all = self.sent.1 - self.sent.0;
        let careful = Config::careful_piece(self.allowance).saturating_sub(send.unconfirmed());
        all.saturating_sub(self.allowance / 4).max(careful.min(all))
    }

    /// Puts a stream into the queue of its lane, if it has anything to send.
    fn enqueue(&mut self, id: StreamId, now: Mono) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.queued.is_some() || !entry.stream.send.is_ready() {
            return;
        }
        let lane = if entry.stream.send.is_sparse(now) { Lane::Sparse } else { Lane::Bulk };
        entry.queued = Some(lane);
        self.queue(lane).push_back(id);
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<StreamId> {
        let [sparse, bulk] = &mut self.queues;
        match lane {
            Lane::Sparse => sparse,
            Lane::Bulk => bulk,
        }
    }

    /// Whether anything waits in a lane that could be sent.
    pub(crate) fn has_data(&self, lane: Lane) -> bool {
        let [sparse, bulk] = &self.queues;
        let queue = match lane {
            Lane::Sparse => sparse,
            Lane::Bulk => bulk,
        };
        let could = |send: &SendHalf| !send.takes_new() || self.fresh(send) > 0;
        queue.iter().any(|id| self.entries.get(id).is_some_and(|entry| could(&entry.stream.send)))
    }

    /// Writes pieces of the streams of a lane into a packet, as many as fit, each stream in its turn.
    pub(crate) fn fill(
        &mut self,
        lane: Lane,
        limit: usize,
        out: &mut BytesMut,
        now: Mono,
    ) -> Vec<(StreamId, Range<u64>, bool)> {
        let mut pieces = vec![];
        let mut skipped = 0;
        while out.len() + frame::STREAM_HEAD < limit && skipped < self.queue(lane).len() {
            let Some(id) = self.queue(lane).pop_front() else { break };
            let fresh = self.entries.get(&id).map_or(0, |entry| self.fresh(&entry.stream.send));
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.queued = None;
            if !entry.stream.send.is_ready() {
                continue;
            }
            if lane == Lane::Sparse && !entry.stream.send.is_sparse(now) {
                entry.queued = Some(Lane::Bulk);
                self.queue(Lane::Bulk).push_back(id);
                continue;
            }
            let room = u64::try_from(limit - out.len() - frame::STREAM_HEAD).unwrap_or(0).min(MAX_PIECE);
            let before = entry.stream.send.sent();
            let Some((piece, is_last)) = entry.stream.send.next_piece(room, fresh) else {
                // Nothing but the tunnel's credit is missing.
                entry.queued = Some(lane);
                self.queue(lane).push_back(id);
                skipped += 1;
                continue;
            };
            let new = entry.stream.send.sent() - before;
            self.sent.0 += new;
            self.backlog -= new;
            let len = usize::try_from(piece.end - piece.start).unwrap_or(0);
            frame::stream_head(out, id, piece.start, is_last, len);
            entry.stream.send.copy(&piece, out);
            entry.stream.send.charge(piece.end - piece.start, now);
            pieces.push((id, piece, is_last));
            self.enqueue(id, now);
        }
        pieces
    }

    /// The frames about streams that have to go, as many as fit.
    pub(crate) fn control_frames(&mut self, mut put: impl FnMut(Frame) -> bool) {
        if self.credit_due && put(Frame::TunnelCredit { to: self.allowed }) {
            self.credit_due = false;
        }
        if self.limit_due && put(Frame::StreamLimit { to: self.limits.1 }) {
            self.limit_due = false;
        }
        while let Some(id) = self.control.first().copied() {
            let Some(entry) = self.entries.get_mut(&id) else {
                self.control.remove(&id);
                continue;
            };
            let Stream { send, receive } = &mut entry.stream;
            if receive.credit_due {
                if !put(Frame::Credit { id, to: receive.credit() }) {
                    return;
                }
                receive.credit_due = false;
            }
            if let (State::Reset(code), true) = (send.state, send.end_due) {
                if !put(Frame::Reset { id, code, len: send.end() }) {
                    return;
                }
                send.end_due = false;
            }
            if let (Some(code), true) = (receive.stopped, receive.end.is_none())
                && !put(Frame::Stop { id, code })
            {
                return;
            }
            self.control.remove(&id);
        }
    }

    /// Whether there are frames about streams that have to go.
    pub(crate) fn has_control(&self) -> bool {
        self.credit_due || self.limit_due || !self.control.is_empty()
    }

    /// A piece arrived at the other side.
    pub(crate) fn acknowledge(&mut self, id: StreamId, piece: Range<u64>, is_last: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = entry.stream.send.held();
        let has_room = entry.stream.send.acknowledge(piece, is_last);
        self.held -= before - entry.stream.send.held();
        if has_room {
            self.changes.push_back(Change::Writable(id));
        }
        self.tell_crowded();
        self.settle(id);
    }

    /// A reset arrived at the other side.
    pub(crate) fn acknowledge_reset(&mut self, id: StreamId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stream.send.end_arrived = true;
            self.settle(id);
        }
    }

    /// A piece was lost.
    pub(crate) fn note_lost(&mut self, id: StreamId, piece: Range<u64>, is_last: bool, now: Mono) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stream.send.note_lost(piece, is_last);
            self.enqueue(id, now);
        }
    }

    /// A frame about a stream, or about all, was lost.
    pub(crate) fn note_lost_control(&mut self, lost: Lost) {
        match lost {
            Lost::TunnelCredit => self.credit_due = true,
            Lost::StreamLimit => self.limit_due = true,
            Lost::Credit(id) | Lost::Reset(id) | Lost::Stop(id) => {
                let Some(entry) = self.entries.get_mut(&id) else { return };
                let Stream { send, receive } = &mut entry.stream;
                receive.credit_due |= matches!(lost, Lost::Credit(_));
                send.end_due |= matches!(send.state, State::Reset(_)) && !send.end_arrived;
                self.control.insert(id);
            }
        }
    }

    /// Which streams are in use on this side, when the tunnel ends.
    pub(crate) fn ids(&self) -> Vec<StreamId> {
        self.entries.keys().copied().collect()
    }
}

/// Longest piece: its length fits into the head of its frame.
const MAX_PIECE: u64 = u16::MAX as u64;

/// A frame that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    TunnelCredit,
    StreamLimit,
    Credit(StreamId),
    Reset(StreamId),
    Stop(StreamId),
}
