//! Listening for the local API on TCP and on a Unix socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meshline_net::MeshHandle;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::auth::Token;
use super::{Api, router};

/// Connections at once: a browser opens six, scripts a few more; further ones wait.
const MAX_CONNECTIONS: usize = 128;

/// A request's head must have come within this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// The socket cannot be made.
    #[error("{path}: cannot make the socket of the local API: {source}", path = path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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

    /// Serves on the socket in `data_dir`, and on `http` if there is one.
    ///
    /// # Errors
    /// If either cannot be listened on.
    pub async fn start(
        mesh: &MeshHandle,
        data_dir: &Path,
        http: Option<&str>,
        token: Arc<Token>,
    ) -> Result<Self, ServeError> {
        let socket = Self::socket_path(data_dir);
        let unix = bind_unix(&socket).map_err(|source| ServeError::Socket { path: socket.clone(), source })?;
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let api = |trusted| router(Api { mesh: mesh.clone(), token: Arc::clone(&token), trusted });
        let mut server = Self { tasks: Vec::new(), socket, address: None };
        if let Some(address) = http {
            let failed = |source| ServeError::Address { address: address.to_owned(), source };
            let tcp = TcpListener::bind(address).await.map_err(failed)?;
            server.address = tcp.local_addr().ok();
            server.tasks.push(tokio::spawn(accept(tcp, api(false), Arc::clone(&slots))));
        }
        server.tasks.push(tokio::spawn(accept(unix, api(true), slots)));
        Ok(server)
    }

    /// The address of the page, with the real port where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
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

async fn accept<L: Listener>(mut listener: L, router: Router, slots: Arc<Semaphore>) {
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (stream, _) = listener.accept().await;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // Whatever ends a connection is the client's own affair.
            let _ = served.await;
            drop(slot);
        });
    }
}
