//! Listening for the local API on TCP and on a Unix socket.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meshline_net::MeshHandle;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::auth::{Token, has_token};
use super::patient::Patient;
use super::problem::Problem;
use super::slots::{Slot, Slots};
use super::{Api, Shared, connect, events, origin, router, status, trace};
use crate::files::FileError;
use crate::gateway::LocalGateway;
use crate::ledger::NodeLedger;
use crate::log::Tail;

/// Connections over TCP at once: a browser opens six, scripts a few more; further ones take the place of whoever has
/// not shown the token. Any process of the machine can take them, so the socket has its own.
const MAX_TCP_CONNECTIONS: usize = 128;

/// Connections over the Unix socket at once: commands and views of the owner; further ones wait.
const MAX_UNIX_CONNECTIONS: usize = 128;

/// A request's head must have come within this after the connection or the last answer. So a connection that is open
/// without a request makes room after it, and one that is kept for the next click is mostly still there.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the headers of a request. Browsers send two KiB, and beside them the cookies of every page on every port of
/// this host, each of which may have four KiB: room for thirty of the longest.
const MAX_HEAD: usize = 128 * 1024;

/// Bytes of a head that are read, so that one which is too long is answered with a reason; beyond that only the bare
/// status comes. All connections that strangers can have hold 32 MiB of heads at most.
const MAX_READ: usize = 2 * MAX_HEAD;

/// Headers of a request. Browsers send twenty.
const MAX_HEADERS: usize = 64;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for the local API: {source}")]
    Address {
        /// Which.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] FileError),
    /// The socket cannot be made.
    #[error("{path}: cannot make the socket of the local API: {source}", path = path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is served.
#[derive(Debug)]
pub struct Served {
    /// The member.
    pub mesh: MeshHandle,
    /// Its forwards and what it exposes.
    pub gateway: Arc<LocalGateway>,
    /// Its ledger, if it has one.
    pub ledger: Arc<NodeLedger>,
    /// What has to be known to change anything.
    pub token: Arc<Token>,
    /// The last lines of its log.
    pub tail: Arc<Tail>,
}

/// The running API. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    tasks: Vec<JoinHandle<()>>,
    socket: PathBuf,
    address: Option<SocketAddr>,
}

impl Server {
    /// Where the socket of a member with this data folder is.
    #[must_use]
    pub fn socket_path(data_dir: &Path) -> PathBuf {
        data_dir.join("api.sock")
    }

    /// Takes the socket in `data_dir`, and `http` if there is one.
    ///
    /// # Errors
    /// If either cannot be listened on.
    pub async fn bind(data_dir: &Path, http: Option<&str>) -> Result<Bound, ServeError> {
        let socket = Self::socket_path(data_dir);
        let unix = bind_unix(&socket).map_err(|source| ServeError::Socket { path: socket.clone(), source })?;
        let Some(address) = http else { return Ok(Bound { socket, unix, tcp: None }) };
        let failed = |source| ServeError::Address { address: address.to_owned(), source };
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Bound { socket, unix, tcp: Some(tcp) })
    }

    /// The address of the page, with the real port where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

/// The places of an API that nobody serves yet: its port is known before what is served.
#[derive(Debug)]
pub struct Bound {
    socket: PathBuf,
    unix: UnixListener,
    tcp: Option<TcpListener>,
}

impl Bound {
    /// The address of the page, with the real port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok())
    }

    /// Serves there.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn serve(self, served: Served) -> Result<Server, ServeError> {
        let address = self.address();
        let events = events::feed()?;
        let filling = tokio::spawn(events::fill(Arc::clone(&events), served.mesh.clone()));
        let Served { mesh, gateway, ledger, token, tail } = served;
        let (waiting, traces) = (status::Waiting::default(), Semaphore::new(trace::MAX_TRACES));
        let connects = Arc::new(Semaphore::new(connect::MAX_CONNECTS));
        let shared = Arc::new(Shared { mesh, gateway, ledger, token, events, tail, waiting, traces, connects });
        let mut tasks = vec![filling, tokio::spawn(status::answer_all(Arc::clone(&shared)))];
        #[cfg(feature = "ledger")]
        tasks.push(tokio::spawn(events::fill_ledger(Arc::clone(&shared.events), shared.ledger.subscribe())));
        if let Some(tcp) = self.tcp {
            let api = Api { shared: Arc::clone(&shared), trusted: false };
            tasks.push(tokio::spawn(accept(tcp, api, MAX_TCP_CONNECTIONS)));
        }
        let api = Api { shared, trusted: true };
        tasks.push(tokio::spawn(accept(self.unix, api, MAX_UNIX_CONNECTIONS)));
        Ok(Server { tasks, socket: self.socket, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // A socket left behind is replaced at the next start.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Makes the socket, replacing one that a killed process left behind. A path may be longer than a socket's name
/// can be, so it is bound by way of its folder's descriptor.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let opened = std::fs::File::open(folder)?;
    let name = path.file_name().unwrap_or_default();
    let short = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(name);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&short)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept<L: Listener>(mut listener: L, api: Api, slots: usize) {
    let slots = Slots::new(slots);
    let routes = TowerToHyperService::new(router(api.clone()));
    loop {
        let (stream, _) = listener.accept().await;
        let (slot, stopped) = slots.take(api.trusted).await;
        let connection = Arc::new(Connection { slot, routes: routes.clone(), api: api.clone() });
        let service = service_fn(move |request| Arc::clone(&connection).answer(request));
        let serving = protocol().serve_connection(TokioIo::new(Patient::new(stream)), service).with_upgrades();
        tokio::spawn(async move {
            // Whatever ends a connection is the client's own affair.
            tokio::select! {
                _ = serving => {}
                _ = stopped => {}
            }
        });
    }
}

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    protocol.max_buf_size(MAX_READ).max_headers(MAX_HEADERS);
    protocol
}

/// One connection and what it asks.
struct Connection {
    slot: Slot,
    routes: TowerToHyperService<Router>,
    api: Api,
}

impl Connection {
    /// Answers one request. What a foreign page could send goes no further than here.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        let headers = request.headers();
        let _busy = self.slot.begin(self.api.is_trusted() || has_token(headers, &self.api.token));
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length > MAX_HEAD {
            return Ok(Problem::head_too_long(MAX_HEAD).into_response());
        }
        if !self.api.is_trusted()
            && let Err(refusal) = origin::check(&request)
        {
            return Ok(refusal.into_response());
        }
        self.routes.call(request).await
    }
}
