//! What clients of the proxy write.

use super::credentials::{Credentials, are_known};
use super::http::read;
use super::socks5::Destination;
use super::socks5_udp::read_header;

#[test]
fn a_udp_header_names_its_destination() {
    let header = |bytes: &[u8]| read_header(bytes).map(|(place, length)| (place.host, place.port, length));
    assert_eq!(header(&[0, 0, 0, 1, 10, 0, 0, 1, 0, 53, 9]), Some(("10.0.0.1".to_owned(), 53, 10)));
    assert_eq!(header(b"\0\0\0\x03\x01a\0\x35rest"), Some(("a".to_owned(), 53, 8)));
    let mut v6 = vec![0, 0, 0, 4];
    v6.extend([0; 15]);
    v6.extend([1, 0, 53]);
    assert_eq!(read_header(&v6), Some((Destination { host: "::1".to_owned(), port: 53 }, 22)));
    for wrong in
        [&b""[..], b"\0\0\0\x01\x0a", b"\0\0\x01\x01\x0a\0\0\x01\0\x35", b"\0\0\0\x03\xffa\0\x35", b"\0\0\0\x09aaaaaa"]
    {
        assert_eq!(read_header(wrong), None, "{wrong:?}");
    }
}

#[test]
fn every_prefix_of_a_udp_header_is_read_without_harm() {
    let whole = b"\0\0\0\x03\x05a.lan\0\x35";
    for length in 0..whole.len() {
        assert_eq!(read_header(&whole[..length]), None, "{length}");
    }
    assert!(read_header(whole).is_some());
}

#[test]
fn the_host_of_the_uri_counts_and_not_that_of_the_header() {
    let wanted = read(b"GET http://user@a.lan/x#y HTTP/1.1\r\nHost: b.lan\r\nHost: c.lan\r\n\r\n").expect("valid");
    assert_eq!(wanted.place.as_str(), "a.lan:80");
    let head = String::from_utf8(wanted.head.expect("a head")).expect("text");
    assert!(
        head.starts_with("GET /x#y HTTP/1.1\r\nHost: a.lan\r\n") && !head.contains("b.lan") && !head.contains("c.lan")
    );
    let v6 = read(b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n").expect("valid");
    assert_eq!((v6.place.host(), v6.place.port(), v6.head), ("::1", 443, None));
    for wrong in ["CONNECT a.lan HTTP/1.1", "GET https://a.lan/ HTTP/1.1", "GET http:// HTTP/1.1", "GET é HTTP/1.1"] {
        assert!(read(format!("{wrong}\r\n\r\n").as_bytes()).is_err(), "{wrong}");
    }
    let headers = |count: usize| format!("CONNECT a.lan:1 HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(read(headers(100).as_bytes()).is_ok() && read(headers(101).as_bytes()).is_err());
}

#[test]
fn passwords_are_compared_whole_and_never_shown() {
    let users = [Credentials { user: "ann".to_owned(), password: "secret".to_owned() }];
    assert!(are_known(&users, b"ann", b"secret"));
    for (user, password) in [("ann", "secre"), ("ann", "secrets"), ("an", "secret"), ("", ""), ("ann", "")] {
        assert!(!are_known(&users, user.as_bytes(), password.as_bytes()), "{user} {password}");
    }
    assert!(!format!("{users:?}").contains("secret"));
}
