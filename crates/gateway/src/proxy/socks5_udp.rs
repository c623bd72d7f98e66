//! UDP ASSOCIATE (RFC 1928, 7): a socket for one client, as long as its TCP connection lives. Each destination has a
//! stream of its own, so that the exit of one does not depend on another's.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::Code;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::Proxy;
use super::socks5::{Destination, answer, unspecified};
use crate::counters::Counters;
use crate::forward::Session;
use crate::limits::{MAX_PAYLOAD, MAX_UDP_WAITING};
use crate::refusal::{Refusal, refuse};

/// Bytes of the longest header before a payload.
const MAX_HEADER: usize = 3 + 1 + 1 + 255 + 2;

pub(super) async fn associate(mut client: TcpStream, proxy: &Arc<Proxy>) -> Result<(), Refusal> {
    let broken = |error: std::io::Error| refuse(Code::ConnectionLost, error.to_string());
    let bound = async {
        let socket = UdpSocket::bind((client.local_addr()?.ip(), 0)).await?;
        let address = socket.local_addr()?;
        Ok((socket, address, client.peer_addr()?))
    };
    let (socket, address, from) = match bound.await {
        Ok(bound) => bound,
        Err(error) => {
            answer(&mut client, 1, unspecified()).await.map_err(broken)?;
            return Err(broken(error));
        }
    };
    answer(&mut client, 0, address).await.map_err(broken)?;
    let mut ignored = [0; 64];
    let closed = async { while matches!(client.read(&mut ignored).await, Ok(bytes) if bytes > 0) {} };
    tokio::select! {
        () = closed => {}
        () = relay(Arc::new(socket), from, proxy) => {}
    }
    Ok(())
}

/// Takes payloads of the one client; its port is that of its first datagram.
async fn relay(socket: Arc<UdpSocket>, client: SocketAddr, proxy: &Arc<Proxy>) {
    let mut buffer = vec![0; MAX_PAYLOAD + MAX_HEADER];
    let mut known = None;
    let mut sessions: BTreeMap<Destination, mpsc::Sender<Bytes>> = BTreeMap::new();
    // Counted apart from the connections of the proxy: this is the bound of one association.
    let counters = Arc::new(Counters::default());
    loop {
        let Ok((bytes, from)) = socket.recv_from(&mut buffer).await else { continue };
        if from.ip() != client.ip() || *known.get_or_insert(from) != from {
            continue;
        }
        let Some((destination, header)) = buffer.get(..bytes).and_then(read_header) else { continue };
        let payload = Bytes::copy_from_slice(buffer.get(header..bytes).unwrap_or_default());
        let header = Bytes::copy_from_slice(buffer.get(..header).unwrap_or_default());
        let waiting = match sessions.get(&destination).map(|session| session.try_send(payload.clone())) {
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => continue,
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => {
                sessions.retain(|_, session| !session.is_closed());
                let (queue, waiting) = mpsc::channel(MAX_UDP_WAITING);
                let _ = queue.try_send(payload);
                sessions.insert(destination.clone(), queue);
                waiting
            }
        };
        let Ok(place) = counters.enter(proxy.shared.patience.max_udp_peers) else {
            sessions.remove(&destination);
            continue;
        };
        let session = Session { waiting, place, idle: proxy.shared.patience.udp_idle };
        let (socket, proxy) = (Arc::clone(&socket), Arc::clone(proxy));
        tokio::spawn(async move {
            let connecting = async {
                let (via, wish) = proxy.wish(&destination.host, destination.port, true)?;
                proxy.shared.connector.connect(&via, wish).await
            };
            let back = move |payload: Bytes| {
                // From where it was sent to: that is how the client knows it.
                let _ = socket.try_send_to(&[header.as_ref(), payload.as_ref()].concat(), from);
            };
            session.run(connecting, back).await;
        });
    }
}

/// Where a payload goes, and how many bytes say so. Fragments are not taken, as the RFC allows.
pub(super) fn read_header(datagram: &[u8]) -> Option<(Destination, usize)> {
    let (&[0, 0, 0, kind], rest) = datagram.split_first_chunk::<4>()? else { return None };
    let (host, length) = match kind {
        1 => (Ipv4Addr::from(*rest.first_chunk::<4>()?).to_string(), 4),
        3 => {
            let length = usize::from(*rest.first()?);
            (std::str::from_utf8(rest.get(1..=length)?).ok()?.to_owned(), length + 1)
        }
        4 => (Ipv6Addr::from(*rest.first_chunk::<16>()?).to_string(), 16),
        _ => return None,
    };
    let port = u16::from_be_bytes(*rest.get(length..)?.first_chunk::<2>()?);
    Some((Destination { host, port }, 4 + length + 2))
}
