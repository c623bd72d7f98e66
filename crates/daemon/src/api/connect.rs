//! A connection of the API that becomes one to something at another member.

use std::io;
use std::pin::pin;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use meshline_gateway::{Connected, ServiceWord, Stream};
use meshline_mesh::{Command, Reply};
use meshline_protocol::Target;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::extract::Params;
use super::forwards::one_at_most;
use super::operations::Parameter;
use super::patient::Patient;
use super::problem::Problem;
use super::reads::mesh;
use super::services::unknown;
use crate::chunks::{cut, join};
use crate::topics::KIND;

/// What is spoken after the answer: see [`crate::chunks`].
pub(crate) const PROTOCOL: &str = "meshline-connect";

/// Connections of this kind at once: each is a command of the owner, with a socket and a stream.
pub(super) const MAX_CONNECTS: usize = 256;

/// Fewer characters of an id are not taken for a prefix.
const MIN_PREFIX: usize = 8;

/// Code of a reset because the local side broke.
const LOCAL_BROKE: u16 = 1;

/// What may stand behind the `?`.
pub(super) const PARAMETERS: [Parameter; 2] = [
    Parameter {
        name: "peer",
        place: "query",
        description: "Through whom: a member by name, id or a prefix of 8 or more, `auto`, or a service. Without a target it is a service.",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
    Parameter {
        name: "target",
        place: "query",
        description: "To what: tcp://host:port, unix:/path or serial:/device,baud. A service needs none.",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
];

/// What is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    peer: String,
    target: Option<Target>,
}

/// Answered with bytes in pieces, each after its length, both ways; a piece of length zero ends its direction.
pub(super) async fn connect(
    State(api): State<Api>,
    Params(mut wanted): Params<Wanted>,
    mut request: Request,
) -> Result<Response, Problem> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().filter(|_| is_wanted(request.headers()));
    let upgrade = upgrade.ok_or_else(|| Problem::upgrade_required(PROTOCOL))?;
    let room = api.connects.clone().try_acquire_owned().map_err(|_| Problem::too_many("connections of this kind"))?;
    let has_target = wanted.target.is_some();
    if has_target {
        one_at_most(&api, &mut wanted.peer).await?;
    }
    if wanted.target.as_ref().is_some_and(Target::is_udp) {
        return Err(Problem::bad_request("payloads of UDP need a forward, not a connection"));
    }
    if let Some(topic) = own_topic(&api, &wanted).await {
        drop(tokio::spawn(hand_over(upgrade, topic, room)));
        return Ok(switching());
    }
    let Connected { stream, flow, .. } = match api.gateway.connect(&wanted.peer, wanted.target).await {
        Ok(connected) => connected,
        Err(refusal) => return Err(unknown(&api, &wanted.peer, has_target, refusal).await),
    };
    if flow.is_some() {
        return Err(Problem::bad_request("the service is one of UDP: it needs a forward, not a connection"));
    }
    drop(tokio::spawn(hand_over(upgrade, stream, room)));
    Ok(switching())
}

fn switching() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

/// A topic of this member itself, if that is meant. No way through the mesh leads there, and its owner may read it whoever
/// else may.
async fn own_topic(api: &Api, wanted: &Wanted) -> Option<UnixStream> {
    let word: ServiceWord = wanted.peer.parse().ok().filter(|_| wanted.target.is_none())?;
    let socket = word.kind.filter(|kind| kind.as_str() == KIND).and_then(|_| api.gateway.topic(&word.name))?;
    if let Some(at) = &word.at {
        let Ok(Reply::Status(own)) = mesh(api, Command::Status).await else { return None };
        let is_prefix = at.len() >= MIN_PREFIX && own.id.to_string().starts_with(at.as_str());
        // Where names are only claimed they are shown with the beginning of the id behind a '~'.
        let name = own.name.split('~').next().unwrap_or_default();
        if !is_prefix && !name.eq_ignore_ascii_case(at) {
            return None;
        }
    }
    UnixStream::connect(socket).await.ok()
}

fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
}

async fn hand_over(upgrade: OnUpgrade, stream: impl Far, _room: OwnedSemaphorePermit) {
    match upgrade.await.map(bare) {
        Ok((local, read)) => carry(local, &read, stream).await,
        Err(_) => stream.break_off(),
    }
}

/// What somebody is connected with.
trait Far: AsyncRead + AsyncWrite + Send + Unpin {
    /// Ends it so that it does not look complete there, where that can be told.
    fn break_off(self);
}

impl Far for Box<dyn Stream> {
    fn break_off(self) {
        self.reset(LOCAL_BROKE);
    }
}

impl Far for UnixStream {
    fn break_off(self) {
        drop(self);
    }
}

/// Any connection.
trait Local: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Local for S {}

/// The connection itself, and what was read of it already. Here nobody is given up for reading slowly: a pager that
/// waits for a key holds up nobody but itself.
fn bare(upgraded: Upgraded) -> (Box<dyn Local>, Vec<u8>) {
    let upgraded = match upgraded.downcast::<TokioIo<Patient<UnixStream>>>() {
        Ok(parts) => return (Box::new(parts.io.into_inner().into_inner()), parts.read_buf.to_vec()),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<Patient<TcpStream>>>() {
        Ok(parts) => (Box::new(parts.io.into_inner().into_inner()), parts.read_buf.to_vec()),
        Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Vec::new()),
    }
}

/// Carries both directions until both have ended or one breaks, which breaks the other.
async fn carry(local: Box<dyn Local>, read: &[u8], mut stream: impl Far) {
    if exchange(local, read, &mut stream).await.is_err() {
        stream.break_off();
    }
}

async fn exchange(local: Box<dyn Local>, read: &[u8], stream: &mut impl Far) -> io::Result<()> {
    let (reading, mut writing) = split(local);
    let mut reading = read.chain(reading);
    let (mut coming, mut going) = split(stream);
    let mut hearing = pin!(cut(&mut coming, &mut writing));
    {
        let mut saying = pin!(join(&mut reading, &mut going));
        tokio::select! {
            said = &mut saying => said?,
            heard = &mut hearing => {
                // Whoever broke off hears no more, and who has nothing to say would wait for ever.
                heard?;
                return saying.await;
            }
        }
    }
    // Nothing more is said, so whatever is read now is that nobody is there to hear.
    tokio::select! {
        heard = &mut hearing => heard,
        _ = reading.read_u8() => Err(io::ErrorKind::BrokenPipe.into()),
    }
}
