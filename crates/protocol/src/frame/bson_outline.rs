//! A walk over a BSON document before it is read, so that no nesting can exhaust the stack.

use crate::limits::MAX_DEPTH;

/// What the walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentFault {
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A length or a type that does not fit.
    Broken,
}

/// Walks all elements of `document` without recursion and checks the depth and every length.
pub(super) fn check_document(document: &[u8]) -> Result<(), DocumentFault> {
    let mut cursor = Cursor { rest: document };
    let mut depth = 0_usize;
    cursor.take(4)?;
    loop {
        let kind = cursor.byte()?;
        if kind == 0 {
            if depth == 0 {
                return if cursor.rest.is_empty() { Ok(()) } else { Err(DocumentFault::Broken) };
            }
            depth -= 1;
            continue;
        }
        cursor.text()?;
        if matches!(kind, 0x03 | 0x04) {
            cursor.take(4)?;
            depth += 1;
            if depth >= MAX_DEPTH {
                return Err(DocumentFault::TooDeep);
            }
        } else {
            cursor.value(kind)?;
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DocumentFault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DocumentFault::Broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DocumentFault> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    /// A zero-terminated string.
    fn text(&mut self) -> Result<(), DocumentFault> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(DocumentFault::Broken)?;
        self.take(end + 1).map(|_| ())
    }

    /// A length of four bytes and `extra` bytes more than it says.
    fn counted(&mut self, extra: usize) -> Result<(), DocumentFault> {
        let prefix = self.take(4)?.first_chunk::<4>().ok_or(DocumentFault::Broken)?;
        let length = usize::try_from(i32::from_le_bytes(*prefix)).map_err(|_| DocumentFault::Broken)?;
        self.take(length.saturating_add(extra)).map(|_| ())
    }

    /// The value of an element that holds no document (bsonspec.org, version 1.1).
    fn value(&mut self, kind: u8) -> Result<(), DocumentFault> {
        match kind {
            0x06 | 0x0a | 0x7f | 0xff => Ok(()),
            0x08 => self.take(1).map(|_| ()),
            0x10 => self.take(4).map(|_| ()),
            0x01 | 0x09 | 0x11 | 0x12 => self.take(8).map(|_| ()),
            0x07 => self.take(12).map(|_| ()),
            0x13 => self.take(16).map(|_| ()),
            0x02 | 0x0d | 0x0e => self.counted(0),
            0x05 => self.counted(1),
            0x0b => self.text().and_then(|()| self.text()),
            _ => Err(DocumentFault::Broken),
        }
    }
}
