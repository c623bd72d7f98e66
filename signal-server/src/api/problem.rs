//! Refusals as RFC 9457 problem documents.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use meshline_identity::RecordError;
use meshline_protocol::Code;
use schemars::JsonSchema;
use serde::Serialize;

use crate::registry::Refusal;

/// A refusal as the client reads it, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProblemDocument {
    /// The name of the reason; what programs go by.
    pub code: Cow<'static, str>,
    /// What the status means.
    pub title: Cow<'static, str>,
    /// What happened, for people.
    pub detail: String,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
}

/// A refusal on its way.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    pub(crate) code: &'static str,
    detail: String,
    /// Whether the rest of the request is not worth reading.
    closes: bool,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), closes: false }
    }

    /// A request that cannot be read.
    pub(crate) fn bad_request(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code.name(), detail)
    }

    /// Also ends the connection, because the client is in the middle of its request.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::ShuttingDown.name(), "the server is stopping")
    }

    fn document(self) -> ProblemDocument {
        ProblemDocument {
            code: self.code.into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            detail: self.detail,
            status: self.status.as_u16(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(status_of(refusal), refusal.code(), refusal.to_string())
    }
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Record(error) => match error {
            RecordError::BadSignature | RecordError::WrongForm | RecordError::Expired => StatusCode::BAD_REQUEST,
            RecordError::Foreign | RecordError::NotMember | RecordError::Revoked => StatusCode::FORBIDDEN,
            RecordError::Outdated => StatusCode::CONFLICT,
            RecordError::Full => StatusCode::SERVICE_UNAVAILABLE,
        },
        Refusal::NetworkNotServed | Refusal::NotYours | Refusal::WrongSecret | Refusal::MembersOnly => {
            StatusCode::FORBIDDEN
        }
        Refusal::NoSuchEntry => StatusCode::NOT_FOUND,
        Refusal::TooManyPerKey | Refusal::TooManyPerAddress => StatusCode::TOO_MANY_REQUESTS,
        Refusal::ServerFull => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, closes) = (self.status, self.closes);
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        }
        if closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to a method that a path does not have.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    let detail = format!("this path takes {allowed}");
    let mut response =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).closing().into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
