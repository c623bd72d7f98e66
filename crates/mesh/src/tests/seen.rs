//! Everything is delivered once, and the memory of it is bounded.

use meshline_protocol::{NodeId, UnixMicros};

use crate::broadcast::seen::{Freshness, MAX_AUTHORS, MAX_RECENT, Seen};

fn author(n: usize) -> NodeId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(n as u64).to_le_bytes());
    NodeId::from_bytes(key)
}

fn seq(n: usize) -> UnixMicros {
    UnixMicros::new(n as u64)
}

#[test]
fn a_message_is_new_once_and_a_later_attempt_travels_on() {
    let mut seen = Seen::default();
    assert_eq!(seen.look(author(1), seq(5), 0), Freshness::New);
    seen.note(author(1), seq(5), 0, author(2));
    assert_eq!(seen.look(author(1), seq(5), 0), Freshness::Old);
    assert_eq!(seen.look(author(1), seq(5), 1), Freshness::LaterAttempt);
    seen.note(author(1), seq(5), 1, author(3));
    assert_eq!(seen.look(author(1), seq(5), 1), Freshness::Old);
    assert_eq!(seen.source(author(1), seq(5)), Some(author(2)), "acks go back the way the message came first");
}

#[test]
fn what_is_older_than_the_memory_counts_as_seen() {
    let mut seen = Seen::default();
    for n in 0..=MAX_RECENT {
        seen.note(author(1), seq(10 + n), 0, author(2));
    }
    assert_eq!(seen.look(author(1), seq(10), 0), Freshness::Old, "forgotten, and still not new");
    assert_eq!(seen.look(author(1), seq(3), 0), Freshness::Old);
    assert_eq!(seen.look(author(1), seq(11 + MAX_RECENT), 0), Freshness::New);
}

#[test]
fn the_author_silent_longest_gives_way() {
    let mut seen = Seen::default();
    for n in 0..=MAX_AUTHORS {
        seen.note(author(n), seq(n), 0, author(9));
    }
    assert_eq!(seen.source(author(0), seq(0)), None);
    assert_eq!(seen.source(author(1), seq(1)), Some(author(9)));
}
