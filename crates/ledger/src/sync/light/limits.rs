//! Every bound of the light client, each with its reason. Times are microseconds of the steady clock.

use crate::sync::limits::{MAX_FILTERS, SECOND};

/// Blocks looked through at a time: as many as one answer holds filters for.
pub const MAX_SPAN: u32 = MAX_FILTERS;
/// Peers whose hashes of filters are compared: with two a lie is noticed, and with three one of them may stall.
pub const COMPARED: usize = 3;
/// Peers that say beside these what a span's filters come to, 64 bytes an end: one honest among so many is enough. And
/// peers that are heard out about one span when they say otherwise, each for [`LAST_PEER_PATIENCE`] at most.
pub const MAX_VOICES: usize = 32;
/// So long a second peer is waited for before the word of one is taken.
pub const SECOND_PEER_PATIENCE: u64 = 3 * SECOND;
/// So long the last of the peers that are compared is waited for when two have answered.
pub const LAST_PEER_PATIENCE: u64 = 2 * SECOND;
/// So long two have to prove what they do not agree about: a dozen questions, of which each may be asked anew once.
pub const INQUIRY_PATIENCE: u64 = 60 * SECOND;
/// A question that brings no part of an answer for so long goes to another peer.
pub const LIGHT_TIMEOUT: u64 = 10 * SECOND;
/// A peer that did not have what it was asked for is not asked again for so long.
pub const LACKING_FOR: u64 = SECOND;
/// Blocks asked for at the same time: so many of the largest may be under way.
pub const BLOCKS_AT_ONCE: usize = 4;
/// Locks that are looked for: all addresses that a wallet can hand out, and those it looks ahead.
pub const MAX_WATCHED: usize = 25_000;
/// Own transactions that no block holds yet.
pub const MAX_PENDING: usize = 64;
/// Transactions found that moved something of what is watched; about 25 MB. More belong to a node.
pub const MAX_MOVEMENTS: usize = 50_000;
