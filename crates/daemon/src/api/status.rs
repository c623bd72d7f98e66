//! The document of `status`, made once for all who asked before it was begun.
//!
//! Every answer is made after its request came, so none is older than the question; but requests that wait at the same
//! moment get the same bytes. Pages and monitors that ask often cost the mesh one question a round.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use tokio::sync::{Notify, oneshot};

use super::chat::report;
use super::documents::{GatewayStatus, StatusDocument, TunnelsStatus};
use super::problem::Problem;
use super::reads::read_status;
use super::{Api, Shared, services};

type Answer = Result<Bytes, Problem>;

/// Who waits for the next document.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    askers: Mutex<Vec<oneshot::Sender<Answer>>>,
    asked: Notify,
}

impl Waiting {
    fn join(&self) -> oneshot::Receiver<Answer> {
        let (answer, wait) = oneshot::channel();
        self.askers().push(answer);
        self.asked.notify_one();
        wait
    }

    fn askers(&self) -> std::sync::MutexGuard<'_, Vec<oneshot::Sender<Answer>>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn status(State(api): State<Api>) -> Result<Response, Problem> {
    let body = api.waiting.join().await.map_err(|_| Problem::stopping())??;
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Answers round by round, until it is aborted.
pub(super) async fn answer_all(shared: Arc<Shared>) {
    loop {
        shared.waiting.asked.notified().await;
        let askers = std::mem::take(&mut *shared.waiting.askers());
        if askers.is_empty() {
            continue;
        }
        let answer = document(&shared).await;
        for asker in askers {
            // Who has gone needs no answer.
            let _ = asker.send(answer.clone());
        }
    }
}

async fn document(shared: &Shared) -> Answer {
    let (mesh, chat, services) = tokio::join!(read_status(shared), report(shared), services::report(shared));
    let gateway = GatewayStatus::from(&shared.gateway.report());
    let tunnels = TunnelsStatus::of(&shared.mesh.tunnels().reports());
    let document = StatusDocument { mesh: mesh?, chat: chat?.into(), services: services?.into(), gateway, tunnels };
    serde_json::to_vec(&document).map(Bytes::from).map_err(|_| Problem::unexpected())
}
