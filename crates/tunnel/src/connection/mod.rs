//! One tunnel: packets and the time go in, packets and events come out.

mod input;
mod output;
mod report;
mod timing;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;
use meshline_protocol::{Code, NodeId};

use crate::channel::{Carried, Seen};
use crate::config::Config;
use crate::flow::Flows;
use crate::frame::{FlowId, StreamId};
use crate::handshake::Handshake;
use crate::keys::KeyRing;
use crate::limits::{DOUBT_LIMIT, MAX_CHANNELS};
use crate::paths::{PathInfo, Paths};
use crate::session::Session;
use crate::stream::{Change, End, Lane, Streams};

pub use report::{PathReport, TunnelReport};

/// Which end opened the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This one.
    Opener,
    /// The other one.
    Acceptor,
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The way it takes: the first is linked with us, the last is the other end.
    pub hops: std::sync::Arc<[NodeId]>,
    /// Whether it may wait behind others.
    pub is_bulk: bool,
    /// The body of the datagram.
    pub packet: Bytes,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The member that handed it over.
    pub from: NodeId,
    /// It came over an encrypted link whose other end is the other end of the tunnel.
    pub is_private: bool,
}

/// Something that whoever uses the tunnel wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both ends are known; streams may be used.
    Up,
    /// The other end opened a stream.
    Opened(StreamId),
    /// There is something to read, or an end to learn of.
    Readable(StreamId),
    /// There is room to write, or an end to learn of.
    Writable(StreamId),
    /// UDP payloads arrived.
    FlowsReadable,
    /// The tunnel is over.
    Closed {
        /// The name of the reason.
        code: Code,
        /// In words.
        detail: String,
    },
}

/// What a read finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes.
    Data(Bytes),
    /// Nothing yet.
    Blocked,
    /// The end: all was read.
    Finished,
    /// The other end gave up, with this code.
    Reset(u16),
}

/// How far a tunnel is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    Up,
    /// A close has to be sent so many times yet.
    Closing {
        code: Code,
        reason: String,
        times: u8,
    },
    Closed,
}

/// One tunnel.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    phase: Phase,
    handshake: Option<Handshake>,
    keys: Option<KeyRing>,
    paths: Paths,
    seen: Vec<Seen>,
    streams: Streams,
    flows: Flows,
    /// Whose turn it was to fill a packet first.
    flows_first: bool,
    /// Channels that have to be tried now.
    probes: VecDeque<usize>,
    events: VecDeque<Event>,
    began: Mono,
    last_heard: Mono,
    last_used: Mono,
    /// Until when the other end has to prove that it knows the tunnel.
    doubted_until: Option<Mono>,
    /// How long the other end may be out of reach.
    patience: Duration,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    sent_bytes: u64,
    received_bytes: u64,
    sent_packets: u64,
    received_packets: u64,
    lost_packets: u64,
    repeated: u64,
    forged: u64,
    duplicates: u64,
    failovers: u64,
}

impl Connection {
    /// A tunnel that has nothing but a number and a session that proves who the other end is.
    #[must_use]
    pub fn new(
        (id, role): (u64, Role),
        config: Config,
        patience: Duration,
        session: Box<dyn Session>,
        now: Mono,
    ) -> Self {
        let mut connection = Self {
            id,
            phase: Phase::Handshake,
            handshake: Some(Handshake::new(session)),
            keys: None,
            paths: Paths::new(now),
            seen: (0..MAX_CHANNELS).map(|_| Seen::default()).collect(),
            streams: Streams::new(config, role == Role::Opener),
            flows: Flows::default(),
            flows_first: false,
            probes: VecDeque::new(),
            events: VecDeque::new(),
            began: now,
            last_heard: now,
            last_used: now,
            doubted_until: None,
            patience,
            counters: Counters::default(),
        };
        connection.pump_handshake();
        connection
    }

    /// The number both ends know it by.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether both ends are known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether it is over and nothing is left to send.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Uses these paths from now on.
    pub fn set_paths(&mut self, infos: &[PathInfo], now: Mono) {
        let lost = self.paths.set(infos, now);
        if !lost.is_empty() {
            self.counters.failovers += 1;
        }
        self.note_lost(lost, now);
    }

    /// Whether there is any path.
    #[must_use]
    pub fn has_path(&self) -> bool {
        !self.paths.is_empty()
    }

    /// The link to this member has enough bulk waiting: no more is put on it before [`Connection::unblock`]. What is
    /// small still goes.
    pub fn block(&mut self, first: &NodeId) {
        self.paths.block(first);
    }

    /// Links that were full have room again.
    pub fn unblock(&mut self) {
        self.paths.unblock();
    }

    /// Opens a stream; `None` if the other end allows no more, or the tunnel is over.
    pub fn open_stream(&mut self, now: Mono) -> Option<StreamId> {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return None;
        }
        self.last_used = now;
        self.streams.open(now)
    }

    /// Writes as much as there is room for; returns how much.
    ///
    /// # Errors
    /// The code with which the other end refuses more; 0 if this end had finished.
    pub fn write(&mut self, id: StreamId, data: &[u8], now: Mono) -> Result<usize, u16> {
        self.last_used = now;
        self.streams.write(id, data, now)
    }

    /// No more will be written.
    pub fn finish(&mut self, id: StreamId, now: Mono) {
        self.streams.finish(id, now);
    }

    /// Gives up sending a stream; what waits is dropped.
    pub fn reset(&mut self, id: StreamId, code: u16) {
        self.streams.reset(id, code);
    }

    /// This end wants no more of a stream.
    pub fn stop(&mut self, id: StreamId, code: u16) {
        self.streams.stop(id, code);
    }

    /// Nobody on this side uses the stream any more; if it had not ended, it ends with this code.
    pub fn release(&mut self, id: StreamId, code: u16) {
        self.streams.release(id, code);
    }

    /// Takes at most `limit` bytes of a stream.
    pub fn read(&mut self, id: StreamId, limit: usize, now: Mono) -> Read {
        self.last_used = now;
        match self.streams.read(id, limit, (self.paths.least_rtt_us(), now)) {
            Ok(Some(data)) => Read::Data(data),
            Ok(None) if self.phase == Phase::Closed => Read::Reset(0),
            Ok(None) => Read::Blocked,
            Err(End::At(_)) => Read::Finished,
            Err(End::Reset(code)) => Read::Reset(code),
        }
    }

    /// Sends a UDP payload; `false` if it was dropped at once.
    pub fn send_flow(&mut self, id: FlowId, data: Bytes, now: Mono) -> bool {
        self.last_used = now;
        self.is_up() && self.flows.send(id, data, now)
    }

    /// The next UDP payload that arrived.
    pub fn poll_flow(&mut self) -> Option<(FlowId, Bytes)> {
        self.flows.poll_arrived()
    }

    /// Ends the tunnel; everything in it ends with it.
    pub fn close(&mut self, code: Code, reason: &str) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        self.phase = match self.phase {
            Phase::Up => Phase::Closing { code, reason: reason.to_owned(), times: 2 },
            Phase::Handshake | Phase::Closing { .. } | Phase::Closed => Phase::Closed,
        };
        self.events.push_back(Event::Closed { code, detail: reason.to_owned() });
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(change) = self.streams.poll_change() {
            return Some(match change {
                Change::Opened(id) => Event::Opened(id),
                Change::Readable(id) => Event::Readable(id),
                Change::Writable(id) => Event::Writable(id),
            });
        }
        self.events.pop_front()
    }

    /// The streams that are open, at the end of the tunnel.
    #[must_use]
    pub fn stream_ids(&self) -> Vec<StreamId> {
        self.streams.ids()
    }

    /// What did not arrive is sent again.
    fn note_lost(&mut self, lost: Vec<Carried>, now: Mono) {
        use crate::stream::Lost;
        for carried in lost {
            match carried {
                Carried::Stream { id, start, end, is_last } => {
                    self.counters.repeated += end - start;
                    self.streams.note_lost(id, start..end, is_last, now);
                }
                Carried::Credit(id) => self.streams.note_lost_control(Lost::Credit(id)),
                Carried::TunnelCredit => self.streams.note_lost_control(Lost::TunnelCredit),
                Carried::StreamLimit => self.streams.note_lost_control(Lost::StreamLimit),
                Carried::Reset(id) => self.streams.note_lost_control(Lost::Reset(id)),
                Carried::Stop(id) => self.streams.note_lost_control(Lost::Stop(id)),
                Carried::Flow(_) => {}
            }
        }
    }

    /// Over at once: there is nobody to tell.
    fn fail(&mut self, code: Code, detail: &str) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.events.push_back(Event::Closed { code, detail: detail.to_owned() });
        }
    }

    fn pump_handshake(&mut self) {
        let Some(handshake) = &mut self.handshake else { return };
        match handshake.pump() {
            Ok(Some(keys)) => {
                self.keys = Some(KeyRing::new(keys));
                self.phase = Phase::Up;
                self.events.push_back(Event::Up);
            }
            Ok(None) => {}
            Err(detail) => self.fail(Code::TlsFailed, &detail),
        }
    }

    /// The other end claims not to know the tunnel: it has a moment to prove the opposite.
    fn doubt(&mut self, now: Mono) {
        if self.phase == Phase::Up && self.doubted_until.is_none() {
            self.doubted_until = Some(now.after(DOUBT_LIMIT));
            self.probes.extend(self.paths.used().filter(|number| number.is_multiple_of(2)));
        }
    }

    fn has_data(&self, lane: Lane) -> bool {
        self.streams.has_data(lane) || self.flows.has_data(lane)
    }

    fn new_packet(&self, len: usize) -> BytesMut {
        BytesMut::with_capacity(len + crate::packet::TAG)
    }
}
