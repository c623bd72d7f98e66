//! At which of its addresses a proxy is reached from here.
//!
//! A proxy between two nets announces an address in each, and a member of one net reaches only the one there. So what
//! was shown from here comes first, then what the configuration says, then what is only announced.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use super::client::Known;
use crate::input::Transport;
use crate::link::Link;
use crate::now::Mono;
use crate::shared::Shared;

/// An address at which a relayed connection failed comes after the others for so long: routes change within minutes.
const FAILED_FOR: Duration = Duration::from_secs(60);

/// Such failures remembered, and proxies whose address is known to work: the addresses of a few dozen proxies. Beyond
/// it the oldest failures are forgotten.
pub(crate) const MAX_FAILED: usize = 128;
const MAX_REACHED: usize = 32;

/// What was seen of the addresses of proxies.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Where a relayed link came up last.
    reached: BTreeMap<NodeId, Address>,
    failed: BTreeMap<(NodeId, Address), Mono>,
}

impl Places {
    /// The best address of a proxy; one that failed a while ago only after all others.
    pub(super) fn best(&self, proxy: NodeId, shared: &Shared, known: Known<'_>) -> Option<Address> {
        let all = self.shown(proxy, shared, known).into_iter().chain(announced(proxy, known));
        all.min_by_key(|address| self.failed_at(proxy, address, shared.now.mono))
    }

    fn failed_at(&self, proxy: NodeId, address: &Address, now: Mono) -> Option<Mono> {
        self.failed.get(&(proxy, address.clone())).copied().filter(|at| now.since(*at) < FAILED_FOR)
    }

    /// The addresses that worked from here, and those that the configuration gives.
    fn shown(&self, proxy: NodeId, shared: &Shared, known: Known<'_>) -> Vec<Address> {
        let live = links_to(proxy, known).filter(|link| is_dialled(link)).map(|link| link.remote.clone());
        let reached = self.reached.get(&proxy).cloned();
        let dialled = known.peers.dialled_at(proxy);
        // Who is behind an address of the configuration may not be known yet.
        let is_its = |address: &&Address| match known.peers.behind(address) {
            Some(id) => id == proxy,
            None => links_to(proxy, known).any(|link| link.remote.host() == address.host()),
        };
        let configured = shared.config.proxies.iter().chain(&shared.config.peers).filter(is_its).cloned();
        live.chain(reached).chain(dialled).chain(configured).collect()
    }

    /// A relayed link through a proxy came up.
    pub(crate) fn reached(&mut self, proxy: NodeId, address: &Address) {
        self.failed.remove(&(proxy, address.clone()));
        if self.reached.len() < MAX_REACHED || self.reached.contains_key(&proxy) {
            self.reached.insert(proxy, address.clone());
        }
    }

    /// A relayed connection came to nothing. Where nobody answers, the next address is tried. Any other failure may
    /// be the other member's, and it sees one as well: if both moved on each time they might miss each other for
    /// ever, so each does by chance, and not from an address that is known to be right.
    pub(super) fn failed(&mut self, at: (NodeId, Address), code: Code, shared: &mut Shared, known: Known<'_>) {
        let is_shown = || self.shown(at.0, shared, known).contains(&at.1);
        if code != Code::Unreachable && (is_shown() || shared.random_u32().is_multiple_of(2)) {
            return;
        }
        let now = shared.now.mono;
        self.failed.retain(|_, at| now.since(*at) < FAILED_FOR);
        if self.failed.len() >= MAX_FAILED && !self.failed.contains_key(&at) {
            let oldest = self.failed.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            oldest.map(|key| self.failed.remove(&key));
        }
        self.failed.insert(at, now);
    }

    #[cfg(test)]
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }
}

fn links_to<'a>(proxy: NodeId, known: Known<'a>) -> impl Iterator<Item = &'a Link> {
    known.links.iter().filter(move |link| link.transport != Transport::Relay && link.peer() == Some(proxy))
}

/// Whether its far address is one to connect to, and not that of a hole.
fn is_dialled(link: &Link) -> bool {
    link.dial.is_some() && !link.met && matches!(link.transport, Transport::Tcp | Transport::Plain)
}

/// The announced addresses of a proxy, those first from whose host it came.
fn announced(proxy: NodeId, known: Known<'_>) -> Vec<Address> {
    let by_link = links_to(proxy, known).filter_map(Link::member).flat_map(|member| member.addresses.iter());
    let by_gossip = known.members.get(&proxy).into_iter().flat_map(|known| known.member.addresses.iter());
    let mut addresses: Vec<Address> = by_gossip.chain(by_link).cloned().collect();
    let is_there = |address: &Address| links_to(proxy, known).any(|link| link.remote.host() == address.host());
    addresses.sort_by_key(|address| !is_there(address));
    addresses
}
