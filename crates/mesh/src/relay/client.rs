//! Asking a proxy to join us with a member that cannot be reached directly.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::message::{Relay as Message, RelayPeer, RelayRefusal, RelayTicket, Role};
use meshline_protocol::{Address, Code, Message as Wire, NodeId};

use crate::gossip::Members;
use crate::link::Links;
use crate::now::Mono;
use crate::output::DialTarget;
use crate::peers::Peers;
use crate::shared::Shared;

/// Between requests for the same member, doubled up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Members asked for at once. With more unreached ones the rest wait for their turn.
const MAX_ERRANDS: usize = 256;

/// How long a grant may take after a request or an agreement: no ticket holds longer.
const GRANT_PATIENCE: Duration = Duration::from_secs(10);

/// A request that was made, or agreed to.
#[derive(Debug)]
struct Errand {
    attempts: u32,
    next_at: Mono,
    /// When we asked, if we did: then we act as TLS client.
    asked: Option<Mono>,
    /// We agreed to an offer and wait so long for the grant, whether or not we would have asked ourselves.
    agreed_until: Option<Mono>,
    /// The proxy whose grant is awaited.
    awaited: Option<NodeId>,
}

/// Who is linked and who is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) links: &'a Links,
    pub(crate) members: &'a Members,
}

/// The requests of this node.
#[derive(Debug, Default)]
pub(crate) struct RelayClient {
    errands: BTreeMap<NodeId, Errand>,
}

impl RelayClient {
    /// Asks for the members that cannot be reached, one proxy after the other.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared, peers: &Peers, links: &Links, members: &Members) {
        let proxies = linked_proxies(shared);
        if proxies.is_empty() || shared.config.is_proxy() || shared.leaving {
            self.errands.clear();
            return;
        }
        // Proxies are reached directly or not at all.
        let is_proxy = |id: &NodeId| members.get(id).is_none_or(|known| known.member.has_role(Role::Proxy));
        let mut unreached = peers.unreached(links);
        unreached.retain(|id| !is_proxy(id));
        let now = shared.now.mono;
        self.errands.retain(|id, errand| {
            errand.agreed_until = errand.agreed_until.filter(|until| *until > now);
            errand.agreed_until.is_some() || unreached.contains(id)
        });
        for id in unreached {
            if self.errands.len() >= MAX_ERRANDS && !self.errands.contains_key(&id) {
                continue;
            }
            // Both sides find out at the same time; the smaller id asks, the larger one waits its first turn.
            let first = if shared.id < id { now } else { now.after(FIRST_PAUSE) };
            let fresh = Errand { attempts: 0, next_at: first, asked: None, agreed_until: None, awaited: None };
            let errand = self.errands.entry(id).or_insert(fresh);
            if errand.next_at > now {
                continue;
            }
            let turn = usize::try_from(errand.attempts).unwrap_or(0).checked_rem(proxies.len()).unwrap_or(0);
            errand.attempts = errand.attempts.saturating_add(1);
            errand.next_at = now.after(FIRST_PAUSE.saturating_mul(1 << errand.attempts.min(5)).min(LONGEST_PAUSE));
            (errand.asked, errand.agreed_until) = (Some(now), None);
            errand.awaited = proxies.get(turn).copied();
            if let Some(proxy) = proxies.get(turn) {
                shared.send(proxy, Wire::Relay(Message::Request(RelayPeer { peer: id })));
            }
        }
    }

    /// A proxy offers to join us with a member: agreed if we know it and have no link to it.
    pub(crate) fn handle_offer(&mut self, proxy: NodeId, offer: RelayTicket, shared: &mut Shared, known: Known<'_>) {
        let Known { links, members } = known;
        let is_member = members.get(&offer.peer).is_some_and(|known| !known.member.has_role(Role::Proxy));
        let by_proxy = members.get(&proxy).is_some_and(|known| known.member.has_role(Role::Proxy));
        // Both may have asked at the same time: then the smaller id's request counts.
        let asked = self.errands.get(&offer.peer).and_then(|errand| errand.asked);
        let crossed = shared.id < offer.peer && asked.is_some_and(|at| shared.now.mono.since(at) < GRANT_PATIENCE);
        let refusal = if !by_proxy {
            Some((Code::Forbidden, "only proxies make offers"))
        } else if !is_member {
            Some((Code::NoSuchPeer, "member not known here"))
        } else if links.any_to(offer.peer) {
            Some((Code::DuplicateLink, "linked already"))
        } else if crossed {
            Some((Code::DuplicateLink, "asked for already"))
        } else {
            shared.leaving.then_some((Code::ShuttingDown, "this node leaves"))
        };
        let answer = if let Some((code, detail)) = refusal {
            Message::Refuse(RelayRefusal { peer: offer.peer, code, detail: detail.to_owned() })
        } else {
            let now = shared.now.mono;
            let (next_at, agreed_until) = (now.after(LONGEST_PAUSE), Some(now.after(GRANT_PATIENCE)));
            let errand = Errand { attempts: 1, next_at, asked: None, agreed_until, awaited: Some(proxy) };
            self.errands.insert(offer.peer, errand);
            Message::Accept(offer)
        };
        shared.send(&proxy, Wire::Relay(answer));
    }

    /// A proxy granted a ticket: the proxy's address, and how to open our end of the pipe. Only the proxy that was
    /// asked or agreed with may grant, and only once.
    pub(crate) fn handle_grant(
        &mut self,
        proxy: NodeId,
        grant: RelayTicket,
        known: Known<'_>,
    ) -> Option<(Address, DialTarget)> {
        let errand = self.errands.get_mut(&grant.peer).filter(|errand| errand.awaited == Some(proxy))?;
        errand.awaited = None;
        let client = errand.asked.is_some();
        let address = proxy_address(proxy, known)?;
        let target = DialTarget::Relay { proxy: address.clone(), ticket: grant.ticket, peer: grant.peer, client };
        Some((address, target))
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.errands.values().map(|errand| errand.agreed_until.unwrap_or(errand.next_at)).min()
    }
}

/// Proxies linked now.
fn linked_proxies(shared: &Shared) -> Vec<NodeId> {
    shared.up.iter().filter(|(_, up)| up.is_proxy).map(|(id, _)| *id).collect()
}

/// Where a proxy is reached: the address we dialled it at, or one it announces.
fn proxy_address(proxy: NodeId, Known { links, members }: Known<'_>) -> Option<Address> {
    let dialled = links.iter().find(|link| link.dial.is_some() && link.peer() == Some(proxy));
    let announced = || members.get(&proxy).and_then(|known| known.member.addresses.first());
    dialled.map(|link| &link.remote).or_else(announced).cloned()
}
