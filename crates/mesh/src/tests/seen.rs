//! Everything is delivered once, and the memory of it is bounded.

use meshline_protocol::{NodeId, UnixMicros};

use crate::broadcast::seen::{Freshness, MAX_AUTHORS, MAX_RECENT, MAX_TOTAL, NEVER_OLD, Seen};

fn author(n: usize) -> NodeId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(n as u64).to_le_bytes());
    NodeId::from_bytes(key)
}

fn seq(n: usize) -> UnixMicros {
    UnixMicros::new(n as u64)
}

fn now() -> UnixMicros {
    UnixMicros::new(1_800_000_000_000_000)
}

#[test]
fn a_message_is_new_once_and_a_later_attempt_travels_on() {
    let mut seen = Seen::default();
    assert_eq!(seen.look(author(1), seq(5), 0), Freshness::New);
    seen.note((author(1), seq(5)), 0, author(2), now());
    assert_eq!(seen.look(author(1), seq(5), 0), Freshness::Old);
    assert_eq!(seen.look(author(1), seq(5), 1), Freshness::LaterAttempt);
    seen.note((author(1), seq(5)), 1, author(3), now());
    assert_eq!(seen.look(author(1), seq(5), 1), Freshness::Old);
    assert_eq!(seen.source(author(1), seq(5)), Some(author(2)), "acks go back the way the message came first");
}

#[test]
fn what_is_older_than_the_memory_counts_as_seen() {
    let mut seen = Seen::default();
    for n in 0..=MAX_RECENT {
        seen.note((author(1), seq(10 + n)), 0, author(2), now());
    }
    assert_eq!(seen.look(author(1), seq(10), 0), Freshness::Old, "forgotten, and still not new");
    assert_eq!(seen.look(author(1), seq(3), 0), Freshness::Old);
    assert_eq!(seen.look(author(1), seq(11 + MAX_RECENT), 0), Freshness::New);
}

#[test]
fn the_author_silent_longest_gives_way() {
    let mut seen = Seen::default();
    for n in 0..=MAX_AUTHORS {
        seen.note((author(n), seq(n)), 0, author(9), now());
    }
    assert_eq!(seen.source(author(0), seq(0)), None);
    assert_eq!(seen.source(author(1), seq(1)), Some(author(9)));
}

#[test]
fn what_an_author_wrote_who_gave_way_is_not_new_again() {
    let mut seen = Seen::default();
    for n in 0..=MAX_AUTHORS {
        seen.note((author(n), seq(10 + n)), 0, author(9), now());
    }
    assert_eq!(seen.source(author(0), seq(10)), None, "it gave way");
    assert_eq!(seen.look(author(0), seq(10), 0), Freshness::Old);
    assert_eq!(seen.look(author(0), seq(11), 0), Freshness::New);
    seen.note((author(0), seq(11)), 0, author(9), now());
    assert_eq!(seen.look(author(0), seq(10), 0), Freshness::Old, "nor once it is back");
}

#[test]
fn a_crowd_that_writes_ahead_of_time_silences_nobody() {
    let mut seen = Seen::default();
    let ahead = |micros: i64| now().offset(micros);
    for n in 0..2 * MAX_AUTHORS {
        seen.note((author(n), ahead(300_000_000)), 0, author(9), now());
    }
    let stranger = author(3 * MAX_AUTHORS);
    assert_eq!(seen.look(stranger, ahead(1 - NEVER_OLD), 0), Freshness::New);
    assert_eq!(seen.look(stranger, ahead(-NEVER_OLD), 0), Freshness::Old);
}

#[test]
fn however_many_write_however_much_so_many_messages_are_remembered_and_none_is_new_again() {
    let mut seen = Seen::default();
    let authors = 2 * MAX_TOTAL / MAX_RECENT;
    for n in 0..MAX_RECENT {
        for one in 0..authors {
            seen.note((author(one), seq(n)), 0, author(9), now());
        }
        assert!(seen.len() <= MAX_TOTAL);
    }
    assert!(seen.len() > MAX_TOTAL / 2);
    for one in 0..authors {
        assert!((0..MAX_RECENT).all(|n| seen.look(author(one), seq(n), 0) == Freshness::Old), "author {one}");
    }
}
