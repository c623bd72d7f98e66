//! The list itself: announce, refresh, depart, read, revoke.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use meshline_protocol::signal::AnnounceRequest;
use meshline_protocol::{Address, Code, NetworkId, NodeId, SignedRecord};
use serde::Deserialize;

use super::body::read_json;
use super::{Peer, Problem};
use crate::app::{App, Listed, now};
use crate::settings::rows;

/// What may stand behind the question mark.
#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    network: Option<NetworkId>,
    limit: Option<usize>,
}

type ListParameters = Result<Query<ListQuery>, QueryRejection>;

/// `POST /v1/nodes`.
pub(crate) async fn announce(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    query: ListParameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let listed = match parameters(query) {
        Ok(query) => enter(&app, peer, &headers, body).await.map(|listed| (query, listed)),
        Err(problem) => Err(problem),
    };
    let (query, listed) = listed.inspect_err(|problem| {
        app.metrics.announcement(problem.code);
        note_refusal(&app, peer, problem.code);
    })?;
    app.metrics.announcement(listed.outcome);
    let head = app.registry().list(&listed.network, rows(query.limit), now());
    Ok(json(StatusCode::OK, with_own_entry(&head, peer, &listed)))
}

async fn enter(app: &App, peer: Peer, headers: &HeaderMap, body: Body) -> Result<Listed, Problem> {
    match read_json(headers, body).await? {
        AnnounceRequest::Announcement(record) => {
            Ok(app.announce(record, peer.ip()).await.ok_or_else(Problem::stopping)??)
        }
        AnnounceRequest::Refresh { refresh } => Ok(app.refresh(refresh, peer.ip())?),
    }
}

/// `DELETE /v1/nodes/{id}`.
pub(crate) async fn depart(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let departed = leave(&app, id, &headers, body).await;
    if let Err(problem) = &departed {
        note_refusal(&app, peer, problem.code);
    }
    app.metrics.departure(departed.as_ref().map_or_else(|problem| problem.code, |()| "departed"));
    departed.map(|()| StatusCode::NO_CONTENT.into_response())
}

async fn leave(
    app: &App,
    id: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Problem> {
    let Path(id) = id.map_err(|rejection| invalid(rejection.body_text()))?;
    let id: NodeId = id.parse().map_err(|error| invalid(format!("the id in the path: {error}")))?;
    let record: SignedRecord = read_json(headers, body).await?;
    Ok(app.depart(&record, id)?)
}

/// `GET /v1/nodes`. Who has the same list already is told so; what stands beside the members is the caller's own and
/// counts for nothing there.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    query: ListParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = parameters(query)?;
    let network = query.network.ok_or_else(|| invalid("which network? expected ?network=…"))?;
    let now = now();
    let (head, tag) = {
        let mut registry = app.registry();
        registry.may_list(&network, bearer(&headers), now)?;
        registry.list_tagged(&network, rows(query.limit), now)
    };
    let tag = format!("W/\"{tag:016x}\"");
    let mut response = if has_already(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut body = with_observed(&head, peer);
        body.put_u8(b'}');
        json(StatusCode::OK, body.freeze())
    };
    // To be kept by the caller alone, and asked for each time.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// `POST /v1/revocations`.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let revoked = match read_json::<SignedRecord>(&headers, body).await {
        Ok(record) => app.revoke(&record).map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &revoked {
        note_refusal(&app, peer, problem.code);
    }
    app.metrics.revocation(revoked.as_ref().map_or_else(|problem| problem.code, |()| "accepted"));
    revoked.map(|()| StatusCode::NO_CONTENT.into_response())
}

fn parameters(query: ListParameters) -> Result<ListQuery, Problem> {
    query.map(|Query(query)| query).map_err(|rejection| invalid(rejection.body_text()))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::bad_request(Code::InvalidMessage, detail)
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether one of the tags of `If-None-Match` is this one, by the weak comparison.
fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|one| one == "*" || opaque(one) == opaque(tag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn note_refusal(app: &App, peer: Peer, code: &'static str) {
    app.log.line(|| tracing::info!(address = %peer.0, code, "refused"));
}

/// Room for what [`with_own_entry`] puts behind a list: an address, a number and a secret.
const OWN_ROOM: usize = 192;

/// Ends the ready list with what concerns the caller alone.
fn with_own_entry(head: &Bytes, peer: Peer, listed: &Listed) -> Bytes {
    let mut body = with_observed(head, peer);
    // Writing to it cannot fail.
    let _ = write!(body, ",\"expires_s\":{},\"refresh\":\"{}\"}}", listed.expires_s, listed.secret.text());
    body.freeze()
}

/// The ready list and where the caller was seen. An address and a secret hold no character that JSON would have escaped.
fn with_observed(head: &Bytes, peer: Peer) -> BytesMut {
    let mut body = BytesMut::with_capacity(head.len() + OWN_ROOM);
    body.put_slice(head);
    let _ = write!(body, ",\"observed\":\"{}\"", Address::from(peer.0));
    body
}

fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
