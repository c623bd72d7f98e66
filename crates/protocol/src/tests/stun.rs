//! STUN against the test vectors of RFC 5769, and against garbage.

use std::net::SocketAddr;

use crate::stun::*;

/// RFC 5769 §2.1: a request with attributes of ICE, one of which would have to be understood.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
                       80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249\
                       c1b571a280280004e57a3bcf";

/// RFC 5769 §2.2: an answer with an IPv4 address.
const ANSWER_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
                         000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

/// RFC 5769 §2.3: an answer with an IPv6 address.
const ANSWER_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
                         a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

const ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A message of a kind with attributes, without a fingerprint.
fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(body.len()).expect("short");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42], &ID, &body].concat()
}

fn request(bytes: &[u8]) -> StunRequest {
    match decode_stun(bytes) {
        Ok(Stun::Request(request)) => request,
        other => panic!("a request is read as {other:?}"),
    }
}

#[test]
fn the_test_vectors_of_rfc_5769_are_read_as_it_says() {
    let asked = request(&bytes(REQUEST));
    assert_eq!((asked.id, asked.unknown, asked.fingerprint, asked.length), (ID, vec![0x0024], true, 108));
    let v4 = Stun::Mapped { id: ID, mapped: address("192.0.2.1:32853") };
    assert_eq!(decode_stun(&bytes(ANSWER_V4)), Ok(v4));
    let v6 = Stun::Mapped { id: ID, mapped: address("[2001:db8:1234:5678:11:2233:4455:6677]:32853") };
    assert_eq!(decode_stun(&bytes(ANSWER_V6)), Ok(v6));
}

#[test]
fn a_question_of_ours_is_answered_with_where_it_came_from() {
    for from in ["198.51.100.7:41234", "[2001:db8::7]:1"].map(address) {
        let asked = request(&stun_request(ID));
        assert_eq!((asked.id, asked.unknown.len(), asked.fingerprint), (ID, 0, true));
        let answer = stun_answer(&asked, from);
        assert_eq!(decode_stun(&answer), Ok(Stun::Mapped { id: ID, mapped: from }));
        assert!(answer.len() <= asked.length + MAX_GROWTH);
    }
    let asked = request(&message(0x0001, &[]));
    let answer = stun_answer(&asked, address("[::ffff:192.0.2.1]:7"));
    assert_eq!(decode_stun(&answer), Ok(Stun::Mapped { id: ID, mapped: address("192.0.2.1:7") }));
    assert_eq!(answer.len(), 32, "nobody asked for a fingerprint");
}

#[test]
fn attributes_that_would_have_to_be_understood_are_refused_by_420_and_named_as_far_as_there_is_room() {
    let unknown: Vec<(u16, &[u8])> = (0x0030..0x0030 + 30).map(|kind| (kind, &[][..])).collect();
    for count in [1, 2, 3, 5, 30] {
        let asked = request(&message(0x0001, &unknown[..count]));
        assert_eq!(asked.unknown.len(), count);
        let answer = stun_answer(&asked, address("192.0.2.1:7"));
        assert_eq!(decode_stun(&answer), Ok(Stun::Refused { id: ID, code: 420 }), "{count}");
        assert!(answer.len() <= asked.length + MAX_GROWTH, "{count}: {} for {}", answer.len(), asked.length);
        let named = usize::from(u16::from_be_bytes([answer[30], answer[31]])) / 2;
        assert!(named >= 1 && named <= count, "{count}: {named}");
    }
    let answer = stun_answer(&request(&bytes(REQUEST)), address("192.0.2.1:7"));
    assert_eq!(decode_stun(&answer), Ok(Stun::Refused { id: ID, code: 420 }));
    let optional = message(0x0001, &[(0x8022, b"somebody"), (0xc001, &[1])]);
    assert!(request(&optional).unknown.is_empty());
}

#[test]
fn the_old_attribute_counts_where_there_is_no_other_and_an_error_has_its_number() {
    let plain: &[u8] = &[0, 1, 0x12, 0x34, 192, 0, 2, 9];
    let mapped = |text| Ok(Stun::Mapped { id: ID, mapped: address(text) });
    assert_eq!(decode_stun(&message(0x0101, &[(0x0001, plain)])), mapped("192.0.2.9:4660"));
    let xored: &[u8] = &[0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
    assert_eq!(decode_stun(&message(0x0101, &[(0x0020, xored), (0x0001, plain)])), mapped("192.0.2.1:32853"));
    let refused = message(0x0111, &[(0x0009, &[0, 0, 5, 0])]);
    assert_eq!(decode_stun(&refused), Ok(Stun::Refused { id: ID, code: 500 }));
    let sealed = message(0x0101, &[(0x0008, &[0; 20]), (0x0020, xored)]);
    assert_eq!(decode_stun(&sealed), Err(StunFault::Answer), "what follows the seal does not count");
}

#[test]
fn each_fault_has_its_name() {
    let good = bytes(ANSWER_V4);
    let mut tampered = good.clone();
    tampered[45] ^= 1;
    assert_eq!(decode_stun(&tampered), Err(StunFault::Fingerprint));
    let mut cookie = good.clone();
    cookie[4] ^= 1;
    assert_eq!(decode_stun(&cookie), Err(StunFault::NotStun));
    assert_eq!(decode_stun(&good[..19]), Err(StunFault::Length));
    assert_eq!(decode_stun(&good[..76]), Err(StunFault::Length));
    assert_eq!(decode_stun(&message(0x0011, &[])), Err(StunFault::Method), "an indication");
    assert_eq!(decode_stun(&message(0x0003, &[])), Err(StunFault::Method), "TURN");
    assert_eq!(decode_stun(&message(0x0101, &[])), Err(StunFault::Answer));
    assert_eq!(decode_stun(&message(0x0101, &[(0x0033, &[])])), Err(StunFault::Answer));
    for value in [&[0_u8, 1, 0, 0, 1, 2, 3][..], &[0, 3, 0, 0, 1, 2, 3, 4], &[0, 2, 0, 0, 1, 2, 3, 4], &[]] {
        assert_eq!(decode_stun(&message(0x0101, &[(0x0020, value)])), Err(StunFault::Attribute), "{value:?}");
    }
    assert_eq!(decode_stun(&message(0x0111, &[(0x0009, &[0, 0, 7, 0])])), Err(StunFault::Attribute));
    let mut beyond = message(0x0001, &[(0x8022, &[0; 4])]);
    beyond[23] = 5;
    assert_eq!(decode_stun(&beyond), Err(StunFault::Attribute));
}

#[test]
fn messages_and_attributes_are_read_up_to_their_bounds() {
    let optional: Vec<(u16, &[u8])> = vec![(0x8022, &[]); MAX_ATTRIBUTES + 1];
    assert!(decode_stun(&message(0x0001, &optional[1..])).is_ok());
    assert_eq!(decode_stun(&message(0x0001, &optional)), Err(StunFault::Attribute));
    let filler = vec![0; MAX_STUN - 20 - 4];
    assert!(decode_stun(&message(0x0001, &[(0x8022, &filler)])).is_ok());
    let more = vec![0; MAX_STUN - 20];
    assert_eq!(decode_stun(&message(0x0001, &[(0x8022, &more)])), Err(StunFault::Length));
}

#[test]
fn garbage_is_refused_or_answered_within_the_bound_and_never_panics() {
    for seed in 1..=20_000_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u8::try_from(state >> 56).expect("eight bits")
        };
        let good = [bytes(REQUEST), bytes(ANSWER_V4), bytes(ANSWER_V6), stun_request(ID)];
        let mut datagram = good[usize::from(random()) % good.len()].clone();
        for _ in 0..random() % 4 {
            let at = usize::from(random()) % datagram.len();
            datagram[at] = random();
        }
        datagram.truncate(usize::from(random()).max(1));
        if random() % 2 == 0 && datagram.len() >= 20 {
            let length = u16::try_from(datagram.len() - 20).expect("short").to_be_bytes();
            datagram[2..4].copy_from_slice(&length);
        }
        if let Ok(Stun::Request(asked)) = decode_stun(&datagram) {
            let answer = stun_answer(&asked, address("[2001:db8::7]:1"));
            assert!(answer.len() <= datagram.len() + MAX_GROWTH, "seed {seed}: {datagram:02x?}");
            assert!(decode_stun(&answer).is_ok(), "seed {seed}: {answer:02x?}");
        }
    }
}
