//! Members dialled otherwise than at an address of theirs: through a proxy, over a hole, to meet them.

use std::collections::BTreeSet;

use meshline_protocol::message::RelayRefusal;
use meshline_protocol::{Address, Code, NodeId};

use super::{Attempt, Dialling, HEAD_START, Key, MAX_DIALS, Peers, Target};
use crate::input::{DialId, Transport};
use crate::link::{Link, Links};
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::shared::Shared;

impl Peers {
    /// Dials a member through a proxy that granted a ticket.
    pub(crate) fn dial_relay(&mut self, shared: &mut Shared, id: NodeId, via: (NodeId, Address), target: DialTarget) {
        let (key, (via, address)) = (Key::Member(id), via);
        if self.dialling.values().any(|dialling| dialling.key == key && dialling.via == Some(via)) {
            return;
        }
        let dial = shared.next_dial();
        let dialling = Dialling { key, address, transport: Transport::Relay, via: Some(via), met: false };
        self.dialling.insert(dial, dialling);
        shared.push(Output::Dial { dial, target });
    }

    /// The proxy of an attempt, and the member it is for.
    pub(crate) fn relayed_by(&self, dial: DialId) -> Option<(NodeId, NodeId)> {
        let dialling = self.dialling.get(&dial)?;
        match dialling.key {
            Key::Member(id) => Some((dialling.via?, id)),
            Key::Address(_) => None,
        }
    }

    /// Where an attempt goes.
    pub(crate) fn address_of(&self, dial: DialId) -> Option<Address> {
        self.dialling.get(&dial).map(|dialling| dialling.address.clone())
    }

    /// Where a member was dialled and linked, the last one first, and the addresses of the configuration behind which
    /// it was found.
    pub(crate) fn dialled_at(&self, id: NodeId) -> Vec<Address> {
        let last = self.targets.get(&Key::Member(id)).and_then(|target| target.worked.clone());
        let configured = self.targets.keys_of(id).into_iter().filter_map(|key| match key {
            Key::Address(address) => Some(address),
            Key::Member(_) => None,
        });
        last.into_iter().chain(configured).collect()
    }

    /// Who was found behind an address of the configuration.
    pub(crate) fn behind(&self, address: &Address) -> Option<NodeId> {
        self.targets.get(&Key::Address(address.clone()))?.id
    }

    /// A proxy would not join us with a member.
    pub(crate) fn relay_refused(&mut self, at: Mono, proxy: String, refusal: RelayRefusal) {
        if let Some(target) = self.targets.get_mut(&Key::Member(refusal.peer)) {
            target.note(Attempt {
                at,
                transport: Transport::Relay.name(),
                address: proxy,
                outcome: Some(refusal.code),
                detail: refusal.detail,
                lasted: None,
                via: None,
            });
        }
    }

    /// A link with a member ended that was up.
    pub(crate) fn link_ended(&mut self, id: NodeId, link: &Link, why: (Code, &str), now: Mono) {
        if let Some(target) = self.targets.get_mut(&Key::Member(id)) {
            target.note(Attempt::ended(link, why, now));
        }
    }

    /// Dials a member over a hole, or to meet it.
    pub(crate) fn dial_punched(
        &mut self,
        shared: &mut Shared,
        id: NodeId,
        target: DialTarget,
    ) -> Option<(DialId, Transport)> {
        let (transport, remote) = match &target {
            DialTarget::Quic { remote, .. } => (Transport::Quic, *remote),
            DialTarget::Meet { remote, .. } => (Transport::Tcp, *remote),
            DialTarget::Direct { .. } | DialTarget::Relay { .. } => return None,
        };
        if self.dialling.len() >= MAX_DIALS {
            return None;
        }
        let dial = shared.next_dial();
        let key = Key::Member(id);
        let met = transport == Transport::Tcp;
        self.dialling.insert(dial, Dialling { key, address: remote.into(), transport, via: None, met });
        shared.push(Output::Dial { dial, target });
        Some((dial, transport))
    }

    /// Whether an attempt is one to meet.
    pub(crate) fn is_meeting(&self, dial: DialId) -> bool {
        self.dialling.get(&dial).is_some_and(|dialling| dialling.met)
    }

    /// Members that are wanted and not linked, with the time from which on a proxy may be asked for them.
    pub(crate) fn unreached(&self, links: &Links, now: Mono) -> Vec<(NodeId, Mono)> {
        let linked: BTreeSet<NodeId> = links.iter().filter_map(Link::peer).collect();
        let unreached = |(key, target): (&Key, &Target)| match key {
            Key::Member(id) => {
                let wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(id));
                let from = target.relay_from(HEAD_START, now)?;
                (wanted && !target.left && !linked.contains(id)).then_some((*id, from))
            }
            Key::Address(_) => None,
        };
        self.targets.iter().filter_map(unreached).collect()
    }
}
