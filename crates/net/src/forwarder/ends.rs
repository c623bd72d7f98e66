//! Packets of tunnels that begin or end here.

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_protocol::message::{Datagram, Message};

use super::Forwarder;
use crate::link::Outlet;
use crate::tap::{Content, Tapped};

impl Forwarder {
    /// Shows watchers a packet of a tunnel that begins or ends here, which the core does not see: how long it is, and
    /// nothing of what is in it.
    pub(super) fn show(&self, (peer, sent): (&NodeId, bool), packet: &Datagram, len: usize) {
        if !self.tap.is_watched() {
            return;
        }
        let ways = self.ways.load();
        if let (Some(outlet), Some(served)) = (ways.outlets.get(peer), self.tunnels.get()) {
            let content =
                Content::Message(Box::new(Message::Datagram(Box::new(packet.clone()))), Some((len, Bytes::new())));
            let (time, link, peer) = (served.clock.now().wall, outlet.link(), Some(*peer));
            self.tap.put(Tapped { time, sent, link, peer, content });
        }
    }

    /// Drops a packet that came inside the very tunnel it belongs to. Unanswered, the other end finds that way dead.
    pub(super) fn drops_circle(&self, from: &NodeId, packet: &Datagram) -> bool {
        let is_circle = self.ways.load().outlets.get(from).and_then(Outlet::through) == Some(packet.src);
        if is_circle {
            self.counters.drop("circle", 1);
        }
        is_circle
    }
}
