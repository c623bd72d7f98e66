//! A small HTTP/1.1 client: one request a connection, for the local API and for chromedriver. It sends what it is told,
//! wrong `Host` and all, which a real client would not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for the next bytes of an answer; loading a page counts as one.
const SILENCE: Duration = Duration::from_secs(40);

/// A request to a port of loopback.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) port: u16,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    /// The value of a header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl<'a> Request<'a> {
    pub(crate) fn get(port: u16, path: &'a str) -> Self {
        Self { port, method: "GET", path, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn post(port: u16, path: &'a str, body: String) -> Self {
        Self { port, method: "POST", path, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    pub(crate) fn with(mut self, name: &'a str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Sends it and reads the answer; of an endless one (server-sent events) only the head.
    pub(crate) fn send(&self) -> io::Result<Response> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(self.text().as_bytes())?;
        read(&mut BufReader::new(stream), self.method == "HEAD")
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            text += &format!("host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + &format!("content-length: {}\r\n\r\n{}", self.body.len(), self.body)
    }
}

fn read(stream: &mut impl BufRead, no_body: bool) -> io::Result<Response> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
    let mut response = Response { status, headers: Vec::new(), body: String::new() };
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        response.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if no_body || response.header("content-type").starts_with("text/event-stream") {
        return Ok(response);
    }
    let bytes = if response.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        read_chunks(stream)?
    } else {
        let length = response.header("content-length").parse().unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        stream.take(length).read_to_end(&mut bytes)?;
        bytes
    };
    response.body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(response)
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        // Each chunk, the last and empty one too, ends with a line break.
        stream.by_ref().take(length).read_to_end(&mut bytes)?;
        stream.read_line(&mut String::new())?;
        if length == 0 {
            return Ok(bytes);
        }
    }
}
