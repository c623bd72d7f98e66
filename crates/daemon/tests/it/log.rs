//! The tail of the log as it is read from outside.

use serde_json::Value;
use tracing::{debug, error, info, trace, warn};

use crate::support::{Answer, Member, PATIENCE};

/// The lines of these tests, without what the member says for itself.
fn own(answer: &Answer) -> Vec<Value> {
    let lines = answer.json()["lines"].as_array().unwrap().clone();
    lines.into_iter().filter(|line| line["target"] == "meshline::test").collect()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

fn say_one_of_each() {
    error!(target: "meshline::test", "one");
    warn!(target: "meshline::test", "two");
    info!(target: "meshline::test", count = 3, peer = "abc", loss = 0.5, up = true, "three");
    debug!(target: "meshline::test", "four");
    trace!(target: "meshline::test", "five");
}

#[tokio::test]
async fn debug_is_kept_though_info_is_configured_and_a_level_filters() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    say_one_of_each();
    for (level, wanted) in [("", 3), ("error", 1), ("warn", 2), ("info", 3), ("debug", 4), ("trace", 4)] {
        let query = if level.is_empty() { String::new() } else { format!("?level={level}") };
        let answer = member.get(&format!("/api/v1/log{query}")).await;
        assert_eq!(messages(&own(&answer)), ["one", "two", "three", "four"][..wanted], "{level}");
        assert_eq!((&answer.json()["schema"], &answer.json()["level"]), (&"meshline/log/1".into(), &"info".into()));
    }
}

#[tokio::test]
async fn a_line_has_its_fields_and_ids_grow() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    say_one_of_each();
    let lines = own(&member.get("/api/v1/log?level=debug").await);
    assert!(lines.is_sorted_by_key(|line| line["id"].as_u64().unwrap()));
    assert_eq!(lines[2]["fields"], serde_json::json!({"count": 3, "peer": "abc", "loss": 0.5, "up": true}));
    assert_eq!(lines[2]["level"], "info");
    assert!(lines[2]["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(lines[0]["fields"], serde_json::json!({}));
}

#[tokio::test]
async fn a_limit_keeps_the_newest() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    (0..50).for_each(|n| error!(target: "meshline::test", "line {n}"));
    let lines = own(&member.get("/api/v1/log?level=error&limit=2").await);
    assert_eq!(messages(&lines), ["line 48", "line 49"]);
    assert_eq!(own(&member.get("/api/v1/log?level=error&limit=2000").await).len(), 50);
}

#[tokio::test]
async fn one_source_has_its_share_and_what_is_left_out_is_counted() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    (0..250).for_each(|_| warn!(target: "meshline::test", peer = "flood", "again"));
    warn!(target: "meshline::test", peer = "other", "once");
    let answer = member.get("/api/v1/log?limit=1000").await;
    assert_eq!(own(&answer).len(), 101);
    let all = answer.json()["lines"].as_array().unwrap().clone();
    assert!(all.iter().any(|line| line["message"] == "150 lines suppressed"), "{all:?}");
}

#[tokio::test]
async fn foreign_text_is_harmless_in_a_kept_line() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    info!(target: "meshline::test", name = "a\n\u{202e}b", "hello\nid: 1\n\nevent: forged");
    let lines = own(&member.get("/api/v1/log").await);
    assert_eq!(lines[0]["message"], "hello\\nid: 1\\n\\nevent: forged");
    assert_eq!(lines[0]["fields"]["name"], "a\\n\\u{202e}b");
}

#[tokio::test]
async fn lines_to_come_are_events_with_the_ids_of_the_lines_and_can_be_gone_on_with() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    let mut reader = member.stream("/api/v1/log/events?level=warn", "").await;
    say_one_of_each();
    let (one, two) = (reader.event().await, reader.event().await);
    assert_eq!((one.name.as_str(), &one.data["message"], &two.data["message"]), ("log", &"one".into(), &"two".into()));
    assert_eq!(two.id, two.data["id"].to_string());
    drop(reader);
    let resume = format!("Last-Event-ID: {}\r\n", one.id);
    let mut reader = member.stream("/api/v1/log/events?level=debug", &resume).await;
    for message in ["two", "three", "four"] {
        assert_eq!(reader.event().await.data["message"], message);
    }
    let mut reader = member.stream("/api/v1/log/events", "Last-Event-ID: 7\r\n").await;
    assert_eq!(reader.event().await.name, "reset", "an id of an earlier run");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody_up_and_learns_what_it_missed() {
    let mut member = Member::start().await;
    let _guard = member.keep_log();
    let mut slow = member.stream("/api/v1/log/events?level=error", "").await;
    let mut quick = member.stream("/api/v1/log/events?level=error", "").await;
    let text = "x".repeat(16_000);
    // More than the buffers of a connection and the memory of lines hold together.
    for number in 0..1_000_u64 {
        error!(target: "meshline::test", peer = number, "{number} {text}");
        let event = tokio::time::timeout(PATIENCE, quick.event()).await.expect("the quick one is not held up");
        assert_eq!(event.data["fields"]["peer"], number);
    }
    let mut heard = 0;
    let missed = loop {
        let event = slow.event().await;
        if event.name == "lagged" {
            break event.data["missed"].as_u64().unwrap();
        }
        heard += 1;
    };
    assert_eq!(slow.event().await.data["fields"]["peer"], heard + missed);
}
