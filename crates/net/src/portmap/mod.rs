//! Ports that the router forwards here because we asked: by PCP or NAT-PMP, else by UPnP.
//!
//! What a router says is told to the core, which believes it when a member came in there. A lease is renewed at half its
//! time and given back at the end; without a router that answers it is tried again seldom.

mod gateway;
mod lease;
mod upnp;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use meshline_mesh::PortMapping;
use meshline_protocol::Address;
use meshline_protocol::message::NatTransport;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::driver::Notice;
use gateway::Router;
use lease::Lease;

/// What is forwarded.
const TRANSPORTS: [NatTransport; 2] = [NatTransport::Udp, NatTransport::Tcp];

/// Between attempts while no router answers: it may have been switched on, or the host moved.
const RETRY: Duration = Duration::from_secs(600);

/// Leases are renewed no sooner, whatever a router grants.
const LEAST_RENEWAL: Duration = Duration::from_secs(30);

/// What giving the leases back may take at the end.
const END_LIMIT: Duration = Duration::from_millis(800);

/// The task that holds the leases.
#[derive(Debug)]
pub(crate) struct PortMaps {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl PortMaps {
    /// Asks for the port of the first address beyond loopback, over UDP and TCP; `None` if there is none.
    pub(crate) fn start(listening: &[Address], notices: mpsc::Sender<Notice>) -> Option<Self> {
        let port = listening.iter().find(|address| !address.is_loopback())?.port();
        Some(Self::with(port, Router::find, notices))
    }

    fn with<F>(port: u16, find: F, notices: mpsc::Sender<Notice>) -> Self
    where
        F: Fn() -> Option<Router> + Send + 'static,
    {
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut leases = Vec::new();
            tokio::select! {
                () = hold(port, find, &mut leases, &notices) => {}
                _ = ended => {}
            }
            for lease in leases {
                lease.give_back().await;
            }
        });
        Self { end, task }
    }

    /// Gives the leases back.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        let _ = timeout(END_LIMIT, self.task).await;
    }
}

/// Holds leases for ever; what they are is told whenever it changes.
async fn hold(port: u16, find: impl Fn() -> Option<Router>, leases: &mut Vec<Lease>, notices: &mpsc::Sender<Notice>) {
    let mut told = Vec::new();
    loop {
        let mut kept = Vec::new();
        for lease in leases.drain(..) {
            kept.extend(lease.renew().await);
        }
        *leases = kept;
        if let Some(router) = find() {
            for transport in TRANSPORTS {
                if leases.iter().all(|lease| lease.transport() != transport) {
                    leases.extend(Lease::ask(&router, transport, port).await);
                }
            }
        }
        let mapped: Vec<PortMapping> = leases.iter().filter_map(Lease::mapping).collect();
        if mapped != told {
            tracing::debug!(target: "meshline", count = mapped.len(), "ports forwarded by the router");
            told.clone_from(&mapped);
            if notices.send(Notice::PortsMapped(mapped)).await.is_err() {
                return;
            }
        }
        let soonest = leases.iter().map(Lease::lifetime).min();
        let renewal = soonest.map_or(RETRY, |lifetime| (lifetime / 2).max(LEAST_RENEWAL));
        // What is still missing is asked for again sooner.
        let pause = if leases.len() < TRANSPORTS.len() { renewal.min(RETRY) } else { renewal };
        tokio::time::sleep(pause).await;
    }
}

/// An address of a router that somebody beyond it may come to.
fn is_usable(external: Ipv4Addr, port: u16) -> Option<SocketAddr> {
    let is_nobody = external.is_unspecified() || external.is_loopback() || external.is_multicast() || port == 0;
    (!is_nobody).then(|| SocketAddr::from((external, port)))
}

#[cfg(test)]
mod daemon_test;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upnp_test;
