//! HTTP: routes, and what every answer has in common.

mod body;
mod nodes;
mod openapi;
mod page;
mod problem;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};

use crate::app::App;

pub(crate) use problem::Problem;
pub use problem::ProblemDocument;

/// Where a request came from, in the form that IPv4 has of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    pub(crate) fn ip(self) -> IpAddr {
        self.0.ip()
    }
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", only(get(page::page), "GET, HEAD"))
        .route("/style.css", only(get(page::style), "GET, HEAD"))
        .route("/v1/nodes", only(get(nodes::list).merge(post(nodes::announce)), "GET, HEAD, POST"))
        .route("/v1/nodes/{id}", only(delete(nodes::depart), "DELETE"))
        .route("/v1/revocations", only(post(nodes::revoke), "POST"))
        .route("/healthz", only(get(health), "GET, HEAD"))
        .route("/readyz", only(get(ready), "GET, HEAD"))
        .route("/metrics", only(get(metrics), "GET, HEAD"))
        .route("/openapi.json", only(get(openapi::openapi), "GET, HEAD"))
        .fallback(any(no_such_path))
        .with_state(app)
}

/// The name under which a path is counted; never the path itself, of which there is no end.
pub(crate) fn route_of(path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/style.css" => "/style.css",
        "/v1/nodes" => "/v1/nodes",
        "/v1/revocations" => "/v1/revocations",
        "/healthz" => "/healthz",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        "/openapi.json" => "/openapi.json",
        path if path.starts_with("/v1/nodes/") => "/v1/nodes/{id}",
        _ => "other",
    }
}

/// What every answer says: it is true now and only now, and it is what it says it is.
pub(crate) fn finish(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn only(routes: MethodRouter<Arc<App>>, methods: &'static str) -> MethodRouter<Arc<App>> {
    routes.fallback(move || std::future::ready(problem::method_not_allowed(methods)))
}

async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "nothing here; /openapi.json lists what there is").closing()
}

async fn health() -> Response {
    ([(CONTENT_TYPE, "application/json")], "{\"status\":\"ok\"}").into_response()
}

async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if app.is_stopping() {
        return Err(Problem::stopping());
    }
    Ok(([(CONTENT_TYPE, "application/json")], "{\"status\":\"ready\"}").into_response())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let totals = app.registry().totals();
    let text = app.metrics.render(totals, app.slots.total());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
