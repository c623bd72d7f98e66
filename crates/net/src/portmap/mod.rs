//! Ports that the router forwards here because we asked: by PCP or NAT-PMP, else by UPnP.
//!
//! What a router says is told to the core, which believes it when a member came in there. A lease is renewed at half its
//! time (`hold`) and given back at the end; when addresses of this host or beyond the router change, or the router says that it
//! was started (`announce`), it is asked anew.

mod announce;
mod gateway;
mod hold;
mod lease;
mod upnp;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meshline_protocol::Address;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::driver::Notice;
pub(crate) use gateway::Router;

/// What giving the leases back may take at the end.
const END_LIMIT: Duration = Duration::from_millis(800);

/// The task that holds the leases.
#[derive(Debug)]
pub(crate) struct PortMaps {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
    changed: Arc<Notify>,
    /// The addresses of this host, once they are known.
    host: Option<Vec<SocketAddr>>,
    /// Where others saw it last.
    outside: BTreeSet<IpAddr>,
}

impl PortMaps {
    /// Asks for the port of the first address beyond loopback, over UDP and TCP; `None` if there is none.
    pub(crate) fn start(listening: &[Address], notices: mpsc::Sender<Notice>) -> Option<Self> {
        let port = listening.iter().find(|address| !address.is_loopback())?.port();
        Some(Self::with(port, Router::find, notices))
    }

    /// As [`Self::start`], for this port, with the router that `find` finds.
    pub(crate) fn with<F>(port: u16, find: F, notices: mpsc::Sender<Notice>) -> Self
    where
        F: Fn() -> Option<Router> + Send + Sync + 'static,
    {
        let (end, ended) = oneshot::channel();
        let changed = Arc::new(Notify::new());
        let hears = Arc::clone(&changed);
        let task = tokio::spawn(async move {
            let mut leases = Vec::new();
            tokio::select! {
                () = hold::hold(port, &find, &mut leases, (&hears, &notices)) => {}
                () = announce::heed(announce::HEARD_AT, &find, &hears) => {}
                _ = ended => {}
            }
            for lease in leases {
                lease.give_back().await;
            }
        });
        Self { end, task, changed, host: None, outside: BTreeSet::new() }
    }

    /// The addresses of this host: with other ones it may have another router.
    pub(crate) fn host_is(&mut self, addresses: &[SocketAddr]) {
        let before = self.host.replace(addresses.to_vec());
        if before.is_some_and(|before| before != addresses) {
            self.changed.notify_one();
        }
    }

    /// Where others see this host: elsewhere, if the router was given another address or is another one. That nobody sees
    /// it for a while is no change.
    pub(crate) fn seen_at(&mut self, seen: &[SocketAddr]) {
        let outside: BTreeSet<IpAddr> = seen.iter().map(SocketAddr::ip).collect();
        if outside.is_empty() || outside == self.outside {
            return;
        }
        let before = std::mem::replace(&mut self.outside, outside);
        if !before.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Gives the leases back.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        let _ = timeout(END_LIMIT, self.task).await;
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
