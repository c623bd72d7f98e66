//! Refusals as `application/problem+json` (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use meshline_protocol::{Code, NodeId};
use serde::Serialize;

/// A refusal.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    code: &'static str,
    title: &'static str,
    detail: String,
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

    pub(crate) fn no_such_peer(selector: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NoSuchPeer.name(), format!("no member is known as {selector:?}"))
    }

    pub(crate) fn ambiguous(selector: &str, ids: Vec<NodeId>) -> Self {
        let detail = format!("{selector:?} fits {} members", ids.len());
        Self { ids, ..Self::new(StatusCode::CONFLICT, "ambiguous_peer", detail) }
    }

    /// A refusal of the mesh.
    pub(crate) fn refused(code: Code, detail: String) -> Self {
        let status = if matches!(code, Code::InvalidMessage | Code::BodyTooLong) {
            StatusCode::BAD_REQUEST
        } else if code == Code::RateLimited {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::FORBIDDEN
        };
        Self::new(status, code.name(), detail)
    }

    pub(crate) fn unexpected() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::UnexpectedMessage.name(),
            "the mesh gave another answer than expected",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

pub(super) async fn not_found() -> Problem {
    std::future::ready(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")).await
}

pub(super) async fn wrong_method() -> Problem {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this path does not take that method");
    std::future::ready(problem).await
}
