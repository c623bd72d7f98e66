//! What is there beside the list.

use meshline_protocol::message::Announcement;
use serde_json::Value;

use super::client::start;
use super::records::{announcement, closed, member, signed};

#[tokio::test]
async fn health_readiness_and_counters_answer() {
    let server = start().await;
    assert_eq!(server.get("/healthz").await.json()["status"], "ok");
    assert_eq!(server.get("/readyz").await.json()["status"], "ready");
    server.post("/v1/nodes", signed(&announcement(1), 1)).await;
    server.post("/v1/nodes", "x").await;
    let text = server.get("/metrics").await.text();
    for line in [
        "meshline_signal_entries 1",
        "meshline_signal_announcements_total{outcome=\"added\"} 1",
        "meshline_signal_announcements_total{outcome=\"invalid_frame\"} 1",
        "meshline_signal_requests_total{route=\"/healthz\",status=\"200\"} 1",
        "meshline_signal_requests_total{route=\"/v1/nodes\",status=\"400\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<u64>().is_ok()), "{line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = start().await;
    for path in ["/", "/healthz", "/metrics", "/openapi.json", "/v1/nodes?network=lab"] {
        let answer = server.send("HEAD", path, "", b"").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_runs_nothing_and_shows_open_networks_alone() {
    let server = start().await;
    let sly = Announcement { name: "<img src=x>".parse().expect("a name"), ..announcement(1) };
    server.post("/v1/nodes", signed(&sly, 1)).await;
    server.post("/v1/nodes", signed(&member(2), 2)).await;
    let page = server.get("/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let html = page.text();
    assert!(html.contains("&lt;img src=x&gt;") && !html.contains("<img"), "{html}");
    assert!(!html.contains("<script") && !html.contains("member-2") && !html.contains(&closed().to_string()), "{html}");
    assert!(html.contains("1 closed network with 1 member."), "{html}");
    assert_eq!(server.get("/style.css").await.header("content-type"), Some("text/css; charset=utf-8"));
    server.stop().await;
}

#[tokio::test]
async fn no_answer_invites_another_origin_or_is_used_again_unasked() {
    let server = start().await;
    // The list alone has a tag to be asked for again with.
    let kept = [("/v1/nodes?network=lab", "private, no-cache")];
    let dropped = ["/", "/metrics", "/nowhere", "/v1/nodes"].map(|path| (path, "no-store"));
    for (path, caching) in kept.into_iter().chain(dropped) {
        let answer = server.send("GET", path, "origin: http://example.org\r\n", b"").await;
        assert!(!answer.head.contains("access-control"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some(caching), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_description_is_complete_in_itself() {
    let server = start().await;
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.1");
    for path in
        ["/v1/nodes", "/v1/nodes/{id}", "/v1/revocations", "/healthz", "/readyz", "/metrics", "/openapi.json", "/"]
    {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(document["paths"]["/v1/nodes"]["get"]["responses"]["304"].is_object());
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("inside this document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    server.stop().await;
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
