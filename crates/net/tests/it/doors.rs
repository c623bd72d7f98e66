//! What strangers meet before there is a link.

use std::time::Duration;

use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::*;

const WITHIN: Duration = Duration::from_secs(5);

/// Sends `bytes` over TCP, keeps the connection open, and returns the refusal that ends it.
async fn answer_to(address: &meshline_protocol::Address, bytes: &[u8]) -> Option<&'static str> {
    let mut wire = Wire::tcp(address).await;
    wire.stream.write_all(bytes).await.unwrap();
    timeout(WITHIN, wire.last_refusal()).await.expect("an end within five seconds")
}

#[tokio::test]
async fn whatever_is_not_tls_is_answered_by_name() {
    let node = run(config("one")).await;
    let address = node.address();
    let key = new_key();
    let hello = meshline_protocol::frame::encode(&hello(&key, &network()).into(), Default::default()).unwrap();
    let ticket = format!("{{\"relay\":{{\"ticket\":\"{}\"}}}}\n", "a".repeat(43));
    let long = [b"{".as_slice(), &vec![b' '; 5_000]].concat();
    let rows: [(&str, &[u8], &str); 8] = [
        ("garbage", b"\x00\xff\x01garbage", "invalid_frame"),
        ("a browser", b"GET / HTTP/1.1\r\n\r\n", "invalid_frame"),
        ("a plain hello", &hello, "tls_required"),
        ("half a line", b"{\"hello\":", "handshake_timeout"),
        ("a broken line", b"{\"hello\"\n", "invalid_frame"),
        ("no UTF-8", b"{\"hello\":\"\xff\"}\n", "invalid_utf8"),
        ("a ticket, but no proxy", ticket.as_bytes(), "forbidden"),
        ("a line without end", &long, "frame_too_long"),
    ];
    let rows = rows.map(|(what, bytes, code)| {
        let (address, bytes) = (address.clone(), bytes.to_vec());
        (what, code, tokio::spawn(async move { answer_to(&address, &bytes).await }))
    });
    for (what, code, row) in rows {
        assert_eq!(row.await.unwrap(), Some(code), "{what}");
        assert!(node.handle.refusals()[code] > 0, "{what}");
    }
}

#[tokio::test]
async fn silence_is_answered_by_name_and_a_stalled_handshake_is_closed() {
    let node = run(config("one")).await;
    let began = Instant::now();
    let mut stalled = TcpStream::connect(node.address().as_str()).await.unwrap();
    stalled.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    let mut rest = Vec::new();
    let address = node.address();
    let (silent, closed) = tokio::join!(answer_to(&address, b""), stalled.read_to_end(&mut rest));
    assert_eq!(silent, Some("handshake_timeout"));
    assert!(closed.is_ok());
    assert!(began.elapsed() < WITHIN);
    assert_eq!(node.handle.refusals()["handshake_timeout"], 2);
}

#[tokio::test]
async fn broken_tls_is_refused_by_name() {
    let mut node = run(config("one")).await;
    let mut wire = Wire::tcp(&node.address()).await;
    wire.stream.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    let code = node
        .mesh_event("refusal", |event| match event {
            meshline_mesh::Event::Refused { code, by_them: false, .. } => Some(*code),
            _ => None,
        })
        .await;
    assert_eq!(code, Code::TlsFailed);
}

#[tokio::test]
async fn the_door_is_full_at_its_limit_and_free_again_when_strangers_go() {
    let node = run(config("one")).await;
    let mut held = Vec::new();
    for _ in 0..meshline_net::limits::MAX_HANDSHAKES {
        held.push(TcpStream::connect(node.address().as_str()).await.unwrap());
    }
    let mut surplus = TcpStream::connect(node.address().as_str()).await.unwrap();
    // Closed without a word: whoever floods is not worth a line.
    assert!(matches!(surplus.read(&mut [0; 16]).await, Ok(0) | Err(_)));
    assert_eq!(node.handle.refusals()["too_many_handshakes"], 1);
    drop(held);
    let key = new_key();
    let linked = timeout(PATIENCE, async {
        // The node hears of each end in its own time.
        while node.handle.refusals().get("connection_lost").is_none_or(|count| *count < 256) {
            tokio::task::yield_now().await;
        }
        Wire::linked(&node.address(), &key).await
    });
    linked.await.unwrap();
}
