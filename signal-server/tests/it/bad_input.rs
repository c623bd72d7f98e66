//! What is no request, no document or no record: each refused by name, and the next caller served as before.

use meshline_protocol::message::Announcement;

use super::client::start;
use super::records::{announcement, body, closed, departure, id, key, member, now, record, revocation, signed};

#[tokio::test]
async fn what_is_no_http_is_answered_with_400_or_431() {
    let server = start().await;
    let get = "GET / HTTP/1.1\r\nhost: x\r\n";
    let rows: [(&str, Vec<u8>, &[u16]); 13] = [
        ("text", b"hello there\r\n\r\n".to_vec(), &[400]),
        ("a frame of the mesh", b"{\"hello\":{\"version\":1}}\n\r\n\r\n".to_vec(), &[400]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(40), &[400]),
        ("zeros", vec![0; 4_096], &[400]),
        ("bytes above ASCII", vec![0xff; 4_096], &[400]),
        ("a method without end", vec![b'A'; 300_000], &[400, 414, 431]),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), &[400]),
        // There is nothing in HTTP/1.1 that such a client would understand.
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[0]),
        ("a header without a colon", format!("{get}what\r\n\r\n").into_bytes(), &[400]),
        ("a header without end", format!("{get}x: {}", "y".repeat(300_000)).into_bytes(), &[431]),
        ("too many headers", format!("{get}{}\r\n", "x: y\r\n".repeat(100)).into_bytes(), &[431]),
        ("a length that is no number", format!("{get}content-length: -1\r\n\r\n").into_bytes(), &[400]),
        ("a path without end", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)).into_bytes(), &[404, 414, 431]),
    ];
    for (what, bytes, wanted) in rows {
        let answer = server.raw(&bytes).await;
        assert!(wanted.contains(&answer.status), "{what}: {answer:?}");
        assert_eq!(server.get("/healthz").await.status, 200, "after {what}");
    }
    assert!(server.metric("meshline_signal_connection_faults_total{reason=\"invalid_http\"}").await > 0);
    assert!(server.metric("meshline_signal_connection_faults_total{reason=\"head_too_long\"}").await > 0);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_record_is_refused_by_name() {
    let server = start().await;
    let good = signed(&announcement(1), 1);
    let long = announcement(1);
    let long = body(&record(&long, 1)).replace("\"signed\":\"", &format!("\"signed\":\"{}", " ".repeat(2_048)));
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", b"".to_vec(), "invalid_frame"),
        ("half a document", good.as_bytes()[..good.len() / 2].to_vec(), "invalid_frame"),
        ("two documents", format!("{good}{good}").into_bytes(), "invalid_frame"),
        ("text", b"hello".to_vec(), "invalid_frame"),
        ("invalid UTF-8", b"{\"signed\":\"\xff\"}".to_vec(), "invalid_utf8"),
        ("half a surrogate", br#"{"signed":"\ud800"}"#.to_vec(), "invalid_frame"),
        ("null", b"null".to_vec(), "invalid_message"),
        ("a number", b"1e999".to_vec(), "invalid_frame"),
        ("an empty object", b"{}".to_vec(), "invalid_message"),
        ("a list without end", vec![b'['; 8_000], "invalid_message"),
        ("objects without end", b"{\"signed\":".repeat(800), "invalid_message"),
        (
            "depth where nothing is expected",
            format!("{{\"x\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000)).into_bytes(),
            "invalid_message",
        ),
        ("a doubled member", good.replacen('{', "{\"sig\":\"\",", 1).into_bytes(), "invalid_message"),
        ("a missing member", good.replace("\"sig\"", "\"gis\"").into_bytes(), "invalid_message"),
        ("a wrong type", good.replace("\"by\":\"", "\"by\":7,\"x\":\"").into_bytes(), "invalid_message"),
        ("an id that is none", good.replace(&id(1), "bobby").into_bytes(), "invalid_message"),
        ("an id in capitals", good.replace(&id(1), &id(1).to_uppercase()).into_bytes(), "invalid_message"),
        (
            "a record and a refresh",
            good.replacen('{', "{\"refresh\":{\"network\":\"lab\",\"id\":\"x\",\"secret\":\"\"},", 1).into_bytes(),
            "invalid_message",
        ),
        ("too long a text", long.into_bytes(), "invalid_message"),
        (
            "a refresh without secret",
            format!("{{\"refresh\":{{\"network\":\"lab\",\"id\":\"{}\"}}}}", id(1)).into_bytes(),
            "invalid_message",
        ),
    ];
    for (what, bytes, code) in rows {
        let answer =
            server.send("POST", "/v1/nodes", if bytes.is_empty() { "content-length: 0\r\n" } else { "" }, &bytes).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{what}: {answer:?}");
    }
    assert_eq!(server.metric("meshline_signal_entries").await, 0);
    assert_eq!(server.post("/v1/nodes", &good).await.status, 200, "an honest one after all that");
    server.stop().await;
}

/// An announcement with a piece of its text replaced before it is signed.
fn altered(from: &str, to: &str) -> String {
    let mut text = record(&announcement(1), 1).signed;
    assert!(text.contains(from), "{from} in {text}");
    text = text.replace(from, to);
    let sig = key(1).sign_bytes(text.as_bytes());
    body(&meshline_protocol::SignedRecord { signed: text, by: key(1).id(), sig })
}

#[tokio::test]
async fn records_that_are_signed_but_do_not_hold_are_refused_by_name() {
    let server = start().await;
    let ended = Announcement { expires: now(), ..announcement(1) };
    let no_member = Announcement { network: closed(), ..announcement(1) };
    let borrowed = Announcement { membership: member(2).membership, ..member(1) };
    let rows = [
        ("another's signature", signed(&announcement(1), 2).replace(&id(2), &id(1)), 400, "bad_signature"),
        ("a changed text", signed(&announcement(1), 1).replace("member-1", "member-9"), 400, "bad_signature"),
        ("no signature", signed(&announcement(1), 1).replace("\"sig\":\"", "\"sig\":\"!"), 400, "bad_signature"),
        ("a departure", signed(&departure(now()), 1), 400, "invalid_message"),
        ("a revocation", signed(&revocation(1), 1), 400, "invalid_message"),
        ("an ended one", signed(&ended, 1), 400, "record_expired"),
        ("no membership", signed(&no_member, 1), 403, "not_member"),
        ("a borrowed membership", signed(&borrowed, 1), 403, "record_foreign"),
        ("a name that is none", altered("member-1", "a~b"), 400, "invalid_message"),
        ("a name with a control character", altered("member-1", "a\\u0007b"), 400, "invalid_message"),
        ("a name without end", altered("member-1", &"x".repeat(33)), 400, "invalid_message"),
        ("a network that is none", altered("\"lab\"", "\"LAB\""), 400, "invalid_message"),
        ("an address without port", altered("127.0.0.1:6001", "127.0.0.1"), 400, "invalid_message"),
        ("a port beyond all", altered("127.0.0.1:6001", "127.0.0.1:65536"), 400, "invalid_message"),
        (
            "more addresses than allowed",
            altered("\"127.0.0.1:6001\"", &["\"a:1\""; 9].join(",")),
            400,
            "invalid_message",
        ),
        ("more roles than allowed", altered("\"node\"", &["\"node\""; 9].join(",")), 400, "invalid_message"),
        ("a time below all", altered("\"seq\":", "\"seq\":-1,\"x\":"), 400, "invalid_message"),
        ("a time beyond all", altered("\"seq\":", "\"seq\":9007199254740992,\"x\":"), 400, "invalid_message"),
        ("a time with a point", altered("\"seq\":", "\"seq\":1.5,\"x\":"), 400, "invalid_message"),
        ("a doubled member", altered("\"seq\":", "\"seq\":1,\"seq\":"), 400, "invalid_message"),
    ];
    for (what, text, status, code) in rows {
        let answer = server.post("/v1/nodes", text).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {answer:?}");
    }
    assert_eq!(server.metric("meshline_signal_entries").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_nobody_can_answer_are_refused_by_name() {
    let server = start().await;
    let leave = format!("/v1/nodes/{}", id(1));
    let rows = [
        ("GET", "/v1/nodes", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=A%20B", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=lab&network=zoo", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=lab&limit=-1", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=lab&limit=many", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=lab&limit=99999999999999999999999", 400, "invalid_message"),
        ("GET", "/v1/nodes?network=%ff", 400, "invalid_message"),
        ("POST", "/v1/nodes?limit=x", 400, "invalid_message"),
        ("DELETE", "/v1/nodes/bobby", 400, "invalid_message"),
        ("DELETE", "/v1/nodes/%ff", 400, "invalid_message"),
        ("DELETE", leave.as_str(), 400, "invalid_frame"),
        ("POST", "/v1/revocations", 400, "invalid_frame"),
        ("GET", "/nowhere", 404, "no_such_path"),
        ("GET", "/v1/nodes/", 404, "no_such_path"),
        ("GET", "//", 404, "no_such_path"),
        ("GET", "/../etc/passwd", 404, "no_such_path"),
        ("PUT", "/v1/nodes", 405, "method_not_allowed"),
        ("GET", leave.as_str(), 405, "method_not_allowed"),
        ("GET", "/v1/revocations", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/nodes", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("BREW", "/healthz", 405, "method_not_allowed"),
    ];
    for (method, path, status, code) in rows {
        let answer = server.send(method, path, "", b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}: {answer:?}");
    }
    let head = server.send("HEAD", "/nowhere", "", b"").await;
    assert_eq!((head.status, head.body.len()), (404, 0));
    assert_eq!(server.send("PUT", "/v1/nodes", "", b"").await.header("allow"), Some("GET, HEAD, POST"));
    server.stop().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_not() {
    let server = start().await;
    let good = signed(&announcement(1), 1);
    let padded = |length: usize| format!("{}{good}", " ".repeat(length - good.len()));
    assert_eq!(server.post("/v1/nodes", padded(8_192)).await.status, 200);
    let beyond = server.post("/v1/nodes", padded(8_193)).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (413, "body_too_long"));
    let chunked = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).into_bytes();
    let chunks = "POST /v1/nodes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let within = server.raw(&[chunks.as_bytes(), &chunked(&padded(8_192))].concat()).await;
    assert_eq!(within.status, 200);
    let beyond = server.raw(&[chunks.as_bytes(), &chunked(&padded(8_193))].concat()).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (413, "body_too_long"));
    let bad_chunk = server.raw(&[chunks.as_bytes(), b"zz\r\n"].concat()).await;
    assert_eq!(bad_chunk.status, 400);
    server.stop().await;
}
