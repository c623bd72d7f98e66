//! To whom datagrams went of late. A firewall lets those in who were sent something, so what comes from them says nothing
//! of strangers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::now::Mono;

/// Destinations remembered. A search among ports has one host and two thousand ports: those count as one.
pub(crate) const MAX_SPOKEN: usize = 256;

/// Firewalls forget sooner.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Destinations of datagrams.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    ports: BTreeMap<SocketAddr, Mono>,
    hosts: BTreeMap<IpAddr, Mono>,
    /// When something had to be forgotten: until this is long ago nobody counts as a stranger.
    overflowed: Option<Mono>,
}

impl Spoken {
    /// A datagram goes there.
    pub(crate) fn note(&mut self, to: SocketAddr, now: Mono) {
        let (host, to) = (to.ip().to_canonical(), SocketAddr::new(to.ip().to_canonical(), to.port()));
        if !self.hosts.contains_key(&host) && self.hosts.len() >= MAX_SPOKEN {
            self.hosts.retain(|_, at| now.since(*at) < REMEMBERED);
            if self.hosts.len() >= MAX_SPOKEN {
                self.overflowed = Some(now);
                return;
            }
        }
        self.hosts.insert(host, now);
        if self.ports.len() >= MAX_SPOKEN && !self.ports.contains_key(&to) {
            self.ports.pop_first();
        }
        self.ports.insert(to, now);
    }

    /// Whether a host was certainly sent nothing of late.
    pub(crate) fn is_stranger(&self, host: IpAddr, now: Mono) -> bool {
        let is_old = |at: &Mono| now.since(*at) >= REMEMBERED;
        self.hosts.get(&host.to_canonical()).is_none_or(is_old) && self.overflowed.as_ref().is_none_or(is_old)
    }

    /// Whether a port was sent something.
    pub(crate) fn has_port(&self, address: SocketAddr) -> bool {
        self.ports.contains_key(&SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}
