//! Nodes found on the local segment: which of the addresses that anybody there may announce are dialled, and when.
//!
//! An announcement is believed in nothing. It says by which network's hash it is worth a try, and whoever answers at the
//! address has to prove a membership like everybody else. The hashes tell a stranger neither the network nor who is there:
//! to recognise one, its id has to be known already.

mod beacon;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_protocol::Address;
use schemars::JsonSchema;
use serde::Serialize;

use crate::now::Mono;
use crate::peers::Peers;
use crate::shared::Shared;
pub use beacon::{LanBeacon, LanSegment};

/// Announcements remembered: a large office. Beyond it those give way that were tried in vain, longest ago first.
pub(crate) const MAX_SIGHTINGS: usize = 64;

/// Addresses tried of one announcement: a host with wire, radio and both kinds of IP.
pub(crate) const MAX_SIGHTED_ADDRESSES: usize = 4;

/// Bytes of the name under which something is announced, as DNS has them.
const MAX_INSTANCE: usize = 63;

/// Between two announcements that are tried: whoever makes up a thousand has this node open connections to one place of
/// its own segment a second.
const DIAL_PAUSE: Duration = Duration::from_secs(1);

/// What is announced again is tried again no sooner.
const RETRY: Duration = Duration::from_secs(60);

/// The one of two with the greater hash waits so long, as two nodes hear of each other in the same moment: by then the
/// connection of the other is there.
const SECOND: Duration = Duration::from_millis(1_200);

/// What somebody announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanSighting {
    /// Under which name.
    pub instance: String,
    /// The hash of a network.
    pub network: String,
    /// The hash of a member.
    pub member: String,
    /// Where it says that it listens.
    pub addresses: Vec<SocketAddr>,
}

/// What is known of the local segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LanReport {
    /// Announcements of nodes of this network, the own one left out.
    pub seen: usize,
    /// Of them those that wait to be tried.
    pub waiting: usize,
    /// Announcements that were passed over since the start: of other networks, without a usable address, or too many.
    pub passed_over: u64,
}

/// One announcement that counts.
#[derive(Clone, Debug)]
struct Seen {
    member: String,
    addresses: Vec<Address>,
    /// When it is to be tried; `None` once it was, until it is announced again.
    due: Option<Mono>,
    tried: Option<Mono>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Lan {
    beacon: LanBeacon,
    seen: BTreeMap<String, Seen>,
    next_at: Mono,
    passed_over: u64,
}

impl Lan {
    pub(crate) fn new(shared: &Shared) -> Self {
        let beacon = LanBeacon::new(&shared.config.network, &shared.id);
        Self { beacon, seen: BTreeMap::new(), next_at: shared.now.mono, passed_over: 0 }
    }

    /// Somebody announced something.
    pub(crate) fn see(&mut self, sighting: &LanSighting, shared: &Shared) {
        let LanSighting { instance, network, member, addresses } = sighting;
        let is_ours = *network == self.beacon.network;
        if is_ours && *member == self.beacon.member {
            return;
        }
        let addresses = addresses.iter().filter(|address| is_usable(**address)).take(MAX_SIGHTED_ADDRESSES);
        let addresses: Vec<Address> = addresses.map(|address| (*address).into()).collect();
        let is_named = (1..=MAX_INSTANCE).contains(&instance.len()) && member.len() == self.beacon.member.len();
        if !is_ours || !is_named || addresses.is_empty() || !self.has_room(instance) {
            self.passed_over = self.passed_over.saturating_add(1);
            return;
        }
        let now = shared.now.mono;
        let first = if self.beacon.member < *member { now } else { now.after(SECOND) };
        let fresh = Seen { member: member.clone(), addresses: Vec::new(), due: None, tried: None };
        let seen = self.seen.entry(instance.clone()).or_insert(fresh);
        let has_rested = seen.tried.is_none_or(|tried| now.since(tried) >= RETRY);
        if seen.due.is_none() && (has_rested || seen.addresses != addresses) {
            seen.due = Some(first);
        }
        (seen.addresses, seen.member) = (addresses, member.clone());
    }

    /// Whether another announcement is remembered, if need be in place of one that was tried in vain.
    fn has_room(&mut self, instance: &str) -> bool {
        if self.seen.len() < MAX_SIGHTINGS || self.seen.contains_key(instance) {
            return true;
        }
        let tried = self.seen.iter().filter(|(_, seen)| seen.due.is_none());
        let oldest = tried.min_by_key(|(_, seen)| seen.tried).map(|(instance, _)| instance.clone());
        oldest.is_some_and(|oldest| self.seen.remove(&oldest).is_some())
    }

    /// An announcement was taken back, or has run out.
    pub(crate) fn forget(&mut self, instance: &str, peers: &mut Peers) {
        if let Some(seen) = self.seen.remove(instance) {
            seen.addresses.iter().for_each(|address| peers.forget_found(address));
        }
    }

    /// Has the next one tried, if it is time.
    pub(crate) fn handle_timeout(&mut self, peers: &mut Peers, shared: &Shared) {
        let now = shared.now.mono;
        if shared.leaving || self.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        let first = self.seen.values_mut().filter(|seen| seen.due.is_some()).min_by_key(|seen| seen.due);
        let Some(seen) = first else { return };
        seen.due = None;
        if !is_needed(&seen.member, peers, shared) {
            return;
        }
        seen.tried = Some(now);
        seen.addresses.iter().for_each(|address| peers.add_found(address, now));
        self.next_at = now.after(DIAL_PAUSE);
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.seen.values().filter_map(|seen| seen.due).min().map(|due| due.max(self.next_at))
    }

    /// `None` while nothing was ever announced.
    pub(crate) fn report(&self) -> Option<LanReport> {
        let waiting = self.seen.values().filter(|seen| seen.due.is_some()).count();
        let report = LanReport { seen: self.seen.len(), waiting, passed_over: self.passed_over };
        (report != LanReport::default()).then_some(report)
    }
}

/// Whether a link to a member would help: not where there is one, nor where the members are too many to link all and
/// one link suffices to hear of the others.
fn is_needed(member: &str, peers: &Peers, shared: &Shared) -> bool {
    let is_it = |id| LanBeacon::new(&shared.config.network, id).member == member;
    let is_in = peers.set.is_bounded() && !shared.up.is_empty();
    !is_in && !shared.up.keys().any(is_it)
}

/// An address that a host may have.
fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests;
