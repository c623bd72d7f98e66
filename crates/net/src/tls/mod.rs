//! TLS 1.3 between nodes, both sides with a certificate over their node key.
//!
//! A certificate is only the envelope of the key: names, dates and issuers in it mean nothing. Who answers is the key
//! that signed the handshake, and what it may do is for the records in its hello to say.

mod certificate;
mod verifier;

use std::io;
use std::sync::Arc;

use meshline_identity::{KeyError, KeyPair};
use meshline_protocol::{Address, Code, NodeId};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use verifier::KeyVerifier;

/// Why no TLS configuration could be made of a node key. None of these happens with a key that was read by
/// [`KeyPair`].
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key could not be written in the form TLS wants.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The configuration was refused.
    #[error("configuration: {0}")]
    Configuration(#[from] rustls::Error),
}

/// Why a connection did not become one with a proved peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.name())]
pub struct ProveError {
    /// The name of the failure.
    pub code: Code,
    /// More about it, for people.
    pub detail: String,
}

impl ProveError {
    pub(crate) fn new(code: Code, detail: &impl ToString) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

/// A node's side of TLS: its certificate, for both roles.
#[derive(Clone)]
pub struct TlsIdentity {
    id: NodeId,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TlsIdentity({})", self.id.short())
    }
}

impl TlsIdentity {
    /// Makes the certificate and the configurations of both roles.
    ///
    /// # Errors
    /// [`TlsError`], none of which happens in practice.
    pub fn new(key: &KeyPair) -> Result<Self, TlsError> {
        let (certificate, private) = certificate::self_signed(key)?;
        let client = client_config(certificate.clone(), private.clone_key())?;
        let server = server_config(certificate, private)?;
        Ok(Self { id: key.id(), connector: Arc::new(client).into(), acceptor: Arc::new(server).into() })
    }

    /// The id others see.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The client's side for handshakes that are carried elsewhere.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.connector.config())
    }

    /// The server's side for handshakes that are carried elsewhere.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(self.acceptor.config())
    }

    /// Acts as TLS client and returns the key the other side proved.
    ///
    /// # Errors
    /// [`Code::TlsFailed`] or [`Code::ConnectionLost`].
    pub async fn connect<S>(&self, stream: S) -> Result<(TlsStream<S>, NodeId), ProveError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // No name is sent: it would tell the path who talks to whom, and nobody checks it.
        let name = ServerName::try_from("meshline").map_err(|error| ProveError::new(Code::TlsFailed, &error))?;
        let stream = self.connector.connect(name, stream).await.map_err(|error| failure(&error))?;
        with_proof(stream.into())
    }

    /// Acts as TLS server and returns the key the other side proved.
    ///
    /// # Errors
    /// [`Code::TlsFailed`] or [`Code::ConnectionLost`].
    pub async fn accept<S>(&self, stream: S) -> Result<(TlsStream<S>, NodeId), ProveError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.acceptor.accept(stream).await.map_err(|error| failure(&error))?;
        with_proof(stream.into())
    }
}

/// Connects to `address`, lets whoever answers prove its key, and closes again: the dial-back of a signal server.
///
/// # Errors
/// Within [`crate::limits::DIAL_LIMIT`]: [`Code::Unreachable`], [`Code::HandshakeTimeout`], [`Code::TlsFailed`],
/// [`Code::ConnectionLost`], or [`Code::IdentityMismatch`] if the key is not the `expected` one.
pub async fn connect_and_prove(
    address: &Address,
    identity: &TlsIdentity,
    expected: Option<NodeId>,
) -> Result<NodeId, ProveError> {
    crate::dial::prove(address, identity, expected).await
}

/// Refuses another key than the one expected.
pub(crate) fn check_expected(proved: NodeId, expected: Option<NodeId>) -> Result<NodeId, ProveError> {
    match expected {
        Some(expected) if expected != proved => {
            Err(ProveError::new(Code::IdentityMismatch, &format!("expected {expected}, found {proved}")))
        }
        _ => Ok(proved),
    }
}

/// The name of what went wrong on a stream that carries TLS.
pub(crate) fn failure(error: &io::Error) -> ProveError {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    ProveError::new(if is_tls { Code::TlsFailed } else { Code::ConnectionLost }, error)
}

fn with_proof<S>(stream: TlsStream<S>) -> Result<(TlsStream<S>, NodeId), ProveError> {
    let proved = proved(stream.get_ref().1.peer_certificates());
    let proved = proved.map_err(|error| ProveError::new(Code::TlsFailed, &error))?;
    Ok((stream, proved))
}

/// The key that the other side of a handshake proved.
pub(crate) fn proved(certificates: Option<&[CertificateDer<'static>]>) -> Result<NodeId, rustls::Error> {
    let certificate = certificates.and_then(<[_]>::first);
    certificate.ok_or(rustls::Error::NoCertificatesPresented).and_then(certificate::node_id)
}

/// X25519 alone is offered a key share for, so that a handshake stays at one cheap exchange; the hybrid group is
/// there for peers that insist on it. AES-128 comes first: it is the fastest wherever AES is in hardware.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    })
}

fn client_config(
    certificate: CertificateDer<'static>,
    private: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(KeyVerifier::new(&provider));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![certificate], private)?;
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(
    certificate: CertificateDer<'static>,
    private: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(KeyVerifier::new(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], private)?;
    // Links last; tickets would cost each of them memory for a resumption that never comes.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests;
