//! Refusals as `application/problem+json` (RFC 9457).

#[cfg(feature = "ledger")]
mod ledger;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use meshline_protocol::{Code, NodeId};
use schemars::JsonSchema;
use serde::Serialize;

/// A refusal.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The reason, as a fixed word.
    code: &'static str,
    /// What the status means.
    title: &'static str,
    /// A sentence for people.
    detail: String,
    /// The status of the answer.
    status: u16,
    /// An ambiguous prefix: all ids it fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<NodeId>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { code, title, detail: detail.into(), status: status.as_u16(), ids: Vec::new() }
    }

    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::ShuttingDown.name(), "the program is ending")
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden.name(), detail)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "send the token of data_dir/api.token as Authorization: Bearer",
        )
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidMessage.name(), detail)
    }

    pub(crate) fn not_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "send JSON with Content-Type: application/json")
    }

    pub(crate) fn body_too_long(max: usize) -> Self {
        let detail = format!("the body is longer than {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLong.name(), detail)
    }

    /// Who reads this is most likely a person whose browser sends what pages on other ports have left.
    pub(crate) fn head_too_long(max: usize) -> Self {
        let detail = format!(
            "the headers of this request are longer than {max} bytes; browsers send the cookies of all ports of a host: \
             delete those of this host, or try localhost instead of 127.0.0.1, or the other way round"
        );
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_long", detail)
    }

    pub(crate) fn body_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not come in time")
    }

    pub(crate) fn too_many_readers() -> Self {
        let detail = "as many clients read these events as may do so at once; close one and try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", detail)
    }

    /// Whether it is that no member is known by a word.
    pub(crate) fn is_nobody(&self) -> bool {
        self.code == Code::NoSuchPeer.name()
    }

    pub(crate) fn no_such_peer(selector: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NoSuchPeer.name(), format!("no member is known as {selector:?}"))
    }

    pub(crate) fn this_member(selector: &str) -> Self {
        let detail = format!("{selector:?} is this member: `status` says how it is");
        Self::new(StatusCode::BAD_REQUEST, "this_member", detail)
    }

    pub(crate) fn no_such_service(word: &str) -> Self {
        Self::no_service(format!("nobody is called {word:?}, and no member offers a service of that name"))
    }

    /// No service is meant by what was said, as `detail` tells.
    pub(crate) fn no_service(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NoSuchService.name(), detail)
    }

    pub(crate) fn ambiguous(selector: &str, ids: Vec<NodeId>) -> Self {
        let detail = format!("{selector:?} fits {} members", ids.len());
        Self { ids, ..Self::new(StatusCode::CONFLICT, "ambiguous_peer", detail) }
    }

    /// As many do the same as may at once.
    pub(crate) fn too_many(what: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited.name(), format!("too many {what} at once"))
    }

    /// A refusal of the mesh.
    pub(crate) fn refused(code: Code, detail: String) -> Self {
        let status = if code == Code::InvalidMessage {
            StatusCode::BAD_REQUEST
        } else if code == Code::BodyTooLong {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if code == Code::NoSuchPeer {
            StatusCode::NOT_FOUND
        } else if is_beyond(code) {
            StatusCode::BAD_GATEWAY
        } else if matches!(code, Code::RateLimited | Code::TooManyStreams | Code::TooManyServices) {
            StatusCode::TOO_MANY_REQUESTS
        } else if code == Code::StorageFailed {
            StatusCode::INSUFFICIENT_STORAGE
        } else if code == Code::ShuttingDown {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::FORBIDDEN
        };
        Self::new(status, code.name(), detail)
    }

    /// There is no forward of that number.
    pub(crate) fn no_such_forward(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_forward", detail)
    }

    /// The place to listen on is taken, or none of this host.
    pub(crate) fn cannot_listen(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "cannot_listen", detail)
    }

    pub(crate) fn upgrade_required(protocol: &str) -> Self {
        let detail = format!("this path carries bytes: ask with Connection: Upgrade and Upgrade: {protocol}");
        Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail)
    }

    pub(crate) fn unexpected() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::UnexpectedMessage.name(),
            "the mesh gave another answer than expected",
        )
    }
}

/// What another member or what is behind it is the reason of.
fn is_beyond(code: Code) -> bool {
    matches!(code, Code::NoRoute | Code::TunnelLost | Code::TlsFailed | Code::TargetRefused | Code::TargetUnreachable)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        let further = match status {
            // RFC 9110 wants the scheme named, and who may come back should know when.
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        response.headers_mut().extend(further.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

pub(super) async fn not_found() -> Problem {
    std::future::ready(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")).await
}

pub(super) async fn wrong_method() -> Problem {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this path does not take that method");
    std::future::ready(problem).await
}
