//! Reading what a client sends: bounded in size, in time and in form.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use meshline_protocol::Code;
use meshline_protocol::signal::MAX_REQUEST;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use super::Problem;
use crate::settings::BODY_TIMEOUT;

/// Reads a JSON document of the given type and nothing else.
pub(crate) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let bytes = read(headers, body).await?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        Problem::bad_request(Code::InvalidUtf8, format!("invalid UTF-8 at byte {}", error.valid_up_to()))
    })?;
    serde_json::from_str(text).map_err(|error| {
        let code = match error.classify() {
            Category::Data => Code::InvalidMessage,
            Category::Io | Category::Syntax | Category::Eof => Code::InvalidFrame,
        };
        Problem::bad_request(code, error.to_string())
    })
}

/// Reads up to [`MAX_REQUEST`] bytes. A body that claims to be longer is refused before a byte of it is read.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|length| length > MAX_REQUEST as u64) {
        return Err(too_long());
    }
    let reading = Limited::new(body, MAX_REQUEST).collect();
    match timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Problem::bad_request(Code::InvalidFrame, "the body ended early").closing()),
        Err(_) => {
            let detail = format!("the body took longer than {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::FrameTimeout.name(), detail).closing())
        }
    }
}

fn too_long() -> Problem {
    let detail = format!("a request is at most {MAX_REQUEST} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLong.name(), detail).closing()
}
