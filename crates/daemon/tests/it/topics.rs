//! Topics of a member, read at that very member.

use std::io::Write;

use meshline_daemon::config::NodeConfig;
use serde_json::json;

use crate::support::{Member, request};

/// A member that publishes `temp`, which only donald may read.
async fn publishing() -> (Member, tempfile::NamedTempFile) {
    let member = Member::start().await;
    let mut readings = tempfile::NamedTempFile::new().unwrap();
    readings.write_all(b"21.5\n").unwrap();
    let config = json!({"name": "one", "network": "lab", "data_dir": member.folder.path(),
        "topics": [{"name": "temp", "allow": ["donald"], "file": readings.path()}]});
    let config: NodeConfig = serde_json::from_value(config).unwrap();
    member.gateway.publish(&config).await;
    (member, readings)
}

#[tokio::test]
async fn a_member_reads_its_own_topic_whoever_else_may() {
    let (member, _readings) = publishing().await;
    let id = member.get("/api/v1/status").await.json()["id"].as_str().unwrap().to_owned();
    for at in [String::new(), "%40one".to_owned(), format!("%40{id}")] {
        let mut client = member.connect_unix().await;
        let path = format!("/api/v1/connect?peer=service%3Atemp._meshtopic._tcp{at}");
        let headers = "Host: x\r\nConnection: Upgrade\r\nUpgrade: meshline-connect\r\n";
        client.say(&request("GET", &path, headers, "")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{at}: {head}");
        let ask = "{\"follow\":true}\n";
        client.say(&format!("\0\0\0{}{ask}", char::from(u8::try_from(ask.len()).unwrap()))).await;
        client.until("\"value\":21.5}\n").await;
    }
}

#[tokio::test]
async fn what_is_asked_for_at_another_member_or_is_no_topic_here_is_not_taken_for_ones_own() {
    let (member, _readings) = publishing().await;
    let headers = format!("{}Connection: Upgrade\r\nUpgrade: meshline-connect\r\n", member.bearer());
    for word in ["temp._meshtopic._tcp%40two", "door._meshtopic._tcp", "temp._http._tcp", "temp"] {
        let path = format!("/api/v1/connect?peer=service%3A{word}");
        assert_eq!(member.ask("GET", &path, &headers, "").await.status, 404, "{word}");
    }
}
