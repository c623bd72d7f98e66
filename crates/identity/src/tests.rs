//! Forging, replaying, outdating and borrowing records.

use meshline_protocol::message::{Announcement, Departure, Membership, RecordText, Revocation, Role};
use meshline_protocol::{Bounded, NetworkId, SignedRecord, UnixMicros};

use crate::verifier::{MAX_REMEMBERED, Remembered};
use crate::{
    JoinRequest, KeyPair, Listing, Member, RecordError, RevocationList, Sequence, Verifier, admit_by, sign, verify,
};

const NOW: UnixMicros = UnixMicros::new(1_800_000_000_000_000);
const HOUR: i64 = 3_600_000_000;

fn key(n: u8) -> KeyPair {
    KeyPair::from_secret([n; 32])
}

fn network() -> NetworkId {
    NetworkId::Closed(key(100).id())
}

fn membership_text(node: u8) -> Membership {
    Membership {
        kind: Membership::TYPE.to_owned(),
        network: network(),
        seq: NOW.offset(-HOUR),
        expires: NOW.offset(HOUR),
        node: key(node).id(),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first([Role::Node]),
    }
}

fn membership(node: u8) -> SignedRecord {
    sign(&membership_text(node), &key(100)).expect("plain data")
}

fn announcement_text(membership: Option<SignedRecord>) -> Announcement {
    Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: network(),
        seq: NOW,
        expires: NOW.offset(HOUR),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first([Role::Node, Role::Proxy]),
        addresses: Bounded::default(),
        next: None,
        membership,
    }
}

/// What those who link with it say of a record, and whoever only lists it says as well.
fn admit(
    record: &SignedRecord,
    network: &NetworkId,
    revoked: &RevocationList,
    now: UnixMicros,
) -> Result<Member, RecordError> {
    let verdict = crate::admit(record, network, revoked, now);
    assert_eq!(crate::admit_to_list(&[Listing { record, network }], revoked, now), std::slice::from_ref(&verdict));
    verdict
}

fn announced(text: &Announcement, by: u8) -> Result<Member, RecordError> {
    admit(&sign(text, &key(by)).expect("plain data"), &network(), &RevocationList::default(), NOW)
}

fn revocation_text(node: u8, seq: UnixMicros) -> Revocation {
    Revocation {
        kind: Revocation::TYPE.to_owned(),
        network: network(),
        seq,
        expires: NOW.offset(HOUR),
        node: key(node).id(),
    }
}

#[test]
fn whoever_lists_many_at_once_judges_each_as_if_it_were_alone() {
    let open: NetworkId = "open".parse().expect("a name");
    let closed = |node: u8| {
        let text = announcement_text(Some(membership(node)));
        (sign(&text, &key(node)).expect("plain data"), network())
    };
    let alone = Announcement { network: open.clone(), ..announcement_text(None) };
    let (mut forged, mut lent) = (closed(3), closed(4));
    forged.0.sig = closed(2).0.sig;
    lent.0.signed = lent.0.signed.replacen("\\\"name\\\":\\\"bobby", "\\\"name\\\":\\\"carol", 1);
    lent.0.sig = key(4).sign_bytes(lent.0.signed.as_bytes());
    let good = [closed(1), closed(2), (sign(&alone, &key(5)).expect("plain data"), open)];
    let bad = [forged, lent, (closed(6).0, NetworkId::Closed(key(6).id())), closed(7)];
    let mut revoked = RevocationList::default();
    revoked.insert(&sign(&revocation_text(7, NOW), &key(100)).expect("plain data"), &network(), NOW).expect("holds");
    let judge = |all: &[(SignedRecord, NetworkId)]| {
        let listings: Vec<Listing<'_>> = all.iter().map(|(record, network)| Listing { record, network }).collect();
        let verdicts = crate::admit_to_list(&listings, &revoked, NOW);
        let each = all.iter().map(|(record, network)| crate::admit(record, network, &revoked, NOW));
        assert_eq!(verdicts, each.collect::<Vec<_>>());
        verdicts.iter().map(|verdict| verdict.as_ref().err().copied()).collect::<Vec<_>>()
    };
    assert_eq!(judge(&[]), []);
    assert_eq!(judge(&good), [None; 3]);
    let reasons = [RecordError::BadSignature, RecordError::BadSignature, RecordError::Foreign, RecordError::Revoked];
    assert_eq!(judge(&bad), reasons.map(Some));
    let expected: Vec<Option<RecordError>> = [None; 3].into_iter().chain(reasons.map(Some)).collect();
    assert_eq!(judge(&[&good[..], &bad[..]].concat()), expected);
}

#[test]
fn a_key_file_goes_to_pem_and_back() {
    let pem = key(1).to_pem().expect("writes");
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(KeyPair::from_pem(&pem).expect("reads").id(), key(1).id());
    assert!(KeyPair::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
    assert!(!format!("{:?}", key(1)).contains(&pem[30..60]), "a key never shows itself");
}

#[test]
fn signatures_agree_with_rfc_8032() {
    // RFC 8032 §7.1, test 2.
    let secret = data_encoding::HEXLOWER
        .decode(b"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
        .expect("hex");
    let pair = KeyPair::from_secret(secret.try_into().expect("32 bytes"));
    let sig = data_encoding::BASE64.decode(pair.sign_bytes(&[0x72]).as_bytes()).expect("base64");
    assert_eq!(
        data_encoding::HEXLOWER.encode(&sig),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
}

#[test]
fn a_member_is_admitted_with_the_roles_it_was_granted() {
    let member = announced(&announcement_text(Some(membership(1))), 1).expect("admitted");
    assert_eq!(member.id, key(1).id());
    assert_eq!(member.roles, [Role::Node], "proxy was claimed and not granted");
}

#[test]
fn a_forged_text_or_author_is_refused() {
    let good = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let changed = SignedRecord { signed: good.signed.replace("bobby", "robby"), ..good.clone() };
    let spaced = SignedRecord { signed: good.signed.replacen(',', ", ", 1), ..good.clone() };
    let renamed = SignedRecord { by: key(2).id(), ..good.clone() };
    let cut = SignedRecord { sig: good.sig[4..].to_owned(), ..good.clone() };
    for forged in [changed, spaced, renamed, cut] {
        assert_eq!(admit(&forged, &network(), &RevocationList::default(), NOW), Err(RecordError::BadSignature));
    }
}

#[test]
fn no_letter_of_either_signature_may_differ() {
    let good = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let bent = |sig: &str, at: usize| -> String {
        let other = |letter: char| if letter == 'A' { 'B' } else { 'A' };
        sig.chars().enumerate().map(|(n, letter)| if n == at { other(letter) } else { letter }).collect()
    };
    let refused = |record: &SignedRecord| {
        let verdict = admit(record, &network(), &RevocationList::default(), NOW);
        assert_eq!(verdict, Err(RecordError::BadSignature), "{record:?}");
    };
    for at in 0..good.sig.len() {
        refused(&SignedRecord { sig: bent(&good.sig, at), ..good.clone() });
        let granted = SignedRecord { sig: bent(&membership(1).sig, at), ..membership(1) };
        refused(&sign(&announcement_text(Some(granted)), &key(1)).expect("plain data"));
    }
    // What one of them has too much of, the other one may not make up for.
    let swapped = SignedRecord { sig: good.sig.clone(), ..membership(1) };
    let text = announcement_text(Some(swapped));
    refused(&SignedRecord { sig: membership(1).sig, ..sign(&text, &key(1)).expect("plain data") });
}

#[test]
fn a_malleable_signature_is_refused() {
    let good = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let mut raw = data_encoding::BASE64.decode(good.sig.as_bytes()).expect("base64");
    // s + L, with L the order of the group (RFC 8032 §5.1): the same s to a careless verifier.
    let order = data_encoding::HEXLOWER
        .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        .expect("hex");
    let mut carry = 0;
    for (s, l) in raw[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        *s = u8::try_from(sum & 0xff).expect("a byte");
        carry = sum >> 8;
    }
    let twin = SignedRecord { sig: data_encoding::BASE64.encode(&raw), ..good };
    assert_eq!(admit(&twin, &network(), &RevocationList::default(), NOW), Err(RecordError::BadSignature));
}

#[test]
fn a_borrowed_membership_is_refused() {
    assert_eq!(
        announced(&announcement_text(Some(membership(2))), 1),
        Err(RecordError::Foreign),
        "another's membership"
    );
    let mut other_name = announcement_text(Some(membership(1)));
    other_name.name = "donald".parse().expect("valid");
    assert_eq!(announced(&other_name, 1), Err(RecordError::Foreign), "another's name");
    let self_made = sign(&membership_text(1), &key(1)).expect("plain data");
    assert_eq!(announced(&announcement_text(Some(self_made)), 1), Err(RecordError::Foreign), "signed by oneself");
    assert_eq!(announced(&announcement_text(None), 1), Err(RecordError::NotMember));
}

#[test]
fn a_record_of_another_type_or_network_is_refused_in_its_place() {
    let departure =
        Departure { kind: Departure::TYPE.to_owned(), network: network(), seq: NOW, expires: NOW.offset(HOUR) };
    let record = sign(&departure, &key(1)).expect("plain data");
    assert_eq!(admit(&record, &network(), &RevocationList::default(), NOW), Err(RecordError::WrongForm));
    let mut disguised = announcement_text(None);
    disguised.kind = "departure".to_owned();
    assert_eq!(announced(&disguised, 1), Err(RecordError::WrongForm));
    let other = NetworkId::Closed(key(101).id());
    assert_eq!(verify::<Departure>(&record, &other, NOW), Err(RecordError::Foreign));
}

#[test]
fn an_ended_announcement_or_membership_is_refused_at_the_very_moment() {
    let text = announcement_text(Some(membership(1)));
    let record = sign(&text, &key(1)).expect("plain data");
    let at = |now| admit(&record, &network(), &RevocationList::default(), now);
    assert!(at(NOW.offset(HOUR - 1)).is_ok());
    assert_eq!(at(NOW.offset(HOUR)), Err(RecordError::Expired));
}

#[test]
fn a_revoked_member_is_refused_until_it_is_invited_anew() {
    let record = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let mut list = RevocationList::default();
    let revocation = sign(&revocation_text(1, NOW), &key(100)).expect("plain data");
    assert!(list.insert(&revocation, &network(), NOW).expect("valid").is_some());
    assert_eq!(list.insert(&revocation, &network(), NOW), Ok(None), "a replay changes nothing");
    assert_eq!(admit(&record, &network(), &list, NOW), Err(RecordError::Revoked));
    let mut renewed = membership_text(1);
    renewed.seq = NOW.offset(1);
    let again = announcement_text(Some(sign(&renewed, &key(100)).expect("plain data")));
    assert!(admit(&sign(&again, &key(1)).expect("plain data"), &network(), &list, NOW).is_ok());
}

#[test]
fn only_the_network_key_revokes_and_an_older_revocation_changes_nothing() {
    let mut list = RevocationList::default();
    let forged = sign(&revocation_text(1, NOW), &key(1)).expect("plain data");
    assert_eq!(list.insert(&forged, &network(), NOW), Err(RecordError::Foreign));
    let newer = sign(&revocation_text(1, NOW), &key(100)).expect("plain data");
    let older = sign(&revocation_text(1, NOW.offset(-5)), &key(100)).expect("plain data");
    assert!(list.insert(&newer, &network(), NOW).expect("valid").is_some());
    assert_eq!(list.insert(&older, &network(), NOW), Ok(None));
    assert!(list.ends(&key(1).id(), NOW.offset(-1)));
    assert!(
        list.insert(&newer, &NetworkId::Open("lab".parse().expect("valid")), NOW).is_err(),
        "open networks have no key"
    );
}

#[test]
fn a_revocation_is_kept_until_what_it_ends_has_expired_and_no_more_than_fit() {
    let mut list = RevocationList::default();
    for n in 0..=u16::try_from(meshline_protocol::limits::MAX_REVOCATIONS).expect("small") {
        let mut text = revocation_text(1, NOW);
        let mut secret = [0; 32];
        secret[..2].copy_from_slice(&n.to_le_bytes());
        text.node = KeyPair::from_secret(secret).id();
        let result = list.insert(&sign(&text, &key(100)).expect("plain data"), &network(), NOW);
        let full = usize::from(n) == meshline_protocol::limits::MAX_REVOCATIONS;
        assert_eq!(result.is_err(), full, "number {n}");
    }
    list.expire(NOW.offset(HOUR));
    assert!(list.is_empty());
    let ended = sign(&revocation_text(1, NOW), &key(100)).expect("plain data");
    assert_eq!(list.insert(&ended, &network(), NOW.offset(HOUR)), Err(RecordError::Expired));
}

#[test]
fn a_join_request_proves_the_key_that_asks() {
    let request =
        JoinRequest::sign(network(), "bobby".parse().expect("valid"), &[Role::Node], &key(1), NOW).expect("plain data");
    assert_eq!(JoinRequest::verify(&request, &network(), NOW).expect("valid").node, key(1).id());
    let stolen = SignedRecord { by: key(2).id(), ..request.clone() };
    assert_eq!(JoinRequest::verify(&stolen, &network(), NOW), Err(RecordError::BadSignature));
    assert_eq!(JoinRequest::verify(&request, &network(), NOW.offset(8 * 24 * HOUR)), Err(RecordError::Expired));
}

#[test]
fn a_sequence_grows_even_when_the_clock_goes_back() {
    let mut sequence = Sequence::after(NOW);
    let first = sequence.next(NOW.offset(-HOUR));
    assert!(first > NOW);
    assert_eq!(sequence.next(NOW.offset(HOUR)), NOW.offset(HOUR));
    assert_eq!(sequence.last(), NOW.offset(HOUR));
}

#[test]
fn who_remembers_signatures_says_the_same_as_who_does_not() {
    let (verifier, plain) = (Verifier::remembering(), Verifier::default());
    let sig = key(1).sign_bytes(b"text");
    for _ in 0..2 {
        for (by, bytes) in [(1, &b"text"[..]), (2, b"text"), (1, b"other"), (1, b"")] {
            let is_good = plain.verify(&key(by).id(), bytes, &sig);
            assert_eq!(is_good, by == 1 && bytes == b"text");
            assert_eq!(verifier.clone().verify(&key(by).id(), bytes, &sig), is_good);
        }
    }
}

#[test]
fn a_known_signature_does_not_keep_a_record_from_ending_or_its_member_from_being_revoked() {
    let verifier = Verifier::remembering();
    let record = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let mut list = RevocationList::default();
    let at = |list: &RevocationList, now| admit_by(&verifier, &record, &network(), list, now).map(|member| member.id);
    assert_eq!(at(&list, NOW), Ok(key(1).id()));
    assert_eq!(at(&list, NOW.offset(HOUR)), Err(RecordError::Expired));
    let revocation = sign(&revocation_text(1, NOW), &key(100)).expect("plain data");
    list.insert(&revocation, &network(), NOW).expect("valid");
    assert_eq!(at(&list, NOW), Err(RecordError::Revoked));
}

#[test]
fn who_remembers_gives_the_same_member_to_all_and_only_for_the_same_record_and_network() {
    let verifier = Verifier::remembering();
    let record = sign(&announcement_text(Some(membership(1))), &key(1)).expect("plain data");
    let list = RevocationList::default();
    let admitted =
        |record: &SignedRecord, network: &NetworkId| admit_by(&verifier.clone(), record, network, &list, NOW);
    let (one, other) = (admitted(&record, &network()).expect("good"), admitted(&record, &network()).expect("good"));
    assert!(std::sync::Arc::ptr_eq(&one, &other));
    assert_eq!(Ok(&*one), admit(&record, &network(), &list, NOW).as_ref());
    let forged = SignedRecord { signed: record.signed.replace("\"roles\"", "\"rules\""), ..record.clone() };
    assert_eq!(admitted(&forged, &network()), Err(RecordError::BadSignature));
    let elsewhere = NetworkId::Closed(key(99).id());
    assert_eq!(admitted(&record, &elsewhere), Err(RecordError::Foreign));
}

#[test]
fn remembered_signatures_are_bounded() {
    let mut remembered = Remembered::default();
    let author = key(1).id();
    for n in 0..MAX_REMEMBERED {
        remembered.add(&author, b"text", &n.to_string());
    }
    assert_eq!(remembered.len(), MAX_REMEMBERED);
    assert!(remembered.knows(&key(1).id(), b"text", "0"));
    remembered.add(&key(1).id(), b"text", "one more");
    assert_eq!(remembered.len(), 1);
    assert!(!remembered.knows(&key(1).id(), b"text", "0"));
}

#[test]
fn texts_that_were_read_are_found_again_by_their_type_and_bounded() {
    let (verifier, plain) = (Verifier::remembering(), Verifier::default());
    let read = std::sync::Arc::new(7_u64);
    plain.note_read("aa0", &read);
    assert_eq!(plain.recall::<u64>("aa0"), None, "who remembers nothing finds nothing");
    for n in 0..MAX_REMEMBERED {
        // Those that begin alike are in the same part.
        verifier.clone().note_read(&format!("aa{n}"), &read);
    }
    assert!(verifier.recall::<u64>("aa0").is_some_and(|found| std::sync::Arc::ptr_eq(&found, &read)));
    assert_eq!(verifier.recall::<u32>("aa0"), None, "it was something else");
    verifier.note_read("aa one more", &read);
    assert_eq!((verifier.recall::<u64>("aa0"), verifier.recall::<u64>("aa one more")), (None, Some(read)));
}
