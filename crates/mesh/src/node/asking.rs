//! Addresses of members exchanged with peers, asked for, and told to those who ask.

use std::net::SocketAddr;

use meshline_protocol::message::{Peers as Message, PeersAnswer, PeersAsk, PeersShuffle};
use meshline_protocol::{Address, Bounded, Code, Message as Wire, NodeId, SignedRecord};

use super::Node;
use crate::gossip::Known;

/// Records in one exchange or answer.
const MAX_TOLD: usize = meshline_protocol::limits::MAX_OTHERS;

/// With fewer members in the book than this, or than links, more are asked for.
const FEW_KNOWN: usize = 16;

impl Node {
    /// Exchanges and asks for addresses where it is time.
    pub(super) fn exchange_addresses(&mut self) {
        self.peers.asks.handle_timeout(&mut self.shared);
        if self.shared.leaving || !self.peers.set.is_bounded() {
            return;
        }
        if let Some(peer) = self.peers.set.shuffle_with(&mut self.shared) {
            self.send_shuffle(peer, true);
        }
        let (tried, heard) = self.peers.book.counts();
        let is_poor =
            self.peers.set.is_poor(&self.shared) || tried + heard < self.shared.config.max_links.min(FEW_KNOWN);
        if !self.peers.asks.is_due(is_poor, self.shared.now.mono) {
            return;
        }
        let (address, peers) = (self.udp_address(), self.askable());
        self.peers.asks.ask(is_poor, address, &peers, &mut self.shared);
    }

    /// Peers that stay for a while and have something to tell.
    fn askable(&self) -> Vec<NodeId> {
        let lasting = self.shared.up.iter().filter(|(id, up)| !up.is_view && !self.peers.set.is_guest(id));
        lasting.map(|(id, _)| *id).collect()
    }

    /// Where this node takes UDP, as far as it knows.
    fn udp_address(&self) -> Option<SocketAddr> {
        let known = self.nat.candidates();
        known.mapped.iter().chain(&known.reflexive).chain(&known.host).next().copied()
    }

    fn send_shuffle(&mut self, peer: NodeId, reply: bool) {
        let records = Bounded::from_first(self.told_to(peer));
        self.shared.send(&peer, Wire::Peers(Message::Shuffle(PeersShuffle { records, reply })));
    }

    pub(super) fn on_shuffle(&mut self, peer: NodeId, shuffle: &PeersShuffle) -> Result<(), Code> {
        if !self.peers.set.takes_shuffle(peer, shuffle.reply, self.shared.now.mono) {
            self.shared.count(Code::RateLimited);
            return Ok(());
        }
        let teller = self.address_of(&peer);
        self.take_told(Some(peer), teller.as_ref(), &shuffle.records)?;
        if shuffle.reply {
            self.send_shuffle(peer, false);
        }
        Ok(())
    }

    /// This node, members found of late, and others to fill it up.
    fn told_to(&mut self, peer: NodeId) -> Vec<SignedRecord> {
        let mut ids: Vec<NodeId> = Vec::new();
        for draw in 0..4 * MAX_TOLD {
            let id = match self.peers.book.draw_tried(&mut self.shared).filter(|_| draw < 2 * MAX_TOLD) {
                Some(member) => Some(member.id),
                None => self.any_member(),
            };
            ids.extend(id.filter(|id| *id != peer && !ids.contains(id)));
        }
        let records = ids.iter().filter_map(|id| self.dialable_record(id)).take(MAX_TOLD - 1);
        std::iter::once(self.shared.announcement.clone()).chain(records).collect()
    }

    fn any_member(&mut self) -> Option<NodeId> {
        let at = self.shared.below(self.gossip.members.len());
        self.gossip.members.iter().nth(at).map(|known: &Known| known.member.id)
    }

    /// Takes in members that somebody told of. The refusal is for who chose these records itself.
    fn take_told(
        &mut self,
        from: Option<NodeId>,
        teller: Option<&Address>,
        records: &[SignedRecord],
    ) -> Result<(), Code> {
        let (mut ids, mut judged_all) = (Vec::new(), Ok(()));
        for record in records {
            if record.by == self.shared.id {
                continue;
            }
            let member = match self.admitted(record) {
                Ok(member) => member,
                // The sender may not have heard yet, or its clock differs a little.
                Err(code @ (Code::RecordExpired | Code::Revoked)) => {
                    self.shared.count(code);
                    continue;
                }
                Err(code) => {
                    judged_all = Err(code);
                    continue;
                }
            };
            ids.push(member.id);
            self.peers.book.note_heard(&member, teller);
            let news = self.gossip.learn(from, member, (&mut self.shared, &self.routing));
            self.on_news(news.into_iter().collect());
        }
        self.peers.set.hint(ids.into_iter(), self.shared.now.mono);
        judged_all
    }

    /// The same of records that came through others, who do not judge what they pass on.
    fn take_passed_on(&mut self, from: Option<NodeId>, teller: Option<&Address>, records: &[SignedRecord]) {
        if let Err(code) = self.take_told(from, teller, records) {
            self.shared.count(code);
        }
    }

    fn address_of(&self, peer: &NodeId) -> Option<Address> {
        Some(self.links.get(self.shared.up.get(peer)?.link)?.remote.clone())
    }

    pub(super) fn on_ask_for_addresses(&mut self, peer: NodeId, ask: PeersAsk) -> Result<(), Code> {
        if ask.asker.by == self.shared.id {
            return Ok(());
        }
        if self.peers.asks.is_too_much(&ask, self.shared.now.mono) {
            self.shared.count(Code::RateLimited);
            return Ok(());
        }
        // Counted where it is judged; whoever passed it on may have known no better.
        let Some(asker) = self.admit(&ask.asker) else { return Ok(()) };
        let teller = self.address_of(&peer);
        self.take_passed_on(Some(peer), teller.as_ref(), std::slice::from_ref(&asker.record));
        let (records, peers) = (self.told_to(ask.asker.by), self.askable());
        self.peers.asks.handle_ask((peer, ask), records, peers, &mut self.shared);
        Ok(())
    }

    pub(super) fn on_told_addresses(&mut self, peer: NodeId, answer: PeersAnswer) -> Result<(), Code> {
        let ours = self.peers.asks.handle_answer(peer, answer, &mut self.shared)?;
        if let Some(answer) = ours {
            let teller = self.address_of(&peer);
            self.take_passed_on(Some(peer), teller.as_ref(), &answer.records);
        }
        Ok(())
    }

    /// What came over UDP.
    pub(super) fn on_peers_packet(&mut self, from: SocketAddr, message: &Message) {
        let (asks, shared) = (&mut self.peers.asks, &mut self.shared);
        let done = match message {
            Message::Knock(knock) => asks.handle_knock(from, *knock, shared),
            Message::Echo(echo) => asks.handle_echo(*echo, shared),
            Message::Answer(answer) if asks.takes_packet(answer.number, shared.now.mono) => {
                self.take_passed_on(None, Some(&from.into()), &answer.records);
                Ok(())
            }
            Message::Answer(_) | Message::Ask(_) | Message::Purpose(_) | Message::Others(_) | Message::Shuffle(_) => {
                Err(Code::UnexpectedMessage)
            }
        };
        if let Err(code) = done {
            self.shared.count(code);
        }
    }
}
