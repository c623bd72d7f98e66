//! Whose datagram it is, by its first byte (RFC 9443 §2): QUIC sets the bit 0x40, STUN begins below 4, our frames with
//! a line feed. What is nobody's is dropped.

use std::io::IoSliceMut;

use quinn::udp::RecvMeta;

/// The bit that every QUIC packet has set, because no endpoint of ours says that it may be otherwise.
const QUIC_BIT: u8 = 0x40;

/// STUN begins below this.
const STUN_BELOW: u8 = 4;

/// Whom a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Quic,
    Mesh,
    Nobody,
}

pub(super) fn kind(datagram: &[u8]) -> Kind {
    match datagram.first() {
        Some(first) if first & QUIC_BIT != 0 => Kind::Quic,
        Some(b'\n') => Kind::Mesh,
        Some(first) if *first < STUN_BELOW => Kind::Mesh,
        _ => Kind::Nobody,
    }
}

/// Hands out what is not QUIC's among datagrams of one sender that came in one piece, and moves together what is.
pub(super) fn take_others(buffer: &mut IoSliceMut<'_>, meta: &mut RecvMeta, mut take: impl FnMut(Kind, &[u8])) {
    let stride = meta.stride.max(1);
    let mut kept = 0;
    let mut at = 0;
    while at < meta.len {
        let end = meta.len.min(at + stride);
        let Some(datagram) = buffer.get(at..end) else { break };
        match kind(datagram) {
            Kind::Quic => {
                if kept < at {
                    buffer.copy_within(at..end, kept);
                }
                kept += end - at;
            }
            other @ (Kind::Mesh | Kind::Nobody) => take(other, datagram),
        }
        at = end;
    }
    meta.len = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_whose_a_datagram_is() {
        for first in 0..=255_u8 {
            let expected = match first {
                0..4 | b'\n' => Kind::Mesh,
                64..=127 | 192..=255 => Kind::Quic,
                _ => Kind::Nobody,
            };
            assert_eq!(kind(&[first, 1, 2]), expected, "{first:#x}");
        }
        assert_eq!(kind(&[]), Kind::Nobody);
        assert_eq!(kind(b"{\"time\""), Kind::Quic, "why our frames begin with a line feed");
    }

    #[test]
    fn datagrams_that_came_in_one_piece_are_told_apart_each() {
        let mut bytes = *b"Qaa\n{}Qbb\x00stQcc\x90xxQd";
        let mut meta = RecvMeta { len: bytes.len(), stride: 3, ..RecvMeta::default() };
        let mut taken = vec![];
        take_others(&mut IoSliceMut::new(&mut bytes), &mut meta, |kind, bytes| taken.push((kind, bytes.to_vec())));
        assert_eq!(&bytes[..meta.len], b"QaaQbbQccQd");
        let expected: [(Kind, &[u8]); 3] = [(Kind::Mesh, b"\n{}"), (Kind::Mesh, b"\0st"), (Kind::Nobody, b"\x90xx")];
        assert_eq!(taken, expected.map(|(kind, bytes)| (kind, bytes.to_vec())));
    }

    #[test]
    fn a_length_beyond_the_buffer_ends_it() {
        let mut bytes = [b'Q'; 4];
        let mut meta = RecvMeta { len: 9, stride: 4, ..RecvMeta::default() };
        take_others(&mut IoSliceMut::new(&mut bytes), &mut meta, |_, _| {});
        assert_eq!(meta.len, 4);
        let mut meta = RecvMeta { len: 4, stride: 0, ..RecvMeta::default() };
        take_others(&mut IoSliceMut::new(&mut bytes), &mut meta, |_, _| {});
        assert_eq!(meta.len, 4);
    }
}
