//! The local API of a member: HTTP on loopback for the page and for curl, and the same on a Unix socket in
//! `data_dir` for the commands of `node` and `view`, where the rights of the file are the credential.

mod auth;
mod chat;
mod connect;
mod documents;
mod events;
mod extract;
mod forwards;
#[cfg(feature = "ledger")]
mod ledger;
#[cfg(feature = "ledger")]
mod ledger_operations;
mod log;
mod metrics;
mod openapi;
mod operations;
mod origin;
mod patient;
mod problem;
#[cfg(feature = "ledger")]
mod qr;
mod reads;
mod select;
mod serve;
mod services;
mod slots;
mod status;
mod tap;
mod trace;
mod tunnels;
#[cfg(feature = "ledger")]
mod wallet;
#[cfg(feature = "page")]
mod web;

use std::sync::Arc;

use axum::Router;
use meshline_net::MeshHandle;
use meshline_protocol::Code;
use meshline_services::{Command, Reply};

pub use auth::{Token, TokenError};
pub(crate) use connect::PROTOCOL as CONNECT;
pub use documents::{MessageRow, Messages, Peers, Routes};
pub use serve::{Bound, ServeError, Served, Server};

use crate::feed::Feed;
use crate::gateway::LocalGateway;
use crate::ledger::NodeLedger;
use crate::log::Tail;
use problem::Problem;

/// Longest request body: a chat text with every character escaped.
const MAX_BODY: usize = 128 * 1024;

/// What every handler needs, for the requests of one listener.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
    trusted: bool,
}

/// What all listeners share.
pub(crate) struct Shared {
    mesh: MeshHandle,
    gateway: Arc<LocalGateway>,
    #[cfg_attr(not(feature = "ledger"), expect(dead_code, reason = "there is nothing to ask it"))]
    ledger: Arc<NodeLedger>,
    token: Arc<Token>,
    events: Arc<Feed>,
    tail: Arc<Tail>,
    waiting: status::Waiting,
    /// Room for traces.
    traces: tokio::sync::Semaphore,
    /// Room for connections that carry bytes.
    connects: Arc<tokio::sync::Semaphore>,
}

impl Api {
    /// Whether the requests come over the Unix socket, whose file only the owner can open.
    fn is_trusted(&self) -> bool {
        self.trusted
    }
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// All routes. Those of the page, which are no API and need no token, are merged behind those of the table.
pub(crate) fn router(api: Api) -> Router {
    let routes = operations::routes(&api);
    #[cfg(feature = "page")]
    let routes = routes.merge(web::routes());
    routes.fallback(problem::not_found).method_not_allowed_fallback(problem::wrong_method).with_state(api)
}

/// Asks the mesh; it refuses only while the program ends.
pub(crate) async fn ask(shared: &Shared, command: Command) -> Result<Reply, Problem> {
    match shared.mesh.command(command).await {
        Reply::Mesh(meshline_mesh::Reply::Refused { code: Code::ShuttingDown, .. }) => Err(Problem::stopping()),
        reply @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => Ok(reply),
    }
}
