//! Passing advertisements on until they are acknowledged. One frame serves all links, so it is encoded once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshline_protocol::limits::MAX_IDS;
use meshline_protocol::message::{Routing as Message, RoutingAck, SummaryEntry};
use meshline_protocol::{Bounded, Frame, Message as Wire, NodeId, UnixMicros};

use super::lsdb::{Entry, Lsdb};
use crate::now::Mono;
use crate::shared::Shared;

/// What is not acknowledged after this is sent again: the queue of the link was full.
const RESEND_AFTER: Duration = Duration::from_secs(2);

/// Acknowledgements are collected for so long.
const ACK_AFTER: Duration = Duration::from_millis(50);

/// Advertisements sent again to one peer at a time: what made it slow is not made worse.
const MAX_RESENT: usize = 64;

#[derive(Debug, Default)]
struct Neighbour {
    /// Sent and not acknowledged yet: author and sequence.
    unacked: BTreeMap<NodeId, UnixMicros>,
    resend_at: Option<Mono>,
    /// To be acknowledged.
    received: BTreeMap<NodeId, UnixMicros>,
    ack_at: Option<Mono>,
}

/// What is under way on each link.
#[derive(Debug, Default)]
pub(super) struct Flood {
    neighbours: BTreeMap<NodeId, Neighbour>,
}

fn frame_of(entry: &Entry) -> Arc<Frame> {
    let message = Wire::Routing(Message::Advertisement(entry.line.clone()));
    Arc::new(Frame { message, body: Some(entry.body.clone()) })
}

impl Flood {
    pub(super) fn link_up(&mut self, peer: NodeId) {
        self.neighbours.insert(peer, Neighbour::default());
    }

    pub(super) fn link_down(&mut self, peer: &NodeId) {
        self.neighbours.remove(peer);
    }

    /// Sends an advertisement to all but the one it came from, those who have it already, and those to whom its author
    /// says to be linked: they have it from the author. In a full mesh nothing is passed on at all.
    pub(super) fn spread(&mut self, entry: &Entry, except: Option<NodeId>, shared: &mut Shared) {
        let frame = frame_of(entry);
        let (author, seq) = (entry.line.by, entry.line.seq);
        let is_linked = |peer: &NodeId| except.is_some() && entry.state.links.iter().any(|link| link.peer == *peer);
        let is_meant = |peer: &NodeId| Some(*peer) != except && *peer != author && !is_linked(peer);
        for (peer, neighbour) in self.neighbours.iter_mut().filter(|(peer, _)| is_meant(peer)) {
            let has = neighbour.received.get(&author).is_some_and(|received| *received >= seq);
            if !has {
                neighbour.unacked.insert(author, seq);
                neighbour.resend_at.get_or_insert_with(|| shared.now.mono.after(RESEND_AFTER));
                shared.send_frame(peer, &frame);
            }
        }
    }

    /// Sends advertisements to one peer.
    pub(super) fn send(&mut self, peer: &NodeId, ids: impl Iterator<Item = NodeId>, lsdb: &Lsdb, shared: &mut Shared) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        for entry in ids.filter(|id| id != peer).filter_map(|id| lsdb.get(&id)) {
            neighbour.unacked.insert(entry.line.by, entry.line.seq);
            neighbour.resend_at.get_or_insert_with(|| shared.now.mono.after(RESEND_AFTER));
            shared.send_frame(peer, &frame_of(entry));
        }
    }

    /// An advertisement came, new or known: it is acknowledged soon. If it is one that we sent, that is an
    /// acknowledgement too.
    pub(super) fn received(&mut self, peer: &NodeId, author: NodeId, seq: UnixMicros, now: Mono) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        neighbour.received.insert(author, seq);
        neighbour.ack_at.get_or_insert_with(|| now.after(ACK_AFTER));
        neighbour.acked(&author, seq);
    }

    /// A peer has what we sent.
    pub(super) fn acked(&mut self, peer: &NodeId, ack: &RoutingAck) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        for entry in ack.entries.iter() {
            neighbour.acked(&entry.id, entry.seq);
        }
    }

    /// Acknowledges, and sends again what was not acknowledged.
    pub(super) fn handle_timeout(&mut self, lsdb: &Lsdb, shared: &mut Shared) {
        let now = shared.now.mono;
        for (peer, neighbour) in &mut self.neighbours {
            if neighbour.ack_at.is_some_and(|at| at <= now) {
                neighbour.ack_at = None;
                let received: Vec<(NodeId, UnixMicros)> = std::mem::take(&mut neighbour.received).into_iter().collect();
                for some in received.chunks(MAX_IDS) {
                    let entries = some.iter().map(|(id, seq)| SummaryEntry { id: *id, seq: *seq });
                    let ack = RoutingAck { entries: Bounded::from_first(entries) };
                    shared.send(peer, Wire::Routing(Message::Ack(ack)));
                }
            }
            if neighbour.resend_at.is_some_and(|at| at <= now) {
                neighbour.unacked.retain(|author, seq| lsdb.get(author).is_some_and(|entry| entry.line.seq == *seq));
                for entry in neighbour.unacked.keys().take(MAX_RESENT).filter_map(|author| lsdb.get(author)) {
                    shared.send_frame(peer, &frame_of(entry));
                }
                neighbour.resend_at = (!neighbour.unacked.is_empty()).then(|| now.after(RESEND_AFTER));
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.neighbours.values().flat_map(|neighbour| [neighbour.ack_at, neighbour.resend_at]).flatten().min()
    }
}

impl Neighbour {
    fn acked(&mut self, author: &NodeId, seq: UnixMicros) {
        if self.unacked.get(author).is_some_and(|sent| *sent <= seq) {
            self.unacked.remove(author);
        }
        if self.unacked.is_empty() {
            self.resend_at = None;
        }
    }
}
