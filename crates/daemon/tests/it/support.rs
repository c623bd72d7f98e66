//! A member with its API, and clients that say exactly what each test wants.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshline_daemon::api::{Served, Server, Token};
use meshline_daemon::config::{LogLevel, NodeConfig};
use meshline_daemon::gateway::{LocalGateway, own_ports};
use meshline_daemon::ledger::NodeLedger;
use meshline_daemon::log::{Tail, TailLayer};
use meshline_identity::KeyPair;
use meshline_mesh::{Config, Node};
use meshline_net::{Clock, MeshHandle, Settings};
use meshline_services::{Command, Reply, Stack, chat};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A member that is alone, and its API.
pub(crate) struct Member {
    pub(crate) mesh: MeshHandle,
    pub(crate) token: Arc<Token>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) gateway: Arc<LocalGateway>,
    kept: Option<TailLayer>,
}

impl Member {
    pub(crate) async fn start() -> Self {
        Self::start_as(Config::new("lab".parse().unwrap(), "one".parse().unwrap()), 7).await
    }

    /// A member with these settings; the number makes its key.
    pub(crate) async fn start_as(config: Config, number: u8) -> Self {
        Self::start_with(config, number, json!({})).await
    }

    /// The same with keys of the configuration that are the gateway's.
    pub(crate) async fn start_with(config: Config, number: u8, keys: Value) -> Self {
        Self::start_in(config, number, keys, false).await
    }

    /// One that follows ledgers and keeps none, as a view does.
    pub(crate) async fn start_light(config: Config, number: u8, keys: Value) -> Self {
        Self::start_in(config, number, keys, true).await
    }

    async fn start_in(config: Config, number: u8, keys: Value, is_light: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = json!({"name": config.name, "network": config.network, "data_dir": folder.path()});
        gateway.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let mut config_of_all: NodeConfig = serde_json::from_value(gateway).unwrap();
        config_of_all.ledger.light = is_light;
        let key = KeyPair::from_secret([number; 32]);
        let clock = Clock::start();
        let settings = Settings::new(clock, key.clone(), &config);
        let stack = Stack::new(Node::new(config, key, [number; 32], clock.now()), Default::default(), clock.now());
        let mesh = meshline_net::start(settings, stack).await.unwrap();
        let token = Arc::new(Token::read_or_make(folder.path()).unwrap());
        let (tail, kept) = Tail::new(&LogLevel::try_from("info".to_owned()).unwrap());
        let bound = Server::bind(folder.path(), Some("127.0.0.1:0")).await.unwrap();
        let gateway = Arc::new(LocalGateway::start(&config_of_all, &mesh, own_ports(&mesh, bound.address())).await);
        let ledger = NodeLedger::start(&config_of_all).unwrap();
        ledger.join(mesh.ledger());
        let served =
            Served { mesh: mesh.clone(), gateway: Arc::clone(&gateway), ledger, token: Arc::clone(&token), tail };
        let server = bound.serve(served).unwrap();
        Self { mesh, token, folder, server, gateway, kept: Some(kept) }
    }

    pub(crate) fn host(&self) -> String {
        self.server.address().unwrap().to_string()
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::over(TcpStream::connect(self.host()).await.unwrap())
    }

    pub(crate) async fn connect_unix(&self) -> Client<UnixStream> {
        Client::over(UnixStream::connect(Server::socket_path(self.folder.path())).await.unwrap())
    }

    /// The header that bears the token.
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token.as_str())
    }

    /// Asks over a connection of its own; `headers` end with CR LF each.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut client = self.connect().await;
        client.say(&request(method, path, &format!("Host: {}\r\n{headers}", self.host()), body)).await;
        client.answer_to(method).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.bearer(), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = format!("{}Content-Type: application/json\r\n", self.bearer());
        self.ask("POST", path, &headers, body).await
    }

    /// Has what this thread logs kept by the member's tail, for as long as the guard lives.
    pub(crate) fn keep_log(&mut self) -> tracing::subscriber::DefaultGuard {
        let registry = Registry::default().with(vec![self.kept.take().unwrap()]);
        tracing::subscriber::set_default(registry)
    }

    /// Writes to the chat from within.
    pub(crate) async fn write(&self, text: &str) {
        let command = Command::Chat(chat::Command::Send { text: text.to_owned() });
        let reply = self.mesh.command(command).await;
        assert!(matches!(reply, Reply::Chat(chat::Reply::Sent(_))), "{reply:?}");
    }

    /// An open stream of events.
    pub(crate) async fn stream(&self, path: &str, headers: &str) -> Client<TcpStream> {
        let mut client = self.connect().await;
        let headers = format!("Host: {}\r\n{}{headers}", self.host(), self.bearer());
        client.say(&request("GET", path, &headers, "")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        client
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\n{headers}{length}\r\n{body}")
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Asserts that this is a refusal as all refusals are, and returns its code.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["code", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// One connection.
pub(crate) struct Client<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The same to an end that may stop reading before it has heard all.
    pub(crate) async fn say_what_is_taken(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The next part of what is heard up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let found = timeout(PATIENCE, async {
            loop {
                let at = self.buffer.windows(end.len()).position(|part| part == end.as_bytes());
                if let Some(at) = at {
                    return self.buffer.drain(..at + end.len()).collect::<Vec<u8>>();
                }
                assert!(self.hear().await, "ended before {end:?}: {}", String::from_utf8_lossy(&self.buffer));
            }
        });
        String::from_utf8(found.await.unwrap_or_else(|_| panic!("no {end:?}"))).unwrap()
    }

    /// Whether more came before the end.
    async fn hear(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).await.unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..count]);
        count > 0
    }

    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// An answer with a length; one to `HEAD` has no body.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method != "HEAD" {
            while self.buffer.len() < length {
                assert!(timeout(PATIENCE, self.hear()).await.unwrap(), "cut short: {answer:?}");
            }
            answer.body = self.buffer.drain(..length).collect();
        }
        answer
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// Waits until the other end closes.
    pub(crate) async fn closed(&mut self) {
        timeout(PATIENCE, async { while self.hear().await {} }).await.expect("an end");
    }

    /// The next event of a stream in chunks, comments left out.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let text = self.until("\n\n").await;
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                line.map(ToOwned::to_owned)
            };
            if let (Some(name), Some(data)) = (field("event"), field("data")) {
                return Event { id: field("id").unwrap(), name, data: serde_json::from_str(&data).unwrap() };
            }
        }
    }
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await; // paced: asks again
    }
}

/// The rights of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}
