//! UDP beside links: sealing what goes over it, opening what comes, and the way of both past the core.
//!
//! Whether it works is for the core to say; here a datagram that may go over it does so while it works and if it fits. What
//! comes is known by its number, opened under the key of its link, and goes where the reader of the link would take it.

mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use meshline_mesh::{LinkId, SocketId};
use meshline_protocol::frame::{decode_datagram, encode_datagram};
use meshline_protocol::message::{Companion as Wire, CompanionSealed, Datagram, Over};
use meshline_protocol::{Decoded, Frame, Message, NodeId};
use tokio::sync::mpsc;

use crate::driver::Notice;
use crate::forwarder::Forwarder;
use crate::limits::{MAX_COMPANIONS, MAX_PACKET};
use crate::udp::Hub;
use seal::{Sealer, Window};

/// What every frame with a body begins with; of ours on UDP, only sealed ones have one.
const SEALED: &[u8] = b"\n{\"len\":";

/// UDP beside all links of a node.
#[derive(Default)]
pub(crate) struct Companions {
    by_id: Mutex<BTreeMap<u32, Arc<Companion>>>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    refused: AtomicU64,
}

/// What went over UDP beside links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompanionReport {
    /// Packets sealed and sent.
    pub sent: u64,
    /// Packets that opened.
    pub received: u64,
    /// Packets that did not: forged, repeated, late, or of a link that is gone.
    pub refused: u64,
}

/// UDP beside one link.
pub(crate) struct Companion {
    link: LinkId,
    peer: NodeId,
    theirs: u32,
    outward: Sealer,
    inward: Sealer,
    next: AtomicU64,
    seen: Mutex<Window>,
    remote: Mutex<SocketAddr>,
    works: AtomicBool,
    around: Around,
}

/// What packets need beside their link.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) hub: Arc<Hub>,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) forwarder: Arc<Forwarder>,
}

/// What became of a datagram that asked for UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It left, so many bytes.
    Sent(usize),
    /// It is for the link.
    ByLink,
    /// It is dropped.
    Dropped,
}

/// Whether a packet is to be opened here.
pub(crate) fn is_sealed(packet: &[u8]) -> bool {
    packet.starts_with(SEALED)
}

impl Companions {
    /// Beside a link of `peer` there is UDP from now on. `None` if there are too many, or the number is taken.
    pub(crate) fn open(
        &self,
        (link, peer): (LinkId, NodeId),
        beside: &meshline_mesh::Beside,
        around: Around,
    ) -> Option<Arc<Companion>> {
        let companion = Arc::new(Companion {
            link,
            peer,
            theirs: beside.theirs.id,
            outward: Sealer::new(&beside.theirs.secret)?,
            inward: Sealer::new(&beside.ours.secret)?,
            next: AtomicU64::new(0),
            seen: Mutex::default(),
            remote: Mutex::new(beside.remote),
            works: AtomicBool::new(false),
            around,
        });
        let mut by_id = self.lock();
        if by_id.len() >= MAX_COMPANIONS || by_id.contains_key(&beside.ours.id) {
            return None;
        }
        by_id.insert(beside.ours.id, Arc::clone(&companion));
        Some(companion)
    }

    /// A link is gone.
    pub(crate) fn close(&self, link: LinkId) {
        self.lock().retain(|_, companion| companion.link != link);
    }

    /// Takes a packet that [`is_sealed`].
    pub(crate) fn receive(&self, from: SocketAddr, packet: &[u8]) {
        let is_opened = self.try_receive(from, packet).is_some();
        let counter = if is_opened { &self.counters.received } else { &self.counters.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn try_receive(&self, from: SocketAddr, packet: &[u8]) -> Option<()> {
        let decoded = decode_datagram(packet).ok()?;
        let Decoded::Frame(Frame { message: Message::Companion(Wire::Sealed(head)), body: Some(body) }) = decoded
        else {
            return None;
        };
        let companion = self.lock().get(&head.id).cloned()?;
        let frame = companion.open(head, &body)?;
        *companion.remote.lock().unwrap_or_else(PoisonError::into_inner) = from;
        companion.take(frame);
        Some(())
    }

    /// What went over it.
    pub(crate) fn report(&self) -> CompanionReport {
        CompanionReport {
            sent: self.counters.sent.load(Ordering::Relaxed),
            received: self.counters.received.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn note_sent(&self) {
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Companion>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Companion {
    /// The core says whether packets pass.
    pub(crate) fn set_works(&self, works: bool) {
        self.works.store(works, Ordering::Relaxed);
    }

    /// Sends a datagram as it asks for.
    pub(crate) fn carry(&self, line: &Datagram, body: &Bytes) -> Carried {
        let is_only = match line.over {
            Over::Tcp | Over::Other => return Carried::ByLink,
            Over::Udp => false,
            Over::Drop => true,
        };
        if !self.works.load(Ordering::Relaxed) {
            return if is_only { Carried::Dropped } else { Carried::ByLink };
        }
        let frame = Frame { message: Message::Datagram(Box::new(line.clone())), body: Some(body.clone()) };
        match self.seal(&frame) {
            Some(packet) if self.send_packet(&packet) => Carried::Sent(packet.len()),
            // It has not left, so nobody gets it twice. What has is never sent again: UDP may lose it.
            Some(_) if is_only => Carried::Dropped,
            // That, or it does not fit.
            Some(_) | None => Carried::ByLink,
        }
    }

    /// Sends a frame of the core, whether it works or not.
    pub(crate) fn send(&self, frame: &Frame) {
        if let Some(packet) = self.seal(frame) {
            self.send_packet(&packet);
        }
    }

    /// Says whether it left.
    fn send_packet(&self, packet: &[u8]) -> bool {
        let remote = *self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sent = self.around.hub.send(SocketId::MAIN, remote, packet, None);
        if is_sent {
            self.around.hub.companions().note_sent();
        }
        is_sent
    }

    /// A frame as a packet, if it fits into one.
    fn seal(&self, frame: &Frame) -> Option<Vec<u8>> {
        // Before it is written: most of what is too long is much too long.
        if frame.body.as_ref().is_some_and(|body| body.len() > MAX_PACKET) {
            return None;
        }
        let mut inside = BytesMut::from(encode_datagram(frame).ok()?.as_slice());
        let head = CompanionSealed { id: self.theirs, number: self.next.fetch_add(1, Ordering::Relaxed) };
        self.outward.seal(head, &mut inside)?;
        let message = Message::Companion(Wire::Sealed(head));
        encode_datagram(&Frame { message, body: Some(inside.freeze()) }).ok()
    }

    /// The frame in a packet, if it is genuine and new.
    fn open(&self, head: CompanionSealed, body: &[u8]) -> Option<Frame> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.is_new(head.number) {
            return None;
        }
        let mut inside = BytesMut::from(body);
        self.inward.open(head, &mut inside)?;
        seen.note(head.number);
        drop(seen);
        match decode_datagram(&inside).ok()? {
            Decoded::Frame(frame) => Some(frame),
            Decoded::Unknown { .. } | Decoded::Invalid(_) => None,
        }
    }

    /// Takes a frame where the reader of the link would. What the driver has no room for is lost, as on any way.
    fn take(&self, frame: Frame) {
        let notice = match frame {
            Frame { message: Message::Datagram(datagram), body: Some(body) } => {
                let back = self.around.forwarder.pass_on(&self.peer, true, datagram, body);
                let Some((datagram, body)) = back else { return };
                let frame = Frame { message: Message::Datagram(datagram), body: Some(body) };
                Notice::Frame { link: self.link, decoded: Decoded::Frame(frame), waits: false }
            }
            Frame { message: Message::Time(_), .. } => Notice::FrameBeside { link: self.link, frame },
            _ => return,
        };
        let _ = self.around.notices.try_send(notice);
    }
}
