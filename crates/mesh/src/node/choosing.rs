//! Which members are linked where there are too many for all, and who is told of whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshline_identity::Member;
use meshline_protocol::message::{Gossip as GossipMessage, Peers as Message, PeersOthers, Records};
use meshline_protocol::{Bounded, Code, Fault, Message as Wire, NodeId, SignedRecord};

use super::Node;
use crate::gossip::Known;
use crate::input::{LinkId, Transport};
use crate::peers::{Admission, Around, Newcomer, Purposes, is_linkable};

/// Records told to somebody who is refused fit into a line before the hello is accepted, with the quotes in them.
const MAX_REFUSED_TEXT: usize = 3_000;

impl Node {
    /// Chooses links if something bears on the choice, and ends those that have to go.
    pub(super) fn choose_links(&mut self) {
        if self.shared.leaving || self.ring.is_enabled() || !self.peers.set.is_due(self.shared.now.mono) {
            return;
        }
        let mut kept: BTreeSet<NodeId> = self.configured_ids();
        kept.extend(self.relay_client.wanted_proxies());
        let choice = self.peers.choose(kept, (&self.links, &self.gossip.members), &mut self.shared);
        for peer in choice.promoted {
            self.routing.link_up(peer, &mut self.shared);
        }
        for peer in choice.parted {
            self.routing.link_parting(&peer, self.shared.now.mono);
        }
        for peer in choice.ended {
            self.let_go(peer);
        }
        if let Some(redrawn) = choice.redrawn {
            self.rebuild.finished(redrawn, &mut self.shared);
        }
    }

    /// Ends a link for want of room, and names others. What stands beside it goes first: it would take its place.
    fn let_go(&mut self, peer: NodeId) {
        let Some(link) = self.shared.up.get(&peer).map(|up| up.link) else { return };
        self.tell_others((link, peer), usize::MAX);
        let beside: Vec<LinkId> = self.links.others_to(peer, link).map(|other| other.id).collect();
        for link in beside.into_iter().chain([link]) {
            self.end_link(link, Code::NotNeeded, "all links are taken");
        }
    }

    /// Whether there is a place for a link whose hello is good; somebody else may have to go for it. Further links to a
    /// linked member take none.
    pub(super) fn make_room_for(&mut self, id: LinkId, member: &Arc<Member>) -> bool {
        let peer = member.id;
        if self.links.others_to(peer, id).next().is_some() {
            return true;
        }
        self.note_newcomer(member);
        let Some(link) = self.links.get(id) else { return false };
        let (remote, is_ours) = (link.remote.clone(), link.dial.is_some());
        // A relayed one comes out of its proxy's prefix.
        let came = !is_ours && link.transport != Transport::Relay;
        let newcomer = Newcomer { peer, remote: &remote, came, is_ours };
        let around = Around { links: &self.links, members: &self.gossip.members, book: &self.peers.book };
        match self.peers.set.admit(newcomer, self.links.accepted(), around, &mut self.shared) {
            Admission::In => true,
            Admission::InPlaceOf(other) => {
                self.let_go(other);
                true
            }
            Admission::Beside(other) => {
                self.routing.link_parting(&other, self.shared.now.mono);
                true
            }
            Admission::BesideInPlaceOf(parting, gone) => {
                self.routing.link_parting(&parting, self.shared.now.mono);
                self.let_go(gone);
                true
            }
            Admission::Full => {
                if !is_ours && self.peers.set.may_be_bounded(&self.shared) {
                    self.tell_others((id, peer), MAX_REFUSED_TEXT);
                }
                let detail = format!("all {} links are taken", self.shared.config.max_links);
                self.refuse(id, &Fault::new(Code::TooManyLinks, detail));
                false
            }
        }
    }

    /// Whoever finds all links taken is a member all the same: others hear of it, and the links may be too few for all now.
    fn note_newcomer(&mut self, member: &Arc<Member>) {
        let is_full = self.links.accepted() >= self.shared.config.max_links;
        if !is_full || !self.peers.set.may_be_bounded(&self.shared) {
            return;
        }
        let news = self.gossip.learn(None, Arc::clone(member), (&mut self.shared, &self.routing));
        self.on_news(news.into_iter().collect());
        if !self.peers.set.is_bounded() {
            self.peers.set.choose_now(self.shared.now.mono);
            self.choose_links();
        }
    }

    /// Names members to somebody who has to look elsewhere: who is next to it on either side, as far as is known here, and some
    /// that are linked.
    fn tell_others(&mut self, (link, peer): (LinkId, NodeId), most_text: usize) {
        let mut next = self.beside(&peer);
        let mut ids: Vec<NodeId> =
            self.shared.up.keys().filter(|id| **id != peer && !next.contains(id)).copied().collect();
        let mut records = Bounded::default();
        let mut left = most_text;
        while !next.is_empty() || !ids.is_empty() {
            let id = match next.pop() {
                Some(id) => id,
                None => ids.swap_remove(self.shared.below(ids.len())),
            };
            let Some(record) = self.dialable_record(&id) else { continue };
            let length = record.signed.len() + record.signed.len() / 4;
            if length > left || !records.push(record) {
                break;
            }
            left -= length;
        }
        if !records.is_empty() {
            let others = Wire::Peers(Message::Others(PeersOthers { records }));
            self.shared.send_on(link, &Arc::new(others.into()));
        }
    }

    /// Who is next to a member on the ring of ids, on either side, of those known that can be linked.
    fn beside(&self, peer: &NodeId) -> Vec<NodeId> {
        let (members, judged) = (&self.gossip.members, self.shared.judged());
        let is_next = |known: &&Known| {
            known.member.id != *peer && is_linkable(known, judged) && !known.member.addresses.is_empty()
        };
        let after = members.clockwise(peer).find(is_next);
        let before = members.counterclockwise(peer).find(is_next);
        after.into_iter().chain(before).map(|known| known.member.id).collect()
    }

    /// The announcement of a member that can be dialled.
    pub(super) fn dialable_record(&self, id: &NodeId) -> Option<SignedRecord> {
        let known = self.gossip.members.get(id)?;
        let is_good = known.is_current(self.shared.judged()) && !known.member.addresses.is_empty();
        is_good.then(|| known.member.record.clone())
    }

    pub(super) fn on_peers(&mut self, peer: NodeId, message: Message) -> Result<(), Code> {
        match message {
            Message::Purpose(purpose) => {
                let purposes = Purposes::from_iter(purpose.purposes.iter().copied());
                self.peers.set.handle_purpose(peer, purposes, self.shared.now.mono);
                Ok(())
            }
            Message::Others(others) => self.on_others(peer, others),
            Message::Shuffle(shuffle) => self.on_shuffle(peer, &shuffle),
            Message::Ask(ask) => self.on_ask_for_addresses(peer, *ask),
            Message::Answer(answer) => self.on_told_addresses(peer, answer),
            // They prove addresses, which a link has no need of.
            Message::Knock(_) | Message::Echo(_) => Err(Code::UnexpectedMessage),
        }
    }

    /// Members named together with a refusal.
    pub(super) fn on_others_from(&mut self, id: LinkId, others: PeersOthers) {
        let Some(peer) = self.links.get(id).and_then(crate::link::Link::peer) else { return };
        if let Err(code) = self.on_others(peer, others) {
            self.shared.count(code);
        }
    }

    fn on_others(&mut self, peer: NodeId, others: PeersOthers) -> Result<(), Code> {
        let ids: Vec<NodeId> = others.records.iter().map(|record| record.by).collect();
        let records = Records { records: Bounded::from_first(others.records.into_vec()) };
        let around = (&mut self.shared, &self.routing);
        let (news, done) = self.gossip.handle(peer, GossipMessage::Records(records), around);
        self.on_news(news);
        done?;
        // Whoever is next to this node is dialled as such.
        let next = self.beside(&self.shared.id);
        self.peers.set.hint(ids.into_iter().filter(|id| !next.contains(id)), self.shared.now.mono);
        Ok(())
    }
}
