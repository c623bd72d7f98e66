//! Which order stands, whatever the order in which records came.

use meshline_identity::{KeyPair, RebuildRecord, RebuildWord};
use meshline_protocol::message::{RebuildAbort, RebuildOrder, RecordText};
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use super::{LEAST_INTERVAL, MAX_HELD, MAX_HELD_EACH, Orders, Taken};

const SECOND: i64 = 1_000_000;

/// The number of the key of the network.
const NETWORK: u8 = 100;

fn id(n: u8) -> NodeId {
    KeyPair::from_secret([n; 32]).id()
}

fn network() -> NetworkId {
    NetworkId::Closed(id(NETWORK))
}

fn time(seconds: i64) -> UnixMicros {
    UnixMicros::new(1_800_000_000_000_000).offset(seconds * SECOND)
}

type Said = (RebuildRecord, SignedRecord);

fn said(word: RebuildWord, by: u8) -> Said {
    let membership_seq = (by != NETWORK).then(|| time(-1_000));
    let record = SignedRecord { signed: format!("{word:?}"), by: id(by), sig: String::new() };
    (RebuildRecord { word, membership_seq }, record)
}

/// Signed at one second, for another.
fn order(by: u8, seq: i64, at: i64) -> Said {
    let order = RebuildOrder {
        kind: RebuildOrder::TYPE.to_owned(),
        network: network(),
        seq: time(seq),
        expires: time(at + 600),
        at: time(at),
        nonce: "0".repeat(32),
        dry_run: false,
        reason: None,
        membership: None,
    };
    said(RebuildWord::Order(order), by)
}

/// The end of the order that `of` signed at a second.
fn abort(by: u8, seq: i64, (of, rebuild): (u8, i64)) -> Said {
    let abort = RebuildAbort {
        kind: RebuildAbort::TYPE.to_owned(),
        network: network(),
        seq: time(seq),
        expires: time(1_000),
        by: id(of),
        rebuild: time(rebuild),
        membership: None,
    };
    said(RebuildWord::Abort(abort), by)
}

fn held(said: &[Said]) -> Orders {
    let mut orders = Orders::default();
    for (judged, record) in said {
        assert_eq!(orders.put(judged.clone(), record), Taken::News);
    }
    orders
}

/// The orders that stand, by the second of their instant: the same in whatever order the records came.
fn standing(said: &[Said]) -> Vec<i64> {
    let instants = |orders: &Orders| -> Vec<i64> {
        orders.standing(&network()).iter().map(|held| held.order.at.since(time(0)) / SECOND).collect()
    };
    let found = instants(&held(said));
    for turn in 1..said.len() {
        let mut other = said.to_vec();
        other.rotate_left(turn);
        assert_eq!(instants(&held(&other)), found);
        other.reverse();
        assert_eq!(instants(&held(&other)), found);
    }
    found
}

#[test]
fn of_two_made_at_once_the_first_stands_whoever_signed_it() {
    assert_eq!(standing(&[order(1, 0, 100), order(2, 1, 50)]), [100]);
    assert_eq!(standing(&[order(1, 0, 100), order(NETWORK, 1, 500)]), [100]);
    assert_eq!(standing(&[order(2, 0, 100), order(1, 0, 500)]).len(), 1, "signed at the same moment");
}

#[test]
fn another_one_stands_when_the_first_is_over_and_far_enough_away() {
    let least = LEAST_INTERVAL / SECOND;
    assert_eq!(standing(&[order(1, 0, 100), order(1, 100, 100 + least)]), [100, 100 + least]);
    assert_eq!(standing(&[order(1, 0, 100), order(1, 100, 99 + least)]), [100]);
    assert_eq!(standing(&[order(1, 0, 100), order(1, 99, 500)]), [100], "it was signed before the first one's instant");
}

#[test]
fn an_order_that_lost_stands_when_the_one_it_lost_against_is_ended() {
    let both = [order(1, 0, 100), order(2, 1, 50)];
    assert_eq!(standing(&[both[0].clone(), both[1].clone(), abort(1, 10, (1, 0))]), [50]);
}

#[test]
fn an_end_works_before_the_instant_only_and_only_from_whoever_may() {
    let first = order(1, 0, 100);
    assert_eq!(standing(&[first.clone(), abort(2, 99, (1, 0))]), [0_i64; 0]);
    assert_eq!(standing(&[first.clone(), abort(NETWORK, 99, (1, 0))]), [0_i64; 0]);
    assert_eq!(standing(&[first.clone(), abort(1, 100, (1, 0))]), [100], "too late");
    assert_eq!(standing(&[first, abort(1, 50, (1, 1))]), [100], "another one");
    assert_eq!(
        standing(&[order(NETWORK, 0, 100), abort(1, 50, (NETWORK, 0))]),
        [100],
        "a member, against the network key"
    );
}

fn put(orders: &mut Orders, said: Said) -> Taken {
    orders.put(said.0, &said.1)
}

#[test]
fn no_more_are_held_than_fit_and_the_network_key_always_has_room() {
    let mut orders = Orders::default();
    let signers = || (10..).take(MAX_HELD);
    for by in signers() {
        assert_eq!(put(&mut orders, order(by, by.into(), 100)), Taken::News);
    }
    assert_eq!(put(&mut orders, order(2, 50, 100)), Taken::Full);
    assert_eq!(put(&mut orders, order(10, 10, 100)), Taken::Known);
    assert_eq!(put(&mut orders, order(NETWORK, 51, 100)), Taken::News);
    assert_eq!(orders.records().count(), MAX_HELD);
    assert!(orders.get(&(time(17), id(17))).is_none(), "the last one of a member gave way");
    for by in signers() {
        assert_eq!(put(&mut orders, abort(by, 50 + i64::from(by), (1, 0))), Taken::News);
    }
    assert_eq!(put(&mut orders, abort(2, 90, (1, 0))), Taken::Full);
    assert_eq!(put(&mut orders, abort(NETWORK, 90, (1, 0))), Taken::News);
    assert_eq!(orders.records().count(), 2 * MAX_HELD);
}

#[test]
fn one_member_takes_few_of_the_places_and_those_it_signed_first_in_whatever_order_they_come() {
    let signed = [0, 1, 2, 3, 4];
    for turn in 0..signed.len() {
        let mut orders = Orders::default();
        let mut seqs = signed;
        seqs.rotate_left(turn);
        for seq in seqs {
            put(&mut orders, order(1, seq, 100));
            put(&mut orders, abort(1, 50 + seq, (1, 0)));
        }
        assert_eq!(orders.records().count(), 2 * MAX_HELD_EACH);
        for (seq, is_held) in signed.into_iter().zip([true, true, true, false, false]) {
            assert_eq!(orders.get(&(time(seq), id(1))).is_some(), is_held, "{seq}, turned by {turn}");
        }
        assert_eq!(put(&mut orders, order(1, 9, 100)), Taken::Full);
        assert_eq!(put(&mut orders, order(2, 9, 100)), Taken::News, "others have room");
    }
    let mut orders = Orders::default();
    for seq in 0..=3 {
        assert_eq!(put(&mut orders, order(NETWORK, seq, 100)), Taken::News, "the network key is not bound by it");
    }
}

#[test]
fn what_has_expired_or_was_signed_by_somebody_expelled_is_forgotten() {
    let mut orders = held(&[order(1, 0, 100), order(2, 200, 300), abort(2, 50, (1, 0))]);
    orders.forget(&id(2));
    assert_eq!(orders.records().count(), 1);
    assert!(!orders.expire(time(699)));
    assert!(orders.expire(time(700)));
    assert_eq!(orders.records().count(), 0);
}
