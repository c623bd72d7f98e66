//! Reading and writing the chat.

use axum::Json;
use axum::extract::State;
use meshline_services::chat::{Command, Page, Reply, Report};
use schemars::JsonSchema;
use serde::Deserialize;

use super::documents::{Messages, Sent};
use super::extract::{Params, Posted};
use super::problem::Problem;
use super::{Api, Shared, ask};

/// Messages returned unless `limit` says otherwise.
const DEFAULT_LIMIT: usize = 1_000;

/// Messages in one answer, at most: all that are kept unless the configuration says otherwise.
const MAX_LIMIT: usize = 10_000;

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    after: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

impl Range {
    /// An empty cursor is none: so a client can begin with what it has, which is nothing.
    fn page(&self) -> Result<Page, Problem> {
        let given = |cursor: &Option<String>| cursor.clone().filter(|cursor| !cursor.is_empty());
        match (given(&self.after), given(&self.before)) {
            (None, None) => Ok(Page::Newest),
            (Some(after), None) => Ok(Page::After(number(&after)?)),
            (None, Some(before)) => Ok(Page::Before(number(&before)?)),
            (Some(_), Some(_)) => Err(Problem::bad_request("either `after` or `before`, not both")),
        }
    }
}

/// A page without messages would never come to an end, and one that is shorter than asked for looks like the end.
fn rows(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let refusal = || Problem::bad_request(format!("`limit` is 1 to {MAX_LIMIT}"));
    (1..=MAX_LIMIT).contains(&limit).then_some(limit).ok_or_else(refusal)
}

fn number(cursor: &str) -> Result<u64, Problem> {
    cursor.parse().map_err(|_| Problem::bad_request(format!("{cursor:?} is no cursor")))
}

pub(super) async fn history(State(api): State<Api>, Params(range): Params<Range>) -> Result<Json<Messages>, Problem> {
    let page = range.page()?;
    let limit = rows(range.limit)?;
    match chat(&api, Command::History { page, limit }).await? {
        Reply::History(listing) => Ok(Json(Messages::new(listing))),
        Reply::Refused { code, detail } => Err(Problem::refused(code, detail)),
        Reply::Sent(_) | Reply::Report(_) => Err(Problem::unexpected()),
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
        Reply::Sent(message) => Ok(Json(Sent::new(*message))),
        Reply::Refused { code, detail } => Err(Problem::refused(code, detail)),
        Reply::History(_) | Reply::Report(_) => Err(Problem::unexpected()),
    }
}

/// How much is kept.
pub(super) async fn report(shared: &Shared) -> Result<Report, Problem> {
    match chat(shared, Command::Report).await? {
        Reply::Report(report) => Ok(report),
        Reply::Sent(_) | Reply::History(_) | Reply::Refused { .. } => Err(Problem::unexpected()),
    }
}

async fn chat(shared: &Shared, command: Command) -> Result<Reply, Problem> {
    match ask(shared, meshline_services::Command::Chat(command)).await? {
        meshline_services::Reply::Chat(reply) => Ok(reply),
        meshline_services::Reply::Mesh(_) | meshline_services::Reply::Discovery(_) => Err(Problem::unexpected()),
    }
}
