//! Asking a node over the Unix socket in its folder, or anybody over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything here takes to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status code and the body of an answer; `None` if nobody answers.
fn ask(socket: &Path, request: &str) -> Option<(u16, String)> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    exchange(stream, request)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Option<(u16, String)> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

fn get(socket: &Path, path: &str) -> Option<(u16, String)> {
    ask(socket, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

/// What somebody at this address answers to somebody with a token.
pub(super) fn get_at(address: &str, path: &str, token: &str) -> Option<String> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
    let answer = exchange(stream, &format!("{head}Connection: close\r\n\r\n"));
    answer.filter(|(code, _)| *code == 200).map(|(_, body)| body)
}

/// Whether a node took a message; it refuses one more than an author may send.
pub(super) fn say(socket: &Path, text: &str) -> bool {
    let body = json!({ "text": text }).to_string();
    let head = "POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    ask(socket, &request).is_some_and(|(code, _)| code == 200)
}

/// What a node answers to an order; `None` if it refuses.
pub(super) fn post(socket: &Path, path: &str, body: &Value) -> Option<Value> {
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    let request = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    ask(socket, &request).filter(|(code, _)| *code == 200).and_then(|(_, body)| serde_json::from_str(&body).ok())
}

/// Lines of the stream of events of a node, from now on.
pub(super) fn events(socket: &Path) -> Option<impl Iterator<Item = String> + use<>> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    Some(BufReader::new(stream).lines().map_while(Result::ok))
}

/// A document of a node, if it gives it.
pub(super) fn document(socket: &Path, path: &str) -> Option<String> {
    get(socket, path).filter(|(code, _)| *code == 200).map(|(_, body)| body)
}

/// Whether a node says that it is ready.
pub(super) fn is_ready(socket: &Path) -> bool {
    get(socket, "/readyz").is_some_and(|(code, _)| code == 200)
}

/// How many links a node has; none if it does not answer.
pub(super) fn links(socket: &Path) -> usize {
    let status = get(socket, "/api/v1/status").and_then(|(_, body)| serde_json::from_str::<Value>(&body).ok());
    status.as_ref().and_then(|status| status.get("links")?.as_array()).map_or(0, Vec::len)
}

/// The messages that a node has, the newest last; none if it does not answer.
pub(super) fn messages(socket: &Path, limit: usize) -> Vec<Value> {
    let answer = document(socket, &format!("/api/v1/chat?limit={limit}"));
    let mut history = answer.and_then(|body| serde_json::from_str::<Value>(&body).ok()).unwrap_or_default();
    let rows = history.get_mut("messages").map(Value::take);
    rows.and_then(|rows| rows.as_array().cloned()).unwrap_or_default()
}
