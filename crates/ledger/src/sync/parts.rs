//! Large things in parts: cut into bodies, and put together again. Memory grows with what arrived, never with what was
//! promised.

use bytes::Bytes;
use meshline_protocol::limits::MAX_LEDGER_PARTS;
use meshline_protocol::message::LedgerPlace;

use crate::sync::limits::PART;
use crate::sync::reason::Reason;

/// What parts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Headers,
    Block,
    Transactions,
    Compact,
    BlockTransactions,
    Filters,
    FilterHashes,
    Proof,
}

/// One thing that is not whole yet.
#[derive(Debug)]
struct Partial {
    piece: Piece,
    request: Option<u32>,
    last: LedgerPlace,
    bytes: Vec<u8>,
}

/// What one peer has sent in part.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    partials: Vec<Partial>,
    held: usize,
}

/// How many bytes there may be: of this thing, and of all unfinished ones together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) piece: usize,
    pub(super) all: usize,
}

impl Unfinished {
    /// Bytes held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Takes a part; the whole when it is complete.
    pub(super) fn take(
        &mut self,
        piece: Piece,
        (request, place): (Option<u32>, LedgerPlace),
        body: &Bytes,
        caps: Caps,
    ) -> Result<Option<Vec<u8>>, Reason> {
        let begun = self.remove(piece);
        let mut partial = match begun {
            None if place.part == 1 => Partial { piece, request, last: place, bytes: Vec::new() },
            Some(begun) if begun.request == request && follows(begun.last, place) => begun,
            Some(_) | None => return Err(Reason::BrokenParts),
        };
        let total = partial.bytes.len().saturating_add(body.len());
        if total > caps.piece || self.held.saturating_add(total) > caps.all {
            return Err(Reason::TooLarge);
        }
        if body.is_empty() && !place.is_last() {
            return Err(Reason::BrokenParts);
        }
        if place == LedgerPlace::WHOLE {
            return Ok(Some(body.to_vec()));
        }
        partial.bytes.extend_from_slice(body);
        partial.last = place;
        if place.is_last() {
            return Ok(Some(partial.bytes));
        }
        self.held += partial.bytes.len();
        self.partials.push(partial);
        Ok(None)
    }

    fn remove(&mut self, piece: Piece) -> Option<Partial> {
        let at = self.partials.iter().position(|partial| partial.piece == piece)?;
        let partial = self.partials.swap_remove(at);
        self.held -= partial.bytes.len();
        Some(partial)
    }
}

const fn follows(last: LedgerPlace, next: LedgerPlace) -> bool {
    last.of == next.of && last.part as u16 + 1 == next.part as u16
}

/// Cuts bytes into bodies of [`PART`] bytes, or larger ones if that were too many. Nothing is one empty body.
pub(super) fn cut(bytes: Vec<u8>) -> Vec<(LedgerPlace, Bytes)> {
    let bytes = Bytes::from(bytes);
    let size = bytes.len().div_ceil(MAX_LEDGER_PARTS.into()).max(PART);
    let of = u8::try_from(bytes.len().div_ceil(size).max(1)).unwrap_or(MAX_LEDGER_PARTS);
    let piece = |part: u8| {
        let from = usize::from(part - 1) * size;
        let to = bytes.len().min(from + size);
        (LedgerPlace { part, of }, bytes.slice(from.min(to)..to))
    };
    (1..=of).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::limits::MAX_UNFINISHED;

    const BLOCK: usize = 1_000_000;

    fn first(unfinished: &mut Unfinished, piece: Piece, bytes: usize) -> Result<Option<Vec<u8>>, Reason> {
        let caps = Caps { piece: 2 * BLOCK, all: BLOCK + MAX_UNFINISHED };
        unfinished.take(piece, (Some(1), LedgerPlace { part: 1, of: 2 }), &Bytes::from(vec![0; bytes]), caps)
    }

    #[test]
    fn what_is_unfinished_of_one_peer_is_a_block_and_so_much_more_and_not_a_byte_beyond() {
        for (beyond, expected) in [(0, Ok(None)), (1, Err(Reason::TooLarge))] {
            let mut unfinished = Unfinished::default();
            assert_eq!(first(&mut unfinished, Piece::Block, BLOCK), Ok(None));
            assert_eq!(first(&mut unfinished, Piece::Compact, MAX_UNFINISHED + beyond), expected);
            assert!(unfinished.held() <= BLOCK + MAX_UNFINISHED);
        }
    }

    #[test]
    fn a_thing_that_is_begun_anew_makes_room() {
        let mut unfinished = Unfinished::default();
        for _ in 0..3 {
            assert_eq!(first(&mut unfinished, Piece::Headers, BLOCK), Ok(None));
            assert_eq!(first(&mut unfinished, Piece::Headers, BLOCK), Err(Reason::BrokenParts));
            assert_eq!(unfinished.held(), 0);
        }
    }
}
