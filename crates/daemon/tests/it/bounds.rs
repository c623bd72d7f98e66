//! What happens at each bound of a request and of a connection. Where time is a bound it runs as fast as nothing else
//! happens.

use std::time::Duration;

use crate::support::{Member, request};

/// The longest body.
const MAX_BODY: usize = 128 * 1024;

/// The longest headers.
const MAX_HEAD: usize = 128 * 1024;

/// Connections at once.
const MAX_CONNECTIONS: usize = 128;

/// A chat text in a body of so many bytes.
fn body(length: usize) -> String {
    let empty = r#"{"text":""}"#.len();
    format!(r#"{{"text":"{}"}}"#, "x".repeat(length - empty))
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let member = Member::start().await;
    // What was read whole is refused by the chat, as its text is longer than 16 KiB.
    let refused = member.post("/api/v1/chat", &body(MAX_BODY)).await;
    assert_eq!(refused.refusal(413), "body_too_long");
    assert!(!refused.json()["detail"].as_str().unwrap().contains("the body"), "it is the text: {refused:?}");
    for length in [MAX_BODY + 1, 2 * 1024 * 1024] {
        assert_eq!(member.post("/api/v1/chat", &body(length)).await.refusal(413), "body_too_long", "{length}");
    }
    let json = format!("Host: {}\r\n{}Content-Type: application/json\r\n", member.host(), member.bearer());
    let mut client = member.connect().await;
    client.say(&format!("POST /api/v1/chat HTTP/1.1\r\n{json}Content-Length: 99999999999\r\n\r\n")).await;
    assert_eq!(client.answer().await.refusal(413), "body_too_long", "without reading any of it");
    let mut client = member.connect().await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(3);
    client
        .say(&format!("POST /api/v1/chat HTTP/1.1\r\n{json}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.refusal(413), "body_too_long", "whatever its form");
}

#[tokio::test]
async fn a_text_at_its_limit_with_every_character_escaped_fits_in_a_body() {
    let member = Member::start().await;
    let text = "\\u0041".repeat(16 * 1024);
    let answer = member.post("/api/v1/chat", &format!(r#"{{"text":"{text}"}}"#)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let member = Member::start().await;
    let mut client = member.connect().await;
    let json = format!("Host: {}\r\n{}Content-Type: application/json\r\n", member.host(), member.bearer());
    client.say(&format!("POST /api/v1/chat HTTP/1.1\r\n{json}Content-Length: 100\r\n\r\n{{\"te")).await;
    assert_eq!(client.answer().await.refusal(408), "body_too_slow");
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_after_a_while_before_the_first_and_after_any() {
    let member = Member::start().await;
    member.connect().await.closed().await;
    let mut half = member.connect().await;
    half.say("GET /healthz HTTP/1.1\r\nHost: local").await;
    half.closed().await;
    let mut kept = member.connect().await;
    kept.say(&request("GET", "/healthz", &format!("Host: {}\r\n", member.host()), "")).await;
    assert_eq!(kept.answer().await.status, 200);
    kept.closed().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_lines_is_refused() {
    let member = Member::start().await;
    let host = format!("Host: {}\r\n", member.host());
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for (headers, taken) in [
        (format!("{host}x: {}\r\n", "y".repeat(MAX_HEAD - 100)), true),
        (format!("{host}x: {}\r\n", "y".repeat(MAX_HEAD)), false),
        (format!("{host}x: {}\r\n", "y".repeat(3 * MAX_HEAD)), false),
        (format!("{host}{}", many(63)), true),
        (format!("{host}{}", many(64)), false),
    ] {
        let mut client = member.connect().await;
        client.say_what_is_taken(&request("GET", "/healthz", &headers, "")).await;
        let head = client.head().await;
        assert_eq!(head.starts_with("HTTP/1.1 200 "), taken, "{head}");
        assert!(taken || head.starts_with("HTTP/1.1 431 "), "{head}");
    }
}

#[tokio::test]
async fn the_cookies_of_other_ports_do_not_keep_a_browser_from_the_page() {
    let member = Member::start().await;
    let cookies = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("c{n}={}", "x".repeat(4_090))).collect();
        format!("Cookie: {}\r\n", all.join("; "))
    };
    assert_eq!(member.ask("GET", "/", &cookies(31), "").await.status, 200);
    let refused = member.ask("GET", "/", &cookies(33), "").await;
    assert_eq!(refused.refusal(431), "head_too_long");
    assert!(refused.json()["detail"].as_str().unwrap().contains("cookies"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_lock_out_neither_the_owner_nor_anybody() {
    let member = Member::start().await;
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 72 {
        idle.push(member.connect().await);
    }
    let mut owner = member.connect_unix().await;
    owner.say(&request("GET", "/api/v1/status", "Host: localhost\r\n", "")).await;
    assert_eq!(owner.answer().await.status, 200, "the socket has connections of its own");
    let began = tokio::time::Instant::now();
    assert_eq!(member.get("/healthz").await.status, 200);
    // The time of this test runs only while everybody waits.
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_keeps_asking_without_the_token_gives_way_and_who_has_shown_it_stays() {
    let member = Member::start().await;
    let host = format!("Host: {}\r\n", member.host());
    let mut owner = member.connect().await;
    let with_token = request("GET", "/api/v1/chat", &format!("{host}{}", member.bearer()), "");
    owner.say(&with_token).await;
    assert_eq!(owner.answer().await.status, 200);
    let mut kept = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut client = member.connect().await;
        client.say(&request("GET", "/healthz", &host, "")).await;
        assert_eq!(client.answer().await.status, 200);
        kept.push(client);
    }
    kept[0].closed().await;
    owner.say(&with_token).await;
    assert_eq!(owner.answer().await.status, 200, "the quietest of all, and its place is its own");
    kept[1].say(&request("GET", "/healthz", &host, "")).await;
    assert_eq!(kept[1].answer().await.status, 200, "no more had to go than came");
}

#[tokio::test]
async fn as_many_read_events_as_may_and_requests_are_answered_beside_them() {
    let member = Member::start().await;
    for (path, most) in [("/api/v1/events", 64), ("/api/v1/log/events", 32)] {
        let mut readers = Vec::new();
        for _ in 0..most {
            readers.push(member.stream(path, "").await);
        }
        let refused = member.get(path).await;
        assert_eq!(refused.refusal(503), "too_many_readers", "{path}");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(member.get("/api/v1/status").await.status, 200);
        drop(readers);
    }
}
