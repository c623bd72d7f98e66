//! The state of the member, and the records it takes in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use meshline_mesh::{Command, Explanation, PeerRow, Readiness, Reply, Status};
use meshline_protocol::SignedRecord;
use serde::Serialize;

use super::documents::Peers;
use super::problem::Problem;
use super::select::select;
use super::{Api, ask};

pub(super) async fn status(State(api): State<Api>) -> Result<Json<Status>, Problem> {
    read_status(&api).await.map(Json)
}

pub(super) async fn read_status(api: &Api) -> Result<Status, Problem> {
    let Reply::Status(status) = mesh(api, Command::Status).await? else { return Err(Problem::unexpected()) };
    let mut status = *status;
    // What never became a link is counted where connections are accepted.
    for (code, count) in api.mesh.refusals() {
        *status.refused.entry(code).or_default() += count;
    }
    Ok(status)
}

pub(super) async fn peers(State(api): State<Api>) -> Result<Json<Peers>, Problem> {
    rows(&api).await.map(Peers::new).map(Json)
}

pub(super) async fn explain(
    State(api): State<Api>,
    Path(selector): Path<String>,
) -> Result<Json<Explanation>, Problem> {
    let id = select(&rows(&api).await?, &selector)?;
    let Reply::Explanation(found) = mesh(&api, Command::Explain(id)).await? else { return Err(Problem::unexpected()) };
    found.map(|explanation| Json(*explanation)).ok_or_else(|| Problem::no_such_peer(&selector))
}

/// The answer to a record.
#[derive(Serialize)]
pub(super) struct Applied {
    schema: &'static str,
    result: String,
}

pub(super) async fn apply(State(api): State<Api>, body: String) -> Result<Json<Applied>, Problem> {
    let record: SignedRecord = serde_json::from_str(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let reply = mesh(&api, Command::Apply(record)).await?;
    if let Reply::Refused { code, detail } = reply {
        return Err(Problem::refused(code, detail));
    }
    let Reply::Applied(result) = reply else { return Err(Problem::unexpected()) };
    Ok(Json(Applied { schema: "meshline/applied/1", result }))
}

/// It runs: whoever answers is healthy.
pub(super) async fn healthz() -> &'static str {
    std::future::ready("ok\n").await
}

pub(super) async fn readyz(State(api): State<Api>) -> Result<(StatusCode, Json<Readiness>), Problem> {
    let readiness = read_status(&api).await?.ready;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(readiness)))
}

async fn rows(api: &Api) -> Result<Vec<PeerRow>, Problem> {
    let Reply::Peers(rows) = mesh(api, Command::Peers).await? else { return Err(Problem::unexpected()) };
    Ok(rows)
}

async fn mesh(api: &Api, command: Command) -> Result<Reply, Problem> {
    match ask(api, meshline_services::Command::Mesh(command)).await? {
        meshline_services::Reply::Mesh(reply) => Ok(reply),
        meshline_services::Reply::Chat(_) => Err(Problem::unexpected()),
    }
}
