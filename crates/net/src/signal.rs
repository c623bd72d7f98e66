//! Talking to signal servers, and fetching lists that somebody put behind any URL.
//!
//! A URL without a path names a signal server; one with a path, or a `file:` URL, names a document that is only read.

use std::io::Read;
use std::path::PathBuf;

use meshline_mesh::SignalRequest;
use meshline_protocol::signal::{AnnounceRequest, MAX_LIST, NodeList};
use meshline_protocol::{Address, Code, SignedRecord};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::detour::{Detours, Errand, Opened};
use crate::http::{self, HttpError, Limits, Method, Request, Response, StatusCode, Target};
use crate::limits::SIGNAL_LIMIT;
use crate::tls::ProveError;

/// What every version of the document calls itself.
const SCHEMA: &str = "meshline/nodes/";

const LIMITS: Limits = Limits { max_body: MAX_LIST, timeout: SIGNAL_LIMIT };

/// What a configured URL stands for.
enum Source<'a> {
    Server(Server<'a>),
    List(Server<'a>, String),
    File(PathBuf),
}

/// Says `request` to whatever `url` names; `None` where nobody waits for an answer.
pub(crate) async fn ask(url: &str, request: SignalRequest, detours: &Detours) -> Option<Result<Box<NodeList>, String>> {
    let source = match source(url, detours) {
        Ok(source) => source,
        Err(error) => return Some(Err(error)),
    };
    match (source, request) {
        (Source::Server(server), SignalRequest::Leave(record)) => {
            leave(&server, record).await;
            None
        }
        (Source::Server(server), SignalRequest::Revoke(record)) => {
            revoke(&server, &record).await;
            None
        }
        (_, SignalRequest::Leave(_) | SignalRequest::Revoke(_)) => None,
        (Source::Server(server), SignalRequest::Announce(record)) => Some(announce(&server, record).await),
        (Source::Server(server), SignalRequest::Refresh { refresh, record }) => {
            let prolonged = post(&server, &AnnounceRequest::Refresh { refresh }).await;
            match prolonged {
                Ok(response) if is_forgotten(response.status) => Some(announce(&server, record).await),
                other => Some(other.and_then(|response| list_of(&response))),
            }
        }
        (Source::List(server, path), _) => Some(fetch(&server, path).await),
        (Source::File(path), _) => Some(read(path).await),
    }
}

fn source<'a>(url: &str, detours: &'a Detours) -> Result<Source<'a>, String> {
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(Source::File(path.into()));
    }
    let (target, path) = Target::parse(url).map_err(|error| error.to_string())?;
    let server = Server { target, detours };
    Ok(if matches!(path.as_str(), "" | "/") { Source::Server(server) } else { Source::List(server, path) })
}

/// A server, and how it may have to be reached.
struct Server<'a> {
    target: Target,
    detours: &'a Detours,
}

impl Server<'_> {
    /// Asks it, straight or through the member that the configuration names, within [`SIGNAL_LIMIT`] in all.
    async fn request(&self, request: Request) -> Result<Response, String> {
        let asking = async {
            let place = self.address();
            let opened = match &place {
                Some(place) => self.detours.open(Errand::Signal, place, || self.connect()).await,
                None => self.connect().await.map(Opened::Straight),
            };
            let answer = match opened.map_err(|error| error.detail)? {
                Opened::Straight(stream) => http::request_over(stream, &self.target, request, LIMITS).await,
                Opened::Through { stream, .. } => http::request_through(stream, &self.target, request, LIMITS).await,
            };
            answer.map_err(|error| error.to_string())
        };
        timeout(SIGNAL_LIMIT, asking).await.unwrap_or_else(|_| Err(HttpError::Timeout.to_string()))
    }

    async fn connect(&self) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, ProveError> {
        self.target.connect().await.map_err(|error| ProveError::new(Code::Unreachable, &error))
    }

    fn address(&self) -> Option<Address> {
        let (host, port) = self.target.host_and_port()?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{host}:{port}").parse().ok()
    }
}

/// The server does not know the entry any more, or another server answers under its name.
fn is_forgotten(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::CONFLICT)
}

async fn announce(server: &Server<'_>, record: SignedRecord) -> Result<Box<NodeList>, String> {
    list_of(&post(server, &AnnounceRequest::Announcement(record)).await?)
}

async fn post(server: &Server<'_>, body: &AnnounceRequest) -> Result<Response, String> {
    let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let request = Request::new(Method::POST, "/v1/nodes").json(body);
    server.request(request).await
}

async fn leave(server: &Server<'_>, record: SignedRecord) {
    let path = format!("/v1/nodes/{}", record.by);
    let Ok(body) = serde_json::to_vec(&record) else { return };
    let gone = server.request(Request::new(Method::DELETE, path).json(body)).await;
    if let Err(error) = gone {
        tracing::debug!("the signal server was not told goodbye: {error}");
    }
}

async fn revoke(server: &Server<'_>, record: &SignedRecord) {
    let Ok(body) = serde_json::to_vec(record) else { return };
    let told = server.request(Request::new(Method::POST, "/v1/revocations").json(body)).await;
    match told {
        Ok(response) if response.status.is_success() => {}
        Ok(response) => tracing::warn!("the signal server did not take the revocation: {}", refusal(&response)),
        Err(error) => tracing::warn!("the signal server was not told of the revocation: {error}"),
    }
}

async fn fetch(server: &Server<'_>, path: String) -> Result<Box<NodeList>, String> {
    list_of(&server.request(Request::get(path)).await?)
}

async fn read(path: PathBuf) -> Result<Box<NodeList>, String> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_LIST).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    let bytes = read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    if bytes.len() > MAX_LIST {
        return Err(format!("longer than {MAX_LIST} bytes"));
    }
    parse(&bytes)
}

fn list_of(response: &Response) -> Result<Box<NodeList>, String> {
    if response.status.is_success() { parse(&response.body) } else { Err(refusal(response)) }
}

/// What a node reads of a problem document (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
}

/// Status and, if the server gave a reason in our own form, the reason.
fn refusal(response: &Response) -> String {
    match serde_json::from_slice::<Problem>(&response.body) {
        Ok(Problem { code, detail }) => format!("{}: {code}: {detail}", response.status.as_u16()),
        Err(_) => format!("status {}", response.status.as_u16()),
    }
}

fn parse(bytes: &[u8]) -> Result<Box<NodeList>, String> {
    let list: Box<NodeList> = serde_json::from_slice(bytes).map_err(|error| format!("not a list of nodes: {error}"))?;
    // All members of the document may be missing, so that any JSON object would pass for an empty list.
    let is_named = list.schema.is_empty() && !list.nodes.is_empty() || list.schema.starts_with(SCHEMA);
    if is_named { Ok(list) } else { Err(format!("not a list of nodes: schema {:?}", list.schema)) }
}

#[cfg(test)]
mod tests;
