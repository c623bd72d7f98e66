//! Registries that tell each other what changed, as servers that share a Redis do.

use super::super::{Change, Recording};
use super::*;

/// More than is told at once in any of these tests.
const ALL: usize = 1_000;

fn sharing() -> [Registry; 2] {
    [(); 2].map(|()| {
        let mut registry = registry(Caps { per_key: 1, ..ROOMY });
        registry.record(Recording::Refreshes);
        registry
    })
}

/// What has changed at the one is told to the other.
fn tell(from: &mut Registry, to: &mut Registry, now: UnixMicros) -> Vec<Change> {
    let changes = from.take_changes(ALL);
    changes.iter().cloned().for_each(|change| to.apply(change, now));
    changes
}

#[test]
fn an_entry_that_is_prolonged_at_one_does_not_end_because_the_other_did_not_hear() {
    let [mut one, mut other] = sharing();
    let granted = announce(&mut one, 1, &text(1)).expect("welcome");
    tell(&mut one, &mut other, NOW);
    assert_eq!(list(&mut other, NOW).nodes.len(), 1);
    // Of what follows the other hears nothing, and at its place the entry comes to its end.
    let (half, late) = (NOW.offset(TTL / 2), NOW.offset(TTL + SECOND));
    refresh(&mut one, 1, granted.secret, half).expect("its secret");
    other.sweep(late);
    assert!(list(&mut other, late).nodes.is_empty());
    let told = tell(&mut other, &mut one, late);
    assert!(matches!(told.as_slice(), [Change::Ended(_, floor)] if floor.seq == NOW), "{told:?}");
    assert_eq!(ids(&list(&mut one, late).nodes), sorted(&[1]));
    // It hears of it again with all the rest.
    one.touch_all();
    tell(&mut one, &mut other, late);
    assert_eq!(ids(&list(&mut other, late).nodes), sorted(&[1]));
    [&one, &other].into_iter().for_each(assert_consistent);
}

#[test]
fn an_entry_that_has_ended_everywhere_is_outdated_for_who_heard_of_it_only_now() {
    let [mut one, mut other] = sharing();
    let newer = Announcement { seq: NOW.offset(1), ..text(1) };
    announce(&mut one, 1, &newer).expect("welcome");
    let late = NOW.offset(TTL + SECOND);
    one.sweep(late);
    announce_from(&mut other, 1, &text(1), ("127.0.0.1", late)).expect("it knows no newer one");
    tell(&mut one, &mut other, late);
    assert!(list(&mut other, late).nodes.is_empty(), "a newer one has ended");
    let again = announce_from(&mut other, 1, &text(1), ("127.0.0.1", late));
    assert_eq!(again.expect_err("older"), Refusal::Record(meshline_identity::RecordError::Outdated));
}

#[test]
fn who_tells_an_entry_as_it_was_before_does_not_shorten_it() {
    let [mut one, mut other] = sharing();
    let granted = announce(&mut one, 1, &text(1)).expect("welcome");
    tell(&mut one, &mut other, NOW);
    let half = NOW.offset(TTL / 2);
    refresh(&mut one, 1, granted.secret, half).expect("its secret");
    other.touch_all();
    tell(&mut other, &mut one, half);
    assert_eq!(list(&mut one, NOW.offset(TTL + SECOND)).nodes.len(), 1);
}

#[test]
fn who_leaves_one_is_gone_from_the_other() {
    let [mut one, mut other] = sharing();
    announce(&mut one, 1, &text(1)).expect("welcome");
    tell(&mut one, &mut other, NOW);
    depart(&mut other, 1, NOW.offset(1), NOW).expect("its own");
    let told = tell(&mut other, &mut one, NOW);
    assert!(matches!(told.as_slice(), [Change::Gone(_, Some(_))]), "{told:?}");
    assert!(list(&mut one, NOW).nodes.is_empty());
}

#[test]
fn what_a_key_has_at_one_counts_at_the_other() {
    let [mut one, mut other] = sharing();
    announce(&mut one, 1, &text(1)).expect("welcome");
    tell(&mut one, &mut other, NOW);
    let elsewhere = Announcement { network: "zoo".parse().expect("a name"), ..text(1) };
    assert_eq!(announce(&mut other, 1, &elsewhere).expect_err("one a key"), Refusal::TooManyPerKey);
}

#[test]
fn a_hundred_thousand_entries_that_end_at_once_keep_nobody_waiting() {
    const MANY: usize = 100_000;
    // More than a call may drop: what has ended of its own, and what it sweeps.
    const MOST: usize = 65;
    let mut registry = registry(Caps { total: MANY, ..ROOMY });
    registry.record(Recording::Entries);
    announce(&mut registry, 1, &text(1)).expect("welcome");
    let stored = match registry.take_changes(ALL).pop() {
        Some(Change::Entry(_, stored)) => stored,
        other => panic!("{other:?}"),
    };
    for n in 1..MANY {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&u64::try_from(n).expect("small").to_le_bytes());
        registry.apply(Change::Entry((NodeId::from_bytes(bytes), open()), stored.clone()), NOW);
    }
    assert_eq!(registry.totals().entries, MANY);
    let (late, mut calls) = (NOW.offset(TTL + 2 * SECOND), 0);
    while registry.totals().entries > 0 {
        let before = registry.totals().entries;
        assert!(list_of(&mut registry, &open(), 50, late).nodes.is_empty(), "what has ended is not listed");
        let after = registry.totals().entries;
        assert!(after < before && before - after <= MOST, "{} at once", before - after);
        calls += 1;
    }
    assert!(calls >= MANY / MOST, "{calls} calls");
    assert_consistent(&registry);
}
