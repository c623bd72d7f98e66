//! SOCKS5: RFC 1928 with CONNECT and UDP ASSOCIATE, RFC 1929 where users are configured.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::credentials::are_known;
use super::{Proxy, reply, socks5_udp};
use crate::copy::carry;
use crate::counters::Place;
use crate::limits::GREETING_LIMIT;
use crate::refusal::{Refusal, refuse};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const UDP_ASSOCIATE: u8 = 3;
const COMMAND_UNKNOWN: u8 = 7;
const ADDRESS_UNKNOWN: u8 = 8;

/// Where a client wants to go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What a client asked for.
struct Request {
    command: u8,
    destination: Option<Destination>,
}

/// Serves one client, whose first byte was read.
pub(super) async fn serve(mut client: TcpStream, place: &Place, proxy: &Arc<Proxy>) -> Result<(), Refusal> {
    let greeting = async {
        authenticate(&mut client, proxy).await?;
        read_request(&mut client).await.map_err(broken)
    };
    let request = timeout(GREETING_LIMIT, greeting).await;
    let request = request.map_err(|_| refuse(Code::FrameTimeout, "the client did not say what it wants"))??;
    match (request.command, request.destination) {
        (CONNECT, Some(destination)) => connect(client, &destination, place, proxy).await,
        (UDP_ASSOCIATE, Some(_)) => socks5_udp::associate(client, proxy).await,
        (command, destination) => {
            let code = if destination.is_none() { ADDRESS_UNKNOWN } else { COMMAND_UNKNOWN };
            answer(&mut client, code, unspecified()).await.map_err(broken)?;
            Err(refuse(Code::InvalidMessage, format!("command {command} of SOCKS5 is not served")))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: io::Error) -> Refusal {
    refuse(Code::ConnectionLost, format!("the client broke off: {error}"))
}

async fn authenticate(client: &mut TcpStream, proxy: &Proxy) -> Result<(), Refusal> {
    let mut methods = vec![0; usize::from(client.read_u8().await.map_err(broken)?)];
    client.read_exact(&mut methods).await.map_err(broken)?;
    let wanted = if proxy.config.users.is_empty() { NO_AUTHENTICATION } else { PASSWORD };
    if !methods.contains(&wanted) {
        client.write_all(&[VERSION, NO_METHOD]).await.map_err(broken)?;
        return Err(refuse(Code::Forbidden, "the client offers no way of authentication that is wanted"));
    }
    client.write_all(&[VERSION, wanted]).await.map_err(broken)?;
    if wanted == PASSWORD { check_password(client, proxy).await } else { Ok(()) }
}

async fn check_password(client: &mut TcpStream, proxy: &Proxy) -> Result<(), Refusal> {
    let _version = client.read_u8().await.map_err(broken)?;
    let user = read_short(client).await.map_err(broken)?;
    let password = read_short(client).await.map_err(broken)?;
    let is_known = are_known(&proxy.config.users, &user, &password);
    client.write_all(&[1, u8::from(!is_known)]).await.map_err(broken)?;
    if is_known { Ok(()) } else { Err(refuse(Code::Forbidden, "wrong user or password")) }
}

async fn read_short(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut text).await?;
    Ok(text)
}

async fn read_request(client: &mut TcpStream) -> io::Result<Request> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let host = match kind {
        1 => Some(Ipv4Addr::from(client.read_u32().await?).to_string()),
        3 => Some(String::from_utf8(read_short(client).await?).map_err(|_| io::ErrorKind::InvalidData)?),
        4 => Some(Ipv6Addr::from(client.read_u128().await?).to_string()),
        _ => None,
    };
    let Some(host) = host else { return Ok(Request { command, destination: None }) };
    let port = client.read_u16().await?;
    Ok(Request { command, destination: Some(Destination { host, port }) })
}

async fn connect(
    mut client: TcpStream,
    destination: &Destination,
    place: &Place,
    proxy: &Proxy,
) -> Result<(), Refusal> {
    let connected = match proxy.wish(&destination.host, destination.port, false) {
        Ok((via, wish)) => proxy.shared.connector.connect(&via, wish).await,
        Err(refusal) => Err(refusal),
    };
    match connected {
        Ok(connected) => {
            answer(&mut client, 0, unspecified()).await.map_err(broken)?;
            carry(Box::new(client), connected.stream, place, proxy.shared.patience.stream_idle).await;
            Ok(())
        }
        Err(refusal) => {
            answer(&mut client, reply::socks5(refusal.code), unspecified()).await.map_err(broken)?;
            Err(refusal)
        }
    }
}

/// The address on the far side means nothing here, so none is told.
pub(super) fn unspecified() -> SocketAddr {
    SocketAddr::from(([0; 4], 0))
}

pub(super) async fn answer(client: &mut TcpStream, code: u8, bound: SocketAddr) -> io::Result<()> {
    let mut bytes = vec![VERSION, code, 0];
    put_address(&mut bytes, bound);
    client.write_all(&bytes).await
}

fn put_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            bytes.push(1);
            bytes.extend(address.ip().octets());
        }
        SocketAddr::V6(address) => {
            bytes.push(4);
            bytes.extend(address.ip().octets());
        }
    }
    bytes.extend(address.port().to_be_bytes());
}
