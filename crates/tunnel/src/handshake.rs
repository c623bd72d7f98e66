//! The bytes of the handshake, carried over paths that may lose them: each side sends what the other has not
//! acknowledged, and sends it again, on another path each time, until it is.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use meshline_mesh::Mono;

use crate::frame::Violation;
use crate::limits::{HANDSHAKE_RETRY, MAX_HANDSHAKE};
use crate::packet::{Header, Kind};
use crate::session::{Keys, Session};

/// Bytes of handshake in one packet.
const PIECE: usize = 4 * 1024;

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct Handshake {
    session: Box<dyn Session>,
    out: Vec<u8>,
    /// The other side has so much of it.
    acknowledged: usize,
    sent: usize,
    /// Bytes of the other side that were taken.
    taken: usize,
    /// The keys are taken: what still comes is acknowledged and not read.
    is_keyed: bool,
    /// The other side has to be told.
    ack_due: bool,
    tries: u32,
    retry_at: Option<Mono>,
}

impl Handshake {
    pub(crate) fn new(session: Box<dyn Session>) -> Self {
        Self {
            session,
            out: vec![],
            is_keyed: false,
            acknowledged: 0,
            sent: 0,
            taken: 0,
            ack_due: false,
            tries: 0,
            retry_at: None,
        }
    }

    /// Lets the session write what it has to say.
    pub(crate) fn pump(&mut self) -> Result<Option<Keys>, String> {
        self.session.write(&mut self.out)?;
        if self.out.len() > MAX_HANDSHAKE {
            return Err("a handshake without end".to_owned());
        }
        let keys = self.session.keys()?;
        self.is_keyed |= keys.is_some();
        // Keys may come with a last message.
        self.session.write(&mut self.out)?;
        Ok(keys)
    }

    /// Takes in a packet.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub(crate) fn handle(&mut self, mut packet: Bytes) -> Result<(), String> {
        let cut = || Violation::new("a handshake packet is cut off").to_string();
        let acknowledged = usize::try_from(packet.try_get_u32().map_err(|_| cut())?).unwrap_or(usize::MAX);
        let offset = usize::try_from(packet.try_get_u32().map_err(|_| cut())?).unwrap_or(usize::MAX);
        if acknowledged > self.sent {
            return Err("an acknowledgement of what was never sent".to_owned());
        }
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.tries = 0;
            self.retry_at = None;
        }
        if packet.is_empty() {
            return Ok(());
        }
        self.ack_due = true;
        // What lies ahead comes again; what lies behind came already.
        let behind = self.taken.checked_sub(offset);
        if let Some(new) = behind.and_then(|behind| packet.get(behind..)).filter(|new| !new.is_empty()) {
            self.taken += new.len();
            if self.taken > MAX_HANDSHAKE {
                return Err("a handshake without end".to_owned());
            }
            if !self.is_keyed {
                self.session.read(new)?;
            }
        }
        Ok(())
    }

    /// The other side proved that it has everything.
    pub(crate) fn note_proof(&mut self) {
        self.acknowledged = self.out.len();
        self.sent = self.out.len();
    }

    /// The next packet, and how often it was tried: each time another path should be taken.
    pub(crate) fn poll_packet(&mut self, connection: u64, now: Mono) -> Option<(Bytes, u32)> {
        let is_due = self.retry_at.is_some_and(|at| now >= at);
        if is_due {
            self.sent = self.acknowledged;
            self.tries += 1;
        }
        if self.sent == self.out.len() && !self.ack_due {
            return None;
        }
        let piece = self.out.get(self.sent..).unwrap_or_default();
        let piece = piece.get(..PIECE).unwrap_or(piece);
        let mut packet = BytesMut::with_capacity(crate::packet::HEADER + 8 + piece.len());
        Header::new(Kind::Handshake, connection).write(&mut packet);
        packet.put_u32(u32::try_from(self.taken).unwrap_or(u32::MAX));
        packet.put_u32(u32::try_from(self.sent).unwrap_or(u32::MAX));
        packet.put_slice(piece);
        self.sent += piece.len();
        self.ack_due = false;
        self.retry_at = (self.sent > self.acknowledged)
            .then(|| now.after(HANDSHAKE_RETRY * 2u32.saturating_pow(self.tries.min(4))));
        Some((packet.freeze(), self.tries))
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.retry_at.filter(|_| self.acknowledged < self.out.len())
    }
}
