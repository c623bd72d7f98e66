//! Whether a host is whose it is said to be: asked of members that are linked with both, and answered for others.

use std::net::IpAddr;

use meshline_protocol::message::{Nat, NatThere, NatWhere};
use meshline_protocol::{Code, Message, NodeId};

use super::Node;
use crate::link::Link;
use crate::nat::{host_of, is_global};

/// Members asked about one host: of as many a few liars are outvoted, and each question is a line.
pub(crate) const MAX_WITNESSES: usize = 5;

impl Node {
    /// Asks others whether they see a member at a host. Those that certainly know it come first, then those that this node
    /// chose itself.
    pub(super) fn ask_witnesses(&mut self, peer: NodeId, host: IpAddr) {
        let via = self.shared.up.get(&peer).and_then(|up| self.links.get(up.link)).and_then(|link| link.via);
        let dialled = |id: &NodeId| self.up_link(id).is_some_and(|link| link.dial.is_some());
        let others = self.shared.up.keys().copied().filter(|id| *id != peer && self.shares_host(id, host));
        let mut witnesses: Vec<NodeId> = others.collect();
        witnesses.sort_by_key(|id| (Some(*id) != via, !self.routing.is_claimed(id, &peer), !dialled(id), *id));
        witnesses.truncate(MAX_WITNESSES);
        self.punch.asked(peer, host, &witnesses, self.shared.now.mono);
        for witness in witnesses {
            self.shared.send(&witness, Message::Nat(Nat::Where(NatWhere { peer, host })));
        }
    }

    /// With too few static members linked, others are asked where they see this node.
    pub(super) fn look_further(&mut self) {
        if !self.nat.wants_further(self.shared.now.mono) {
            return;
        }
        let Self { gossip, shared, nat, .. } = self;
        let others = gossip.members.iter().filter(|known| !known.has_left() && known.member.id != shared.id);
        let others = others.filter(|known| !shared.up.contains_key(&known.member.id));
        nat.set_further(others.map(|known| (known.member.id, &*known.member.addresses)));
    }

    fn up_link(&self, id: &NodeId) -> Option<&Link> {
        self.links.get(self.shared.up.get(id)?.link)
    }

    /// Whether an address means the same host to a member as to us: a private one does if the link with it stays among
    /// such addresses.
    fn shares_host(&self, witness: &NodeId, host: IpAddr) -> bool {
        let link = self.up_link(witness);
        let there = link.and_then(|link| host_of(link.transport, &link.remote));
        is_global(host) || there.is_some_and(|there| is_same_block(there, host))
    }

    /// What a link tells of the host at its other end: nothing, if something stands in between.
    pub(super) fn host_behind(link: &Link) -> Option<IpAddr> {
        host_of(link.transport, &link.remote).filter(|_| link.through.is_none())
    }

    /// A member asks whether this node sees another one at a host.
    pub(super) fn on_where(&mut self, asker: NodeId, asked: NatWhere) {
        if !self.nat.may_ask(asker, self.shared.now.mono) {
            self.shared.count(Code::RateLimited);
            return;
        }
        let host = asked.host.to_canonical();
        let links = self.links.iter().filter(|link| link.is_up() && link.peer() == Some(asked.peer));
        let hosts: Vec<IpAddr> =
            links.filter_map(Self::host_behind).filter(|at| at.is_ipv4() == host.is_ipv4()).collect();
        let seen = (!hosts.is_empty()).then(|| hosts.contains(&host));
        let there = NatThere { peer: asked.peer, host: asked.host, seen };
        self.shared.send(&asker, Message::Nat(Nat::There(there)));
    }

    /// A link is up, or gone: whose the host at its other end is, is known from it.
    pub(super) fn note_host(&mut self, link: &Link) {
        if let (Some(peer), Some(host)) = (link.peer(), Self::host_behind(link)) {
            self.punch.note_link(peer, host, self.shared.now.mono);
        }
    }
}

/// Whether two private addresses are of one block (RFC 1918, RFC 6598, RFC 4193), so that they may belong to one network.
fn is_same_block(one: IpAddr, other: IpAddr) -> bool {
    let block = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => match ip.octets() {
            [10, ..] => Some(0),
            [172, 16..=31, ..] => Some(1),
            [192, 168, ..] => Some(2),
            [100, 64..=127, ..] => Some(3),
            [127, ..] => Some(4),
            _ => None,
        },
        IpAddr::V6(ip) if ip.is_unique_local() => Some(5),
        IpAddr::V6(ip) if ip.is_loopback() => Some(4),
        IpAddr::V6(_) => None,
    };
    block(one).is_some() && block(one) == block(other)
}
