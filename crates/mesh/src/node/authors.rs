//! Messages to all, and who wrote them.

use bytes::Bytes;
use meshline_protocol::message::{Broadcast as Message, BroadcastMessage, Gossip as GossipMessage, Records};
use meshline_protocol::{Bounded, Code, NodeId};

use super::Node;
use crate::broadcast::Around;

impl Node {
    pub(super) fn on_broadcast(&mut self, peer: NodeId, message: Message, body: Option<Bytes>) -> Result<(), Code> {
        let (message, is_told) = if let Message::Flood(line) = message {
            let (line, is_told) = self.meet_author(peer, line)?;
            (Message::Flood(line), is_told)
        } else {
            (message, false)
        };
        let (members, routing) = (&self.gossip.members, &self.routing);
        let around = Around { ring: self.ring.place(), members, routing, shared: &mut self.shared };
        self.broadcast.handle(peer, (message, is_told), body, around)
    }

    /// Takes in who wrote a message, if it brings that along and it is not known. Says whether it is known by that.
    fn meet_author(&mut self, peer: NodeId, mut line: BroadcastMessage) -> Result<(BroadcastMessage, bool), Code> {
        let by = line.by;
        let is_unknown = by != self.shared.id && self.gossip.members.get(&by).is_none();
        let announcement = line.announcement.take();
        let Some(announcement) = announcement.filter(|_| is_unknown) else { return Ok((line, false)) };
        if announcement.by != by {
            return Err(Code::RecordForeign);
        }
        // As if it had been asked for: whoever comes after this node cannot have the message otherwise.
        let is_first = self.shared.awaited.insert(by);
        let records = Records { records: Bounded::from_first([*announcement]) };
        let around = (&mut self.shared, &self.routing);
        let (news, done) = self.gossip.handle(peer, GossipMessage::Records(records), around);
        if is_first {
            self.shared.awaited.remove(&by);
        }
        self.on_news(news);
        done?;
        Ok((line, self.gossip.members.get(&by).is_some()))
    }

    /// Takes in what a member wrote before it was known.
    pub(super) fn release_parked(&mut self, author: NodeId) {
        let (members, routing) = (&self.gossip.members, &self.routing);
        let around = Around { ring: self.ring.place(), members, routing, shared: &mut self.shared };
        for code in self.broadcast.release(author, around) {
            self.shared.count(code);
        }
    }
}
