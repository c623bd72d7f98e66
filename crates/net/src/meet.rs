//! TCP from both sides at once: each connects from the port it listens on to the other's, so that the translation in
//! front of each lets the other's packets in.
//!
//! Whether the two meet halfway or one finds the other's listener, there is one connection between the two ports. So what
//! the listener takes from somebody who is being met is handed to the attempt, which knows who is TLS client.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::rand;
use meshline_protocol::{Address, Code};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::connection::keep_little_unsent;
use crate::limits::{MAX_MEETINGS, MEET_CONNECT, MEET_LEAST_CONNECT, MEET_MOST_CONNECT, MEET_PAUSE_MS, MEET_SLACK};
use crate::tls::ProveError;

/// Connections handed over and not looked at yet, one after the other: there is one at a time between two ports.
const MAX_HANDED: usize = 2;

/// Who is being met now.
#[derive(Debug, Default)]
pub(crate) struct Meetings(Mutex<BTreeMap<SocketAddr, Met>>);

/// Where connections from one who is met go.
#[derive(Debug)]
struct Met {
    sender: mpsc::Sender<TcpStream>,
    /// Whether those from other ports of the host are taken, too. The host may be the router of many, or a member through
    /// whose exit others come: once it was somebody else, what comes from there is nobody's again.
    takes_host: bool,
}

/// One attempt; it is nobody's any more when dropped.
#[derive(Debug)]
pub(crate) struct Meeting {
    all: Arc<Meetings>,
    local: SocketAddr,
    remote: SocketAddr,
    /// What one connection may take.
    patience: Duration,
    handed: mpsc::Receiver<TcpStream>,
}

/// What one connection may take where a round trip is known: of three packets the first may have to be the other side's,
/// and both sides begin at nearly the same time.
fn patience(rtt: Option<Duration>) -> Duration {
    rtt.map_or(MEET_CONNECT, |rtt| (rtt * 3 / 2 + MEET_SLACK).clamp(MEET_LEAST_CONNECT, MEET_MOST_CONNECT))
}

impl Meetings {
    /// Begins to meet whoever is at `remote`, which is so far away.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        local: &Address,
        remote: SocketAddr,
        rtt: Option<Duration>,
    ) -> Result<Meeting, ProveError> {
        let unreachable = |detail: &str| ProveError::new(Code::Unreachable, &detail);
        let remote = canonical(remote);
        let mut locals =
            tokio::net::lookup_host(local.as_str()).await.map_err(|error| unreachable(&error.to_string()))?;
        let fits = |local: &SocketAddr| local.is_ipv4() == remote.is_ipv4() || local.ip().is_unspecified();
        let local = locals.find(fits).ok_or_else(|| unreachable("this node listens in the other family"))?;
        let (sender, handed) = mpsc::channel(MAX_HANDED);
        let mut met = self.lock();
        if met.len() >= MAX_MEETINGS || met.contains_key(&remote) {
            return Err(unreachable("too many are met at the same time, or this one already"));
        }
        met.insert(remote, Met { sender, takes_host: true });
        Ok(Meeting { all: Arc::clone(self), local, remote, patience: patience(rtt), handed })
    }

    /// Hands over a connection from somebody who is met: from that very address, or, where a router chose another port,
    /// from the same host. Returns it if it is nobody's.
    pub(crate) fn hand_over(&self, stream: TcpStream, remote: SocketAddr) -> Option<TcpStream> {
        let remote = canonical(remote);
        let met = self.lock();
        // On this host all members have one address.
        let is_host = |met: &SocketAddr| met.ip() == remote.ip() && !remote.ip().is_loopback();
        let by_host = || met.iter().find(|(address, met)| met.takes_host && is_host(address)).map(|(_, met)| met);
        let Some(met) = met.get(&remote).or_else(by_host) else { return Some(stream) };
        let Ok(place) = met.sender.try_reserve() else { return Some(stream) };
        break_off_at_end(&stream);
        place.send(stream);
        None
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Met>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.all.lock().remove(&self.remote);
    }
}

impl Meeting {
    /// Who came from there was somebody else. If that was another port of the host, only what comes from the very address is
    /// taken from now on.
    pub(crate) fn was_somebody_else(&self, from: Option<SocketAddr>) {
        if from.map(canonical) == Some(self.remote) {
            return;
        }
        if let Some(met) = self.all.lock().get_mut(&self.remote) {
            met.takes_host = false;
        }
    }

    /// The next connection to or from the other side. The caller limits the time.
    pub(crate) async fn next(&mut self) -> TcpStream {
        let (local, remote) = (self.local, self.remote);
        first(&mut self.handed, one_after_the_other(self.patience, || connect(local, remote))).await
    }
}

/// Connects until it comes about.
///
/// While nobody says anything there is always a connection under way. Without one, what the other side sends would be
/// answered by the listener, with numbers of its own: a Linux router that has seen both sides ask takes that for no part of
/// the connection, and for two minutes nothing else between the two ports either.
async fn one_after_the_other<T, F: Future<Output = io::Result<T>>>(patience: Duration, connect: impl Fn() -> F) -> T {
    loop {
        // Not in step with the other side: what one of them lets go of the other still holds.
        match timeout(patience + pause(), connect()).await {
            Ok(Ok(stream)) => return stream,
            // Both must have asked before either is refused again. Routers that saw the refusal let nothing in meanwhile.
            Ok(Err(_)) => sleep(pause()).await,
            Err(_) => {}
        }
    }
}

/// What was handed over, or else what the other future comes to.
async fn first<T>(handed: &mut mpsc::Receiver<T>, other: impl Future<Output = T>) -> T {
    let mut other = pin!(other);
    poll_fn(|context| match handed.poll_recv(context) {
        Poll::Ready(Some(stream)) => Poll::Ready(stream),
        Poll::Ready(None) | Poll::Pending => other.as_mut().poll(context),
    })
    .await
}

/// Connects from a port that is listened on.
async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    let ip = match remote {
        SocketAddr::V4(_) if local.is_ipv6() => IpAddr::from([0, 0, 0, 0]),
        SocketAddr::V6(_) if local.is_ipv4() => IpAddr::from([0_u16; 8]),
        SocketAddr::V4(_) | SocketAddr::V6(_) => local.ip(),
    };
    break_off_at_end(&socket);
    socket.bind(SocketAddr::new(ip, local.port()))?;
    let stream = socket.connect(remote).await?;
    stream.set_nodelay(true)?;
    keep_little_unsent(&stream);
    Ok(stream)
}

/// What is given up is forgotten at once by both ends. One that was half open, or whose other end is slow, would otherwise
/// hold both ports for up to a minute, and no further one between them could be tried.
fn break_off_at_end<'a>(socket: impl Into<SockRef<'a>>) {
    let _ = socket.into().set_linger(Some(Duration::ZERO));
}

fn pause() -> Duration {
    let mut random = [0];
    // Without a random number both sides still differ by what their machines do.
    let _ = rand::fill(&mut random);
    let span = MEET_PAUSE_MS.end() - MEET_PAUSE_MS.start();
    Duration::from_millis(MEET_PAUSE_MS.start() + u64::from(random[0]) * span / u64::from(u8::MAX))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
