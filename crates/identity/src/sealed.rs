//! Time frames over UDP between two members who agreed on an attempt: written with a code over everything before it, and
//! read only if the code fits.
//!
//! The code is the last member of the line, over the bytes of the datagram before `,"mac"`. Blanks before the final LF bring
//! every frame to the same length.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac as _};
use meshline_protocol::frame::{decode_datagram, encode_datagram};
use meshline_protocol::limits::SEALED_BYTES;
use meshline_protocol::message::TimeFrame;
use meshline_protocol::{Code, Decoded, Mac, Message};
use sha2::Sha256;

use crate::attempt::AttemptKeys;

/// Bytes of the code.
const MAC_BYTES: usize = 16;

/// Where the covered bytes end.
const MAC_MEMBER: &[u8] = b",\"mac\":\"";

/// What closes the line behind the code.
const END: &[u8] = b"\"}}";

/// Writes a time frame of an attempt as one datagram of [`SEALED_BYTES`]. `None` if it is longer, which no frame of a
/// closed network is.
#[must_use]
pub fn seal(mut frame: TimeFrame, keys: &AttemptKeys) -> Option<Vec<u8>> {
    frame.mac = None;
    let mut out = encode_datagram(&Message::Time(Box::new(frame)).into()).ok()?;
    // "}}" and LF: what follows the last member is written again behind the code.
    out.truncate(out.len().checked_sub(3)?);
    let code = authenticate(&keys.send, &out)?.finalize().into_bytes();
    out.extend_from_slice(MAC_MEMBER);
    out.extend_from_slice(BASE64URL_NOPAD.encode(code.get(..MAC_BYTES)?).as_bytes());
    out.extend_from_slice(END);
    if out.len() >= SEALED_BYTES {
        return None;
    }
    out.resize(SEALED_BYTES - 1, b' ');
    out.push(b'\n');
    Some(out)
}

/// Reads a time frame of an attempt.
///
/// # Errors
/// `invalid_frame` if it is none of the form above, `bad_signature` if the code does not fit.
pub fn open(datagram: &[u8], keys: &AttemptKeys) -> Result<TimeFrame, Code> {
    let Ok(Decoded::Frame(frame)) = decode_datagram(datagram) else { return Err(Code::InvalidFrame) };
    let Message::Time(time) = frame.message else { return Err(Code::InvalidFrame) };
    let code = time.mac.as_ref().ok_or(Code::InvalidFrame)?;
    let covered = covered(datagram, code).ok_or(Code::InvalidFrame)?;
    let raw = BASE64URL_NOPAD.decode(code.as_str().as_bytes()).map_err(|_| Code::InvalidFrame)?;
    let expected = authenticate(&keys.receive, covered).ok_or(Code::InvalidFrame)?;
    // Takes the same time whatever differs.
    expected.verify_truncated_left(&raw).map_err(|_| Code::BadSignature)?;
    Ok(*time)
}

/// What the code covers, if nothing but blanks stands behind it.
fn covered<'a>(datagram: &'a [u8], code: &Mac) -> Option<&'a [u8]> {
    datagram.trim_ascii_end().strip_suffix(END)?.strip_suffix(code.as_str().as_bytes())?.strip_suffix(MAC_MEMBER)
}

fn authenticate(key: &[u8; 32], bytes: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(bytes);
    Some(mac)
}
