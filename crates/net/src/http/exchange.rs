//! One request and its answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE,
};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{HttpError, Target};

/// Longest status line and headers of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// Most header lines of an answer.
const MAX_HEADERS: usize = 64;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// Any request. `path` starts with a slash and may hold a query.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// `GET`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// With a JSON document as body.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        self.body(body).header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With a body, whose type a header tells.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a bearer token, which is kept out of debug output.
    ///
    /// # Errors
    /// If the token holds characters that no header may hold.
    pub fn bearer(self, token: &str) -> Result<Self, HttpError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| HttpError::Request("the token is not plain text".to_owned()))?;
        value.set_sensitive(true);
        Ok(self.header(AUTHORIZATION, value))
    }

    fn into_http(self, target: &Target) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let mut request = hyper::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() =
            self.path.parse().map_err(|error| HttpError::Request(format!("the path {:?}: {error}", self.path)))?;
        *request.headers_mut() = self.headers;
        let host = HeaderValue::try_from(target.host_header())
            .map_err(|_| HttpError::Request("the host is not plain text".to_owned()))?;
        request.headers_mut().insert(HOST, host);
        Ok(request)
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body taken, in bytes.
    pub max_body: usize,
    /// From the attempt to connect to the last byte of the answer.
    pub timeout: Duration,
}

/// A complete answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Connects, asks, and reads the whole answer.
///
/// # Errors
/// If there is no complete answer within the limits. A status of refusal is an answer.
pub async fn request(target: &Target, request: Request, limits: Limits) -> Result<Response, HttpError> {
    let exchange = async { exchange(target.connect().await?, target, request, limits.max_body).await };
    timeout(limits.timeout, exchange).await.map_err(|_| HttpError::Timeout)?
}

/// As [`request`], over a connection that is there already. `target` is only named to the server.
///
/// # Errors
/// As [`request`].
pub async fn request_over<S>(
    stream: S,
    target: &Target,
    request: Request,
    limits: Limits,
) -> Result<Response, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let exchange = exchange(stream, target, request, limits.max_body);
    timeout(limits.timeout, exchange).await.map_err(|_| HttpError::Timeout)?
}

/// As [`request_over`], with TLS in the connection where the URL of `target` says so.
///
/// # Errors
/// As [`request`].
pub async fn request_through<S>(
    stream: S,
    target: &Target,
    request: Request,
    limits: Limits,
) -> Result<Response, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let exchange = async { exchange(target.over(Box::new(stream)).await?, target, request, limits.max_body).await };
    timeout(limits.timeout, exchange).await.map_err(|_| HttpError::Timeout)?
}

/// Connects and asks for a connection of bytes in place of HTTP; else the answer, whatever it is. `limits.timeout` holds
/// until that is decided.
///
/// # Errors
/// If there is no complete answer within the limits.
pub async fn upgrade(
    target: &Target,
    request: Request,
    protocol: &'static str,
    limits: Limits,
) -> Result<Result<Raw, Response>, HttpError> {
    let request = request.header(CONNECTION, HeaderValue::from_static("Upgrade"));
    let request = request.header(UPGRADE, HeaderValue::from_static(protocol));
    let asking = async {
        let opened = open(target.connect().await?, target, request).await?;
        if opened.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return answer(opened, limits.max_body).await.map(Err);
        }
        // The connection is handed over by its task, which has to live until then.
        let Opened { response, _connection } = opened;
        Ok(Ok(TokioIo::new(hyper::upgrade::on(response).await?)))
    };
    timeout(limits.timeout, asking).await.map_err(|_| HttpError::Timeout)?
}

/// The bytes of a connection that was HTTP.
pub type Raw = TokioIo<hyper::upgrade::Upgraded>;

async fn exchange<S>(stream: S, target: &Target, request: Request, max_body: usize) -> Result<Response, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    answer(open(stream, target, request).await?, max_body).await
}

/// Reads the whole answer.
async fn answer(opened: Opened, max_body: usize) -> Result<Response, HttpError> {
    let Opened { response, _connection } = opened;
    let (head, mut body) = response.into_parts();
    let claimed = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|length| length > max_body as u64) && !body.is_end_stream() {
        return Err(HttpError::TooLong(max_body));
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > max_body {
            return Err(HttpError::TooLong(max_body));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Response { status: head.status, headers: head.headers, body: bytes.freeze() })
}

/// An answer whose body is still to be read, and the task that carries it; dropping this closes the connection.
pub(super) struct Opened {
    pub(super) response: hyper::Response<Incoming>,
    pub(super) _connection: JoinSet<hyper::Result<()>>,
}

pub(super) async fn open<S>(stream: S, target: &Target, request: Request) -> Result<Opened, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request.into_http(target)?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).handshake(TokioIo::new(stream)).await?;
    let mut carrier = JoinSet::new();
    carrier.spawn(connection.with_upgrades());
    let response = sender.send_request(request).await?;
    Ok(Opened { response, _connection: carrier })
}
