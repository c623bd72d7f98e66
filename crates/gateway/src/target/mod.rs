//! Reaching what a stream is to be connected to, from this member.
//!
//! A name is resolved once, each address it has is judged, and one that passed is dialled: a name that means something
//! else a moment later changes nothing.

mod serial;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_protocol::{Address, Code, Target};
use tokio::net::{TcpStream, UdpSocket, UnixStream, lookup_host};
use tokio::time::timeout;

use crate::carrier::{Flow, Stream};
use crate::copy::Local;
use crate::limits::{DIAL_LIMIT, MAX_RESOLVED};
use crate::refusal::{Refusal, refuse, unreached};
use crate::rules::OwnPorts;

/// What was reached.
pub(crate) struct Reached {
    pub(crate) end: End,
    /// The address dialled, if it has one.
    pub(crate) address: Option<SocketAddr>,
}

/// How bytes get there.
pub(crate) enum End {
    Bytes(Box<dyn Local>),
    Payloads(UdpSocket),
    /// Payloads by way of another member.
    Passed(Box<dyn Flow>, Box<dyn Stream>),
}

/// Judges an address before it is dialled.
pub(crate) type Judge<'a> = &'a (dyn Fn(SocketAddr) -> Result<(), Refusal> + Sync);

/// Connects to `target` at an address that `judge` lets pass.
pub(crate) async fn reach(target: &Target, judge: Judge<'_>) -> Result<Reached, Refusal> {
    match target {
        Target::Tcp(address) => tcp(address, judge).await,
        Target::Udp(address) => udp(address, judge).await,
        Target::Unix(path) => {
            let stream = within(target, UnixStream::connect(path.as_ref())).await?;
            Ok(Reached { end: End::Bytes(Box::new(stream)), address: None })
        }
        Target::Serial(path, baud) => {
            let device = serial::Serial::open(path, *baud).map_err(|error| unreached(path, &error))?;
            Ok(Reached { end: End::Bytes(Box::new(device)), address: None })
        }
    }
}

async fn tcp(address: &Address, judge: Judge<'_>) -> Result<Reached, Refusal> {
    let mut last = refuse(Code::TargetUnreachable, format!("{address} has no address"));
    for address in judged(address, judge).await? {
        match within(&address, TcpStream::connect(address)).await {
            Ok(stream) => {
                // Whoever sends little waits for the answer; bulk fills its segments anyway.
                let _ = stream.set_nodelay(true);
                return Ok(Reached { end: End::Bytes(Box::new(stream)), address: Some(address) });
            }
            Err(refusal) => last = refusal,
        }
    }
    Err(last)
}

async fn udp(address: &Address, judge: Judge<'_>) -> Result<Reached, Refusal> {
    let addresses = judged(address, judge).await?;
    let address =
        *addresses.first().ok_or_else(|| refuse(Code::TargetUnreachable, format!("{address}: no address")))?;
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = async {
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        Ok(socket)
    };
    let socket = within(&address, socket).await?;
    Ok(Reached { end: End::Payloads(socket), address: Some(address) })
}

/// The addresses that may be dialled, or why none may.
async fn judged(address: &Address, judge: Judge<'_>) -> Result<Vec<SocketAddr>, Refusal> {
    if address.port() == 0 {
        return Err(refuse(Code::InvalidMessage, "port 0 cannot be dialled"));
    }
    let found = resolve(address).await?;
    let mut why = None;
    let mut passed = Vec::new();
    for address in found {
        match judge(address) {
            Ok(()) => passed.push(address),
            Err(refusal) => why = Some(refusal),
        }
    }
    match why {
        Some(refusal) if passed.is_empty() => Err(refusal),
        _ => Ok(passed),
    }
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, Refusal> {
    if let Ok(ip) = address.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let found = timeout(DIAL_LIMIT, lookup_host((address.host(), address.port()))).await;
    let name = address.host();
    match found {
        Ok(Ok(found)) => Ok(found.take(MAX_RESOLVED).collect()),
        Ok(Err(error)) => Err(refuse(Code::TargetUnreachable, format!("{name} is not found: {error}"))),
        Err(_) => Err(refuse(Code::TargetUnreachable, format!("{name} is not found in time"))),
    }
}

async fn within<T>(
    what: &(dyn std::fmt::Display + Sync),
    attempt: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Refusal> {
    const LIMIT: Duration = DIAL_LIMIT;
    match timeout(LIMIT, attempt).await {
        Ok(result) => result.map_err(|error| unreached(&what.to_string(), &error)),
        Err(_) => Err(refuse(Code::TargetUnreachable, format!("{what} does not answer within {} s", LIMIT.as_secs()))),
    }
}

/// Whether `address` is one of this member's own ports. An address belongs to this host if a socket can be bound to it.
pub(crate) fn is_own(address: SocketAddr, own: &OwnPorts) -> bool {
    own.contains(address.port()) && std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
}
