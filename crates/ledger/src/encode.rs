//! The canonical binary form. Numbers are little-endian, counts are Bitcoin's CompactSize in the shortest form. A value
//! has exactly one form: whatever decodes, encodes to the same bytes, and nothing may follow it.

/// Why bytes are not the canonical form of what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("ends too early")]
    TooShort,
    /// Bytes follow the value.
    #[error("bytes follow the end")]
    TrailingBytes,
    /// A count that has a shorter form.
    #[error("a count is not in its shortest form")]
    LongCount,
    /// A count above what the place allows.
    #[error("a count of {0} is too many")]
    TooMany(u64),
    /// A kind that is not known.
    #[error("unknown kind {0}")]
    UnknownKind(u8),
    /// An amount above the limit.
    #[error("an amount is too large")]
    AmountTooLarge,
}

/// What has a canonical form.
pub trait Encode {
    /// Appends the canonical form.
    fn encode_to(&self, out: &mut Vec<u8>);

    /// The canonical form.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_hint());
        self.encode_to(&mut out);
        out
    }

    /// About how many bytes that will be, so that a large value is not moved while it grows.
    fn size_hint(&self) -> usize {
        0
    }
}

/// What can be read from its canonical form.
pub trait Decode: Sized {
    /// Reads one value off the front.
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that takes up all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let value = Self::decode_from(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// Appends a count in Bitcoin's CompactSize form.
pub fn put_count(out: &mut Vec<u8>, count: u64) {
    match count {
        0..=0xfc => out.extend((count as u8).to_le_bytes()),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend((count as u16).to_le_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend((count as u32).to_le_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend(count.to_le_bytes());
        }
    }
}

/// Bytes being read from the front.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the beginning of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// That nothing is left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit number.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of at most `limit`, in its shortest form.
    pub fn count(&mut self, limit: u64) -> Result<usize, DecodeError> {
        let (count, least) = match self.u8()? {
            0xfd => (self.array().map(u16::from_le_bytes)?.into(), 0xfd),
            0xfe => (self.u32()?.into(), 0x1_0000),
            0xff => (self.u64()?, 0x1_0000_0000),
            byte => (byte.into(), 0),
        };
        if count < least {
            return Err(DecodeError::LongCount);
        }
        if count > limit {
            return Err(DecodeError::TooMany(count));
        }
        usize::try_from(count).map_err(|_| DecodeError::TooMany(count))
    }

    /// A counted list of at most `limit` items. Memory grows with what was read, not with the count that was claimed.
    pub fn list<T: Decode>(&mut self, limit: u64) -> Result<Vec<T>, DecodeError> {
        let count = self.count(limit)?;
        (0..count).map(|_| T::decode_from(self)).collect()
    }
}

/// Appends a counted list.
pub fn put_list<T: Encode>(out: &mut Vec<u8>, items: &[T]) {
    put_count(out, items.len() as u64);
    items.iter().for_each(|item| item.encode_to(out));
}
