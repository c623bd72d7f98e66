//! Reading and writing the chat.

use axum::Json;
use axum::extract::{Query, State};
use meshline_services::chat::{Command, DEFAULT_MAX_MESSAGES, Page, Reply};
use serde::{Deserialize, Serialize};

use super::documents::{MessageRow, Messages};
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

pub(super) async fn history(State(api): State<Api>, Query(range): Query<Range>) -> Result<Json<Messages>, Problem> {
    let page = match range.after.as_deref() {
        None | Some("") => Page::Newest,
        Some(cursor) => {
            Page::After(cursor.parse().map_err(|_| Problem::bad_request(format!("{cursor:?} is no cursor")))?)
        }
    };
    let limit = range.limit.unwrap_or(DEFAULT_LIMIT).min(DEFAULT_MAX_MESSAGES);
    match chat(&api, Command::History { page, limit }).await? {
        Reply::History(listing) => Ok(Json(Messages::new(listing.messages))),
        Reply::Sent(_) | Reply::Report(_) | Reply::Refused { .. } => Err(Problem::unexpected()),
    }
}

/// What is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// What is answered: the message as it stands in the history.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    schema: &'static str,
    #[serde(flatten)]
    message: MessageRow,
}

pub(super) async fn send(State(api): State<Api>, body: String) -> Result<Json<Sent>, Problem> {
    let Text { text } = serde_json::from_str(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    match chat(&api, Command::Send { text }).await? {
        Reply::Sent(message) => Ok(Json(Sent { schema: "meshline/message/1", message: (*message).into() })),
        Reply::Refused { code, detail } => Err(Problem::refused(code, detail)),
        Reply::History(_) | Reply::Report(_) => Err(Problem::unexpected()),
    }
}

async fn chat(api: &Api, command: Command) -> Result<Reply, Problem> {
    match ask(api, meshline_services::Command::Chat(command)).await? {
        meshline_services::Reply::Chat(reply) => Ok(reply),
        meshline_services::Reply::Mesh(_) => Err(Problem::unexpected()),
    }
}
