//! What a peer may send and how it is answered, byte by byte.

use bytes::{Bytes, BytesMut};

use crate::frame::{EncodeError, decode_datagram, encode, encode_datagram, encode_head};
use crate::limits::{MAX_BODY, MAX_DATAGRAM, MAX_LINE, MAX_LINE_BEFORE_HELLO};
use crate::message::{Broadcast, BroadcastMessage, Echo, ErrorMessage};
use crate::{Code, Decoded, Decoder, Encoding, Fault, Frame, Message, NodeId, UnixMicros};

fn ping(text: &str) -> Frame {
    Message::Ping(Echo { nonce: 1, text: text.to_owned() }).into()
}

fn flood(body: &[u8]) -> Frame {
    let message = BroadcastMessage {
        by: NodeId::from_bytes([1; 32]),
        seq: UnixMicros::new(2),
        sig: "c2ln".to_owned(),
        attempt: 0,
        holders: Default::default(),
        trail: Default::default(),
        silent: false,
        announcement: None,
    };
    Frame { message: Message::Broadcast(Broadcast::Flood(message)), body: Some(Bytes::copy_from_slice(body)) }
}

fn accepted(encoding: Encoding) -> Decoder {
    let mut decoder = Decoder::new();
    decoder.accept(encoding);
    decoder
}

/// Everything `bytes` holds, up to the first framing fault.
fn decode_all(decoder: &mut Decoder, bytes: &[u8]) -> (Vec<Decoded>, Option<Fault>) {
    let mut input = BytesMut::from(bytes);
    let mut found = Vec::new();
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(decoded)) => found.push(decoded),
            Ok(None) => return (found, None),
            Err(fault) => return (found, Some(fault)),
        }
    }
}

fn fault_of(line: &[u8]) -> Code {
    decode_all(&mut accepted(Encoding::Json), line).1.expect("a framing fault").code
}

#[test]
fn frames_come_back_as_sent_in_both_encodings_and_in_any_pieces() {
    for encoding in [Encoding::Json, Encoding::Bson] {
        let frames = [ping("a\nb\"c"), flood(b""), flood(b"raw \n bytes"), ping("ё")];
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(frame, encoding).expect("fits")).collect();
        for size in [1, 2, 7, bytes.len()] {
            let mut decoder = accepted(encoding);
            let (mut input, mut found) = (BytesMut::new(), Vec::new());
            for piece in bytes.chunks(size) {
                input.extend_from_slice(piece);
                while let Some(decoded) = decoder.decode(&mut input).expect("no fault") {
                    found.push(decoded);
                }
            }
            assert_eq!(found, frames.iter().cloned().map(Decoded::Frame).collect::<Vec<_>>());
            assert!(!decoder.is_partial(&input));
        }
    }
}

#[test]
fn the_body_of_a_frame_is_taken_off_the_stream_even_if_the_type_is_unknown_or_the_message_invalid() {
    let stream = b"{\"len\":3,\"later\":{\"x\":[1]}}\n{}\n{\"len\":2,\"ping\":{\"nonce\":\"x\"}}\n\n\n{\"ping\":{\"nonce\":1}}\n";
    let (found, fault) = decode_all(&mut accepted(Encoding::Json), stream);
    assert_eq!(fault, None);
    assert_eq!(found[0], Decoded::Unknown { tag: "later".to_owned() });
    assert!(matches!(&found[1], Decoded::Invalid(fault) if fault.code == Code::InvalidMessage));
    assert_eq!(found[2], Decoded::Frame(ping("")));
}

#[test]
fn len_is_the_first_member_exactly_once_and_within_its_limit() {
    for line in [
        "{\"ping\":{\"nonce\":1},\"len\":3}\n",
        "{\"len\":1,\"len\":1,\"later\":{}}\n",
        "{\"len\":-1,\"later\":{}}\n",
        "{\"len\":1.5,\"later\":{}}\n",
        "{\"len\":4294967296,\"later\":{}}\n",
        "{\"len\":\"1\",\"later\":{}}\n",
        "{\"len\":1}\n",
    ] {
        assert_eq!(fault_of(line.as_bytes()), Code::InvalidFrame, "{line}");
    }
    for len in [MAX_BODY + 1, 1 << 31, u32::MAX as usize] {
        assert_eq!(fault_of(format!("{{\"len\":{len},\"later\":{{}}}}\n").as_bytes()), Code::BodyTooLong);
    }
    let mut stream = format!("{{\"len\":{MAX_BODY},\"later\":{{}}}}\n").into_bytes();
    stream.extend(vec![b'x'; MAX_BODY]);
    assert_eq!(decode_all(&mut accepted(Encoding::Json), &stream).0.len(), 1);
}

#[test]
fn what_is_not_one_object_with_one_message_is_a_framing_fault() {
    for line in [
        "\n",
        "[]\n",
        "1\n",
        "{}\n",
        "garbage\n",
        "{\"ping\":{\"nonce\":1}\n",
        "{\"ping\":{\"nonce\":1}} x\n",
        "{\"ping\":{\"nonce\":1},\"pong\":{\"nonce\":1}}\n",
        "{\"ping\":{\"nonce\":1},\"ping\":{\"nonce\":1}}\n",
        "{\"later\":{,}}\n",
    ] {
        assert_eq!(fault_of(line.as_bytes()), Code::InvalidFrame, "{line:?}");
    }
    assert_eq!(fault_of(b"{\"ping\":\xff}\n"), Code::InvalidUtf8);
}

#[test]
fn a_known_message_with_doubled_missing_or_mistyped_members_is_refused_and_the_next_is_read() {
    for bad in [
        "{\"nonce\":1,\"nonce\":1}",
        "{}",
        "{\"nonce\":\"1\"}",
        "{\"nonce\":-1}",
        "{\"nonce\":4294967296}",
        "{\"nonce\":1.0}",
        "null",
        "[]",
        "\"x\"",
        "{\"nonce\":1,\"text\":7}",
    ] {
        let stream = format!("{{\"ping\":{bad}}}\n{{\"ping\":{{\"nonce\":1,\"text\":\"\"}}}}\n");
        let (found, fault) = decode_all(&mut accepted(Encoding::Json), stream.as_bytes());
        assert_eq!(fault, None, "{bad}");
        assert!(
            matches!(&found[0], Decoded::Invalid(fault) if fault.code == Code::InvalidMessage),
            "{bad}: {:?}",
            found[0]
        );
        assert_eq!(found[1], Decoded::Frame(ping("")));
    }
}

#[test]
fn unknown_members_are_ignored_and_unknown_types_named() {
    let stream = b"{\"ping\":{\"nonce\":1,\"colour\":{\"x\":[1,2]}}}\n{\"ring\":{\"dance\":{}}}\n{\"later\":7}\n{\"relay\":\"dance\"}\n";
    let (found, fault) = decode_all(&mut accepted(Encoding::Json), stream);
    assert_eq!(fault, None);
    assert_eq!(found[0], Decoded::Frame(ping("")));
    assert_eq!(found[1], Decoded::Unknown { tag: "ring.dance".to_owned() });
    assert_eq!(found[2], Decoded::Unknown { tag: "later".to_owned() });
    assert!(matches!(&found[3], Decoded::Invalid(_)));
}

#[test]
fn a17_a_line_of_the_limit_passes_and_one_byte_more_is_refused_before_it_ends() {
    for (mut decoder, limit) in [(Decoder::new(), MAX_LINE_BEFORE_HELLO), (accepted(Encoding::Json), MAX_LINE)] {
        let filler = |length: usize| {
            let frame = "{\"later\":\"\"}\n";
            format!("{{\"later\":\"{}\"}}\n", "x".repeat(length - frame.len()))
        };
        assert!(decode_all(&mut decoder, filler(limit).as_bytes()).1.is_none());
        let (_, fault) = decode_all(&mut decoder, filler(limit + 1).as_bytes());
        assert_eq!(fault.expect("too long").code, Code::FrameTooLong);
        let (_, fault) = decode_all(&mut decoder, &vec![b'x'; limit]);
        assert_eq!(fault.expect("no LF within the limit").code, Code::FrameTooLong);
    }
}

#[test]
fn nesting_of_any_depth_is_refused_by_name() {
    let json = format!("{{\"later\":{}{}}}\n", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(fault_of(json.as_bytes()), Code::TooDeep);
    let brackets_in_text = format!("{{\"ping\":{{\"nonce\":1,\"text\":\"\\\"{}\"}}}}\n", "[".repeat(500));
    assert_eq!(decode_all(&mut accepted(Encoding::Json), brackets_in_text.as_bytes()).0.len(), 1);
    let mut document = vec![];
    for _ in 0..8_000 {
        let mut outer = i32::try_from(document.len() + 8).expect("small").to_le_bytes().to_vec();
        outer.extend([0x03, b'a', 0]);
        outer.extend(if document.is_empty() { vec![5, 0, 0, 0, 0] } else { document });
        outer.push(0);
        let length = i32::try_from(outer.len()).expect("small");
        outer[..4].copy_from_slice(&length.to_le_bytes());
        document = outer;
    }
    let (_, fault) = decode_all(&mut accepted(Encoding::Bson), &document[..document.len().min(MAX_LINE)]);
    assert_eq!(fault.expect("refused").code, Code::TooDeep);
}

#[test]
fn broken_bson_is_refused_without_a_panic() {
    for length in [0, 1, 4, -1, i32::MIN, i32::MAX, 65_537] {
        let (_, fault) = decode_all(&mut accepted(Encoding::Bson), &i32::to_le_bytes(length));
        assert!(fault.is_some(), "length {length}");
    }
    let good = encode(&ping("hello"), Encoding::Bson).expect("fits");
    for at in 4..good.len() {
        for value in [0, 1, 0x03, 0x7f, 0xff] {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            decode_all(&mut accepted(Encoding::Bson), &bytes);
        }
    }
}

#[test]
fn frames_beyond_the_limits_cannot_be_written() {
    assert!(encode(&ping(&"x".repeat(MAX_LINE)), Encoding::Json).is_err());
    assert!(encode(&flood(&vec![0; MAX_BODY + 1]), Encoding::Json).is_err());
    assert!(encode(&flood(&vec![0; MAX_BODY]), Encoding::Json).is_ok());
}

#[test]
fn a_datagram_is_one_frame_behind_a_line_feed() {
    let frame = flood(b"abc");
    let datagram = encode_datagram(&frame).expect("fits");
    assert_eq!(datagram[0], b'\n');
    assert_eq!(decode_datagram(&datagram), Ok(Decoded::Frame(frame)));
    for bad in [&datagram[1..], &datagram[..datagram.len() - 1], b"\n", b"", &[b'\n'; MAX_DATAGRAM + 1]] {
        assert!(decode_datagram(bad).is_err());
    }
    assert!(encode_datagram(&ping(&"x".repeat(MAX_DATAGRAM))).is_err());
}

#[test]
fn a_refusal_in_json_is_read_where_bson_was_agreed_on() {
    let mut decoder = Decoder::new();
    decoder.accept(Encoding::Bson);
    let refusal = Frame::from(Message::Error(ErrorMessage::new(Code::NotMember, "no")));
    let mut input = BytesMut::from(&encode(&refusal, Encoding::Json).expect("fits")[..]);
    assert_eq!(decoder.decode(&mut input), Ok(Some(Decoded::Frame(refusal.clone()))));
    input.extend_from_slice(&encode(&refusal, Encoding::Bson).expect("fits"));
    assert_eq!(decoder.decode(&mut input), Ok(Some(Decoded::Frame(refusal))));
}

#[test]
fn a_head_and_its_body_are_the_whole_frame_in_both_encodings() {
    let text = r#"{"len":3,"datagram":{"src":"aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq","dst":"ambqgaydambqgaydambqgaydambqgaydambqgaydambqgaydambq","flow":7,"service":"echo","ttl":32}}"#;
    let mut input = BytesMut::from(format!("{text}\nabc").as_bytes());
    let mut decoder = Decoder::new();
    let Ok(Some(Decoded::Frame(frame))) = decoder.decode(&mut input) else { panic!("a datagram") };
    for encoding in [Encoding::Json, Encoding::Bson] {
        let head = encode_head(&frame.message, 3, encoding).unwrap();
        assert_eq!([&head[..], b"abc"].concat(), encode(&frame, encoding).unwrap());
    }
    let too_long = encode_head(&frame.message, MAX_BODY + 1, Encoding::Json);
    assert!(matches!(too_long, Err(EncodeError::BodyTooLong(_))));
}
