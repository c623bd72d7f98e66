//! Frames to bytes.

use bytes::{Bytes, BytesMut};

use super::{Encoding, Frame};
use crate::Message;
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
    let mut out = head(&frame.message, frame.body.as_ref().map(Bytes::len), encoding)?;
    out.extend_from_slice(frame.body.as_deref().unwrap_or_default());
    Ok(BytesMut::from(Bytes::from(out)).freeze())
}

/// Writes what stands before a body of `length` bytes, for those who write the body from where it lies.
///
/// # Errors
/// [`EncodeError`] if the frame exceeds a limit.
pub fn encode_head(message: &Message, length: usize, encoding: Encoding) -> Result<Bytes, EncodeError> {
    head(message, Some(length), encoding).map(Bytes::from)
}

fn head(message: &Message, body: Option<usize>, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    if let Some(length) = body.filter(|length| *length > MAX_BODY) {
        return Err(EncodeError::BodyTooLong(length));
    }
    let out = match encoding {
        Encoding::Json | Encoding::Other => json_line(message, body)?,
        Encoding::Bson => document(message, body)?,
    };
    if out.len() > MAX_LINE { Err(EncodeError::TooLong(out.len())) } else { Ok(out) }
}

pub(super) fn json_line(message: &Message, body: Option<usize>) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(256);
    if let Some(length) = body {
        out.extend_from_slice(format!("{{\"len\":{length},").as_bytes());
    }
    let start = out.len();
    serde_json::to_writer(&mut out, message).map_err(|error| EncodeError::Unwritable(error.to_string()))?;
    if body.is_some() {
        // The message opened its own brace; the one before `len` serves for both.
        out.remove(start);
    }
    out.push(b'\n');
    Ok(out)
}

fn document(message: &Message, body: Option<usize>) -> Result<Vec<u8>, EncodeError> {
    let unwritable = |error: bson::error::Error| EncodeError::Unwritable(error.to_string());
    let message = bson::serialize_to_document(message).map_err(unwritable)?;
    let mut document = bson::Document::new();
    if let Some(length) = body {
        document.insert("len", i64::try_from(length).unwrap_or(i64::MAX));
    }
    document.extend(message);
    document.to_vec().map_err(unwritable)
}
