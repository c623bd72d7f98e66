//! A check value at the end of each record, so that a flipped bit is noticed and the record named.

use std::sync::LazyLock;

use crate::hash::Tagged;
use crate::store::{StoreError, Table};

/// Bytes of the check value: one damaged record in four thousand million goes unnoticed.
const SIZE: usize = 4;

/// The record with its check value behind it.
pub(crate) fn seal(table: Table, key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let check = check_value(table, key, &value);
    // A block would be copied for room that it never needs.
    value.reserve_exact(SIZE);
    value.extend(check);
    value
}

/// The record without its check value.
pub(crate) fn unseal<'a>(table: Table, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let at = sealed.len().saturating_sub(SIZE);
    match sealed.split_at_checked(at) {
        Some((value, check)) if check == check_value(table, key, value) => Ok(value),
        Some(_) | None => Err(StoreError::corrupt(table, key)),
    }
}

/// What [`seal`] was given.
pub(crate) fn unsealed(mut sealed: Vec<u8>) -> Vec<u8> {
    sealed.truncate(sealed.len().saturating_sub(SIZE));
    sealed
}

/// Table and key are covered too: a good record in the wrong place is a damaged one.
fn check_value(table: Table, key: &[u8], value: &[u8]) -> [u8; SIZE] {
    static RECORD: LazyLock<Tagged> = LazyLock::new(|| Tagged::of("meshline/record"));
    let hash = RECORD.hash(&[&[table as u8], key, value]);
    let mut check = [0; SIZE];
    check.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    check
}
