//! Frames in datagrams: always JSON, always begun with LF, so that none is ever mistaken for QUIC.

use super::decode::read_json;
use super::encode::{EncodeError, json_line};
use super::{Decoded, Fault, Frame};
use crate::Code;
use crate::limits::MAX_DATAGRAM;

/// Writes a frame as one datagram.
///
/// # Errors
/// [`EncodeError::TooLong`] above [`MAX_DATAGRAM`] bytes.
pub fn encode_datagram(frame: &Frame) -> Result<Vec<u8>, EncodeError> {
    let mut out = vec![b'\n'];
    out.extend_from_slice(&json_line(&frame.message, frame.body.as_ref().map(bytes::Bytes::len))?);
    out.extend_from_slice(frame.body.as_deref().unwrap_or_default());
    if out.len() > MAX_DATAGRAM { Err(EncodeError::TooLong(out.len())) } else { Ok(out) }
}

/// Reads one datagram.
///
/// # Errors
/// A fault if it is too long, does not begin with LF, or is not exactly one frame.
pub fn decode_datagram(datagram: &[u8]) -> Result<Decoded, Fault> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Fault::new(Code::FrameTooLong, format!("datagram longer than {MAX_DATAGRAM} bytes")));
    }
    let rest = datagram.strip_prefix(b"\n").ok_or_else(|| Fault::new(Code::InvalidFrame, "no LF in front"))?;
    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    let (line, body) = rest.split_at(end);
    let (len, decoded) = read_json(line)?;
    if u32::try_from(body.len()).ok() != Some(len.unwrap_or(0)) {
        return Err(Fault::new(Code::InvalidFrame, format!("{} bytes behind the line", body.len())));
    }
    Ok(match decoded {
        Decoded::Frame(frame) if len.is_some() => {
            Decoded::Frame(Frame { body: Some(bytes::Bytes::copy_from_slice(body)), ..frame })
        }
        other @ (Decoded::Frame(_) | Decoded::Unknown { .. } | Decoded::Invalid(_)) => other,
    })
}
