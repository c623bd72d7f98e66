//! What comes over TLS from strangers and from peers that misbehave: each row ends with its name within five seconds,
//! and an honest link beside it notices nothing.

use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_mesh::Event;
use meshline_protocol::message::Echo;
use meshline_protocol::{Encoding, Message, frame};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout};

use crate::support::*;

const WITHIN: Duration = Duration::from_secs(5);

/// How a row goes on after its bytes.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Silent, with the connection open.
    Wait,
    /// The bytes again and again.
    Repeat,
    /// A byte a second.
    Drip,
}

struct Row {
    what: &'static str,
    bytes: Vec<u8>,
    then: Then,
    /// Any of them will do where two limits are close together.
    codes: &'static [&'static str],
}

fn row(what: &'static str, bytes: impl Into<Vec<u8>>, then: Then, codes: &'static [&'static str]) -> Row {
    Row { what, bytes: bytes.into(), then, codes }
}

fn line(message: Message) -> Vec<u8> {
    frame::encode(&message.into(), Encoding::Json).unwrap().to_vec()
}

fn ping(text: &str) -> Message {
    Message::Ping(Echo { nonce: 1, text: text.to_owned() })
}

fn of_strangers(key: &KeyPair) -> Vec<Row> {
    let other = "elsewhere".parse().unwrap();
    vec![
        row("silence", "", Then::Wait, &["handshake_timeout"]),
        row("garbage", "\x00\x01garbage\n", Then::Wait, &["invalid_frame"]),
        row("half a frame", r#"{"hello":{"#, Then::Wait, &["frame_timeout", "handshake_timeout"]),
        row("a byte a second", r#"{"#, Then::Drip, &["frame_timeout", "handshake_timeout"]),
        row("a gigabyte without a line", vec![b'x'; 1 << 20], Then::Repeat, &["frame_too_long"]),
        row("a line of 4 KiB + 1", [vec![b' '; 4_096], vec![b'\n']].concat(), Then::Wait, &["frame_too_long"]),
        row("depth 100,000", [b"{\"x\":".to_vec(), vec![b'['; 100_000]].concat(), Then::Wait, &["frame_too_long"]),
        row("depth 1,500", deep(1_500), Then::Wait, &["too_deep"]),
        row("doubled members", "{\"ping\":{\"nonce\":1,\"nonce\":1}}\n", Then::Wait, &["invalid_message"]),
        row("two messages in one", "{\"ping\":{\"nonce\":1},\"pong\":{}}\n", Then::Wait, &["invalid_frame"]),
        row("wrong types", "{\"hello\":{\"network\":5}}\n", Then::Wait, &["invalid_message"]),
        row("a huge len", "{\"len\":4294967295,\"x\":{}}\n", Then::Wait, &["body_too_long"]),
        row("no UTF-8", b"{\"hello\":\"\xc3\x28\"}\n".to_vec(), Then::Wait, &["invalid_utf8"]),
        row("the wrong state", line(ping("")), Then::Wait, &["unexpected_message"]),
        row("another network", line(hello(key, &other)), Then::Wait, &["wrong_network"]),
        row("another's hello", line(hello(&new_key(), &network())), Then::Wait, &["identity_mismatch"]),
    ]
}

fn of_peers(key: &KeyPair) -> Vec<Row> {
    vec![
        row("a line of 64 KiB + 1", [vec![b' '; 65_536], vec![b'\n']].concat(), Then::Wait, &["frame_too_long"]),
        row("a gigabyte without a line", vec![b'x'; 1 << 20], Then::Repeat, &["frame_too_long"]),
        row("depth 30,000", deep(30_000), Then::Wait, &["too_deep"]),
        row("half a frame", r#"{"ping":{"#, Then::Wait, &["frame_timeout"]),
        row("a byte a second", r#"{"#, Then::Drip, &["frame_timeout"]),
        row("no JSON", "{\"ping\"}\n", Then::Wait, &["invalid_frame"]),
        row("hellos without end", line(hello(key, &network())), Then::Repeat, &["too_many_faults"]),
        row("invalid messages without end", "{\"ping\":{}}\n", Then::Repeat, &["too_many_faults"]),
    ]
}

fn deep(depth: usize) -> Vec<u8> {
    [b"{\"x\":".to_vec(), vec![b'['; depth], vec![b']'; depth], b"}\n".to_vec()].concat()
}

/// Plays a row until the connection ends; the name of the last refusal.
async fn play(wire: Wire, bytes: Vec<u8>, then: Then) -> Option<&'static str> {
    let Wire { stream, .. } = wire;
    let (reading, mut writing) = tokio::io::split(stream);
    let write = async move {
        let mut second = interval(Duration::from_secs(1));
        while writing.write_all(&bytes).await.is_ok() && writing.flush().await.is_ok() {
            match then {
                Then::Repeat => {}
                Then::Wait => std::future::pending().await,
                // paced: the slowness is the attack
                Then::Drip => drop(second.tick().await),
            }
        }
        // The reason can still be read when nothing can be written any more.
        std::future::pending::<()>().await;
    };
    let refusal = read_refusal(reading);
    tokio::select! {
        () = write => None,
        refusal = refusal => refusal,
    }
}

async fn read_refusal(reading: impl AsyncRead + Send + Unpin + 'static) -> Option<&'static str> {
    Wire::reading(reading).last_refusal().await
}

/// Plays all rows at once against one node.
async fn play_all(rows: Vec<(Row, Wire)>) {
    let began = Instant::now();
    let playing: Vec<_> = rows
        .into_iter()
        .map(|(Row { what, bytes, then, codes }, wire)| {
            (what, codes, tokio::spawn(timeout(WITHIN, play(wire, bytes, then))))
        })
        .collect();
    for (what, codes, row) in playing {
        let refusal = row.await.unwrap().unwrap_or_else(|_| panic!("{what}: open for more than five seconds"));
        assert!(refusal.is_some_and(|code| codes.contains(&code)), "{what}: {refusal:?} instead of {codes:?}");
    }
    assert!(began.elapsed() < WITHIN + Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_of_strangers_has_a_name_and_an_end() {
    let (node, mut honest) = pair().await;
    let mut rows = Vec::new();
    let keys = std::iter::repeat_with(new_key);
    for (n, key) in (0..of_strangers(&new_key()).len()).zip(keys) {
        let row = of_strangers(&key).swap_remove(n);
        rows.push((row, Wire::tls(&node.address(), &key).await));
    }
    play_all(rows).await;
    assert_untouched(&node, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_of_peers_has_a_name_and_an_end() {
    let (node, mut honest) = pair().await;
    let mut rows = Vec::new();
    for n in 0..of_peers(&new_key()).len() {
        let key = new_key();
        let row = of_peers(&key).swap_remove(n);
        rows.push((row, Wire::linked(&node.address(), &key).await));
    }
    play_all(rows).await;
    assert_untouched(&node, &mut honest).await;
}

#[tokio::test]
async fn a_single_bad_message_of_a_peer_is_refused_and_the_link_goes_on() {
    let node = run(config("one")).await;
    let key = new_key();
    let mut wire = Wire::linked(&node.address(), &key).await;
    let rows = [
        (b"{\"ping\":{}}\n".to_vec(), Some("invalid_message")),
        (b"{\"len\":5,\"ping\":{\"nonce\":1}}\nbytes".to_vec(), Some("invalid_message")),
        (line(hello(&key, &network())), Some("unexpected_message")),
        (b"{\"of_tomorrow\":{\"x\":[1]}}\n".to_vec(), None),
        (b"{\"len\":3,\"of_tomorrow\":{}}\n\n\0\n".to_vec(), None),
    ];
    for (bytes, refusal) in rows {
        wire.stream.write_all(&bytes).await.unwrap();
        wire.send(ping("still there?")).await;
        assert_eq!(timeout(PATIENCE, refusal_before_pong(&mut wire)).await.unwrap(), refusal);
    }
}

async fn refusal_before_pong(wire: &mut Wire) -> Option<&'static str> {
    let mut refusal = None;
    loop {
        match wire.read().await.unwrap() {
            Message::Error(error) => refusal = Some(error.code.name()),
            Message::Pong(_) => return refusal,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_is_dropped_at_the_send_cap() {
    let (mut node, mut honest) = pair().await;
    let key = new_key();
    let mut wire = Wire::linked(&node.address(), &key).await;
    let asks = line(ping(&"x".repeat(1_000))).repeat(64);
    let flood = async { while wire.stream.write_all(&asks).await.is_ok() {} };
    timeout(WITHIN, flood).await.expect("closed within five seconds");
    let code = node
        .mesh_event("end of the link", |event| match event {
            Event::LinkDown { peer, code, .. } if peer.id == key.id() => Some(code.name()),
            _ => None,
        })
        .await;
    assert_eq!(code, "slow_reader");
    assert_untouched(&node, &mut honest).await;
}

/// The honest link is the one it was, and carries.
async fn assert_untouched(node: &Running, honest: &mut Running) {
    node.say("still here").await;
    honest.hears("still here").await;
    while let Ok(event) = honest.events.try_recv() {
        let is_down = matches!(*event, meshline_services::Event::Mesh(Event::LinkDown { .. }));
        assert!(!is_down, "{event:?}");
    }
}
