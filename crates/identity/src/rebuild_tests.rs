//! Orders that are forged, borrowed, ended, early, late, or not of the form.

use meshline_protocol::message::{
    Membership, RebuildAbort, RebuildCause, RebuildOrder, RebuildProposal, RecordText, Revocation, Role,
};
use meshline_protocol::{Bounded, NetworkId, SignedRecord, UnixMicros};

use crate::rebuild::{MAX_REBUILD_AHEAD, MAX_REBUILD_LATE, MAX_REBUILD_REASON, RebuildWord, judge_rebuild};
use crate::{KeyPair, RecordError, RevocationList, Verifier, sign};

const NOW: UnixMicros = UnixMicros::new(1_800_000_000_000_000);
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// The number of the key of the network.
const NETWORK: u8 = 100;

fn key(n: u8) -> KeyPair {
    KeyPair::from_secret([n; 32])
}

fn network() -> NetworkId {
    NetworkId::Closed(key(NETWORK).id())
}

fn membership(node: u8, roles: &[Role], by: u8) -> SignedRecord {
    let text = Membership {
        kind: Membership::TYPE.to_owned(),
        network: network(),
        seq: NOW.offset(-HOUR),
        expires: NOW.offset(HOUR),
        node: key(node).id(),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first(roles.iter().copied()),
    };
    sign(&text, &key(by)).expect("plain data")
}

fn order() -> RebuildOrder {
    RebuildOrder {
        kind: RebuildOrder::TYPE.to_owned(),
        network: network(),
        seq: NOW,
        expires: NOW.offset(600 * SECOND),
        at: NOW.offset(30 * SECOND),
        nonce: "0123456789abcdef0123456789abcdef".to_owned(),
        dry_run: false,
        reason: None,
        membership: None,
    }
}

fn judge(text: &impl RecordText, by: u8, revoked: &RevocationList) -> Result<RebuildWord, RecordError> {
    let record = sign(text, &key(by)).expect("plain data");
    judge_rebuild(&Verifier::default(), &record, &network(), revoked, NOW).map(|judged| judged.word)
}

fn judged(text: &impl RecordText, by: u8) -> Result<RebuildWord, RecordError> {
    judge(text, by, &RevocationList::default())
}

#[test]
fn the_network_key_and_a_member_with_the_role_may_sign_an_order_and_nobody_else() {
    assert_eq!(judged(&order(), NETWORK), Ok(RebuildWord::Order(order())));
    let with = |roles: &[Role], by| RebuildOrder { membership: Some(membership(1, roles, by)), ..order() };
    let good = with(&[Role::Node, Role::Rebuild], NETWORK);
    assert_eq!(judged(&good, 1), Ok(RebuildWord::Order(good.clone())));
    assert_eq!(judged(&order(), 1), Err(RecordError::NotMember));
    assert_eq!(judged(&with(&[Role::Node, Role::Proxy, Role::Exit], NETWORK), 1), Err(RecordError::Foreign));
    assert_eq!(judged(&with(&[Role::Rebuild], 2), 1), Err(RecordError::Foreign), "signed by another network");
    assert_eq!(judged(&good, 2), Err(RecordError::Foreign), "another member's membership");
    let text = RebuildOrder { network: NetworkId::Closed(key(2).id()), ..order() };
    assert_eq!(judged(&text, NETWORK), Err(RecordError::Foreign));
}

#[test]
fn nobody_orders_anything_on_an_open_network() {
    let open: NetworkId = "lab".parse().expect("a name");
    let record = sign(&RebuildOrder { network: open.clone(), ..order() }, &key(1)).expect("plain data");
    let judged = judge_rebuild(&Verifier::default(), &record, &open, &RevocationList::default(), NOW);
    assert_eq!(judged, Err(RecordError::Foreign));
}

#[test]
fn an_altered_order_and_one_of_another_type_are_refused() {
    let mut record = sign(&order(), &key(NETWORK)).expect("plain data");
    record.signed = record.signed.replace("0123456789abcdef0", "f123456789abcdef0");
    let none = RevocationList::default();
    let judged_as = |record| judge_rebuild(&Verifier::default(), record, &network(), &none, NOW);
    assert_eq!(judged_as(&record), Err(RecordError::BadSignature));
    let text = RebuildOrder { kind: "rebuild_abort".to_owned(), ..order() };
    assert_eq!(judged(&text, NETWORK), Err(RecordError::WrongForm));
    let text = RebuildOrder { kind: "membership".to_owned(), ..order() };
    assert_eq!(judged(&text, NETWORK), Err(RecordError::WrongForm));
}

#[test]
fn an_expelled_member_orders_nothing() {
    let text = RebuildOrder { membership: Some(membership(1, &[Role::Rebuild], NETWORK)), ..order() };
    let mut revoked = RevocationList::default();
    let revocation = Revocation {
        kind: Revocation::TYPE.to_owned(),
        network: network(),
        seq: NOW,
        expires: NOW.offset(HOUR),
        node: key(1).id(),
    };
    let record = sign(&revocation, &key(NETWORK)).expect("plain data");
    revoked.insert(&record, &network(), NOW).expect("good");
    assert_eq!(judge(&text, 1, &revoked), Err(RecordError::Revoked));
}

#[test]
fn instant_and_end_are_held_to_their_bounds() {
    let at = |at: UnixMicros| RebuildOrder { at, expires: at.offset(SECOND), ..order() };
    assert!(judged(&at(NOW.offset(1)), NETWORK).is_ok());
    assert!(judged(&at(NOW.offset(MAX_REBUILD_AHEAD)), NETWORK).is_ok());
    assert_eq!(judged(&at(NOW), NETWORK), Err(RecordError::WrongForm), "not after it was signed");
    assert_eq!(judged(&at(NOW.offset(MAX_REBUILD_AHEAD + 1)), NETWORK), Err(RecordError::WrongForm));
    let until = |late: i64| RebuildOrder { expires: order().at.offset(late), ..order() };
    assert!(judged(&until(1), NETWORK).is_ok());
    assert!(judged(&until(MAX_REBUILD_LATE), NETWORK).is_ok());
    assert_eq!(judged(&until(0), NETWORK), Err(RecordError::WrongForm));
    assert_eq!(judged(&until(MAX_REBUILD_LATE + 1), NETWORK), Err(RecordError::WrongForm));
    let past = RebuildOrder { seq: NOW.offset(-HOUR), at: NOW.offset(-2), expires: NOW, ..order() };
    assert_eq!(judged(&past, NETWORK), Err(RecordError::Expired));
}

#[test]
fn nonce_and_reason_are_held_to_their_form() {
    let nonce = |nonce: &str| judged(&RebuildOrder { nonce: nonce.to_owned(), ..order() }, NETWORK).map(|_| ());
    for wrong in [
        "",
        "0123",
        "0123456789ABCDEF0123456789abcdef",
        "0123456789abcdef0123456789abcdef0",
        "0123456789abcdef0123456789abcdeg",
    ] {
        assert_eq!(nonce(wrong), Err(RecordError::WrongForm), "{wrong}");
    }
    let reason = |reason: String| judged(&RebuildOrder { reason: Some(reason), ..order() }, NETWORK).map(|_| ());
    assert_eq!(reason("é".repeat(MAX_REBUILD_REASON)), Ok(()));
    assert_eq!(reason("é".repeat(MAX_REBUILD_REASON + 1)), Err(RecordError::WrongForm));
    assert_eq!(reason("two\nlines".to_owned()), Err(RecordError::WrongForm));
}

#[test]
fn an_end_is_signed_as_an_order_and_what_the_network_key_ordered_only_it_ends() {
    let abort = |membership| RebuildAbort {
        kind: RebuildAbort::TYPE.to_owned(),
        network: network(),
        seq: NOW.offset(1),
        expires: NOW.offset(600 * SECOND),
        by: key(NETWORK).id(),
        rebuild: NOW,
        membership,
    };
    assert!(judged(&abort(None), NETWORK).is_ok());
    assert!(judged(&abort(Some(membership(1, &[Role::Rebuild], NETWORK))), 1).is_ok());
    assert_eq!(judged(&abort(Some(membership(1, &[Role::Node], NETWORK))), 1), Err(RecordError::Foreign));
    assert_eq!(judged(&RebuildAbort { seq: NOW, ..abort(None) }, NETWORK), Err(RecordError::WrongForm));
    let (net, one, two) = (key(NETWORK).id(), key(1).id(), key(2).id());
    assert!(RebuildWord::may_end(&network(), &net, &one));
    assert!(RebuildWord::may_end(&network(), &net, &net));
    assert!(RebuildWord::may_end(&network(), &two, &one));
    assert!(!RebuildWord::may_end(&network(), &one, &net));
}

#[test]
fn any_member_may_propose_for_an_hour_and_nobody_else() {
    let proposal = |membership| RebuildProposal {
        kind: RebuildProposal::TYPE.to_owned(),
        network: network(),
        seq: NOW,
        expires: NOW.offset(MAX_REBUILD_LATE),
        cause: RebuildCause::LongWays,
        membership,
    };
    let good = proposal(Some(membership(1, &[Role::Node], NETWORK)));
    assert!(judged(&good, 1).is_ok());
    assert_eq!(judged(&proposal(None), 1), Err(RecordError::NotMember));
    assert_eq!(judged(&good, 2), Err(RecordError::Foreign));
    let long = RebuildProposal { expires: good.expires.offset(1), ..good };
    assert_eq!(judged(&long, 1), Err(RecordError::WrongForm));
}
