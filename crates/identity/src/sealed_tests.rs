//! What opens and what does not.

use meshline_protocol::limits::SEALED_BYTES;
use meshline_protocol::message::{TimeFrame, TimeStamps};
use meshline_protocol::{AttemptKey, Code, NetworkId, NodeId, Ping, UnixMicros};

use crate::{AttemptKeys, Ephemeral, open, seal};

const IDS: [NodeId; 2] = [NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32])];

fn network() -> NetworkId {
    NetworkId::Closed(NodeId::from_bytes([3; 32]))
}

fn keys_of(attempts: [u32; 2]) -> [AttemptKeys; 2] {
    let [one, other] = [Ephemeral::from_secret([7; 32]), Ephemeral::from_secret([8; 32])];
    let first = one.agree(&other.public(), (IDS[0], IDS[1]), &network(), attempts[0]);
    let second = other.agree(&one.public(), (IDS[1], IDS[0]), &network(), attempts[1]);
    [first.expect("a good key"), second.expect("a good key")]
}

/// The longest there is on a closed network.
fn frame() -> TimeFrame {
    let time = UnixMicros::new(u64::MAX);
    TimeFrame {
        network: network(),
        version: u16::MAX,
        id: IDS[0],
        time,
        ping: Ping::measured(u64::MAX),
        exchange: u32::MAX,
        step: 3,
        stamps: Some(TimeStamps { origin: time, receive: time }),
        seen: None,
        attempt: Some(u32::MAX),
        mac: None,
    }
}

#[test]
fn the_longest_frame_of_a_closed_network_is_sealed_and_opened() {
    let [one, other] = keys_of([5, 5]);
    for seen in [None, Some("[2001:db88:1111:2222:3333:4444:5555:6666]:65535".parse().expect("an address"))] {
        // With `seen` the first three steps; the last needs none.
        let step = if seen.is_some() { 2 } else { 3 };
        let sent = TimeFrame { seen, step, ..frame() };
        let bytes = seal(sent.clone(), &one).expect("it fits");
        assert_eq!((bytes.len(), bytes.first()), (SEALED_BYTES, Some(&b'\n')));
        let read = open(&bytes, &other).expect("it opens");
        assert_eq!(TimeFrame { mac: None, ..read }, sent);
    }
}

#[test]
fn a_frame_that_does_not_fit_is_not_sealed() {
    let [one, _] = keys_of([5, 5]);
    let name = format!("{}.example:1", "x".repeat(120));
    assert_eq!(seal(TimeFrame { seen: Some(name.parse().expect("an address")), ..frame() }, &one), None);
}

#[test]
fn nothing_altered_opens_wherever_it_is_altered() {
    let [one, other] = keys_of([5, 5]);
    let bytes = seal(TimeFrame { step: 0, stamps: None, ..frame() }, &one).expect("it fits");
    let blanks = bytes.iter().rposition(|byte| *byte == b'}').expect("closed");
    for at in 0..=blanks {
        for flip in [1, 2, 4, 16, 32] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            assert!(open(&altered, &other).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_frame_opens_neither_at_its_sender_nor_in_another_attempt() {
    let [one, other] = keys_of([5, 5]);
    let bytes = seal(frame(), &one).expect("it fits");
    assert!(open(&bytes, &other).is_ok());
    assert_eq!(open(&bytes, &one).err(), Some(Code::BadSignature), "sent back");
    let [_, elsewhere] = keys_of([5, 6]);
    assert_eq!(open(&bytes, &elsewhere).err(), Some(Code::BadSignature), "another attempt");
}

#[test]
fn a_code_that_is_not_the_last_member_opens_nothing() {
    let [one, other] = keys_of([5, 5]);
    let bytes = seal(TimeFrame { step: 0, stamps: None, ..frame() }, &one).expect("it fits");
    let text = String::from_utf8(bytes).expect("text");
    let behind = text.replace("\"}}", "\",\"note\":1}}");
    assert_eq!(open(behind.as_bytes(), &other).err(), Some(Code::InvalidFrame));
    assert_eq!(open(b"\n{\"time\":", &other).err(), Some(Code::InvalidFrame));
    assert_eq!(open(b"", &other).err(), Some(Code::InvalidFrame));
}

#[test]
fn keys_that_make_no_secret_are_refused() {
    let own = Ephemeral::from_secret([7; 32]);
    // All bytes zero, the point one, not in canonical form, and no 32 bytes at all.
    for point in ["A".repeat(43), format!("AQ{}", "A".repeat(41)), format!("{}B", "A".repeat(42))] {
        let theirs: AttemptKey = point.parse().expect("the form of a key");
        assert!(own.agree(&theirs, (IDS[0], IDS[1]), &network(), 1).is_none(), "{point}");
    }
}
