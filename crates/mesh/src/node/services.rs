//! What services on top of a node ask of it beside commands.

use std::sync::Arc;
use std::time::Duration;

use meshline_identity::{Sequence, admit};
use meshline_protocol::message::SignedBroadcast;
use meshline_protocol::{Code, Fault, Frame, NodeId, ServiceName, SignedRecord, UnixMicros};

use super::Node;
use super::routes::UNKNOWN_COST_US;
use crate::broadcast::VALIDITY;
use crate::event::{Delivery, PeerName, SignedText};
use crate::now::{Mono, Now};

impl Node {
    /// Signs a service's text. It is on its way only after [`Node::spread`], so that it can be kept on disk first.
    ///
    /// # Errors
    /// A named refusal, with a sentence for people: too long, too many.
    pub fn sign(&mut self, service: ServiceName, text: String, now: Now) -> Result<SignedText, (Code, String)> {
        self.shared.now = now;
        self.disturb();
        self.broadcast.sign((service, VALIDITY), text, self.ring.is_enabled(), &mut self.shared)
    }

    /// Sends a text that was signed here to all members, again if it was on its way when an earlier run ended. Says how
    /// far it has come; events tell the rest.
    pub fn spread(&mut self, signed: &SignedText, expires: UnixMicros, now: Now) -> Delivery {
        self.shared.now = now;
        self.disturb();
        let way = (self.ring.place(), self.gossip.members.len());
        self.broadcast.spread(signed, expires, way, &mut self.shared)
    }

    /// Signs a service's text and sends it to all members, without asking who has it: the way for what services tell each
    /// other, such as a new block or an entry of a directory. A member that is away finds it by comparing, as long as it
    /// holds and is kept (an hour, and the newest two thousand of all); what must outlast that is the service's to keep.
    ///
    /// # Errors
    /// A named refusal, with a sentence for people: too long, too many.
    pub fn publish(&mut self, service: ServiceName, text: String, now: Now) -> Result<SignedText, (Code, String)> {
        self.publish_for(VALIDITY, service, text, now)
    }

    /// As [`Node::publish`], of something that holds for `validity_us` microseconds only, an hour at most.
    ///
    /// # Errors
    /// As there.
    pub fn publish_for(
        &mut self,
        validity_us: i64,
        service: ServiceName,
        text: String,
        now: Now,
    ) -> Result<SignedText, (Code, String)> {
        self.shared.now = now;
        self.disturb();
        let validity = validity_us.clamp(0, VALIDITY);
        let signed = self.broadcast.sign((service, validity), text, self.ring.is_enabled(), &mut self.shared)?;
        let expires = self.shared.latest().max(signed.seq).offset(validity);
        let way = (self.ring.place(), self.gossip.members.len());
        self.broadcast.publish_own(&signed, expires, way, &mut self.shared);
        Ok(signed)
    }

    /// The time the members agree things by. For the validity of records there is [`Node::judged`].
    #[must_use]
    pub fn network_time(&self) -> UnixMicros {
        self.shared.network_time().0
    }

    /// The point between 75 % and 125 % of `duration` from now.
    pub fn jittered(&mut self, duration: Duration) -> Mono {
        self.shared.jittered(duration)
    }

    /// Expected delivery time of a datagram to a member in microseconds, 0 to this one alone; `None` if no way leads there. One that is
    /// linked and not measured yet counts as far.
    #[must_use]
    pub fn cost_to(&self, id: &NodeId) -> Option<u64> {
        if *id == self.shared.id {
            return Some(0);
        }
        let path = self.path_to(id);
        (!path.is_empty()).then(|| self.cost_of(&path).unwrap_or(UNKNOWN_COST_US).max(1))
    }

    /// A member as it is shown: its name, on an open network with a piece of its id.
    #[must_use]
    pub fn shown(&self, id: &NodeId) -> PeerName {
        self.peer_name(id)
    }

    /// Sends a service's message to a linked member; does nothing if it is not linked.
    pub fn send_to(&mut self, peer: &NodeId, frame: Frame) {
        self.shared.send_frame(peer, &Arc::new(frame));
    }

    /// A service refuses what a linked member sent it.
    pub fn blame(&mut self, peer: &NodeId, fault: &Fault) {
        if let Some(link) = self.shared.up.get(peer).map(|up| up.link) {
            self.on_invalid(link, fault);
        }
    }

    /// The time by which the members judge.
    #[must_use]
    pub fn judged(&self) -> UnixMicros {
        self.shared.judged()
    }

    /// Whether something may have been written by now.
    #[must_use]
    pub fn is_plausible(&self, time: UnixMicros) -> bool {
        crate::broadcast::is_plausible(time, &self.shared)
    }

    /// The latest time at which something may have been written by now.
    #[must_use]
    pub fn latest_plausible(&self) -> UnixMicros {
        crate::broadcast::latest_plausible(&self.shared)
    }

    /// A member is known to have an own message. Says whether its delivery is watched here; events tell the rest.
    pub fn note_holder(&mut self, seq: UnixMicros, by: NodeId) -> bool {
        self.disturb();
        self.broadcast.note_holder(seq, by, &mut self.shared)
    }

    /// A text was signed with this sequence in an earlier run: the next one is above it, whatever the clock says.
    pub fn note_sequence(&mut self, seq: UnixMicros) {
        let last = self.shared.broadcast_seq.last().max(seq);
        self.shared.broadcast_seq = Sequence::after(last);
    }

    /// A member's text was seen on another way than by broadcast.
    pub fn note_clock(&mut self, clock: UnixMicros) {
        self.broadcast.note_clock(clock, &self.shared);
    }

    /// Checks the signature and the network of a text, whenever it was written.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read_signed(&self, signed: &SignedText) -> Result<SignedBroadcast, Code> {
        crate::broadcast::read_signed(signed, &self.shared.config)
    }

    /// The announcement of a member that is known, or of this node.
    #[must_use]
    pub fn record_of(&self, id: &NodeId) -> Option<SignedRecord> {
        if *id == self.shared.id {
            return Some(self.shared.announcement.clone());
        }
        self.gossip.members.get(id).map(|known| known.member.record.clone())
    }

    /// Whom an announcement is of: somebody who is a member, or was one, and was not expelled.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn vouch(&self, record: &SignedRecord) -> Result<PeerName, Code> {
        let shared = &self.shared;
        // At the beginning of time nothing has ended yet.
        let member = admit(record, &shared.config.network, &shared.revoked, UnixMicros::new(0))
            .map_err(meshline_identity::RecordError::code)?;
        Ok(shared.shown(&member.id, member.name.as_str()))
    }
}
