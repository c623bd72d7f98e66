//! Frames: what a packet says.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use meshline_protocol::Code;

use crate::limits::{MAX_ACK_RANGES, MAX_REASON};

/// Bytes of a stream frame before its data.
pub(crate) const STREAM_HEAD: usize = 1 + 4 + 8 + 1 + 2;

/// Bytes of a flow frame before its data.
pub(crate) const FLOW_HEAD: usize = 1 + 4 + 4 + 2 + 2 + 2;

/// Number of a stream: even ones were opened by the side that opened the tunnel.
pub type StreamId = u32;

/// Number of a UDP flow, chosen with the stream that opened it.
pub type FlowId = u32;

/// Received numbers of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) channel: u8,
    /// Microseconds between the arrival of the newest packet and this acknowledgement.
    pub(crate) delay_us: u32,
    /// First and last numbers, the newest range first.
    pub(crate) ranges: Vec<(u64, u64)>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Stream {
        id: StreamId,
        offset: u64,
        is_last: bool,
        data: Bytes,
    },
    Ack(Ack),
    /// The other side may send this stream up to here.
    Credit {
        id: StreamId,
        to: u64,
    },
    /// The other side may send so much on all streams together.
    TunnelCredit {
        to: u64,
    },
    /// The other side may have opened so many streams in all.
    StreamLimit {
        to: u32,
    },
    /// The sender sends no more of this stream, of which it had sent so much.
    Reset {
        id: StreamId,
        code: u16,
        len: u64,
    },
    /// The sender wants no more of this stream.
    Stop {
        id: StreamId,
        code: u16,
    },
    /// A piece of a UDP payload.
    Flow {
        id: FlowId,
        number: u32,
        offset: u16,
        len: u16,
        data: Bytes,
    },
    /// Wants an acknowledgement.
    Ping,
    /// The tunnel ends.
    Close {
        code: u16,
        reason: String,
    },
}

const STREAM: u8 = 1;
const ACK: u8 = 2;
const CREDIT: u8 = 3;
const TUNNEL_CREDIT: u8 = 4;
const STREAM_LIMIT: u8 = 5;
const RESET: u8 = 6;
const STOP: u8 = 7;
const FLOW: u8 = 8;
const PING: u8 = 9;
const CLOSE: u8 = 10;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Violation {
    /// The name of the refusal.
    pub(crate) code: Code,
    /// In words.
    pub(crate) detail: &'static str,
}

impl Violation {
    pub(crate) fn new(detail: &'static str) -> Self {
        Self { code: Code::InvalidTunnel, detail }
    }
}

impl Frame {
    /// Whether the other side has to acknowledge the packet that carries it.
    pub(crate) fn wants_ack(&self) -> bool {
        !matches!(self, Self::Ack(_) | Self::Close { .. })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Stream { id, offset, is_last, data } => {
                stream_head(out, *id, *offset, *is_last, data.len());
                out.put_slice(data);
            }
            Self::Ack(ack) => ack.write(out),
            Self::Credit { id, to } => {
                out.put_u8(CREDIT);
                out.put_u32(*id);
                out.put_u64(*to);
            }
            Self::TunnelCredit { to } => {
                out.put_u8(TUNNEL_CREDIT);
                out.put_u64(*to);
            }
            Self::StreamLimit { to } => {
                out.put_u8(STREAM_LIMIT);
                out.put_u32(*to);
            }
            Self::Reset { id, code, len } => {
                out.put_u8(RESET);
                out.put_u32(*id);
                out.put_u16(*code);
                out.put_u64(*len);
            }
            Self::Stop { id, code } => {
                out.put_u8(STOP);
                out.put_u32(*id);
                out.put_u16(*code);
            }
            Self::Flow { id, number, offset, len, data } => {
                out.put_u8(FLOW);
                out.put_u32(*id);
                out.put_u32(*number);
                out.put_u16(*offset);
                out.put_u16(*len);
                out.put_u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
                out.put_slice(data);
            }
            Self::Ping => out.put_u8(PING),
            Self::Close { code, reason } => {
                out.put_u8(CLOSE);
                out.put_u16(*code);
                let mut end = reason.len().min(MAX_REASON);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                let text = reason.get(..end).unwrap_or_default();
                out.put_u16(u16::try_from(text.len()).unwrap_or(0));
                out.put_slice(text.as_bytes());
            }
        }
    }

    /// Takes the next frame off a packet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(packet: &mut Bytes) -> Result<Self, Violation> {
        Self::try_read(packet)?.ok_or_else(|| Violation::new("a frame is cut off"))
    }

    /// `None` if it is cut off.
    fn try_read(packet: &mut Bytes) -> Result<Option<Self>, Violation> {
        let Ok(kind) = packet.try_get_u8() else { return Ok(None) };
        Ok(match kind {
            STREAM => read_stream(packet),
            ACK => return Ack::read(packet),
            CREDIT => read_credit(packet),
            TUNNEL_CREDIT => packet.try_get_u64().ok().map(|to| Self::TunnelCredit { to }),
            STREAM_LIMIT => packet.try_get_u32().ok().map(|to| Self::StreamLimit { to }),
            RESET => read_reset(packet),
            STOP => read_stop(packet),
            FLOW => read_flow(packet),
            PING => Some(Self::Ping),
            CLOSE => read_close(packet),
            _ => return Err(Violation::new("a frame of no known kind")),
        })
    }
}

/// Writes what stands before the data of a stream.
pub(crate) fn stream_head(out: &mut BytesMut, id: StreamId, offset: u64, is_last: bool, len: usize) {
    out.put_u8(STREAM);
    out.put_u32(id);
    out.put_u64(offset);
    out.put_u8(u8::from(is_last));
    out.put_u16(u16::try_from(len).unwrap_or(u16::MAX));
}

impl Ack {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(ACK);
        out.put_u8(self.channel);
        out.put_u32(self.delay_us);
        out.put_u8(u8::try_from(self.ranges.len()).unwrap_or(u8::MAX));
        for (first, last) in &self.ranges {
            out.put_uint(*first, 6);
            out.put_uint(*last, 6);
        }
    }

    fn read(packet: &mut Bytes) -> Result<Option<Frame>, Violation> {
        const RANGE: usize = 12;
        let (Ok(channel), Ok(delay_us), Ok(count)) = (packet.try_get_u8(), packet.try_get_u32(), packet.try_get_u8())
        else {
            return Ok(None);
        };
        let count = usize::from(count);
        if count == 0 || count > MAX_ACK_RANGES {
            return Err(Violation::new("an acknowledgement with too many ranges, or none"));
        }
        if packet.len() < count * RANGE {
            return Ok(None);
        }
        let ranges: Vec<(u64, u64)> = (0..count).map(|_| (packet.get_uint(6), packet.get_uint(6))).collect();
        let mut below = u64::MAX;
        for (first, last) in &ranges {
            if first > last || *last >= below {
                return Err(Violation::new("ranges out of order"));
            }
            below = *first;
        }
        Ok(Some(Frame::Ack(Self { channel, delay_us, ranges })))
    }
}

fn read_stream(packet: &mut Bytes) -> Option<Frame> {
    let id = packet.try_get_u32().ok()?;
    let offset = packet.try_get_u64().ok()?;
    let is_last = packet.try_get_u8().ok()? != 0;
    let data = read_data(packet)?;
    Some(Frame::Stream { id, offset, is_last, data })
}

fn read_data(packet: &mut Bytes) -> Option<Bytes> {
    let len = usize::from(packet.try_get_u16().ok()?);
    (packet.len() >= len).then(|| packet.split_to(len))
}

fn read_credit(packet: &mut Bytes) -> Option<Frame> {
    Some(Frame::Credit { id: packet.try_get_u32().ok()?, to: packet.try_get_u64().ok()? })
}

fn read_reset(packet: &mut Bytes) -> Option<Frame> {
    let (id, code) = (packet.try_get_u32().ok()?, packet.try_get_u16().ok()?);
    Some(Frame::Reset { id, code, len: packet.try_get_u64().ok()? })
}

fn read_stop(packet: &mut Bytes) -> Option<Frame> {
    Some(Frame::Stop { id: packet.try_get_u32().ok()?, code: packet.try_get_u16().ok()? })
}

fn read_flow(packet: &mut Bytes) -> Option<Frame> {
    let (id, number) = (packet.try_get_u32().ok()?, packet.try_get_u32().ok()?);
    let (offset, len) = (packet.try_get_u16().ok()?, packet.try_get_u16().ok()?);
    Some(Frame::Flow { id, number, offset, len, data: read_data(packet)? })
}

fn read_close(packet: &mut Bytes) -> Option<Frame> {
    let code = packet.try_get_u16().ok()?;
    let reason = read_data(packet)?;
    let text = String::from_utf8_lossy(&reason);
    let reason = text.chars().filter(|symbol| !symbol.is_control()).take(MAX_REASON).collect();
    Some(Frame::Close { code, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Frame> {
        let data = Bytes::from_static(b"data");
        vec![
            Frame::Stream { id: 4, offset: 1 << 40, is_last: true, data: data.clone() },
            Frame::Ack(Ack { channel: 3, delay_us: 250, ranges: vec![(9, 12), (1, 4)] }),
            Frame::Credit { id: 4, to: 1 << 33 },
            Frame::TunnelCredit { to: 1 << 34 },
            Frame::StreamLimit { to: 100 },
            Frame::Reset { id: 4, code: 7, len: 99 },
            Frame::Stop { id: 4, code: 8 },
            Frame::Flow { id: 1, number: 2, offset: 3, len: 7, data },
            Frame::Ping,
            Frame::Close { code: 1, reason: "done".to_owned() },
        ]
    }

    #[test]
    fn frames_are_read_as_written_and_refused_when_cut() {
        for frame in samples() {
            let mut out = BytesMut::new();
            frame.write(&mut out);
            let whole = out.freeze();
            assert_eq!(Frame::read(&mut whole.clone()), Ok(frame.clone()));
            for len in 0..whole.len() {
                assert!(Frame::read(&mut whole.slice(..len)).is_err(), "{frame:?} cut to {len}");
            }
        }
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        for ranges in [vec![(4, 2)], vec![(1, 4), (2, 6)], vec![]] {
            let mut out = BytesMut::new();
            Frame::Ack(Ack { channel: 0, delay_us: 0, ranges: ranges.clone() }).write(&mut out);
            assert!(Frame::read(&mut out.freeze()).is_err(), "{ranges:?}");
        }
    }
}
