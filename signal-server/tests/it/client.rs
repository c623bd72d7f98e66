//! A server on a free port, and a client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use signal_server::{DialBack, NoDialBack, Server, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any limit of the server, so that a test fails rather than hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

pub(crate) fn settings() -> Settings {
    Settings { listen: vec!["127.0.0.1:0".to_owned()], ..Settings::default() }
}

pub(crate) async fn start() -> Running {
    start_with(&settings(), Arc::new(NoDialBack)).await
}

pub(crate) async fn start_with(settings: &Settings, dial_back: Arc<dyn DialBack>) -> Running {
    let server = Server::bind(settings, dial_back).await.expect("a free port");
    let address = server.addresses()[0];
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address, stop, ended }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("it runs");
        timeout(PATIENCE, self.ended).await.expect("in time").expect("no panic");
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, "", body.as_ref()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"").await
    }

    /// Sends a well-formed request; `headers` are whole lines with their ends.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        send(self.address, method, path, headers, body).await
    }

    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        raw(self.address, bytes).await
    }

    /// The value of a counter, 0 if it was never counted.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a number"))
    }
}

pub(crate) async fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{length}{headers}\r\n");
    raw(address, &[head.as_bytes(), body].concat()).await
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    read_answer(&mut stream).await
}

pub(crate) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut heard = Vec::new();
    // An error is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the server closes in time");
    Answer::parse(&heard)
}

/// An answer; status 0 if there was none.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(heard: &[u8]) -> Self {
        let end = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(heard.len());
        let head = String::from_utf8(heard[..end].to_vec()).expect("heads are text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: heard.get(end + 4..).unwrap_or_default().to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of a refusal, with what every refusal must have.
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
