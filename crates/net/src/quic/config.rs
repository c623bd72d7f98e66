//! How QUIC is spoken here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt};

use super::TlsIdentity;
use crate::limits::{
    MAX_HANDSHAKES, QUIC_BEFORE_ACCEPT, QUIC_FIRST_RTT, QUIC_IDLE_LIMIT, QUIC_INITIAL_BUFFER, QUIC_LEAST_RTT,
    QUIC_MOST_RTT, QUIC_WINDOW,
};
use crate::udp::Hub;

/// QUIC demands a name; nobody looks at it, and it is not sent.
pub(super) const SERVER_NAME: &str = "meshline";

/// What is spoken on the stream.
const ALPN: &[u8] = b"meshline/1";

/// An endpoint for both roles over the sockets of a node, and how connections are opened.
pub(super) fn endpoint(tls: &TlsIdentity, hub: Arc<Hub>) -> io::Result<(Endpoint, ClientConfig)> {
    let server = server(tls, Arc::new(transport(QUIC_FIRST_RTT)))?;
    let mut config = EndpointConfig::default();
    // The bit tells QUIC from the rest at every socket; others flip it as soon as somebody says they may.
    config.grease_quic_bit(false);
    let endpoint = Endpoint::new_with_abstract_socket(config, Some(server), hub, Arc::new(TokioRuntime))?;
    Ok((endpoint, client(tls)?))
}

/// How a connection is opened over a way of which something is known.
pub(super) fn expecting(client: &ClientConfig, rtt: Option<Duration>) -> ClientConfig {
    let mut config = client.clone();
    config.transport_config(Arc::new(transport(first_rtt(rtt))));
    config
}

/// What QUIC takes for the round trip before it has measured one. What is lost then is sent again after three times as long
/// (RFC 9002 §6.2): here after five quarters of the round trip.
pub(super) fn first_rtt(known: Option<Duration>) -> Duration {
    known.map_or(QUIC_FIRST_RTT, |rtt| (rtt * 5 / 12).clamp(QUIC_LEAST_RTT, QUIC_MOST_RTT))
}

fn client(tls: &TlsIdentity) -> io::Result<ClientConfig> {
    let mut config = rustls::ClientConfig::clone(&tls.client_config());
    config.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicClientConfig::try_from(config).map_err(io::Error::other)?;
    Ok(ClientConfig::new(Arc::new(crypto)))
}

fn server(tls: &TlsIdentity, transport: Arc<TransportConfig>) -> io::Result<ServerConfig> {
    let mut config = rustls::ServerConfig::clone(&tls.server_config());
    config.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(config).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport)
        .max_incoming(MAX_HANDSHAKES)
        .incoming_buffer_size(QUIC_INITIAL_BUFFER)
        .incoming_buffer_size_total(QUIC_INITIAL_BUFFER * MAX_HANDSHAKES as u64);
    Ok(config)
}

fn transport(first_rtt: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(QUIC_WINDOW))
        .receive_window(VarInt::from_u32(QUIC_BEFORE_ACCEPT))
        .send_window(QUIC_BEFORE_ACCEPT.into())
        .keep_alive_interval(None)
        .initial_rtt(first_rtt)
        .max_idle_timeout(Some(idle_limit()));
    config
}

fn idle_limit() -> IdleTimeout {
    let millis = u32::try_from(Duration::as_millis(&QUIC_IDLE_LIMIT)).unwrap_or(u32::MAX);
    IdleTimeout::from(VarInt::from_u32(millis))
}
