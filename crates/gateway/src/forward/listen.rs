//! Listeners for bytes: TCP and Unix sockets alike.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshline_protocol::{Code, Target};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::copy::Local;
use crate::refusal::{Refusal, refuse};

/// A pause after the system could not accept, so that want of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Something that connections come to.
pub(crate) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A door with the place it stands at.
pub(crate) struct Listening {
    pub(crate) door: Door,
    /// The target that leads to it, with the port that the system chose.
    pub(crate) at: Target,
}

impl Listening {
    pub(crate) async fn on(listen: &Target) -> Result<Self, Refusal> {
        let failed = |error: io::Error| refuse(Code::TargetRefused, format!("cannot listen on {listen}: {error}"));
        match listen {
            Target::Tcp(address) => {
                let listener = TcpListener::bind((address.host(), address.port())).await.map_err(failed)?;
                let at = listener.local_addr().map_err(failed)?;
                Ok(Self { door: Door::Tcp(listener), at: Target::Tcp(at.into()) })
            }
            Target::Unix(path) => {
                let listener = bind_unix(Path::new(path.as_ref())).await.map_err(failed)?;
                Ok(Self { door: Door::Unix(listener, path.as_ref().into()), at: listen.clone() })
            }
            Target::Udp(_) | Target::Serial(..) => {
                Err(refuse(Code::InvalidMessage, format!("{listen} is not a place for connections")))
            }
        }
    }
}

/// A socket file that nobody answers at is a leftover and makes room; any other file stays. The socket is its owner's
/// alone.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_leftover(path).await {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The system says "refused" of a file that is no socket too.
async fn is_leftover(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let answer = || UnixStream::connect(path);
    is_socket && answer().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Door {
    /// The next connection, however long it takes.
    pub(crate) async fn accept(&self) -> Box<dyn Local> {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| prepared(stream)),
                Self::Unix(listener, _) => {
                    listener.accept().await.map(|(stream, _)| Box::new(stream) as Box<dyn Local>)
                }
            };
            match accepted {
                Ok(local) => return local,
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// The next TCP connection with the address it came from.
    pub(crate) async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    return (stream, from);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

fn prepared(stream: TcpStream) -> Box<dyn Local> {
    // The tunnel gathers what comes in small pieces; here nothing needs to wait for more.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}
