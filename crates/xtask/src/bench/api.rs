//! Asking a node over the Unix socket in its folder.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The status code and the body of an answer; `None` if nobody answers.
fn get(socket: &Path, path: &str) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
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
