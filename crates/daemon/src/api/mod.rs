//! The local API of a member: HTTP on loopback for the page and for curl, and the same on a Unix socket in
//! `data_dir` for the commands of `node` and `view`, where the rights of the file are the credential.

mod auth;
mod chat;
mod documents;
mod events;
mod metrics;
mod problem;
mod reads;
mod select;
mod serve;
mod web;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use meshline_net::MeshHandle;
use meshline_protocol::Code;
use meshline_services::{Command, Reply};

pub use auth::{Token, TokenError};
pub use documents::{MessageRow, Messages, Peers};
pub use serve::{ServeError, Server};

use problem::Problem;

/// Longest request body: a chat text with every character escaped.
const MAX_BODY: usize = 128 * 1024;

/// What every handler needs.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) mesh: MeshHandle,
    pub(crate) token: Arc<Token>,
    /// Whether the requests come over the Unix socket, whose file only the owner can open.
    pub(crate) trusted: bool,
}

/// All routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/status", get(reads::status))
        .route("/api/v1/peers", get(reads::peers))
        .route("/api/v1/explain/{peer}", get(reads::explain))
        .route("/api/v1/chat", get(chat::history).post(chat::send))
        .route("/api/v1/records", post(reads::apply))
        .route("/api/v1/events", get(events::stream))
        .route("/healthz", get(reads::healthz))
        .route("/readyz", get(reads::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(web::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(api.clone(), auth::guard))
        .with_state(api)
}

/// Asks the mesh; it refuses only while the program ends.
pub(crate) async fn ask(api: &Api, command: Command) -> Result<Reply, Problem> {
    match api.mesh.command(command).await {
        Reply::Mesh(meshline_mesh::Reply::Refused { code: Code::ShuttingDown, .. }) => Err(Problem::stopping()),
        reply @ (Reply::Mesh(_) | Reply::Chat(_)) => Ok(reply),
    }
}
