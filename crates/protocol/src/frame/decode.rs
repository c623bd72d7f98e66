//! Bytes to frames.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

use super::bson_outline::{DocumentFault, check_document};
use super::{Decoded, Encoding, Fault, Frame};
use crate::limits::{MAX_BODY, MAX_DEPTH, MAX_LINE, MAX_LINE_BEFORE_HELLO};
use crate::tagged::{Header, Outline};
use crate::{Code, Message};

/// Turns the bytes of one direction of a link into frames. It holds no bytes itself: the caller's buffer
/// never needs more than one line or one body.
#[derive(Debug)]
pub struct Decoder {
    encoding: Encoding,
    max_line: usize,
    /// Bytes of the unfinished line that were searched for LF already, so that a line that grows a byte at
    /// a time costs no more than one that comes at once.
    searched: usize,
    /// A line was read whose body is still to come. In a box: links hold a decoder all the time and such a line seldom.
    pending: Option<Box<(usize, Decoded)>>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder for a link whose hello has not been accepted: JSON, short lines.
    #[must_use]
    pub fn new() -> Self {
        Self { encoding: Encoding::Json, max_line: MAX_LINE_BEFORE_HELLO, searched: 0, pending: None }
    }

    /// The hello was accepted: long lines, and the encoding agreed on.
    pub fn accept(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.max_line = MAX_LINE;
    }

    /// Takes the next frame off `input`, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// A framing fault: where the next frame begins is unknown, so the link must be closed.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Decoded>, Fault> {
        if self.pending.is_none() {
            let encoding = if is_refusal_in_json(input) { Encoding::Json } else { self.encoding };
            let Some(line) = self.take_line(input, encoding)? else { return Ok(None) };
            let (len, decoded) = match encoding {
                Encoding::Json | Encoding::Other => read_json(&line)?,
                Encoding::Bson => read_bson(&line)?,
            };
            match len {
                None => return Ok(Some(decoded)),
                Some(len) => self.pending = Some(Box::new((body_length(len)?, decoded))),
            }
        }
        Ok(self.take_body(input))
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_partial(&self, input: &BytesMut) -> bool {
        self.pending.is_some() || !input.is_empty()
    }

    /// Bytes that the body of a frame whose line was read still lacks; 0 if no body is awaited.
    #[must_use]
    pub fn missing(&self, input: &BytesMut) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.0.saturating_sub(input.len()))
    }

    fn take_line(&mut self, input: &mut BytesMut, encoding: Encoding) -> Result<Option<Bytes>, Fault> {
        match encoding {
            Encoding::Json | Encoding::Other => self.take_json_line(input),
            Encoding::Bson => self.take_document(input),
        }
    }

    fn take_json_line(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        let fresh = input.get(self.searched..).unwrap_or_default();
        let end = fresh.iter().position(|byte| *byte == b'\n').map(|at| self.searched + at + 1);
        match end {
            Some(end) if end <= self.max_line => {
                self.searched = 0;
                Ok(Some(input.split_to(end).freeze()))
            }
            None if input.len() < self.max_line => {
                self.searched = input.len();
                Ok(None)
            }
            _ => Err(self.too_long()),
        }
    }

    fn take_document(&self, input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        let Some(prefix) = input.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_le_bytes(*prefix)).unwrap_or(0);
        if length < MIN_DOCUMENT {
            return Err(Fault::new(Code::InvalidFrame, "document length below 5"));
        }
        if length > self.max_line {
            return Err(self.too_long());
        }
        Ok((input.len() >= length).then(|| input.split_to(length).freeze()))
    }

    fn take_body(&mut self, input: &mut BytesMut) -> Option<Decoded> {
        let (length, decoded) = *self.pending.take_if(|pending| input.len() >= pending.0)?;
        match decoded {
            Decoded::Frame(frame) => {
                // What is taken whole shares its memory with nothing that comes later.
                let body = if input.len() == length { std::mem::take(input) } else { input.split_to(length) };
                let body = Some(body.freeze());
                Some(Decoded::Frame(Frame { body, ..frame }))
            }
            Decoded::Unknown { .. } | Decoded::Invalid(_) => {
                input.advance(length);
                Some(decoded)
            }
        }
    }

    fn too_long(&self) -> Fault {
        Fault::new(Code::FrameTooLong, format!("frame longer than {} bytes", self.max_line))
    }
}

/// Whether the next frame is JSON even where BSON was agreed on: a peer that refuses our hello after we accepted
/// its own has agreed on nothing. As the length of a document these four bytes would be half a gigabyte and more.
fn is_refusal_in_json(input: &BytesMut) -> bool {
    input.starts_with(b"{\"er")
}

/// An empty BSON document: its length and the closing zero.
const MIN_DOCUMENT: usize = 5;

fn body_length(len: u32) -> Result<usize, Fault> {
    let length = usize::try_from(len).unwrap_or(usize::MAX);
    if length > MAX_BODY {
        return Err(Fault::new(Code::BodyTooLong, format!("len {len} above {MAX_BODY}")));
    }
    Ok(length)
}

/// Reads one JSON line: the length of its body if it has one, and what it holds.
pub(super) fn read_json(line: &[u8]) -> Result<(Option<u32>, Decoded), Fault> {
    let text = std::str::from_utf8(line)
        .map_err(|error| Fault::new(Code::InvalidUtf8, format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    if is_too_deep(line) {
        return Err(Fault::new(Code::TooDeep, format!("nested deeper than {MAX_DEPTH}")));
    }
    match serde_json::from_str::<Header<Message>>(text) {
        Ok(header) => Ok(known(header)),
        Err(error) => {
            let outline = serde_json::from_str::<Header<Outline>>(text)
                .map_err(|_| Fault::new(Code::InvalidFrame, error.to_string()))?;
            Ok(refused(outline, &error.to_string()))
        }
    }
}

/// Whether a line nests deeper than [`MAX_DEPTH`]. Members that are ignored are passed over without recursion
/// and could nest at will, so the depth is held before anything is read. Lines with few brackets, which is all
/// honest ones, need no closer look.
fn is_too_deep(line: &[u8]) -> bool {
    let is_opening = |byte: &u8| matches!(byte, b'{' | b'[');
    if line.iter().filter(|byte| is_opening(byte)).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

fn read_bson(document: &[u8]) -> Result<(Option<u32>, Decoded), Fault> {
    check_document(document).map_err(|fault| match fault {
        DocumentFault::TooDeep => Fault::new(Code::TooDeep, "document nested deeper than 128"),
        DocumentFault::Broken => Fault::new(Code::InvalidFrame, "not a BSON document"),
    })?;
    match read_document::<Header<Message>>(document) {
        Ok(header) => Ok(known(header)),
        Err(error) => {
            let outline = read_document::<Header<Outline>>(document)
                .map_err(|_| Fault::new(Code::InvalidFrame, error.to_string()))?;
            Ok(refused(outline, &error.to_string()))
        }
    }
}

fn read_document<'de, T: Deserialize<'de>>(document: &'de [u8]) -> Result<T, bson::error::Error> {
    bson::deserialize_from_slice(document)
}

fn known(header: Header<Message>) -> (Option<u32>, Decoded) {
    let Header { len, message } = header;
    let decoded = match (message.takes_body(), len) {
        (true, None) => Decoded::Invalid(Fault::new(Code::InvalidMessage, format!("{} without len", message.kind()))),
        (false, Some(_)) => Decoded::Invalid(Fault::new(Code::InvalidMessage, format!("{} with len", message.kind()))),
        (true, Some(_)) | (false, None) => Decoded::Frame(Frame { message, body: None }),
    };
    (len, decoded)
}

fn refused(outline: Header<Outline>, detail: &str) -> (Option<u32>, Decoded) {
    let Outline { tag, inner } = outline.message;
    let decoded = if Message::is_known(&tag, inner.as_deref()) {
        Decoded::Invalid(Fault::new(Code::InvalidMessage, detail))
    } else {
        let name = inner
            .filter(|_| Message::is_known(&tag, None))
            .map_or_else(|| tag.clone(), |inner| format!("{tag}.{inner}"));
        Decoded::Unknown { tag: name.chars().take(64).collect() }
    };
    (outline.len, decoded)
}
