//! Changes as bytes.

use meshline_protocol::{SignedRecord, UnixMicros};
use serde::Deserialize;

use crate::registry::{Change, Floor, Key, Stored};

/// The text form of a key: `network/id`. Neither holds a slash.
pub(super) fn key_text((id, network): &Key) -> String {
    format!("{network}/{id}")
}

/// Reads [`key_text`].
pub(super) fn key_of(text: &str) -> Option<Key> {
    let (network, id) = text.split_once('/')?;
    Some((id.parse().ok()?, network.parse().ok()?))
}

/// An entry: three times, the number of its secret, and what is packed already.
pub(super) fn put_stored(stored: &Stored, out: &mut Vec<u8>) {
    for time in [stored.seq, stored.expires, stored.ends] {
        out.extend_from_slice(&time.get().to_le_bytes());
    }
    out.extend_from_slice(&stored.nonce.to_le_bytes());
    out.extend_from_slice(&stored.packed);
}

/// Reads [`put_stored`].
pub(super) fn stored_of(mut bytes: &[u8]) -> Option<Stored> {
    let (seq, expires, ends) = (take_time(&mut bytes)?, take_time(&mut bytes)?, take_time(&mut bytes)?);
    let (nonce, packed) = bytes.split_first_chunk()?;
    Some(Stored { seq, expires, ends, nonce: u32::from_le_bytes(*nonce), packed: packed.into() })
}

/// A floor: its sequence and its end.
pub(super) fn floor_bytes(floor: Floor) -> [u8; 16] {
    let mut bytes = [0; 16];
    let both = floor.seq.get().to_le_bytes().into_iter().chain(floor.until.get().to_le_bytes());
    bytes.iter_mut().zip(both).for_each(|(to, from)| *to = from);
    bytes
}

/// Reads [`floor_bytes`].
pub(super) fn floor_of(mut bytes: &[u8]) -> Option<Floor> {
    let floor = Floor { seq: take_time(&mut bytes)?, until: take_time(&mut bytes)? };
    bytes.is_empty().then_some(floor)
}

fn take_time(bytes: &mut &[u8]) -> Option<UnixMicros> {
    let (time, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(UnixMicros::new(u64::from_le_bytes(*time)))
}

/// When a signed record ends.
pub(super) fn ends_of(record: &SignedRecord) -> Option<UnixMicros> {
    #[derive(Deserialize)]
    struct Term {
        expires: UnixMicros,
    }
    serde_json::from_str(&record.signed).ok().map(|term: Term| term.expires)
}

const ENTRY: u8 = 1;
const REFRESHED: u8 = 2;
const GONE: u8 = 3;
const REVOKED: u8 = 4;
const ENDED: u8 = 5;

/// Appends a change to a batch.
pub(super) fn put_change(change: &Change, batch: &mut Vec<u8>) {
    let (kind, key, body) = match change {
        Change::Entry(key, stored) => {
            let mut body = Vec::new();
            put_stored(stored, &mut body);
            (ENTRY, key_text(key), body)
        }
        Change::Refreshed(key, ends) => (REFRESHED, key_text(key), ends.get().to_le_bytes().to_vec()),
        Change::Gone(key, floor) => (GONE, key_text(key), floor.map(floor_bytes).map_or(Vec::new(), Vec::from)),
        Change::Ended(key, floor) => (ENDED, key_text(key), floor_bytes(*floor).to_vec()),
        Change::Revoked(record) => (REVOKED, String::new(), serde_json::to_vec(record).unwrap_or_default()),
    };
    batch.push(kind);
    put_bytes(batch, key.as_bytes());
    put_bytes(batch, &body);
}

/// The changes of a batch, up to the first thing that is none.
pub(super) fn changes_of(mut batch: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some((kind, rest)) = batch.split_first() {
        batch = rest;
        let (Some(key), Some(body)) = (take_bytes(&mut batch), take_bytes(&mut batch)) else { break };
        changes.extend(change_of(*kind, key, body));
    }
    changes
}

fn change_of(kind: u8, key: &[u8], mut body: &[u8]) -> Option<Change> {
    let key = || key_of(std::str::from_utf8(key).ok()?);
    match kind {
        ENTRY => Some(Change::Entry(key()?, stored_of(body)?)),
        REFRESHED => Some(Change::Refreshed(key()?, take_time(&mut body)?)),
        GONE => Some(Change::Gone(key()?, floor_of(body))),
        ENDED => Some(Change::Ended(key()?, floor_of(body)?)),
        REVOKED => serde_json::from_slice::<SignedRecord>(body).ok().map(Change::Revoked),
        _ => None,
    }
}

fn put_bytes(batch: &mut Vec<u8>, bytes: &[u8]) {
    batch.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    batch.extend_from_slice(bytes);
}

fn take_bytes<'a>(batch: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = batch.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *batch = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Vec<Change> {
        let key: Key = ("a".repeat(52).parse().expect("an id"), "lab".parse().expect("a name"));
        let time = UnixMicros::new;
        let stored = Stored { seq: time(1), expires: time(2), ends: time(3), nonce: 4, packed: Box::new([5, 6, 7]) };
        let record = SignedRecord { signed: "{}".to_owned(), by: key.0, sig: "x".to_owned() };
        vec![
            Change::Entry(key.clone(), stored),
            Change::Refreshed(key.clone(), time(9)),
            Change::Gone(key.clone(), None),
            Change::Gone(key.clone(), Some(Floor { seq: time(1), until: time(2) })),
            Change::Ended(key, Floor { seq: time(3), until: time(4) }),
            Change::Revoked(record),
        ]
    }

    #[test]
    fn a_batch_holds_what_was_put_in() {
        let mut batch = Vec::new();
        changes().iter().for_each(|change| put_change(change, &mut batch));
        assert_eq!(changes_of(&batch), changes());
    }

    #[test]
    fn a_batch_that_was_cut_or_garbled_holds_what_is_whole() {
        let mut batch = Vec::new();
        changes().iter().for_each(|change| put_change(change, &mut batch));
        for length in 0..batch.len() {
            let whole = changes_of(&batch[..length]);
            assert_eq!(whole, changes()[..whole.len()], "cut at {length}");
        }
        for at in 0..batch.len() {
            let mut garbled = batch.clone();
            garbled[at] ^= 0xff;
            assert!(changes_of(&garbled).len() <= changes().len());
        }
    }
}
