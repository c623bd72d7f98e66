//! Talking to a member that runs on this machine, over the socket in its data folder.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshline_net::http::{self, Event, EventStream, HttpError, Limits, Raw, Request, Response, StatusCode, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Server;
use crate::exit::{Exit, Stop};

/// The longest answer: a whole history.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// An answer from the same machine that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where other members are asked: a search for one that reaches the target takes 25 s at most.
const FAR_PATIENCE: Duration = Duration::from_secs(40);

/// Where something long is waited for: a chain judged again, a block searched.
#[cfg(feature = "ledger")]
const SLOW_PATIENCE: Duration = Duration::from_secs(24 * 3_600);

const EVENTS: &str = "/api/v1/events";

/// A running member. What is asked of it comes within ten seconds or not at all.
#[derive(Debug)]
pub struct Client {
    /// What it is called, where that is known.
    name: Option<String>,
    socket: PathBuf,
    target: Target,
    /// Held so that the short name of the socket stays valid.
    _folder: Option<std::fs::File>,
}

/// A refusal as the member words it.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    ids: Vec<String>,
}

impl Client {
    /// The member with this data folder, whether it runs or not.
    ///
    /// # Errors
    /// None so far.
    pub fn new(data_dir: &Path) -> anyhow::Result<Self> {
        let socket = Server::socket_path(data_dir);
        // A path may be longer than the name of a socket: the folder's descriptor makes it short.
        let folder = std::fs::File::open(data_dir).ok();
        let name = socket.file_name().unwrap_or_default();
        let short =
            folder.as_ref().map(|folder| PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name));
        let target = Target::unix(short.unwrap_or_else(|| socket.clone()));
        Ok(Self { name: None, socket, target, _folder: folder })
    }

    /// The same, called by its name where it is spoken of.
    #[must_use]
    pub(super) fn called(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }

    /// A document.
    ///
    /// # Errors
    /// With the exit code that fits: nobody is there, or it refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.document(Request::get(path)).await
    }

    /// A document in answer to another.
    ///
    /// # Errors
    /// With the exit code that fits: nobody is there, or it refuses.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        self.document(Request::new(http::Method::POST, path).json(body.to_string())).await
    }

    /// The same where other members may be asked.
    pub(super) async fn post_far<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let request = Request::new(http::Method::POST, path).json(body.to_string());
        self.document_within(request, FAR_PATIENCE).await
    }

    /// The same where something long is waited for.
    #[cfg(feature = "ledger")]
    pub(super) async fn post_slow<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let request = Request::new(http::Method::POST, path).json(body.to_string());
        self.document_within(request, SLOW_PATIENCE).await
    }

    /// The document about something that is removed.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.document(Request::new(http::Method::DELETE, path)).await
    }

    /// A connection that carries bytes.
    pub(super) async fn upgrade(&self, path: &str, protocol: &'static str) -> anyhow::Result<Raw> {
        let limits = Limits { max_body: MAX_ANSWER, timeout: FAR_PATIENCE };
        let answer = http::upgrade(&self.target, Request::get(path), protocol, limits).await;
        Ok(answer.map_err(|error| self.unreachable(&error))?.map_err(|response| refusal(&response))?)
    }

    /// Whatever a path streams, from now on.
    pub(super) async fn stream(&self, path: &str) -> anyhow::Result<EventStream> {
        let limits = Limits { max_body: MAX_ANSWER, timeout: PATIENCE };
        match http::events(&self.target, Request::get(path), limits).await {
            Ok(events) => Ok(events),
            // What was wrong stands in the body, which a request for a document reads.
            Err(HttpError::NoEvents(_)) => Err(self
                .document::<Value>(Request::get(path))
                .await
                .err()
                .unwrap_or_else(|| Stop::new(Exit::Failed, "the member answers this with a document").into())),
            Err(error) => Err(self.unreachable(&error).into()),
        }
    }

    /// Events in answer to a document: something that lasts as long as they are read.
    pub(super) async fn held(&self, path: &str, body: &Value) -> anyhow::Result<EventStream> {
        let request = || Request::new(http::Method::POST, path).json(body.to_string());
        let limits = Limits { max_body: MAX_ANSWER, timeout: PATIENCE };
        match http::events(&self.target, request(), limits).await {
            Ok(events) => Ok(events),
            // What was wrong stands in the body; what was refused once is refused again.
            Err(HttpError::NoEvents(_)) => Err(self
                .document::<Value>(request())
                .await
                .err()
                .unwrap_or_else(|| Stop::new(Exit::Failed, "the member answers this with a document").into())),
            Err(error) => Err(self.unreachable(&error).into()),
        }
    }

    /// Events as they come: from now on, or all after the one with the id `last`.
    ///
    /// # Errors
    /// If nobody is there, or it refuses.
    pub async fn events(&self, last: Option<&str>) -> anyhow::Result<EventStream> {
        let limits = Limits { max_body: MAX_ANSWER, timeout: PATIENCE };
        // Ids are made of digits and letters.
        let path = last.map_or_else(|| EVENTS.to_owned(), |last| format!("{EVENTS}?last_event_id={last}"));
        http::events(&self.target, Request::get(&path), limits).await.map_err(|error| self.unreachable(&error).into())
    }

    /// The next event of a stream that lasts as long as the member: one that ended, however it did, does not run.
    pub(super) async fn next(&self, events: &mut EventStream) -> anyhow::Result<Event> {
        match events.next().await {
            Ok(Some(event)) => return Ok(event),
            Err(error) if !error.is_end() => return Err(error.into()),
            Ok(None) | Err(_) => {}
        }
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        Err(Stop::new(Exit::NoDaemon, format!("the member{name} ended")).into())
    }

    async fn document<T: DeserializeOwned>(&self, request: Request) -> anyhow::Result<T> {
        self.document_within(request, PATIENCE).await
    }

    async fn document_within<T: DeserializeOwned>(&self, request: Request, timeout: Duration) -> anyhow::Result<T> {
        let limits = Limits { max_body: MAX_ANSWER, timeout };
        let response = http::request(&self.target, request, limits).await.map_err(|error| self.unreachable(&error))?;
        if !response.status.is_success() {
            return Err(refusal(&response).into());
        }
        Ok(serde_json::from_slice(&response.body)?)
    }

    fn unreachable(&self, error: &HttpError) -> Stop {
        let socket = self.socket.display();
        if matches!(error, HttpError::Timeout) {
            let why = "it is stopped, hangs or has too much to do; its log may say why";
            return Stop::new(
                Exit::NoDaemon,
                format!("the member at {socket} gives no complete answer in time: {why}"),
            );
        }
        let error = error.to_string();
        // The short name says nothing to people.
        let error = error.rsplit_once(": ").map_or(error.as_str(), |(_, cause)| cause);
        Stop::new(Exit::NoDaemon, format!("no member is running here ({socket}: {error}); start it with `run`"))
    }
}

/// A selector as one segment of a path, or as a value behind the `?`.
pub(super) fn in_path(selector: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    selector
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn refusal(response: &Response) -> Stop {
    let refusal: Refusal = serde_json::from_slice(&response.body).unwrap_or_else(|_| Refusal {
        code: response.status.to_string(),
        detail: String::new(),
        ids: Vec::new(),
    });
    let exit = exit_of(response.status, &refusal.code);
    let ids: String = refusal.ids.iter().map(|id| format!("\n  {id}")).collect();
    let message = format!("{}{ids}", words(&refusal.code, &refusal.detail));
    Stop { refusal: Some(refusal.code), ..Stop::new(exit, message) }
}

/// A refusal as the user reads it: why, its name unless that was said, and what to do next.
fn words(code: &str, detail: &str) -> String {
    // That a request was not as it should be says nothing to people.
    let is_said = detail.contains(code) || (code == "invalid_message" && !detail.is_empty());
    let name = if is_said { String::new() } else { format!(" ({code})") };
    let next = match code {
        "no_such_peer" => "; `peers` lists all members known here",
        "no_such_service" => "; `services` lists what is offered",
        "no_such_forward" => "; `forward list` shows all with their numbers",
        "no_route" => "; `explain` says why, and what would help",
        "ambiguous_peer" => "; say which by its id:",
        _ => "",
    };
    format!("{detail}{name}{next}")
}

/// What is not found and is no member.
const NOT_HERE: &[&str] = &["no_such_forward", "no_ledger", "ledger_followed", "ledger_kept", "no_such_block"];

/// By the status, where that says enough.
fn exit_of(status: StatusCode, code: &str) -> Exit {
    match status {
        StatusCode::NOT_FOUND if NOT_HERE.contains(&code) => Exit::Failed,
        StatusCode::CONFLICT if ["cannot_listen", "already_offered", "ledger_present"].contains(&code) => Exit::Failed,
        StatusCode::BAD_GATEWAY if ["no_route", "tunnel_lost"].contains(&code) => Exit::NoPeer,
        StatusCode::BAD_GATEWAY if ["target_refused", "target_unreachable"].contains(&code) => Exit::Refused,
        StatusCode::NOT_FOUND => Exit::NoPeer,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Exit::Refused,
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::{Client, Exit, Server, StatusCode, Stop, exit_of, words};

    /// A member that tells of one event and is killed, or ends as it should.
    async fn ended(rest: &str, name: Option<&str>) -> Stop {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(Server::socket_path(folder.path())).expect("a socket");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let said = format!("{head}9\r\ndata: a\n\n\r\n{rest}");
        let dying = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.expect("a request"));
            }
            stream.write_all(said.as_bytes()).await.expect("the client reads");
        });
        let client = Client::new(folder.path()).expect("a client");
        let client = if let Some(name) = name { client.called(name.to_owned()) } else { client };
        let mut events = client.events(None).await.expect("events");
        assert_eq!(client.next(&mut events).await.expect("one").data, "a");
        let error = client.next(&mut events).await.expect_err("no other");
        dying.await.expect("it ended");
        error.downcast().expect("with a code")
    }

    #[tokio::test]
    async fn a_member_that_ends_under_a_command_does_not_run_and_is_called_by_its_name() {
        for rest in ["", "0\r\n\r\n", "9\r\nda"] {
            assert_eq!(ended(rest, None).await, Stop::new(Exit::NoDaemon, "the member ended"), "{rest:?}");
        }
        assert_eq!(ended("", Some("bobby")).await, Stop::new(Exit::NoDaemon, "the member bobby ended"));
    }

    #[test]
    fn a_refusal_says_why_its_name_once_and_what_to_do_next() {
        for (code, detail, shown) in [
            ("no_such_peer", "nobody", "nobody (no_such_peer); `peers` lists all members known here"),
            ("target_refused", "eddy: target_refused (closed)", "eddy: target_refused (closed)"),
            ("forbidden", "no", "no (forbidden)"),
            ("invalid_message", "say what to connect to there", "say what to connect to there"),
        ] {
            assert_eq!(words(code, detail), shown);
        }
    }

    #[test]
    fn what_the_user_got_wrong_is_told_apart_from_what_the_member_cannot() {
        for (status, code, exit) in [
            (StatusCode::NOT_FOUND, "no_such_forward", Exit::Failed),
            (StatusCode::CONFLICT, "ambiguous_peer", Exit::Usage),
            (StatusCode::CONFLICT, "cannot_listen", Exit::Failed),
            (StatusCode::BAD_GATEWAY, "no_route", Exit::NoPeer),
            (StatusCode::BAD_GATEWAY, "tunnel_lost", Exit::NoPeer),
            (StatusCode::BAD_GATEWAY, "target_refused", Exit::Refused),
            (StatusCode::BAD_GATEWAY, "tls_failed", Exit::Failed),
        ] {
            assert_eq!(exit_of(status, code), exit, "{status} {code}");
        }
        for (status, exit) in [
            (StatusCode::BAD_REQUEST, Exit::Usage),
            (StatusCode::PAYLOAD_TOO_LARGE, Exit::Usage),
            (StatusCode::NOT_FOUND, Exit::NoPeer),
            (StatusCode::FORBIDDEN, Exit::Refused),
            (StatusCode::TOO_MANY_REQUESTS, Exit::Failed),
            (StatusCode::INSUFFICIENT_STORAGE, Exit::Failed),
            (StatusCode::SERVICE_UNAVAILABLE, Exit::Failed),
        ] {
            assert_eq!(exit_of(status, "any"), exit, "{status}");
        }
    }
}
