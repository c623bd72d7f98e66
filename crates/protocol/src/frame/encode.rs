//! Frames to bytes.

use bytes::{Bytes, BytesMut};

use super::{Encoding, Frame};
use crate::limits::{MAX_BODY, MAX_LINE};

/// Why a frame cannot be written. All of these are our own mistakes, never a peer's.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The line or document would exceed [`MAX_LINE`].
    #[error("frame of {0} bytes is longer than a line may be")]
    TooLong(usize),
    /// The body exceeds [`MAX_BODY`].
    #[error("body of {0} bytes is longer than a body may be")]
    BodyTooLong(usize),
    /// The message does not serialize.
    #[error("message cannot be written: {0}")]
    Unwritable(String),
}

/// Writes a frame with its body as one run of bytes.
///
/// # Errors
/// [`EncodeError`] if the frame exceeds a limit.
pub fn encode(frame: &Frame, encoding: Encoding) -> Result<Bytes, EncodeError> {
    let body = frame.body.as_deref();
    if let Some(body) = body.filter(|body| body.len() > MAX_BODY) {
        return Err(EncodeError::BodyTooLong(body.len()));
    }
    let mut out = match encoding {
        Encoding::Json | Encoding::Other => json_line(frame)?,
        Encoding::Bson => document(frame)?,
    };
    if out.len() > MAX_LINE {
        return Err(EncodeError::TooLong(out.len()));
    }
    out.extend_from_slice(body.unwrap_or_default());
    Ok(BytesMut::from(Bytes::from(out)).freeze())
}

pub(super) fn json_line(frame: &Frame) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(256);
    if let Some(body) = &frame.body {
        out.extend_from_slice(format!("{{\"len\":{},", body.len()).as_bytes());
    }
    let start = out.len();
    serde_json::to_writer(&mut out, &frame.message).map_err(|error| EncodeError::Unwritable(error.to_string()))?;
    if frame.body.is_some() {
        // The message opened its own brace; the one before `len` serves for both.
        out.remove(start);
    }
    out.push(b'\n');
    Ok(out)
}

fn document(frame: &Frame) -> Result<Vec<u8>, EncodeError> {
    let unwritable = |error: bson::error::Error| EncodeError::Unwritable(error.to_string());
    let message = bson::serialize_to_document(&frame.message).map_err(unwritable)?;
    let mut document = bson::Document::new();
    if let Some(body) = &frame.body {
        document.insert("len", i64::try_from(body.len()).unwrap_or(i64::MAX));
    }
    document.extend(message);
    document.to_vec().map_err(unwritable)
}
