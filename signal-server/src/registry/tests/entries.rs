//! How an entry begins, lives and ends.

use meshline_identity::RecordError;

use super::super::{Outcome, floors::Floors};
use super::*;

#[test]
fn whoever_asks_is_listed() {
    let mut registry = registry(ROOMY);
    assert!(list(&mut registry, NOW).nodes.is_empty());
    let granted = announce(&mut registry, 1, &text(1)).expect("welcome");
    assert_eq!((granted.outcome, granted.ends), (Outcome::Added, NOW.offset(TTL)));
    announce(&mut registry, 2, &text(2)).expect("welcome");
    let list = list(&mut registry, NOW);
    assert_eq!((list.schema.as_str(), ids(&list.nodes)), ("meshline/nodes/1", sorted(&[1, 2])));
    assert_consistent(&registry);
}

#[test]
fn an_entry_ends_when_its_term_is_over() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 1, &text(1)).expect("welcome");
    assert_eq!(list(&mut registry, NOW.offset(TTL - 1)).nodes.len(), 1);
    assert!(list(&mut registry, NOW.offset(TTL)).nodes.is_empty());
    assert_consistent(&registry);
}

#[test]
fn an_entry_ends_with_its_announcement_if_that_is_sooner() {
    let mut registry = registry(ROOMY);
    let short = Announcement { expires: NOW.offset(5 * SECOND), ..text(1) };
    let granted = announce(&mut registry, 1, &short).expect("welcome");
    assert_eq!(granted.ends, NOW.offset(5 * SECOND));
    assert_eq!(list(&mut registry, NOW.offset(5 * SECOND - 1)).nodes.len(), 1);
    assert!(list(&mut registry, NOW.offset(5 * SECOND)).nodes.is_empty());
}

#[test]
fn the_refresh_secret_prolongs_up_to_the_signed_end() {
    let mut registry = registry(ROOMY);
    let granted = announce(&mut registry, 1, &Announcement { expires: NOW.offset(TTL + SECOND), ..text(1) });
    let secret = granted.expect("welcome").secret;
    let later = NOW.offset(TTL - SECOND);
    let granted = refresh(&mut registry, 1, secret, later).expect("the secret fits");
    assert_eq!((granted.outcome, granted.ends), (Outcome::Refreshed, NOW.offset(TTL + SECOND)));
    assert_eq!(list(&mut registry, NOW.offset(TTL)).nodes.len(), 1);
    assert!(list(&mut registry, NOW.offset(TTL + SECOND)).nodes.is_empty());
    let over = refresh(&mut registry, 1, secret, NOW.offset(TTL + SECOND));
    assert_eq!(over.expect_err("over"), Refusal::NoSuchEntry);
    assert_consistent(&registry);
}

#[test]
fn another_secret_prolongs_nothing() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 1, &text(1)).expect("welcome");
    let outcome = refresh(&mut registry, 1, wrong_secret(), NOW);
    assert_eq!(outcome.expect_err("wrong"), Refusal::WrongSecret);
    for text in ["", "x", &"A".repeat(42), &"A".repeat(44), &"!".repeat(43)] {
        let seen = Seen { observed: ip("127.0.0.1"), now: NOW };
        let outcome = registry.refresh(id(1), &open(), text, seen);
        assert_eq!(outcome.expect_err("no secret at all"), Refusal::WrongSecret, "{text}");
    }
    let outcome = refresh(&mut registry, 2, wrong_secret(), NOW);
    assert_eq!(outcome.expect_err("nobody"), Refusal::NoSuchEntry);
}

#[test]
fn a_newer_announcement_takes_the_place_of_the_older_and_brings_its_own_secret() {
    let mut registry = registry(ROOMY);
    let older = announce(&mut registry, 1, &text(1)).expect("welcome").secret;
    let renamed = Announcement { seq: NOW.offset(1), name: "other".parse().expect("a name"), ..text(1) };
    let candidate = Candidate::check(&signed(&renamed, 1), NOW).expect("it holds");
    let granted = registry.announce(candidate, Seen { observed: ip("127.0.0.1"), now: NOW }).expect("newer");
    assert_eq!(granted.outcome, Outcome::Renewed);
    let nodes = list(&mut registry, NOW).nodes;
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].name.as_ref().expect("given").as_str(), "other");
    assert_eq!(refresh(&mut registry, 1, older, NOW).expect_err("of the older"), Refusal::WrongSecret);
    refresh(&mut registry, 1, granted.secret, NOW).expect("of the newer");
    assert_consistent(&registry);
}

#[test]
fn the_same_announcement_again_is_a_refresh() {
    let mut registry = registry(ROOMY);
    let first = announce(&mut registry, 1, &text(1)).expect("welcome");
    let candidate = Candidate::check(&signed(&text(1), 1), NOW).expect("it holds");
    let later = NOW.offset(60 * SECOND);
    let again = registry.announce(candidate, Seen { observed: ip("127.0.0.1"), now: later }).expect("a refresh");
    assert_eq!((again.outcome, again.ends), (Outcome::Refreshed, later.offset(TTL)));
    assert_eq!(again.secret.text(), first.secret.text());
    assert_consistent(&registry);
}

#[test]
fn an_older_announcement_is_outdated_also_after_the_newer_has_ended() {
    let mut registry = registry(ROOMY);
    let newer = Announcement { seq: NOW.offset(1), ..text(1) };
    announce(&mut registry, 1, &newer).expect("welcome");
    for now in [NOW, NOW.offset(TTL), NOW.offset(2 * TTL)] {
        let outcome = announce_from(&mut registry, 1, &text(1), ("127.0.0.1", now));
        assert_eq!(outcome.expect_err("older"), Refusal::Record(RecordError::Outdated));
    }
    let back = announce_from(&mut registry, 1, &newer, ("127.0.0.1", NOW.offset(2 * TTL))).expect("the same is not");
    assert_eq!(back.outcome, Outcome::Added);
    assert_eq!(registry.totals().floors, 0, "the entry itself knows the sequence again");
}

#[test]
fn who_departs_is_gone_and_cannot_be_brought_back_by_a_replay() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 1, &text(1)).expect("welcome");
    depart(&mut registry, 1, NOW.offset(1), NOW).expect("its own");
    assert!(list(&mut registry, NOW).nodes.is_empty());
    let replayed = announce(&mut registry, 1, &text(1));
    assert_eq!(replayed.expect_err("gone"), Refusal::Record(RecordError::Outdated));
    announce(&mut registry, 1, &Announcement { seq: NOW.offset(2), ..text(1) }).expect("it is back itself");
    assert_consistent(&registry);
}

#[test]
fn a_departure_must_be_newer_than_the_announcement_and_of_a_listed_member() {
    let mut registry = registry(ROOMY);
    assert_eq!(depart(&mut registry, 1, NOW.offset(1), NOW), Err(Refusal::NoSuchEntry));
    announce(&mut registry, 1, &text(1)).expect("welcome");
    for seq in [NOW.offset(-1), NOW] {
        assert_eq!(depart(&mut registry, 1, seq, NOW), Err(Refusal::Record(RecordError::Outdated)));
    }
    depart(&mut registry, 1, NOW.offset(1), NOW).expect("newer");
    assert_eq!(depart(&mut registry, 1, NOW.offset(1), NOW), Err(Refusal::NoSuchEntry));
}

#[test]
fn a_departure_signed_by_somebody_else_or_of_another_type_takes_nobody_off() {
    let leaver = |record: &SignedRecord| Leaver::check(record, id(1), NOW);
    let record = signed(&departure(open(), NOW.offset(1)), 1);
    leaver(&record).expect("its own");
    assert_eq!(leaver(&signed(&departure(open(), NOW.offset(1)), 2)), Err(Refusal::NotYours));
    let forged = SignedRecord { by: id(1), ..signed(&departure(open(), NOW.offset(1)), 2) };
    assert_eq!(leaver(&forged), Err(Refusal::Record(RecordError::BadSignature)));
    assert_eq!(leaver(&signed(&text(1), 1)), Err(Refusal::Record(RecordError::WrongForm)));
    let ended = Leaver::check(&record, id(1), NOW.offset(HOUR));
    assert_eq!(ended, Err(Refusal::Record(RecordError::Expired)));
}

#[test]
fn records_that_do_not_hold_are_refused_by_name() {
    let record = signed(&text(1), 1);
    let candidate = |record: &SignedRecord| Candidate::check(record, NOW).map(|_| ());
    assert_eq!(candidate(&record), Ok(()));
    let tampered = SignedRecord { signed: record.signed.replace("member-1", "member-2"), ..record.clone() };
    assert_eq!(candidate(&tampered), Err(Refusal::Record(RecordError::BadSignature)));
    let borrowed = SignedRecord { by: id(2), ..record.clone() };
    assert_eq!(candidate(&borrowed), Err(Refusal::Record(RecordError::BadSignature)));
    for signed_text in ["", "{}", "[]", "{\"network\":\"lab\",\"network\":\"lab\"}", "{\"network\":7}"] {
        let nothing = SignedRecord { signed: signed_text.to_owned(), ..record.clone() };
        assert_eq!(candidate(&nothing), Err(Refusal::Record(RecordError::WrongForm)), "{signed_text}");
    }
    assert_eq!(candidate(&signed(&departure(open(), NOW), 1)), Err(Refusal::Record(RecordError::WrongForm)));
    let ended = Announcement { expires: NOW, ..text(1) };
    assert_eq!(candidate(&signed(&ended, 1)), Err(Refusal::Record(RecordError::Expired)));
}

#[test]
fn thousands_of_refreshes_and_renewals_hold_no_memory() {
    let mut registry = registry(ROOMY);
    let mut now = NOW;
    for round in 0..1_000 {
        now = NOW.offset(round * SECOND);
        let renewed = Announcement { seq: now, ..text(1) };
        let candidate = Candidate { network: open(), member: member(&renewed) };
        let granted = registry.announce(candidate, Seen { observed: ip("127.0.0.1"), now }).expect("newer");
        refresh(&mut registry, 1, granted.secret, now).expect("the secret fits");
        assert_consistent(&registry);
    }
    registry.sweep(now.offset(TTL));
    assert_consistent(&registry);
    assert_eq!((registry.totals().entries, registry.totals().networks, registry.slots.queued()), (0, 0, 0));
    registry.sweep(NOW.offset(2 * HOUR));
    assert_eq!(registry.totals().floors, 0);
}

fn member(text: &Announcement) -> meshline_identity::Member {
    let record = SignedRecord { signed: String::new(), by: id(1), sig: String::new() };
    meshline_identity::Member {
        id: id(1),
        name: text.name.clone(),
        roles: Vec::new(),
        addresses: Vec::new(),
        next: None,
        seq: text.seq,
        expires: text.expires,
        membership_seq: None,
        record,
    }
}

#[test]
fn only_so_many_members_that_are_gone_are_remembered_and_for_a_week_at_most() {
    let key_of = |n: u16| (id(n), open());
    let mut floors = Floors::new(2);
    floors.raise(key_of(1), NOW, NOW.offset(HOUR), NOW);
    floors.raise(key_of(2), NOW, NOW.offset(2 * HOUR), NOW);
    assert_eq!(floors.len(), 2);
    floors.raise(key_of(3), NOW, NOW.offset(1_000_000 * HOUR), NOW);
    assert_eq!((floors.len(), floors.get(&key_of(1))), (2, None), "the one that ends soonest gives way");
    floors.raise(key_of(2), NOW.offset(-1), NOW, NOW);
    assert_eq!(floors.get(&key_of(2)), Some(NOW), "a lower one changes nothing");
    floors.expire(NOW.offset(2 * HOUR), 9);
    assert_eq!(floors.get(&key_of(2)), None);
    floors.expire(NOW.offset(7 * 24 * HOUR), 9);
    assert_eq!(floors.len(), 0);
}
