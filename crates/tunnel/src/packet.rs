//! Packets: what one datagram of a tunnel carries.
//!
//! ```text
//! byte 0        kind (low four bits), generation of the key (bit 4)
//! bytes 1-8     connection
//! byte 9        channel
//! bytes 10-15   number within the channel
//! bytes 16-     frames, sealed or not; a sealed packet ends with its tag
//! ```
//! All integers are big-endian. The sixteen bytes of the header are sealed with the frames, as additional data.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;

/// Bytes that sealing adds.
pub const TAG: usize = 16;

/// Largest packet number: 48 bits.
pub(crate) const MAX_NUMBER: u64 = (1 << 48) - 1;

const GENERATION_BIT: u8 = 0x10;

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A piece of the handshake, in the clear: TLS protects itself.
    Handshake,
    /// Sealed for the other end.
    Sealed,
    /// In the clear: taken from a link whose other end is the other end of the tunnel, and which is itself encrypted.
    Open,
    /// The sender does not know this connection. A hint, no proof: anybody on the way can write it.
    Unknown,
}

/// What stands before the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// The lowest bit of the number of the key.
    pub(crate) is_odd_generation: bool,
    pub(crate) connection: u64,
    pub(crate) channel: u8,
    pub(crate) number: u64,
}

impl Header {
    pub(crate) fn new(kind: Kind, connection: u64) -> Self {
        Self { kind, is_odd_generation: false, connection, channel: 0, number: 0 }
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        let kind = match self.kind {
            Kind::Handshake => 0,
            Kind::Sealed => 1,
            Kind::Open => 2,
            Kind::Unknown => 3,
        };
        out.put_u8(kind | if self.is_odd_generation { GENERATION_BIT } else { 0 });
        out.put_u64(self.connection);
        out.put_u8(self.channel);
        out.put_uint(self.number, 6);
    }

    /// Reads a header; `None` if this is none.
    pub(crate) fn read(mut packet: &[u8]) -> Option<Self> {
        if packet.len() < HEADER {
            return None;
        }
        let first = packet.get_u8();
        let kind = match first & !GENERATION_BIT {
            0 => Kind::Handshake,
            1 => Kind::Sealed,
            2 => Kind::Open,
            3 => Kind::Unknown,
            _ => return None,
        };
        let connection = packet.get_u64();
        let channel = packet.get_u8();
        let number = packet.get_uint(6);
        Some(Self { kind, is_odd_generation: first & GENERATION_BIT != 0, connection, channel, number })
    }
}

/// Which connection a packet belongs to; `None` if it is not one.
#[must_use]
pub fn connection_of(packet: &[u8]) -> Option<u64> {
    Header::read(packet).map(|header| header.connection)
}

/// Whether a packet is the beginning of a handshake, for which a connection may be made.
#[must_use]
pub fn is_beginning(packet: &[u8]) -> bool {
    Header::read(packet).is_some_and(|header| header.kind == Kind::Handshake)
}

/// Whether a packet is not sealed, and may go over the link it was made for and no other.
#[must_use]
pub fn is_open(packet: &[u8]) -> bool {
    Header::read(packet).is_some_and(|header| header.kind == Kind::Open)
}

/// The answer to a packet of a connection that is not known here, unless it is itself such an answer.
#[must_use]
pub fn unknown(packet: &[u8]) -> Option<Bytes> {
    let header = Header::read(packet).filter(|header| matches!(header.kind, Kind::Sealed | Kind::Open))?;
    let mut out = BytesMut::with_capacity(HEADER);
    Header::new(Kind::Unknown, header.connection).write(&mut out);
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written() {
        for kind in [Kind::Handshake, Kind::Sealed, Kind::Open, Kind::Unknown] {
            let header = Header { kind, is_odd_generation: true, connection: 7 << 60, channel: 15, number: MAX_NUMBER };
            let mut out = BytesMut::new();
            header.write(&mut out);
            assert_eq!(out.len(), HEADER);
            assert_eq!(Header::read(&out), Some(header));
            assert_eq!(Header::read(&out[..HEADER - 1]), None, "cut");
        }
        assert_eq!(Header::read(&[9; HEADER]), None, "no such kind");
    }
}
