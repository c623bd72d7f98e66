//! Asking proxies to join us with members: those that no direct dial has reached in a moment, and those whose relayed
//! link carries traffic, for a second one through another proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::message::{Relay as Message, RelayPeer, RelayRefusal, RelayTicket, Role};
use meshline_protocol::{Address, Code, Message as Wire, NodeId};

use super::places::Places;
use super::warm::Warm;
use crate::event::Event;
use crate::gossip::Members;
use crate::input::Transport;
use crate::link::{Link, Links};
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::peers::Peers;
use crate::report::ProxyRow;
use crate::shared::Shared;

/// Between requests for the same member, doubled up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Both sides find out at the same time that they do not reach each other. The smaller id asks, and the larger one only
/// if nothing has come of that in this time: a few round trips to a proxy.
const SECOND_TURN: Duration = Duration::from_millis(300);

/// Members asked for at once. With more unreached ones the rest wait for their turn.
const MAX_ERRANDS: usize = 256;

/// Grants awaited at once: through two proxies for each member.
pub(crate) const MAX_AWAITED: usize = 2 * MAX_ERRANDS;

/// How long a grant may take after a request or an agreement: no ticket holds longer.
const GRANT_PATIENCE: Duration = Duration::from_secs(10);

/// Relayed links to one member: the one in use and one that stands by.
const MAX_RELAYED: usize = 2;

/// A relayed link gets one that stands by when it has carried something within this time: a chat that is answered, a
/// ring that turns. One that rests gets a ticket within a round trip of its loss instead.
const STANDBY_FOR: Duration = Duration::from_secs(60);

/// A link that stands by for nothing ends after so long: five times what brings it about, so that it does not come and
/// go with every message.
const STANDBY_IDLE: Duration = Duration::from_secs(300);

/// A proxy through which a link broke is not asked for one that stands by, for the same member, for so long: it would break
/// again, as often as it was made. Where no link is left it is asked all the same.
const BROKEN_FOR: Duration = Duration::from_secs(60);

/// Such breaks remembered. Beyond it the oldest are forgotten.
pub(crate) const MAX_BROKEN: usize = MAX_AWAITED;

/// Between looks at which relayed links carry something. A link dies seldom in its first seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A member that we want to be joined with.
#[derive(Debug)]
struct Errand {
    attempts: u32,
    next_at: Mono,
    /// For a second link.
    standby: bool,
    /// The proxy through which it went wrong last: the others come first.
    failed: Option<NodeId>,
}

/// A grant that may come.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// We asked, so we act as TLS client.
    asked: bool,
    until: Mono,
}

/// Who is linked, who is known, and where they were found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) links: &'a Links,
    pub(crate) members: &'a Members,
    pub(crate) peers: &'a Peers,
}

/// A link that stands by and is not needed, or should be used instead of the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surplus {
    /// Nothing has been sent to the member for long.
    Idle(crate::LinkId),
    /// It is quicker by far: the round trips of the one in use and of this one, in microseconds.
    Quicker { link: crate::LinkId, from_us: u64, to_us: u64 },
}

/// The requests of this node.
#[derive(Debug, Default)]
pub(crate) struct RelayClient {
    errands: BTreeMap<NodeId, Errand>,
    /// By member and proxy.
    awaited: BTreeMap<(NodeId, NodeId), Awaited>,
    /// Links that broke after they had come up, likewise.
    broken: BTreeMap<(NodeId, NodeId), Mono>,
    warm: Warm,
    places: Places,
    /// The state of links and places that was looked at last.
    seen: Option<(u64, u64)>,
    look_at: Option<Mono>,
}

impl RelayClient {
    /// Asks for the members that are not reached, each through the best proxy first. Says whether other proxies than
    /// before are to be linked.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared, known: Known<'_>) -> bool {
        let now = shared.now.mono;
        if shared.config.is_proxy() || shared.leaving {
            self.errands.clear();
            return false;
        }
        self.expire_grants(shared);
        let state = (known.links.changes(), known.peers.changes());
        let is_due = self.errands.values().any(|errand| errand.next_at <= now);
        let is_time = [self.look_at, self.warm.next_timeout()].into_iter().flatten().any(|at| at <= now);
        if self.seen == Some(state) && !is_due && !is_time {
            return false;
        }
        self.seen = Some(state);
        let before: Vec<NodeId> = self.warm.wanted().collect();
        self.warm.review(shared, known);
        self.look(shared, known);
        self.ask(shared, known);
        !self.warm.wanted().eq(before)
    }

    /// Finds who is to be asked for, and from when on.
    fn look(&mut self, shared: &Shared, Known { links, members, peers }: Known<'_>) {
        let now = shared.now.mono;
        let proxies = self.warm.linked();
        // Proxies are reached directly or not at all.
        let is_proxy = |id: &NodeId| members.get(id).is_none_or(|known| known.member.has_role(Role::Proxy));
        let mut wishes: BTreeMap<NodeId, (Mono, bool)> = BTreeMap::new();
        if !proxies.is_empty() {
            wishes.extend(peers.unreached(links, now).into_iter().map(|(id, from)| (id, (from, false))));
            wishes.retain(|id, _| !is_proxy(id));
        }
        let mut relayed = false;
        for link in links.iter().filter(|link| link.is_up() && link.transport == Transport::Relay) {
            relayed = true;
            let is_broken = |proxy| link.peer().is_some_and(|peer| self.is_broken(peer, proxy, now));
            let other = proxies.iter().any(|proxy| link.via != Some(*proxy) && !is_broken(*proxy));
            if let Some(peer) = link.peer().filter(|peer| shared.id < *peer && other && wants_standby(link, links, now))
            {
                wishes.insert(peer, (now, true));
            }
        }
        self.look_at = relayed.then(|| now.after(LOOK_INTERVAL));
        self.errands.retain(|id, errand| wishes.get(id).is_some_and(|(_, standby)| errand.standby == *standby));
        for (id, (from, standby)) in wishes {
            if self.errands.len() >= MAX_ERRANDS && !self.errands.contains_key(&id) {
                continue;
            }
            let first = if shared.id < id { from.max(now) } else { from.max(now).after(SECOND_TURN) };
            let fresh = Errand { attempts: 0, next_at: first, standby, failed: None };
            let errand = self.errands.entry(id).or_insert(fresh);
            if errand.attempts == 0 {
                errand.next_at = errand.next_at.min(first);
            }
        }
    }

    fn ask(&mut self, shared: &mut Shared, known: Known<'_>) {
        let now = shared.now.mono;
        for (id, errand) in self.errands.iter_mut().filter(|(_, errand)| errand.next_at <= now) {
            let taken: BTreeSet<NodeId> = known.links.relayed_to(*id).filter_map(|link| link.via).collect();
            let mut proxies = self.warm.linked();
            let is_broken = |proxy: &NodeId| broke_of_late(&self.broken, (*id, *proxy), now);
            proxies.retain(|proxy| !(taken.contains(proxy) || (errand.standby && is_broken(proxy))));
            proxies.sort_by_key(|proxy| errand.failed == Some(*proxy));
            let turn = usize::try_from(errand.attempts).unwrap_or(0).checked_rem(proxies.len()).unwrap_or(0);
            errand.attempts = errand.attempts.saturating_add(1);
            errand.next_at = now.after(FIRST_PAUSE.saturating_mul(1 << errand.attempts.min(5)).min(LONGEST_PAUSE));
            if errand.attempts == 1 {
                errand.next_at = now.after(FIRST_PAUSE);
            }
            let Some(proxy) = proxies.get(turn).copied().filter(|_| self.awaited.len() < MAX_AWAITED) else { continue };
            // Asked again, it is still the first request that was not granted.
            let until =
                self.awaited.get(&(*id, proxy)).map_or_else(|| now.after(GRANT_PATIENCE), |before| before.until);
            self.awaited.insert((*id, proxy), Awaited { asked: true, until });
            shared.send(&proxy, Wire::Relay(Message::Request(RelayPeer { peer: *id })));
            if let Some(address) = self.places.best(proxy, shared, known) {
                shared.push(Output::ApproachProxy { proxy: address });
            }
        }
    }

    /// A proxy offers to join us with a member: agreed if we know it and have no link to it, or only one through
    /// another proxy.
    pub(crate) fn handle_offer(&mut self, proxy: NodeId, offer: RelayTicket, shared: &mut Shared, known: Known<'_>) {
        let refusal = self.judge_offer(proxy, &offer, shared, known);
        let answer = if let Some((code, detail)) = refusal {
            Message::Refuse(RelayRefusal { peer: offer.peer, code, detail: detail.to_owned() })
        } else {
            let now = shared.now.mono;
            let key = (offer.peer, proxy);
            let until = self.awaited.get(&key).map_or_else(|| now.after(GRANT_PATIENCE), |before| before.until);
            self.awaited.insert(key, Awaited { asked: false, until });
            if let Some(errand) = self.errands.get_mut(&offer.peer) {
                errand.next_at = errand.next_at.max(now.after(FIRST_PAUSE * 2));
            }
            if let Some(proxy) = self.places.best(proxy, shared, known) {
                shared.push(Output::ApproachProxy { proxy });
            }
            Message::Accept(offer)
        };
        shared.send(&proxy, Wire::Relay(answer));
    }

    fn judge_offer(
        &self,
        proxy: NodeId,
        offer: &RelayTicket,
        shared: &Shared,
        Known { links, members, .. }: Known<'_>,
    ) -> Option<(Code, &'static str)> {
        let is_member = members.get(&offer.peer).is_some_and(|known| !known.member.has_role(Role::Proxy));
        let by_proxy = members.get(&proxy).is_some_and(|known| known.member.has_role(Role::Proxy));
        // Both may have asked at the same time: then the smaller id's request counts.
        let asked = self.awaited.get(&(offer.peer, proxy)).is_some_and(|awaited| awaited.asked);
        let is_linked = links.any_to(offer.peer) && !has_place(offer.peer, proxy, links);
        if !by_proxy {
            Some((Code::Forbidden, "only proxies make offers"))
        } else if !is_member {
            Some((Code::NoSuchPeer, "member not known here"))
        } else if is_linked {
            Some((Code::DuplicateLink, "linked already"))
        } else if shared.id < offer.peer && asked {
            Some((Code::DuplicateLink, "asked for already"))
        } else if self.awaited.len() >= MAX_AWAITED {
            Some((Code::RateLimited, "too many grants are awaited"))
        } else {
            shared.leaving.then_some((Code::ShuttingDown, "this node leaves"))
        }
    }

    /// A proxy granted a ticket: how to open our end of the pipe. Only the proxy that was asked or agreed with may
    /// grant, only for whom, and only once.
    pub(crate) fn handle_grant(
        &mut self,
        proxy: NodeId,
        grant: RelayTicket,
        shared: &mut Shared,
        known: Known<'_>,
    ) -> Option<(Address, DialTarget)> {
        let Some(awaited) = self.awaited.remove(&(grant.peer, proxy)) else {
            shared.count(Code::BadTicket);
            return None;
        };
        let address = self.places.best(proxy, shared, known)?;
        let target =
            DialTarget::Relay { proxy: address.clone(), ticket: grant.ticket, peer: grant.peer, client: awaited.asked };
        Some((address, target))
    }

    /// A proxy will not join us with a member: the next one is asked at once. Says whether we had asked.
    pub(crate) fn handle_refuse(&mut self, proxy: NodeId, refusal: &RelayRefusal, now: Mono) -> bool {
        let was_asked = self.awaited.get(&(refusal.peer, proxy)).is_some_and(|awaited| awaited.asked);
        if was_asked {
            self.awaited.remove(&(refusal.peer, proxy));
            self.failed(refusal.peer, proxy, now);
        }
        was_asked
    }

    /// A relayed connection through a proxy came to nothing, or broke.
    pub(crate) fn failed(&mut self, peer: NodeId, proxy: NodeId, now: Mono) {
        let has_other = self.warm.linked().iter().any(|other| *other != proxy);
        if let Some(errand) = self.errands.get_mut(&peer) {
            let first_time = errand.failed.is_none();
            errand.failed = Some(proxy);
            if first_time && has_other && !errand.standby {
                (errand.attempts, errand.next_at) = (0, errand.next_at.min(now));
            }
        }
        self.seen = None;
    }

    /// A relayed link broke after it had come up, while another one to the same member goes on.
    pub(crate) fn broke(&mut self, peer: NodeId, proxy: NodeId, now: Mono) {
        self.broken.retain(|_, at| now.since(*at) < BROKEN_FOR);
        if self.broken.len() >= MAX_BROKEN && !self.broken.contains_key(&(peer, proxy)) {
            let oldest = self.broken.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            oldest.map(|key| self.broken.remove(&key));
        }
        self.broken.insert((peer, proxy), now);
        self.blame(peer, proxy, now);
    }

    fn is_broken(&self, peer: NodeId, proxy: NodeId, now: Mono) -> bool {
        broke_of_late(&self.broken, (peer, proxy), now)
    }

    #[cfg(test)]
    pub(crate) fn broken(&self) -> usize {
        self.broken.len()
    }

    #[cfg(test)]
    pub(crate) fn failures(&self) -> usize {
        self.places.failures()
    }

    /// The last relayed link to a member broke: the other proxies are asked first.
    pub(crate) fn lost(&mut self, peer: NodeId, proxy: Option<NodeId>, shared: &Shared) {
        let now = shared.now.mono;
        let next_at = if shared.id < peer { now } else { now.after(SECOND_TURN) };
        self.errands.insert(peer, Errand { attempts: 0, next_at, standby: false, failed: proxy });
        self.seen = None;
    }

    /// Grants that did not come are the proxy's fault, as far as can be seen from here.
    fn expire_grants(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        let overdue: Vec<(NodeId, NodeId)> =
            self.awaited.iter().filter(|(_, awaited)| awaited.until <= now).map(|(key, _)| *key).collect();
        for key in overdue {
            self.awaited.remove(&key);
            let (peer, proxy) = key;
            self.failed(peer, proxy, now);
            self.warm.blame(proxy, peer, now);
            shared.count(Code::NoGrant);
            let name = shared.shown(&proxy, "");
            let detail = format!("no ticket for {peer} came");
            shared.event(Event::Misbehaved { peer: name, code: Code::NoGrant, detail });
        }
    }

    /// A relayed connection through a proxy failed, whoever's fault that is.
    pub(crate) fn blame(&mut self, peer: NodeId, proxy: NodeId, now: Mono) {
        self.warm.blame(proxy, peer, now);
        self.failed(peer, proxy, now);
    }

    /// The same, at an address of the proxy.
    pub(crate) fn failed_at(&mut self, at: (NodeId, Address), code: Code, shared: &mut Shared, known: Known<'_>) {
        self.places.failed(at, code, shared, known);
    }

    /// A relayed link came up through a proxy at an address.
    pub(crate) fn came_up(&mut self, proxy: NodeId, address: &Address) {
        self.places.reached(proxy, address);
    }

    /// Standing links that are to end or to be used instead.
    pub(crate) fn surplus(&self, shared: &Shared, links: &Links) -> Vec<Surplus> {
        if self.look_at.is_none_or(|at| at > shared.now.mono) {
            return Vec::new();
        }
        let standing = links.iter().filter(|link| link.standby && link.retires_at.is_none());
        standing.filter_map(|link| judge_standby(link, links, shared)).collect()
    }

    /// The proxies that are known, the best first.
    pub(crate) fn report(&self, row: impl FnMut(&NodeId, Option<u64>, bool) -> ProxyRow) -> Vec<ProxyRow> {
        self.warm.report(row)
    }

    /// Proxies that a ring keeps linked though they have no place on it.
    pub(crate) fn wanted_proxies(&self) -> impl Iterator<Item = NodeId> {
        self.warm.wanted()
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let errands = self.errands.values().map(|errand| errand.next_at);
        let grants = self.awaited.values().map(|awaited| awaited.until);
        errands.chain(grants).chain(self.look_at).chain(self.warm.next_timeout()).min()
    }
}

/// Whether a link to a member through a proxy broke a short while ago.
fn broke_of_late(broken: &BTreeMap<(NodeId, NodeId), Mono>, of: (NodeId, NodeId), now: Mono) -> bool {
    broken.get(&of).is_some_and(|at| now.since(*at) < BROKEN_FOR)
}

/// Whether a relayed link in use carries something and nothing stands by for it.
fn wants_standby(link: &Link, links: &Links, now: Mono) -> bool {
    let is_used = link.liveness.last_traffic().is_some_and(|at| now.since(at) < STANDBY_FOR);
    is_used && link.peer().is_some_and(|peer| links.relayed_to(peer).count() < MAX_RELAYED)
}

/// Whether another relayed link to a member has a place beside those there are.
fn has_place(peer: NodeId, proxy: NodeId, links: &Links) -> bool {
    let (mut count, mut other) = (0, true);
    for link in links.iter().filter(|link| link.peer() == Some(peer)) {
        count += 1;
        other &= link.transport == Transport::Relay && link.via.is_some_and(|via| via != proxy);
    }
    other && count < MAX_RELAYED
}

fn judge_standby(standby: &Link, links: &Links, shared: &Shared) -> Option<Surplus> {
    let peer = standby.peer()?;
    let used = links.get(shared.up.get(&peer)?.link).filter(|used| used.transport == Transport::Relay)?;
    let is_idle = |link: &Link| {
        let last = link.liveness.last_traffic().unwrap_or(link.since);
        shared.now.mono.since(last) >= STANDBY_IDLE
    };
    if shared.id < peer && is_idle(used) && is_idle(standby) {
        return Some(Surplus::Idle(standby.id));
    }
    let (slow, quick) = (used.clock.rtt_us()?, standby.clock.rtt_us()?);
    let quicker = Surplus::Quicker { link: standby.id, from_us: slow, to_us: quick };
    super::warm::is_quicker(quick, slow).then_some(quicker)
}
