//! Members whose membership ended early.

use meshline_protocol::message::BroadcastKind;
use meshline_protocol::{Code, NodeId, SignedRecord, UnixMicros};

use super::Node;
use crate::broadcast::tree::MessageId;
use crate::event::Event;
use crate::input::LinkId;

impl Node {
    /// Takes in a revocation, applies it and passes it on if it is news.
    pub(super) fn revoke(&mut self, record: &SignedRecord, from: Option<NodeId>) -> Result<bool, Code> {
        let shared = &mut self.shared;
        let judged = shared.judged();
        let network = shared.config.network.clone();
        let revoked = shared.revoked.insert(record, &network, judged).map_err(meshline_identity::RecordError::code)?;
        let Some(revoked) = revoked else { return Ok(false) };
        shared.dirty = true;
        shared.clock.signed(revoked.seq);
        self.pass_on_revocation(record, revoked.seq, from);
        self.expel(revoked.node, revoked.seq);
        Ok(true)
    }

    /// Along the tree on a mesh, to all peers on a ring.
    fn pass_on_revocation(&mut self, record: &SignedRecord, seq: UnixMicros, from: Option<NodeId>) {
        let shared = &mut self.shared;
        if !self.ring.is_enabled() {
            let id = MessageId { by: record.by, seq, kind: BroadcastKind::Revocation };
            self.broadcast.spread_record(id, from, self.gossip.members.len(), shared);
            return;
        }
        let frame = std::sync::Arc::new(meshline_protocol::Message::Revocation(record.clone()).into());
        let others: Vec<NodeId> = shared.up.keys().copied().filter(|peer| Some(*peer) != from).collect();
        for peer in others {
            shared.send_frame(&peer, &frame);
        }
    }

    /// Ends whatever a revoked member has here.
    pub(super) fn expel(&mut self, id: NodeId, seq: UnixMicros) {
        // Whoever was invited anew since stays; hellos still to be judged are judged with this in mind.
        let ended = |member: &meshline_identity::Member| member.membership_seq.is_none_or(|held| held < seq);
        let links =
            self.links.iter().filter(|link| link.member().is_some_and(|member| member.id == id && ended(member)));
        for link in links.map(|link| link.id).collect::<Vec<LinkId>>() {
            self.end_link(link, Code::Revoked, "the membership was revoked");
        }
        let known = self.gossip.members.get(&id).map(|known| (ended(&known.member), known.member.name.clone()));
        let own = id == self.shared.id && self.shared.membership_seq().is_none_or(|held| held < seq);
        if known.as_ref().is_some_and(|(ended, _)| !ended) || (id == self.shared.id && !own) {
            return;
        }
        self.gossip.members.remove(&id);
        self.forget_rebuilds(&id);
        self.find.pointers.forget(&id);
        self.peers.forget(id);
        self.shared.network_time.forget(&id);
        self.punch.forget(&id, &mut self.shared);
        self.routing.purge(&id);
        self.relay_server.forget(id, &mut self.shared);
        self.shared.event(Event::MemberRevoked { id, name: known.map(|(_, name)| name), own });
        self.reorder_ring();
    }
}
