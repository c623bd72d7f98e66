//! The last lines of the log, and those to come.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tracing::Level;

use super::Api;
use super::events::{Lagged, Reset, last_id};
use super::extract::Params;
use super::problem::Problem;
use crate::feed::Entry;
use crate::log::MAX_TAIL_LINES;

/// Lines returned unless `limit` says otherwise: a few screens.
const DEFAULT_LIMIT: usize = 200;

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    level: Option<String>,
    limit: Option<usize>,
    last_event_id: Option<String>,
}

impl Wanted {
    fn level(&self) -> Result<Level, Problem> {
        match self.level.as_deref() {
            Some("error") => Ok(Level::ERROR),
            Some("warn") => Ok(Level::WARN),
            None | Some("info") => Ok(Level::INFO),
            Some("debug") => Ok(Level::DEBUG),
            Some("trace") => Ok(Level::TRACE),
            Some(other) => {
                Err(Problem::bad_request(format!("{other:?} is none of error, warn, info, debug and trace")))
            }
        }
    }
}

/// As everywhere, what is not within the bounds is refused rather than bent.
fn rows(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let refusal = || Problem::bad_request(format!("`limit` is 1 to {MAX_TAIL_LINES}"));
    (1..=MAX_TAIL_LINES).contains(&limit).then_some(limit).ok_or_else(refusal)
}

/// The document of `log`. It is put together from lines that were written as JSON when they were logged, so this type
/// is for its description.
#[derive(Serialize, JsonSchema)]
pub(super) struct Lines {
    /// `meshline/log/1`.
    schema: &'static str,
    /// Oldest first.
    lines: Vec<Line>,
    /// The configured level, with its exceptions.
    level: String,
}

/// One line of the log.
#[derive(Serialize, JsonSchema)]
struct Line {
    /// Grows from line to line, over restarts too.
    id: u64,
    /// RFC 3339 in UTC with microseconds.
    time: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    level: String,
    /// The part of the program.
    target: String,
    /// In words.
    message: String,
    /// What of it is for programs.
    fields: std::collections::BTreeMap<String, serde_json::Value>,
}

pub(super) async fn lines(State(api): State<Api>, Params(wanted): Params<Wanted>) -> Result<Response, Problem> {
    let level = wanted.level()?;
    let entries = api.tail.last(rows(wanted.limit)?, level);
    let body = document(&entries, &api.tail.level());
    std::future::ready(Ok(([(CONTENT_TYPE, "application/json")], body).into_response())).await
}

fn document(entries: &[Entry], level: &str) -> Vec<u8> {
    let mut body = br#"{"schema":"meshline/log/1","lines":["#.to_vec();
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(entry.data());
    }
    body.extend_from_slice(format!("],\"level\":{}}}", serde_json::Value::from(level)).as_bytes());
    body
}

pub(super) async fn stream(
    State(api): State<Api>,
    Params(wanted): Params<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let level = wanted.level()?;
    let reader = api.tail.read(last_id(&headers, wanted.last_event_id.as_deref()), level);
    std::future::ready(reader.map(crate::feed::Reader::into_response).map_err(|_| Problem::too_many_readers())).await
}

/// The form of the data of each event.
pub(super) fn shapes(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    vec![
        ("log", schemas.subschema_for::<Line>()),
        ("lagged", schemas.subschema_for::<Lagged>()),
        ("reset", schemas.subschema_for::<Reset>()),
    ]
}
