//! What packets of the other end do.

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;
use meshline_protocol::Code;

use super::{Arrival, Connection, Event, Phase};
use crate::channel::Carried;
use crate::frame::{Ack, Frame, Violation};
use crate::limits::MAX_FORGED;
use crate::packet::{HEADER, Header, Kind};

impl Connection {
    /// Takes in a packet. What is forged is counted and dropped; an end that breaks the rules ends the tunnel.
    pub fn handle_packet(&mut self, mut packet: BytesMut, arrival: Arrival, now: Mono) {
        let Some(header) = Header::read(&packet).filter(|header| header.connection == self.id) else { return };
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        match header.kind {
            Kind::Unknown => self.doubt(now),
            Kind::Handshake => {
                let body = packet.split_off(HEADER).freeze();
                self.handle_handshake(body, now);
            }
            Kind::Sealed | Kind::Open => {
                if let Err(violation) = self.handle_sealed(header, packet, arrival, now) {
                    self.close(violation.code, violation.detail);
                }
            }
        }
    }

    fn handle_handshake(&mut self, body: Bytes, now: Mono) {
        let Some(handshake) = &mut self.handshake else { return };
        let result = handshake.handle(body);
        if let Err(detail) = result {
            // What comes after the keys cannot undo them.
            if self.phase == Phase::Handshake {
                self.fail(Code::TlsFailed, &detail);
            }
            return;
        }
        if self.phase == Phase::Handshake {
            self.last_heard = now;
            self.pump_handshake();
        }
    }

    fn handle_sealed(
        &mut self,
        header: Header,
        mut packet: BytesMut,
        arrival: Arrival,
        now: Mono,
    ) -> Result<(), Violation> {
        // The keys come with the last piece of the handshake; what overtook it is sent again.
        let Some(keys) = &mut self.keys else { return Ok(()) };
        let Some(seen) = self.seen.get_mut(usize::from(header.channel)) else { return Ok(()) };
        let bytes = packet.len();
        if seen.is_new(header.number) == Ok(false) {
            // It came already: a detour, or somebody on the way who repeats what he carries.
            self.counters.duplicates += 1;
            return Ok(());
        }
        let is_genuine = match header.kind {
            Kind::Sealed => seen.is_new(header.number).is_ok() && keys.open(&header, &mut packet),
            Kind::Open => arrival.is_private && seen.is_new(header.number)?,
            Kind::Handshake | Kind::Unknown => false,
        };
        if !is_genuine {
            self.counters.forged += 1;
            let is_enough = self.counters.forged >= MAX_FORGED;
            return if is_enough { Err(Violation::new("too many forged packets")) } else { Ok(()) };
        }
        let is_out_of_order = seen.is_out_of_order(header.number);
        seen.note(header.number, arrival.from, now);
        if let Some(handshake) = &mut self.handshake {
            handshake.note_proof();
            self.handshake = None;
        }
        self.last_heard = now;
        self.doubted_until = None;
        self.counters.received_bytes += u64::try_from(bytes).unwrap_or(0);
        self.counters.received_packets += 1;
        let mut frames = packet.split_off(HEADER).freeze();
        let mut wants_ack = false;
        while !frames.is_empty() {
            let frame = Frame::read(&mut frames)?;
            wants_ack |= frame.wants_ack();
            self.handle_frame(frame, now)?;
        }
        if wants_ack && let Some(seen) = self.seen.get_mut(usize::from(header.channel)) {
            seen.want_ack(bytes, is_out_of_order, now);
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Frame, now: Mono) -> Result<(), Violation> {
        match frame {
            Frame::Ack(ack) => self.handle_ack(&ack, now),
            Frame::Flow { id, number, offset, len, data } => {
                self.last_used = now;
                let had = self.flows.has_arrived();
                self.flows.take((id, number), (offset, len), data, now)?;
                if !had && self.flows.has_arrived() {
                    self.events.push_back(Event::FlowsReadable);
                }
                Ok(())
            }
            Frame::Ping => Ok(()),
            Frame::Close { code, reason } => {
                let code = Code::ALL.get(usize::from(code)).copied().unwrap_or(Code::Other);
                self.fail(code, &format!("closed by the other end: {reason}"));
                Ok(())
            }
            stream @ (Frame::Stream { .. }
            | Frame::Credit { .. }
            | Frame::TunnelCredit { .. }
            | Frame::StreamLimit { .. }
            | Frame::Reset { .. }
            | Frame::Stop { .. }) => {
                self.last_used = now;
                self.streams.handle_frame(stream, now)
            }
        }
    }

    fn handle_ack(&mut self, ack: &Ack, now: Mono) -> Result<(), Violation> {
        let number = usize::from(ack.channel);
        let Some(channel) = self.paths.channel_mut(number) else {
            return Err(Violation::new("an acknowledgement for no channel"));
        };
        let acked = channel.handle_ack(ack, now)?;
        if channel.last_heard() == Some(now) {
            self.paths.trust(number);
        }
        self.counters.lost_packets += u64::try_from(acked.lost.len()).unwrap_or(0);
        for carried in acked.arrived {
            match carried {
                Carried::Stream { id, start, end, is_last } => self.streams.acknowledge(id, start..end, is_last),
                Carried::Reset(id) => self.streams.acknowledge_reset(id),
                Carried::Credit(_)
                | Carried::TunnelCredit
                | Carried::StreamLimit
                | Carried::Stop(_)
                | Carried::Flow(_) => {}
            }
        }
        self.note_lost(acked.lost, now);
        Ok(())
    }
}
