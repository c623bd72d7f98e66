//! Where a request goes, and the connection to it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use hyper::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::HttpError;

/// The roots of the web, which this program carries along: a bare system has none.
static WEB: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
});

/// A server.
#[derive(Clone, Debug)]
pub struct Target {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

/// Any connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    /// Splits a URL into the server and the path (with its query) to ask for there.
    ///
    /// # Errors
    /// Anything but `http` or `https` with a host, and URLs with a password, which would end up in logs.
    pub fn parse(url: &str) -> Result<(Self, String), HttpError> {
        let fault = |what: &str| HttpError::Url(format!("{what} in {url:?}"));
        let uri: Uri = url.parse().map_err(|error| HttpError::Url(format!("{error} in {url:?}")))?;
        let authority = uri.authority().ok_or_else(|| fault("no host"))?;
        if authority.as_str().contains('@') {
            return Err(HttpError::Url("user and password are not taken from a URL".to_owned()));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(fault("no host"));
        }
        let port = match (authority.port_u16(), authority.as_str().ends_with(authority.host())) {
            (Some(port), _) => Some(port),
            (None, true) => None,
            (None, false) => return Err(fault("no valid port")),
        };
        let place = match uri.scheme_str() {
            Some("http") => Place::Tcp { host, port: port.unwrap_or(80) },
            Some("https") => Place::Tls { host, port: port.unwrap_or(443) },
            Some(_) | None => return Err(fault("no http or https")),
        };
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok((Self { place, tls: None }, path))
    }

    /// Plain HTTP on a host and port.
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        Self { place: Place::Tcp { host: host.to_owned(), port }, tls: None }
    }

    /// Plain HTTP on a Unix socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Unix(path.into()), tls: None }
    }

    /// Trusts what this configuration trusts, in place of the roots of the web. Means something for `https` only.
    #[must_use]
    pub fn with_tls(self, config: Arc<ClientConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// What stands in the `Host` header.
    pub(super) fn host_header(&self) -> String {
        match &self.place {
            Place::Tcp { host, port: 80 } | Place::Tls { host, port: 443 } => bracketed(host),
            Place::Tcp { host, port } | Place::Tls { host, port } => format!("{}:{port}", bracketed(host)),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }

    /// The host and port, unless it is a socket here.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        match &self.place {
            Place::Tcp { host, port } | Place::Tls { host, port } => Some((host, *port)),
            Place::Unix(_) => None,
        }
    }

    /// A connection to it over one that leads there already: with TLS where the URL says so.
    pub(super) async fn over(&self, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, HttpError> {
        let secured = match &self.place {
            Place::Tls { host, .. } => self.secure(host, stream).await,
            Place::Tcp { .. } | Place::Unix(_) => Ok(stream),
        };
        secured.map_err(|error| HttpError::Connect { place: self.to_string(), error })
    }

    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, HttpError> {
        self.try_connect().await.map_err(|error| HttpError::Connect { place: self.to_string(), error })
    }

    async fn try_connect(&self) -> io::Result<Box<dyn Stream>> {
        match &self.place {
            Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp { host, port } => Ok(Box::new(connect_tcp(host, *port).await?)),
            Place::Tls { host, port } => {
                let stream = connect_tcp(host, *port).await?;
                self.secure(host, stream).await
            }
        }
    }

    async fn secure<S: Stream + 'static>(&self, host: &str, stream: S) -> io::Result<Box<dyn Stream>> {
        let config = self.tls.clone().or_else(|| WEB.clone()).ok_or_else(|| io::Error::other("no TLS"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { host, port } | Place::Tls { host, port } => {
                write!(formatter, "{}:{port}", bracketed(host))
            }
            Place::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
