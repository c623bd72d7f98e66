//! A router that was started anew has forgotten what it forwarded, and says to all in the house that it is there: then it
//! is asked at once, and not only at half of what it had granted.
//!
//! PCP (RFC 6887 §14.1) and NAT-PMP (RFC 6886 §3.2.1) say it to the same port. Anybody in the house can say so in its name:
//! each time costs a renewal, so it is heeded so often and no more.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::gateway::Router;

/// Where all in the house hear routers.
pub(super) const HEARD_AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5_350);

/// Between two that are heeded; what is said meanwhile waits.
pub(super) const HEEDED_AFTER: Duration = Duration::from_secs(10);

/// Between any two that are read: nobody can keep this node busy so.
const READ_AFTER: Duration = Duration::from_millis(100);

/// The longest message of PCP.
const MAX_MESSAGE: usize = 1_100;

/// The head of an answer of PCP, and the whole of what a router says by NAT-PMP.
const PCP_LENGTH: usize = 24;
const NAT_PMP_LENGTH: usize = 12;

/// Has the router asked anew whenever it says that it was started. Does nothing if the port cannot be shared.
pub(super) async fn heed(at: SocketAddr, find: impl Fn() -> Option<Router>, changed: &Notify) {
    let socket = open(at).map_err(|error| tracing::debug!("routers are not heard: {error}"));
    let Ok(socket) = socket else { return std::future::pending().await };
    let mut message = [0; MAX_MESSAGE];
    loop {
        let heard = socket.recv_from(&mut message).await;
        let said = heard.ok().and_then(|(length, from)| Some((message.get(..length)?, from)));
        let is_said = said.is_some_and(|(said, from)| {
            says_it_started(said) && find().is_some_and(|router| IpAddr::from(router.address) == from.ip())
        });
        if is_said {
            changed.notify_one();
        }
        sleep(if is_said { HEEDED_AFTER } else { READ_AFTER }).await;
    }
}

/// A socket that others on this host may have beside it.
fn open(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    UdpSocket::from_std(socket.into())
}

/// Whether a message is what routers say to all: an answer that nobody asked for, of PCP that the router is there, of
/// NAT-PMP where it is seen from outside; both without an error.
fn says_it_started(message: &[u8]) -> bool {
    match message {
        [2, 0x80, _, 0, ..] => message.len() >= PCP_LENGTH,
        [0, 0x80, 0, 0, ..] => message.len() == NAT_PMP_LENGTH,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const ROUTER: Router = Router { address: Ipv4Addr::new(127, 0, 10, 1), local: Ipv4Addr::LOCALHOST };

    #[test]
    fn what_routers_say_to_all_is_told_from_everything_else() {
        let pcp = [&[2, 0x80, 0, 0][..], &[0; 20]].concat();
        let nat_pmp = [&[0, 0x80, 0, 0][..], &[0, 0, 0, 9, 203, 0, 113, 7]].concat();
        assert!(says_it_started(&pcp) && says_it_started(&nat_pmp));
        for (at, other) in [(0, 1), (1, 0), (1, 0x81), (3, 1)] {
            for right in [&pcp, &nat_pmp] {
                let mut wrong = right.clone();
                wrong[at] = other;
                assert!(!says_it_started(&wrong), "{wrong:?}");
            }
        }
        assert!(!says_it_started(&pcp[..PCP_LENGTH - 1]) && !says_it_started(&nat_pmp[..NAT_PMP_LENGTH - 1]));
        assert!(!says_it_started(&[]));
    }

    /// A place to hear routers at, and whoever speaks from an address of this host.
    async fn said_to(at: SocketAddr, from: Ipv4Addr, message: &[u8]) {
        let speaker = UdpSocket::bind((from, 0)).await.expect("a socket");
        speaker.send_to(message, at).await.expect("sent");
    }

    #[tokio::test]
    async fn the_router_alone_is_heeded_and_once_in_a_while() {
        let at = SocketAddr::from(([127, 0, 10, 2], HEARD_AT.port()));
        let changed = Arc::new(Notify::new());
        let hears = Arc::clone(&changed);
        drop(tokio::spawn(async move { heed(at, || Some(ROUTER), &hears).await }));
        // It listens as soon as the task has run.
        tokio::task::yield_now().await;
        let started = [&[2, 0x80, 0, 0][..], &[0; 20]].concat();
        said_to(at, Ipv4Addr::new(127, 0, 10, 9), &started).await;
        said_to(at, ROUTER.address, &[7; PCP_LENGTH]).await;
        let early = tokio::time::timeout(READ_AFTER * 5, changed.notified()).await;
        assert!(early.is_err(), "neither another host nor something else of the router");
        said_to(at, ROUTER.address, &started).await;
        changed.notified().await;
        said_to(at, ROUTER.address, &started).await;
        let again = tokio::time::timeout(READ_AFTER * 5, changed.notified()).await;
        assert!(again.is_err(), "not twice within {HEEDED_AFTER:?}");
    }
}
