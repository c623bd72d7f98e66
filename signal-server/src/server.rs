//! Listening, and serving one connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api::{Peer, finish, route_of, router};
use crate::app::{App, NoRandom};
use crate::connection::{ClientStream, NoSlot, Slot};
use crate::dial_back::DialBack;
use crate::settings::{HEADER_TIMEOUT, MAX_HEAD, MAX_HEADERS, SHUTDOWN_TIMEOUT, Settings};
use crate::store::{Store, StoreError};

/// How long to wait when the system has no room for another connection: some will have ended by then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as it was set.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// There is no source of secrets.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// The registry cannot be kept where it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
}

/// A signal server that listens and is about to answer.
#[expect(missing_debug_implementations, reason = "its work is a future, which has no such form")]
pub struct Server {
    listeners: Vec<TcpListener>,
    app: Arc<App>,
    store: Store,
    work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Server {
    /// Listens on all addresses of the settings. Whoever connects now waits until [`Server::run`].
    ///
    /// # Errors
    /// If one of the addresses is not to be had.
    pub async fn bind(settings: &Settings, dial_back: Arc<dyn DialBack>) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for address in &settings.listen {
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|error| StartError::Listen { address: address.clone(), error })?);
        }
        if listeners.is_empty() {
            return Err(StartError::NoAddress);
        }
        let (app, work) = App::new(settings, dial_back)?;
        let store = Store::open(&settings.store, &app).await?;
        Ok(Self { listeners, app, store, work: Box::pin(work) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Answers until `stop` comes to pass; then lets running requests end, for 3 s at most.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listeners, app, store, work } = self;
        let (stopper, stopping) = watch::channel(false);
        let shared = Shared { router: router(Arc::clone(&app)), app: Arc::clone(&app), stopping };
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, shared.clone()));
        }
        let work = tokio::spawn(work);
        tokio::select! {
            () = stop => {}
            // It ends only with the server.
            () = store.run(&app) => {}
        }
        app.stop();
        stopper.send_replace(true);
        if timeout(SHUTDOWN_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(count = app.slots.total(), "connections cut off");
        }
        work.abort();
        store.flush(&app).await;
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    app: Arc<App>,
    router: Router,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Waits until the server stops, or is gone.
    async fn stopped(&mut self) {
        let _ = self.stopping.wait_for(|stop| *stop).await;
    }
}

/// Takes connections until the server stops, then waits for those under way.
async fn accept(listener: TcpListener, mut shared: Shared) {
    let app = Arc::clone(&shared.app);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, address)) => match app.slots.take(address.ip().to_canonical()) {
                Ok(slot) => {
                    connections.spawn(serve(stream, Peer::new(address), slot, shared.clone()));
                }
                Err(reason) => turn_away(&app, &stream, reason),
            },
            Err(error) => {
                app.log.line(|| tracing::warn!(%error, "no room for another connection"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Says why as far as that goes without waiting, and closes.
fn turn_away(app: &App, stream: &TcpStream, reason: NoSlot) {
    app.metrics.connection(reason.code());
    let code = reason.code();
    let body = format!(
        "{{\"code\":\"{code}\",\"title\":\"Service Unavailable\",\"detail\":\"too many connections\",\"status\":503}}"
    );
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\nretry-after: 1\r\n\r\n{body}",
        body.len()
    );
    // The connection is closed whether or not this arrives.
    let _ = stream.try_write(answer.as_bytes());
}

async fn serve(stream: TcpStream, peer: Peer, slot: Slot, mut shared: Shared) {
    // Answers are written in one piece; waiting for more to send along would only delay them.
    let _ = stream.set_nodelay(true);
    let app = Arc::clone(&shared.app);
    let router = TowerToHyperService::new(shared.router.clone());
    let answers = Arc::clone(&app);
    let service = service_fn(move |request| answer(Arc::clone(&answers), router.clone(), peer, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(ClientStream::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        outcome = connection.as_mut() => Some(outcome),
        () = shared.stopped() => None,
    };
    let outcome = match ended {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    drop(slot);
    if let Err(error) = outcome {
        let code = fault_of(&error);
        app.metrics.connection(code);
        app.log.line(|| tracing::debug!(address = %peer.0, code, "connection ended"));
    }
}

async fn answer(
    app: Arc<App>,
    router: TowerToHyperService<Router>,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let route = route_of(request.uri().path());
    request.extensions_mut().insert(peer);
    let mut response = router.call(request).await?;
    finish(response.headers_mut());
    app.metrics.request(route, response.status().as_u16());
    Ok(response)
}

/// The name of what ended a connection.
fn fault_of(error: &hyper::Error) -> &'static str {
    if error.is_timeout() {
        return "header_timeout";
    }
    if error.is_parse_too_large() {
        return "head_too_long";
    }
    if error.is_parse() {
        return "invalid_http";
    }
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => "slow_reader",
        _ => "connection_lost",
    }
}
