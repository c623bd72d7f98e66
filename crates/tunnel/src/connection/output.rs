//! What is sent next.

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;
use meshline_protocol::Code;

use super::{Connection, Phase, Transmit};
use crate::channel::Carried;
use crate::frame::Frame;
use crate::limits::MAX_PACKET;
use crate::packet::{HEADER, Header, Kind, TAG};
use crate::stream::Lane;

/// Largest frame beside data and acknowledgements.
const CONTROL_FRAME: usize = 16;

/// Room for acknowledgements at the end of a packet: 32 ranges.
const ACK_ROOM: usize = 7 + 32 * 12;

/// A packet being written.
struct Draft {
    packet: BytesMut,
    carried: Vec<Carried>,
    wants_ack: bool,
}

impl Draft {
    fn put(&mut self, frame: &Frame, carried: Option<Carried>) {
        frame.write(&mut self.packet);
        self.wants_ack |= frame.wants_ack();
        self.carried.extend(carried);
    }

    fn is_empty(&self) -> bool {
        self.packet.len() == HEADER
    }
}

impl Connection {
    /// The next packet to send.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<Transmit> {
        match &mut self.phase {
            Phase::Closed => return None,
            Phase::Closing { code, times, reason } => {
                let frame = Frame::Close { code: code_number(*code), reason: reason.clone() };
                let is_last = *times == 0;
                *times = times.saturating_sub(1);
                if is_last {
                    self.phase = Phase::Closed;
                    return None;
                }
                return self.close_packet(&frame, now);
            }
            Phase::Handshake | Phase::Up => {}
        }
        if let Some(transmit) = self.handshake_packet(now) {
            return Some(transmit);
        }
        if self.phase != Phase::Up || self.paths.is_empty() {
            return None;
        }
        self.probe_packet(now)
            .or_else(|| self.ack_packet(now))
            .or_else(|| self.data_packet(Lane::Sparse, now))
            .or_else(|| self.data_packet(Lane::Bulk, now))
    }

    fn handshake_packet(&mut self, now: Mono) -> Option<Transmit> {
        // Nothing is taken out before there is a path for it.
        let first = self.paths.nth(0)?;
        let (packet, tries) = self.handshake.as_mut()?.poll_packet(self.id, now)?;
        let channel = usize::try_from(tries).ok().and_then(|tries| self.paths.nth(tries)).unwrap_or(first);
        let hops = self.paths.info(channel)?.hops.clone();
        Some(self.transmit(hops, Lane::Sparse, packet))
    }

    fn close_packet(&mut self, frame: &Frame, now: Mono) -> Option<Transmit> {
        let channel = self.paths.back(None)?;
        let mut draft = self.draft(channel, HEADER + 4 + crate::limits::MAX_REASON)?;
        draft.put(frame, None);
        self.finish_packet(channel, Lane::Sparse, draft, now)
    }

    /// Tries a channel.
    fn probe_packet(&mut self, now: Mono) -> Option<Transmit> {
        loop {
            let channel = self.probes.pop_front()?;
            let Some(mut draft) = self.draft(channel, HEADER + 1 + ACK_ROOM) else { continue };
            draft.put(&Frame::Ping, None);
            let lane = if channel % 2 == 0 { Lane::Sparse } else { Lane::Bulk };
            return self.finish_packet(channel, lane, draft, now);
        }
    }

    /// Sends the acknowledgements that are due, over the path on which the first of them came if there is one.
    fn ack_packet(&mut self, now: Mono) -> Option<Transmit> {
        let is_due = |seen: &crate::channel::Seen| seen.due().is_some_and(|at| now >= at);
        let from = self.seen.iter().find(|seen| is_due(seen))?.from;
        let channel = self.paths.back(from.as_ref())?;
        let mut draft = self.draft(channel, HEADER + 4 * ACK_ROOM)?;
        for (number, seen) in self.seen.iter_mut().enumerate() {
            let is_same_way = seen.from == from && seen.has_waiting();
            if is_same_way
                && draft.packet.len() + ACK_ROOM + TAG <= MAX_PACKET
                && let Some(ack) = u8::try_from(number).ok().and_then(|number| seen.take_ack(number, now))
            {
                draft.put(&Frame::Ack(ack), None);
            }
        }
        self.fill_small(channel, &mut draft, now);
        self.finish_packet(channel, Lane::Sparse, draft, now)
    }

    fn data_packet(&mut self, lane: Lane, now: Mono) -> Option<Transmit> {
        let channel = match lane {
            Lane::Sparse if self.streams.has_control() || self.has_data(lane) => self.paths.quickest()?,
            Lane::Bulk if self.has_data(lane) => {
                let backlog = self.streams.backlog().max(crate::limits::MIN_PACKET as u64);
                self.paths.earliest(backlog)?
            }
            Lane::Sparse | Lane::Bulk => return None,
        };
        let limit = self.packet_limit(channel);
        let mut draft = self.draft(channel, limit)?;
        if lane == Lane::Sparse {
            self.fill_small(channel, &mut draft, now);
        } else {
            self.fill_data(lane, limit, &mut draft, now);
        }
        self.finish_packet(channel, lane, draft, now)
    }

    fn packet_limit(&self, channel: usize) -> usize {
        self.paths.channel(channel).map_or(0, crate::channel::Channel::packet_limit)
    }

    /// Adds what is small and wants to go now, as far as the window allows.
    fn fill_small(&mut self, channel: usize, draft: &mut Draft, now: Mono) {
        if self.paths.channel(channel).is_none_or(|channel| channel.room() == 0) {
            return;
        }
        let limit = self.packet_limit(channel).max(crate::limits::MIN_PACKET);
        self.streams.control_frames(|frame| {
            let fits = draft.packet.len() + CONTROL_FRAME + TAG <= limit;
            if fits {
                let carried = match frame {
                    Frame::Credit { id, .. } => Some(Carried::Credit(id)),
                    Frame::TunnelCredit { .. } => Some(Carried::TunnelCredit),
                    Frame::StreamLimit { .. } => Some(Carried::StreamLimit),
                    Frame::Reset { id, .. } => Some(Carried::Reset(id)),
                    Frame::Stop { id, .. } => Some(Carried::Stop(id)),
                    Frame::Stream { .. } | Frame::Ack(_) | Frame::Flow { .. } | Frame::Ping | Frame::Close { .. } => {
                        None
                    }
                };
                draft.put(&frame, carried);
            }
            fits
        });
        self.fill_data(Lane::Sparse, limit, draft, now);
    }

    fn fill_data(&mut self, lane: Lane, limit: usize, draft: &mut Draft, now: Mono) {
        let limit = limit.min(MAX_PACKET) - TAG;
        // Flows and streams take turns: neither can be sent so much that nothing is left to the other.
        self.flows_first = !self.flows_first;
        if self.flows_first {
            self.fill_flows(lane, limit, draft, now);
            self.fill_streams(lane, limit, draft, now);
        } else {
            self.fill_streams(lane, limit, draft, now);
            self.fill_flows(lane, limit, draft, now);
        }
    }

    fn fill_flows(&mut self, lane: Lane, limit: usize, draft: &mut Draft, now: Mono) {
        let flows = self.flows.fill(lane, limit, &mut draft.packet, now);
        draft.wants_ack |= !flows.is_empty();
        draft.carried.extend(flows.into_iter().map(Carried::Flow));
    }

    fn fill_streams(&mut self, lane: Lane, limit: usize, draft: &mut Draft, now: Mono) {
        let pieces = self.streams.fill(lane, limit, &mut draft.packet, now);
        draft.wants_ack |= !pieces.is_empty();
        let carried = pieces.into_iter().map(|(id, piece, is_last)| Carried::Stream {
            id,
            start: piece.start,
            end: piece.end,
            is_last,
        });
        draft.carried.extend(carried);
    }

    fn draft(&mut self, channel: usize, len: usize) -> Option<Draft> {
        let kind = if self.paths.info(channel)?.is_private { Kind::Open } else { Kind::Sealed };
        let number = self.paths.channel(channel)?.next_number()?;
        let is_odd_generation = self.keys.as_mut()?.is_odd();
        let header =
            Header { kind, is_odd_generation, connection: self.id, channel: u8::try_from(channel).ok()?, number };
        let mut packet = self.new_packet(len);
        header.write(&mut packet);
        Some(Draft { packet, carried: vec![], wants_ack: false })
    }

    fn finish_packet(&mut self, channel: usize, lane: Lane, draft: Draft, now: Mono) -> Option<Transmit> {
        if draft.is_empty() {
            return None;
        }
        let Draft { mut packet, carried, wants_ack } = draft;
        let info = self.paths.info(channel)?;
        let (hops, is_private) = (info.hops.clone(), info.is_private);
        let sender = self.paths.channel_mut(channel)?;
        let number = sender.next_number()?;
        sender.note_sent(packet.len(), wants_ack.then_some(carried), now);
        let is_sealed = is_private || self.keys.as_mut()?.seal(u8::try_from(channel).ok()?, number, &mut packet);
        if !is_sealed {
            self.fail(Code::TlsFailed, "a packet could not be sealed");
            return None;
        }
        Some(self.transmit(hops, lane, packet.freeze()))
    }

    fn transmit(&mut self, hops: std::sync::Arc<[meshline_protocol::NodeId]>, lane: Lane, packet: Bytes) -> Transmit {
        self.counters.sent_bytes += u64::try_from(packet.len()).unwrap_or(0);
        self.counters.sent_packets += 1;
        Transmit { hops, is_bulk: lane == Lane::Bulk, packet }
    }
}

/// The number of a code on the wire: its place in the list, which only grows at its end.
fn code_number(code: Code) -> u16 {
    let place = Code::ALL.iter().position(|known| *known == code);
    place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX)
}
