//! Reading and writing the chat.

use axum::Json;
use axum::extract::State;
use meshline_services::chat::{Command, MAX_HISTORY_MESSAGES, Reply};
use schemars::JsonSchema;
use serde::Deserialize;

use super::documents::{Messages, Sent};
use super::extract::{Params, Posted};
use super::problem::Problem;
use super::{Api, ask};

/// Messages returned unless `limit` says otherwise.
const DEFAULT_LIMIT: usize = 1_000;

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn history(State(api): State<Api>, Params(range): Params<Range>) -> Result<Json<Messages>, Problem> {
    let after = match range.after.as_deref() {
        None | Some("") => None,
        Some(cursor) => Some(cursor.parse().map_err(|_| Problem::bad_request(format!("{cursor:?} is no cursor")))?),
    };
    let limit = range.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_HISTORY_MESSAGES);
    match chat(&api, Command::History { after, limit }).await? {
        Reply::History(messages) => Ok(Json(Messages::new(messages))),
        Reply::Sent(_) | Reply::Refused { .. } => Err(Problem::unexpected()),
    }
}

/// What is posted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// What all members are to read, at most 16 KiB.
    text: String,
}

pub(super) async fn send(State(api): State<Api>, Posted(Text { text }): Posted<Text>) -> Result<Json<Sent>, Problem> {
    match chat(&api, Command::Send { text }).await? {
        Reply::Sent(message) => Ok(Json(Sent::new(message))),
        Reply::Refused { code, detail } => Err(Problem::refused(code, detail)),
        Reply::History(_) => Err(Problem::unexpected()),
    }
}

async fn chat(api: &Api, command: Command) -> Result<Reply, Problem> {
    match ask(api, meshline_services::Command::Chat(command)).await? {
        meshline_services::Reply::Chat(reply) => Ok(reply),
        meshline_services::Reply::Mesh(_) => Err(Problem::unexpected()),
    }
}
