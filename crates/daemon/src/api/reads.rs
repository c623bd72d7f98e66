//! The state of the member, and the records it takes in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use meshline_mesh::{Command, Explanation, PeerRow, Reply, Status};
use meshline_protocol::SignedRecord;

use super::documents::{Applied, Peers, Ready, Routes};
use super::extract::{Posted, Segment};
use super::problem::Problem;
use super::select::meant;
use super::{Api, Shared, ask};

pub(super) async fn read_status(shared: &Shared) -> Result<Status, Problem> {
    let Reply::Status(status) = mesh(shared, Command::Status).await? else { return Err(Problem::unexpected()) };
    let mut status = *status;
    // What never became a link is counted where connections are accepted.
    for (code, count) in shared.mesh.refusals() {
        *status.refused.entry(code).or_default() += count;
    }
    // All that is passed on, the core's own sending too, goes through the queues of the forwarding plane.
    let forwarding = shared.mesh.forwarding();
    status.routing.forwarded = forwarding.forwarded_frames;
    for (reason, count) in forwarding.dropped {
        *status.routing.dropped.entry(reason).or_default() += count;
    }
    Ok(status)
}

pub(super) async fn peers(State(api): State<Api>) -> Result<Json<Peers>, Problem> {
    rows(&api).await.map(Peers::new).map(Json)
}

pub(super) async fn routes(State(api): State<Api>) -> Result<Json<Routes>, Problem> {
    let Reply::Routes(rows) = mesh(&api, Command::Routes).await? else { return Err(Problem::unexpected()) };
    Ok(Json(Routes::new(rows)))
}

pub(super) async fn explain(State(api): State<Api>, Segment(selector): Segment) -> Result<Json<Explanation>, Problem> {
    explanation(&api, &selector).await.map(Json)
}

/// What is known of the one member that `selector` names.
pub(super) async fn explanation(shared: &Shared, selector: &str) -> Result<Explanation, Problem> {
    let id = meant(shared, selector).await?;
    let Reply::Explanation(found) = mesh(shared, Command::Explain(id)).await? else {
        return Err(Problem::unexpected());
    };
    found.map(|explanation| *explanation).ok_or_else(|| Problem::no_such_peer(selector))
}

pub(super) async fn apply(
    State(api): State<Api>,
    Posted(record): Posted<SignedRecord>,
) -> Result<Json<Applied>, Problem> {
    let reply = mesh(&api, Command::Apply(record)).await?;
    if let Reply::Refused { code, detail } = reply {
        return Err(Problem::refused(code, detail));
    }
    let Reply::Applied(result) = reply else { return Err(Problem::unexpected()) };
    Ok(Json(Applied::new(result)))
}

/// It runs: whoever answers is healthy.
pub(super) async fn healthz() -> &'static str {
    std::future::ready("ok\n").await
}

pub(super) async fn readyz(State(api): State<Api>) -> Result<(StatusCode, Json<Ready>), Problem> {
    let readiness = read_status(&api).await?.ready;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(Ready::new(readiness))))
}

pub(super) async fn rows(shared: &Shared) -> Result<Vec<PeerRow>, Problem> {
    let Reply::Peers(rows) = mesh(shared, Command::Peers).await? else { return Err(Problem::unexpected()) };
    Ok(rows)
}

pub(super) async fn mesh(shared: &Shared, command: Command) -> Result<Reply, Problem> {
    match ask(shared, meshline_services::Command::Mesh(command)).await? {
        meshline_services::Reply::Mesh(reply) => Ok(reply),
        meshline_services::Reply::Chat(_) | meshline_services::Reply::Discovery(_) => Err(Problem::unexpected()),
    }
}
