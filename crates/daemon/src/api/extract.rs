//! What a request says, read with bounds, and refused as a problem where it cannot be read.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{Api, MAX_BODY};

/// A body must have come within this. On loopback the longest takes a millisecond; a phone over a tunnel, a second.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What is read and thrown away of a body that is too long, so that its sender hears why before the connection ends.
const MAX_DRAINED: usize = 4 * 1024 * 1024;

/// What stands behind the `?`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let parsed = Query::try_from_uri(&parts.uri).map_err(|error| Problem::bad_request(error.body_text()));
        std::future::ready(parsed.map(|Query(params)| Self(params))).await
    }
}

/// The one segment of the path that stands for something.
pub(super) struct Segment(pub(super) String);

impl FromRequestParts<Api> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let segment = Path::<String>::from_request_parts(parts, api).await;
        segment.map(|Path(segment)| Self(segment)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// A JSON document that was sent.
pub(super) struct Posted<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        // A form of a foreign page can send any text, but never with this type. On the socket there are no pages.
        if !api.is_trusted() && !is_json(request.headers()) {
            return Err(Problem::not_json());
        }
        let body = read(request).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The whole body, within the bounds of size and time.
async fn read(request: Request) -> Result<Bytes, Problem> {
    let claimed = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body();
    if claimed.is_some_and(|claimed| claimed > MAX_DRAINED) {
        return Err(Problem::body_too_long(MAX_BODY));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(&mut body)).await.map_err(|_| Problem::body_too_slow())?
}

async fn collect(body: &mut Body) -> Result<Bytes, Problem> {
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(data) = next(body).await? {
        length += data.len();
        if length > MAX_DRAINED {
            break;
        }
        if length <= MAX_BODY {
            bytes.extend_from_slice(&data);
        }
    }
    if length > MAX_BODY { Err(Problem::body_too_long(MAX_BODY)) } else { Ok(bytes.into()) }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Problem::bad_request("the body broke off")),
            Some(Ok(frame)) => {
                // Trailers say nothing here.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
