//! What strangers send to a port of a real node: each is told why and closed within five seconds, and the links
//! beside it notice nothing.

use std::time::{Duration, Instant};

use meshline_lab::{Member, Ring, Stranger, TlsStranger, soak, until, within};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(5);

/// From the last byte to the end seen here: the limit, and a second for a busy machine.
const PATIENCE: Duration = Duration::from_secs(6);

/// What a node may grow by, whatever is sent to it.
const MAX_GROWTH_KIB: u64 = 8 * 1024;

struct Row {
    what: &'static str,
    bytes: Vec<u8>,
    codes: &'static [&'static str],
}

fn row(what: &'static str, bytes: impl Into<Vec<u8>>, codes: &'static [&'static str]) -> Row {
    Row { what, bytes: bytes.into(), codes }
}

fn long_line() -> Vec<u8> {
    [b"{\"hello\":\"".to_vec(), vec![b'x'; 64 * 1024], b"\"}\n".to_vec()].concat()
}

fn deep() -> Vec<u8> {
    [vec![b'['; 1_500], vec![b']'; 1_500], b"\n".to_vec()].concat()
}

/// Before any TLS.
fn on_tcp() -> Vec<Row> {
    vec![
        row("silence", "", &["handshake_timeout"]),
        row("garbage", "\x00\x01garbage\n", &["invalid_frame"]),
        row("half a frame", "{\"hello\":{", &["handshake_timeout"]),
        row("no TLS", "{\"ping\":{\"nonce\":1}}\n", &["tls_required"]),
        row("a line of 64 KiB", long_line(), &["frame_too_long"]),
        row("half a TLS handshake", "\x16\x03\x01\x02\x00\x01", &[""]),
        row("TLS garbage", [&b"\x16\x03\x01\x00\x10"[..], &[0xff; 16]].concat(), &[""]),
    ]
}

/// Inside TLS, with a key of their own.
fn in_tls() -> Vec<Row> {
    vec![
        row("silence", "", &["handshake_timeout"]),
        row("garbage", "garbage\n", &["invalid_frame", "invalid_json"]),
        row("half a frame", "{\"hello\":{", &["handshake_timeout", "frame_timeout"]),
        row("a line of 64 KiB", long_line(), &["frame_too_long"]),
        row("depth 1,500", deep(), &["too_deep", "invalid_frame"]),
        row("doubled members", "{\"ping\":{\"nonce\":1,\"nonce\":1}}\n", &["invalid_message"]),
        row(
            "a message before hello",
            "{\"ping\":{\"nonce\":1,\"text\":\"\"}}\n",
            &["unexpected_message", "hello_required"],
        ),
        row("not UTF-8", b"{\"hello\":\"\xff\xfe\"}\n".to_vec(), &["invalid_frame", "invalid_message", "invalid_utf8"]),
    ]
}

fn pair() -> (Ring, Vec<Member>) {
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    // Both dial each other: whoever found nobody at first tries again after a second, and one of two links stays.
    within(PATIENCE, "the link has settled", || match up_ms(&nodes[0]) {
        Some(up) if up >= 2_000 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    (ring, nodes)
}

/// How long the one link of a node is up.
#[track_caller]
fn up_ms(node: &Member) -> Option<u64> {
    node.wait_for_links(1);
    node.status()["links"][0]["up_ms"].as_u64()
}

/// When it is, and how long the one link of a node is up by then.
#[track_caller]
fn honest_link(node: &Member) -> (Instant, u64) {
    let up = up_ms(node).expect("linked");
    (Instant::now(), up)
}

/// The honest link is the one it was.
#[track_caller]
fn untouched(node: &Member, (since, up): (Instant, u64)) {
    let age = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let now = up_ms(node);
    assert!(now >= Some(up + age), "the link was made anew: {now:?} ms up, not {}", up + age);
    node.chat_to(&format!("still here after {age} ms"), 1);
}

#[track_caller]
fn judge(row: &Row, said: &str, after: Duration) {
    assert!(after <= WITHIN + Duration::from_millis(900), "{}: {after:?}", row.what);
    if row.codes == [""] {
        return;
    }
    let error: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_default();
    let code = error["error"]["code"].as_str().unwrap_or_default();
    assert!(row.codes.contains(&code), "{}: {said:?}, expected one of {:?}", row.what, row.codes);
    assert!(error["error"]["detail"].is_string(), "{}: {said:?}", row.what);
}

#[test]
fn what_strangers_send_over_tcp_is_refused_by_name() {
    let (ring, nodes) = pair();
    let honest = honest_link(&nodes[0]);
    let rows = on_tcp();
    // All at once: those that are slow on purpose are so together.
    let strangers: Vec<Stranger> = rows
        .iter()
        .map(|row| {
            let mut stranger = Stranger::connect(ring.port(1));
            stranger.send(&row.bytes);
            stranger
        })
        .collect();
    for (row, stranger) in rows.iter().zip(strangers) {
        let ending = stranger.ending(PATIENCE);
        judge(row, &ending.said, ending.after);
    }
    untouched(&nodes[0], honest);
}

#[test]
fn what_strangers_send_over_tls_is_refused_by_name() {
    if !TlsStranger::is_possible() {
        return;
    }
    let (ring, nodes) = pair();
    let key = ring.path().join("view.key");
    let honest = honest_link(&nodes[0]);
    let rows = in_tls();
    let strangers: Vec<TlsStranger> = rows
        .iter()
        .map(|row| {
            let mut stranger = TlsStranger::connect(ring.port(1), &key);
            stranger.send(&row.bytes);
            stranger
        })
        .collect();
    for (row, stranger) in rows.iter().zip(strangers) {
        let ending = stranger.ending(PATIENCE);
        // The node speaks first: its hello is a line of its own.
        judge(row, &ending.said, ending.after);
    }
    untouched(&nodes[0], honest);
    let refused = &nodes[0].status()["refused"];
    assert!(refused["handshake_timeout"].as_u64() >= Some(1), "counted by name: {refused}");
}

#[test]
fn a_gibibyte_without_a_line_takes_no_memory() {
    let (ring, nodes) = pair();
    let honest = honest_link(&nodes[0]);
    let node = nodes[0].process();
    let piece = vec![b'x'; 1 << 16];
    let rounds: u64 = if soak() { 200 } else { 10 };
    flood(&ring, &piece, rounds);
    let before = node.rss_kib();
    flood(&ring, &piece, rounds);
    until("the memory is what it was", || {
        let now = node.rss_kib();
        if now <= before + MAX_GROWTH_KIB { Ok(()) } else { Err(format!("{before} KiB before, {now} KiB now")) }
    });
    let refused = &nodes[0].status()["refused"];
    assert!(refused["frame_too_long"].as_u64() >= Some(2 * rounds), "counted by name: {refused}");
    untouched(&nodes[0], honest);
}

/// Strangers that each want to send a gibibyte in one line, over TCP and over TLS.
#[track_caller]
fn flood(ring: &Ring, piece: &[u8], rounds: u64) {
    let with_tls = TlsStranger::is_possible();
    for _ in 0..rounds {
        for opening in ["{", "x"] {
            let mut stranger = Stranger::connect(ring.port(1));
            stranger.send(opening.as_bytes());
            let sent = stranger.push(piece, 1 << 30);
            assert!(sent < 1 << 25, "{sent} bytes were taken");
        }
        if with_tls {
            let mut stranger = TlsStranger::connect(ring.port(1), &ring.path().join("view.key"));
            let sent = stranger.push(piece, 1 << 30);
            assert!(sent < 1 << 25, "{sent} bytes were taken");
            // Who writes on and on may not read why: it is counted, too.
            let _ = stranger.ending(PATIENCE);
        }
    }
}
