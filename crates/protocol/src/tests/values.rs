//! Values of the wire at their limits and beyond.

use crate::message::{AdvertisementPart, RoutingAdvertisements};
use crate::{Address, Bounded, Name, NetworkId, NodeId, Ping, ServiceKind, ServiceText, UnixMicros};

#[test]
fn an_id_has_52_characters_and_one_spelling() {
    let id = NodeId::from_bytes([7; 32]);
    let text = id.to_string();
    assert_eq!(text.len(), 52);
    assert_eq!(text.parse(), Ok(id));
    assert!(text.to_uppercase().parse::<NodeId>().is_err(), "upper case would be a second spelling");
    let mut last_bits_set = text[..51].to_owned();
    last_bits_set.push('b');
    assert!(last_bits_set.parse::<NodeId>().is_err(), "unused bits would be a second spelling");
}

#[test]
fn ids_stand_in_the_order_of_their_bytes() {
    let id = |at: usize, value: u8| {
        let mut bytes = [7; 32];
        bytes[at] = value;
        NodeId::from_bytes(bytes)
    };
    for at in [0, 1, 7, 8, 9, 31] {
        assert!(id(at, 6) < id(at, 7) && id(at, 7) < id(at, 200), "byte {at}");
        assert_eq!(id(at, 7).cmp(&id(31, 7)), std::cmp::Ordering::Equal);
    }
    assert!(id(0, 6) < id(31, 6), "the first bytes weigh most");
}

#[test]
fn an_id_is_read_from_a_string_of_its_length_and_from_nothing_else() {
    let text = NodeId::from_bytes([7; 32]).to_string();
    assert!(serde_json::from_str::<NodeId>(&format!("\"{text}\"")).is_ok());
    let escaped = text.replacen('a', "\\u0061", 1);
    assert!(serde_json::from_str::<NodeId>(&format!("\"{escaped}\"")).is_ok(), "an escape needs a copy");
    for bad in [&text[..51], &text[..48], &format!("{text}a"), &text.to_uppercase(), ""] {
        assert!(serde_json::from_str::<NodeId>(&format!("\"{bad}\"")).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<NodeId>("7").is_err());
}

#[test]
fn sixty_four_advertisements_in_one_message_are_read_and_one_more_is_refused() {
    let part =
        AdvertisementPart { by: NodeId::from_bytes([7; 32]), seq: UnixMicros::new(1), sig: String::new(), len: 0 };
    let part = serde_json::to_string(&part).expect("it can be written");
    let several = |count: usize| format!("{{\"entries\":[{}]}}", vec![part.as_str(); count].join(","));
    let read = |count| serde_json::from_str::<RoutingAdvertisements>(&several(count));
    assert!(read(64).is_ok_and(|several| several.entries.len() == 64));
    assert!(read(65).is_err());
}

#[test]
fn a_network_of_52_characters_is_closed_and_any_other_label_open() {
    let id = NodeId::from_bytes([9; 32]).to_string();
    assert!(matches!(id.parse(), Ok(NetworkId::Closed(_))));
    assert!(matches!("lab-1".parse(), Ok(NetworkId::Open(_))));
    assert!("Lab 1".parse::<NetworkId>().is_err());
    assert!("a".repeat(33).parse::<NetworkId>().is_err());
}

#[test]
fn names_with_escapes_direction_marks_or_blanks_at_the_ends_are_refused() {
    for bad in ["", " a", "a ", "a\u{1b}[31m", "a\nb", "a\u{202e}b", "a\0", "bobby~abcd", "a/b", &"x".repeat(33)] {
        assert!(bad.parse::<Name>().is_err(), "{bad:?}");
    }
    for good in ["bobby", "Ёж", "peer-4", "two words", &"x".repeat(32)] {
        assert!(good.parse::<Name>().is_ok(), "{good:?}");
    }
}

#[test]
fn addresses_are_host_and_port() {
    for good in ["127.0.0.1:6001", "[::1]:6001", "localhost:1", "a.example:65535"] {
        assert!(good.parse::<Address>().is_ok(), "{good}");
    }
    for bad in ["", "127.0.0.1", ":6001", "a:65536", "::1:6001", "a b:1", "a:+1", "http://a:1", "[::1:1"] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
    let address: Address = "[::1]:6001".parse().expect("valid");
    assert_eq!((address.host(), address.port(), address.is_loopback()), ("::1", 6001, true));
}

#[test]
fn numbers_at_their_limits_pass_and_one_beyond_is_refused() {
    assert!(serde_json::from_str::<UnixMicros>("9007199254740991").is_ok());
    assert!(serde_json::from_str::<UnixMicros>("9007199254740992").is_err());
    assert!(serde_json::from_str::<UnixMicros>("-1").is_err());
    assert!(serde_json::from_str::<Ping>("-1").is_ok_and(|ping| ping == Ping::UNKNOWN));
    assert!(serde_json::from_str::<Ping>("-2").is_err());
    assert!(serde_json::from_str::<Ping>("60000000").is_ok());
    assert!(serde_json::from_str::<Ping>("60000001").is_err());
    assert_eq!(UnixMicros::new(5).offset(i64::MIN), UnixMicros::new(0));
    assert_eq!(UnixMicros::new(u64::MAX).get(), crate::limits::MAX_INTEGER);
}

#[test]
fn a_bounded_list_takes_its_limit_and_refuses_one_more() {
    assert!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3]").is_ok_and(|list| list.len() == 3));
    assert!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3,4]").is_err());
}

#[test]
fn a_kind_of_service_is_two_labels_as_in_dns_sd() {
    for good in ["_http._tcp", "_x._udp", "_a-b-c._tcp", "_123456789012345._tcp"] {
        assert!(good.parse::<ServiceKind>().is_ok(), "{good}");
    }
    for bad in [
        "http._tcp",
        "_http.tcp",
        "_http._sctp",
        "_HTTP._tcp",
        "_-a._tcp",
        "_a-._tcp",
        "_._tcp",
        "_1234567890123456._tcp",
        "_a._tcp.",
        "",
    ] {
        assert!(bad.parse::<ServiceKind>().is_err(), "{bad}");
    }
}

#[test]
fn what_is_said_of_a_service_is_held_to_its_bounds_while_it_is_read() {
    let read = |text: &str| serde_json::from_str::<ServiceText>(text);
    let pairs = |count: usize, value: usize| {
        let pairs: Vec<String> = (0..count).map(|at| format!("\"k{at:02}\":\"{}\"", "v".repeat(value))).collect();
        format!("{{{}}}", pairs.join(","))
    };
    assert!(read(&pairs(16, 29)).is_ok(), "16 pairs of 32 bytes");
    assert!(read(&pairs(17, 1)).is_err(), "17 pairs");
    assert!(read(&pairs(16, 30)).is_err(), "more than 512 bytes");
    assert!(read(&pairs(1, 128)).is_ok() && read(&pairs(1, 129)).is_err(), "a long value");
    let key = |length: usize| format!("{{\"{}\":\"\"}}", "k".repeat(length));
    assert!(read(&key(32)).is_ok() && read(&key(33)).is_err() && read(&key(0)).is_err(), "a long key");
    for bad in [r#"{"a=b":"c"}"#, r#"{"a":"\u0000"}"#, r#"{"a":"\u202e"}"#, r#"{"a":"b","a":"c"}"#, r#"{"a":1}"#, "[]"]
    {
        assert!(read(bad).is_err(), "{bad}");
    }
}
