//! Servers of the test answer, one request a connection; what they were asked is looked at.

use meshline_mesh::SignalRequest;
use meshline_protocol::NodeId;
use meshline_protocol::SignedRecord;
use meshline_protocol::signal::{NodeList, RefreshRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::detour::Detours;

const LIST: &str = r#"{"schema":"meshline/nodes/1","nodes":[{"addresses":["10.0.0.1:6001"]}],"expires_s":120}"#;

async fn ask(url: &str, request: SignalRequest) -> Option<Result<Box<NodeList>, String>> {
    super::ask(url, request, &Detours::default()).await
}

fn record() -> SignedRecord {
    SignedRecord { signed: "{}".to_owned(), by: NodeId::from_bytes([7; 32]), sig: "c2ln".to_owned() }
}

fn refresh() -> SignalRequest {
    let refresh =
        RefreshRequest { network: "lab".parse().unwrap(), id: NodeId::from_bytes([7; 32]), secret: "s".to_owned() };
    SignalRequest::Refresh { refresh, record: record() }
}

/// Answers one request a connection and returns what was asked.
async fn serve(answers: &'static [(&'static str, &'static str)]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_complete(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            asked.push(String::from_utf8(request).unwrap());
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, server)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next().and_then(|line| line.trim().parse::<usize>().ok()));
    body.len() >= length.unwrap_or(0)
}

#[tokio::test]
async fn an_announcement_is_posted_and_the_list_read() {
    let (url, server) = serve(&[("200 OK", LIST)]).await;
    let list = ask(&url, SignalRequest::Announce(record())).await.unwrap().unwrap();
    assert_eq!(list.nodes.len(), 1);
    assert_eq!(list.expires_s, Some(120));
    let asked = server.await.unwrap();
    assert!(asked[0].starts_with("POST /v1/nodes HTTP/1.1\r\n"));
    assert!(asked[0].contains(r#""signed":"{}""#));
}

#[tokio::test]
async fn a_forgotten_entry_is_announced_again() {
    let (url, server) = serve(&[("404 Not Found", "{}"), ("200 OK", LIST)]).await;
    assert!(ask(&url, refresh()).await.unwrap().is_ok());
    let asked = server.await.unwrap();
    assert!(asked[0].contains(r#"{"refresh":{"#));
    assert!(asked[1].contains(r#""signed":"{}""#));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    const ANSWER: (&str, &str) = ("429 Too Many Requests", r#"{"code":"rate_limited","detail":"slower"}"#);
    let (url, _server) = serve(&[ANSWER]).await;
    assert_eq!(ask(&url, refresh()).await.unwrap().unwrap_err(), "429: rate_limited: slower");
}

#[tokio::test]
async fn goodbye_deletes_the_entry_with_the_signed_record() {
    let (url, server) = serve(&[("204 No Content", "")]).await;
    assert!(ask(&url, SignalRequest::Leave(record())).await.is_none());
    let asked = server.await.unwrap();
    assert!(asked[0].starts_with(&format!("DELETE /v1/nodes/{} HTTP/1.1\r\n", NodeId::from_bytes([7; 32]))));
    assert!(asked[0].contains(r#""signed":"{}""#));
}

#[tokio::test]
async fn a_url_with_a_path_is_a_list_that_is_only_fetched() {
    let (url, server) = serve(&[("200 OK", LIST)]).await;
    let list = ask(&format!("{url}/lists/lab.json"), refresh()).await.unwrap().unwrap();
    assert_eq!(list.nodes.len(), 1);
    assert!(server.await.unwrap()[0].starts_with("GET /lists/lab.json HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_file_is_a_list_too_and_anything_else_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    };
    let announce = || SignalRequest::Announce(record());
    let good = write("good.json", r#"{"nodes":[{"addresses":["10.0.0.1:6001"]}]}"#);
    assert_eq!(ask(&good, announce()).await.unwrap().unwrap().nodes.len(), 1);
    for (name, text) in [("a", "[]"), ("b", r#"{"other":1}"#), ("c", r#"{"schema":"x/1","nodes":[]}"#), ("d", "")] {
        assert!(ask(&write(name, text), announce()).await.unwrap().is_err(), "{text}");
    }
    let long = write("long", &" ".repeat(meshline_protocol::signal::MAX_LIST + 1));
    assert!(ask(&long, announce()).await.unwrap().unwrap_err().contains("longer"));
    assert!(ask("file:///no/such/file", announce()).await.unwrap().is_err());
    assert!(ask("gopher://x", announce()).await.unwrap().is_err());
}
