//! What fills the book, and what cannot.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshline_identity::{KeyPair, Member};
use meshline_protocol::message::Role;
use meshline_protocol::{Address, NodeId, SignedRecord, UnixMicros};

use super::buckets::Buckets;
use super::{Book, NEW_PLACES, NEW_SPREAD, TRIED_BUCKETS, TRIED_PLACES, TRIED_SPREAD};
use crate::config::Config;
use crate::now::{Mono, Now};
use crate::shared::Shared;

fn id(n: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn member(n: u32, address: &str) -> Arc<Member> {
    member_at(n, &[address])
}

fn member_at(n: u32, addresses: &[&str]) -> Arc<Member> {
    Arc::new(Member {
        id: id(n),
        name: format!("n{n}").parse().expect("a name"),
        roles: vec![Role::Node],
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        next: None,
        seq: UnixMicros::new(1),
        expires: UnixMicros::new(2),
        membership_seq: None,
        record: SignedRecord { signed: String::new(), by: id(n), sig: String::new() },
    })
}

/// Where a member really is: at the last of its addresses.
fn place(member: &Member) -> &Address {
    member.addresses.last().expect("it has one")
}

/// The `n`-th host of a prefix that somebody has all of.
fn crowded(prefix: u32, n: u32) -> String {
    format!("45.{prefix}.{}.{}:6000", n / 250, n % 250 + 1)
}

fn teller(text: &str) -> Address {
    text.parse().expect("an address")
}

fn shared(seed: u8) -> Shared {
    let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
    let now = Now { mono: Mono(0), wall: UnixMicros::new(1_800_000_000_000_000) };
    Shared::new(config, KeyPair::from_secret([9; 32]), [seed; 32], now)
}

fn book(seed: u8) -> Book {
    Book::new([seed; 32], &[teller("203.0.113.1:6000")])
}

fn found(book: &mut Book, member: &Arc<Member>, from: Option<&Address>, at: u64) {
    book.note_heard(member, from);
    book.note_found(member.id, place(member), UnixMicros::new(at));
}

#[test]
fn a14_whoever_tells_of_thousands_fills_a_sixteenth_of_the_book() {
    let mut book = book(1);
    let attacker = teller("45.1.0.1:6000");
    for n in 0..20_000 {
        book.note_heard(&member(n, &format!("{}.{}.7.7:6000", 1 + n / 250 % 200, n % 250)), Some(&attacker));
    }
    let most = usize::try_from(NEW_SPREAD).expect("small") * NEW_PLACES;
    let (tried, heard) = book.counts();
    assert_eq!(tried, 0);
    assert!(heard <= most && heard > most / 2, "{heard} of {most}");
    // Somebody else is heard all the same.
    book.note_heard(&member(90_000, "99.9.9.9:6000"), Some(&teller("98.7.6.5:6000")));
    assert_eq!(book.counts().1, heard + 1);
}

#[test]
fn a_thousand_members_in_eight_prefixes_do_not_crowd_out_fifty_honest_ones() {
    for seed in 1..=10 {
        let (mut book, mut shared) = (book(seed), shared(seed));
        for n in 0..1_000 {
            // Each tells of a place first that it has not got: there would be no end of prefixes.
            let told = format!("{}.{}.7.7:6000", 1 + n / 250, n % 250);
            let made_up = member_at(n, &[&told, &crowded(n % 8, n)]);
            found(&mut book, &made_up, Some(&teller("45.1.0.1:6000")), u64::from(n));
        }
        let honest = |n: u32| member(10_000 + n, &format!("{}.{}.1.1:6000", 60 + n, n));
        for n in 0..50 {
            found(&mut book, &honest(n), Some(&teller(&format!("{}.9.1.1:6000", 60 + n))), 2_000);
        }
        let most = usize::try_from(8 * TRIED_SPREAD).expect("small") * TRIED_PLACES;
        assert!(book.tried.len() <= most + 50);
        let is_honest = |one: &NodeId| *one >= id(10_000);
        let honest =
            (0..1_000).filter_map(|_| book.draw_tried(&mut shared)).filter(|member| is_honest(&member.id)).count();
        assert!(honest >= 250, "of a thousand draws with key {seed} only {honest} were honest");
        let kept = book.in_turns().take(256).filter(is_honest).count();
        assert!(kept >= 25, "of 256 that are kept with key {seed} only {kept} are honest");
    }
}

#[test]
fn whoever_works_keeps_its_place_until_it_was_tried_and_did_not_answer() {
    let (mut book, mut shared) = (book(1), shared(1));
    let mut last = 0;
    while book.challenges.is_empty() {
        found(&mut book, &member(last, &crowded(1, last)), None, u64::from(last));
        last += 1;
    }
    let (challenger, holder) = book.challenges[0];
    assert!(!book.is_tried(&challenger) && book.is_tried(&holder));
    assert_eq!(book.to_try(&mut shared).map(|member| member.id), Some(holder));
    book.note_linked(&holder, UnixMicros::new(99_999));
    assert!(book.is_tried(&holder) && !book.is_tried(&challenger), "it answered and stays");
    let at = teller(&crowded(1, last - 1));
    book.note_found(challenger, &at, UnixMicros::new(99_999));
    let (again, oldest) = book.challenges[0];
    assert_eq!(again, challenger);
    assert_ne!(oldest, holder, "found a moment ago");
    book.note_missed(&oldest);
    assert!(book.is_tried(&challenger) && !book.is_tried(&oldest), "it did not answer and went");
    assert!(book.challenges.is_empty());
}

#[test]
fn who_told_of_a_member_first_is_named_once_it_is_found_and_never_again() {
    let mut book = book(1);
    let (first, second) = (id(90_001), id(90_002));
    let (real, made_up) = (member(1, "99.9.9.9:6000"), member(2, "98.9.9.9:6000"));
    for member in [&real, &made_up] {
        book.note_heard(member, Some(&teller("45.1.0.1:6000")));
        book.note_brought(&member.id, first);
        book.note_brought(&member.id, second);
    }
    book.note_missed(&made_up.id);
    let now = UnixMicros::new(1);
    assert_eq!(book.note_found(real.id, place(&real), now), Some(first));
    book.note_brought(&real.id, second);
    assert_eq!(book.note_found(real.id, place(&real), now), None);
    assert_eq!(book.note_found(id(3), place(&real), now), None, "nobody told of it");
}

#[test]
fn a_flood_of_found_members_of_one_prefix_is_worth_its_places_alone() {
    let (mut book, by) = (book(1), id(90_001));
    let worth = (0..1_000).filter(|n| {
        let member = member(*n, &crowded(1, *n));
        book.note_heard(&member, None);
        book.note_brought(&member.id, by);
        book.note_found(member.id, place(&member), UnixMicros::new(1)).is_some()
    });
    let most = usize::try_from(TRIED_SPREAD).expect("small") * TRIED_PLACES;
    let worth = worth.count();
    assert!(worth <= most && worth > 0, "{worth} of {most}");
}

#[test]
fn who_was_never_found_gives_its_place_after_three_failures() {
    let mut book = book(1);
    let attacker = teller("45.1.0.1:6000");
    let bad: Vec<Arc<Member>> = (0..2_000).map(|n| member(n, &crowded(1, n))).collect();
    bad.iter().for_each(|member| book.note_heard(member, Some(&attacker)));
    let full = book.counts().1;
    for _ in 0..3 {
        bad.iter().for_each(|member| book.note_missed(&member.id));
    }
    for n in 0..2_000 {
        book.note_heard(&member(10_000 + n, &crowded(1, 3_000 + n)), Some(&attacker));
    }
    assert_eq!(book.counts().1, full);
    let newer: BTreeSet<bool> = book.in_turns().map(|one| one >= id(10_000)).collect();
    assert_eq!(newer, BTreeSet::from([true]));
}

#[test]
fn in_a_lab_where_all_have_one_prefix_everybody_finds_a_place() {
    let mut book = Book::new([1; 32], &[teller("127.0.0.1:6001")]);
    for n in 0..200 {
        found(&mut book, &member(n, &format!("127.0.0.1:{}", 7_000 + n)), Some(&teller("127.0.0.1:6002")), 1);
    }
    let (tried, heard) = book.counts();
    assert!(tried >= 190, "{tried} tried, {heard} heard");
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    let mut book = book(1);
    for n in 0..100 {
        found(&mut book, &member(n, &crowded(n, 1)), None, 1);
    }
    (0..100).for_each(|n| book.remove(&id(n)));
    assert_eq!(book.counts(), (0, 0));
    assert!(book.entries.is_empty() && book.challenges.is_empty());
    assert_eq!(Buckets::new(TRIED_BUCKETS, TRIED_PLACES).draw(&mut shared(1)), None);
}
