//! The forwarding plane's end of a link.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::Bytes;
use meshline_mesh::LinkId;
use meshline_protocol::message::{Datagram, Message, Over};
use meshline_protocol::{Frame, NodeId, frame};

use super::fair::Waiting;
use super::queue::Pushed;
use super::{Encoding, Shared};
use crate::companion::Carried;

/// Where datagrams for a linked member are put. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    encoding: Encoding,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outlet").field("link", &self.shared.id).finish_non_exhaustive()
    }
}

impl Outlet {
    pub(super) fn new(shared: Arc<Shared>, encoding: Encoding) -> Self {
        Self { shared, encoding }
    }

    /// Which link it is.
    pub(crate) fn link(&self) -> LinkId {
        self.shared.id
    }

    /// Whether nobody but the other end can read what goes over it.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.shared.is_encrypted
    }

    /// The member through whose exit it goes.
    pub(crate) fn through(&self) -> Option<NodeId> {
        self.shared.through
    }

    /// The link is up: what its reader reads comes from this member.
    pub(crate) fn introduce(&self, peer: NodeId) {
        // A link has one peer for life.
        let _ = self.shared.peer.set(peer);
    }

    /// The line of a datagram as this link writes it; `None`, with a line in the log, if it breaks a limit.
    pub(crate) fn head(&self, line: Box<Datagram>, body: &Bytes) -> Option<Bytes> {
        let head = frame::encode_head(&Message::Datagram(line), body.len(), self.encoding);
        head.map_err(|error| tracing::error!("datagram not forwarded: {error}")).ok()
    }

    /// Sends a datagram over UDP beside the link, if it asks for that.
    pub(crate) fn carry_beside(&self, line: &Datagram, body: &Bytes) -> Carried {
        if matches!(line.over, Over::Tcp | Over::Other) {
            return Carried::ByLink;
        }
        let carried = match self.shared.companion.get() {
            Some(companion) => companion.carry(line, body),
            None if line.over == Over::Drop && !self.shared.is_udp => Carried::Dropped,
            None => Carried::ByLink,
        };
        if matches!(carried, Carried::Sent(_)) {
            self.shared.carried.fetch_add(1, Ordering::Relaxed);
        }
        carried
    }

    /// Puts a datagram behind those of its flow.
    pub(crate) fn push(&self, waiting: Waiting) -> Pushed {
        self.shared.carried.fetch_add(1, Ordering::Relaxed);
        self.shared.queue.push_datagram(waiting)
    }

    /// Puts a frame that may wait behind everything else; `false` if there is no room.
    pub(crate) fn push_bulk(&self, frame: &Frame) -> bool {
        match frame::encode(frame, self.encoding) {
            Ok(bytes) => self.shared.queue.push_bulk(bytes),
            Err(error) => {
                tracing::error!(message = frame.message.kind(), "frame not sent: {error}");
                false
            }
        }
    }

    /// Whether a flow of this member's own datagrams has enough waiting; if so, `filler` is woken when it has room.
    pub(crate) fn is_enough(&self, src: NodeId, flow: u32, filler: impl FnOnce() -> Waker) -> bool {
        self.shared.queue.is_enough(&(src, flow), filler)
    }

    /// Datagrams that wait, and their bytes.
    pub(crate) fn depth(&self) -> (usize, usize) {
        self.shared.queue.depth()
    }
}
