//! Passing advertisements on until they are acknowledged. The first goes at once, in one frame that serves all links;
//! what follows soon after it waits a little and goes together, without what the peer showed meanwhile to have. Another's
//! goes to a few peers only; the others are told a moment later that it is here, and ask for it if it has not reached them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshline_protocol::limits::{MAX_ADVERTISEMENTS, MAX_BODY, MAX_IDS};
use meshline_protocol::message::{
    AdvertisementPart, Routing as Message, RoutingAck, RoutingAdvertisements, RoutingSummary, SummaryEntry,
};
use meshline_protocol::{Bounded, Frame, Message as Wire, NodeId, UnixMicros};

use super::lsdb::{Entry, Lsdb};
use super::table::ALL_PATHS_UP_TO;
use crate::now::Mono;
use crate::shared::Shared;

/// What is not acknowledged after this is sent again: the queue of the link was full.
const RESEND_AFTER: Duration = Duration::from_secs(2);

/// Acknowledgements are collected for so long: an eighth of what they are waited for.
const ACK_AFTER: Duration = Duration::from_millis(250);

/// After something was passed on to a peer, what is next for it waits so long. When a network starts nearly everything
/// comes within one such time, and most of it from both ends of a link; a single change is not held up.
const PACE: Duration = Duration::from_millis(50);

/// After so many went together much is going on, and what is next waits longer.
const MANY: usize = 8;
const PACE_IN_BURST: Duration = Duration::from_millis(200);

/// In a network of more members than ways are computed to for each change, more news than this within a second is motion:
/// somewhere links come and go all the time, and nobody far away needs each of these changes at once. What is next for a
/// peer then waits a second, and most of it comes from there meanwhile; what others hold is compared when that has had the
/// time for a few links. Own changes never wait for it.
const FEW_NEWS: u32 = 8;
const MOTION_WINDOW: Duration = Duration::from_secs(1);
const PACE_IN_MOTION: Duration = Duration::from_secs(1);
const OFFER_IN_MOTION: Duration = Duration::from_secs(4);

/// Acknowledgements wait longer then, too: half as long as they are waited for.
const ACK_IN_MOTION: Duration = Duration::from_secs(1);

/// What is due in motion is due together for all peers, four times a second: a node that wakes for each of them does little
/// else. Nodes count from their own start, so that they do not all speak at once.
const TOGETHER: Duration = Duration::from_millis(250);

/// Peers to whom an advertisement of somebody else is passed on that did not come from its author. In a random network
/// four reach nearly all members; in a small or thin one these are all there are.
const EAGER: usize = 4;

/// While more comes than goes out at once, it is passed on to so many: of four copies three would be for nothing, and
/// what two do not bring is offered and asked for.
const EAGER_IN_BURST: usize = 2;

/// The others are told what is here when nothing has come for so long, and after the limit in any case: by then those few
/// have brought it nearly everywhere. One after the other, so that whoever lacks something lacks it only once.
const OFFER_AFTER: Duration = Duration::from_millis(150);
const OFFER_STEP: Duration = Duration::from_millis(32);
const OFFER_STEPS: u32 = 8;
const OFFER_LIMIT: Duration = Duration::from_millis(600);

/// So many are told one by one. More are compared by digest: after a burst both sides usually hold the same.
const MAX_OFFERED: usize = 64;

/// Advertisements sent again to one peer at a time: what made it slow is not made worse.
const MAX_RESENT: usize = 64;

#[derive(Debug, Default)]
struct Neighbour {
    /// To be sent when the pace allows it: author and sequence.
    waiting: BTreeMap<NodeId, UnixMicros>,
    paced_until: Mono,
    /// To be told that it is here.
    offered: BTreeMap<NodeId, UnixMicros>,
    /// More than [`MAX_OFFERED`]: everything is compared.
    offers_all: bool,
    /// Since when, and when it is due.
    offer_at: Option<(Mono, Mono)>,
    /// Sent and not acknowledged yet: author, sequence and when.
    unacked: BTreeMap<NodeId, (UnixMicros, Mono)>,
    resend_at: Option<Mono>,
    /// To be acknowledged.
    received: BTreeMap<NodeId, UnixMicros>,
    ack_at: Option<Mono>,
    /// Links within which it keeps advertisements, as it said; `None` if it keeps all.
    radius: Option<u8>,
}

/// What is under way on each link.
#[derive(Debug, Default)]
pub(super) struct Flood {
    neighbours: BTreeMap<NodeId, Neighbour>,
    motion: Motion,
    /// Whether there was much of it when news or the time was looked at last.
    is_moving: bool,
}

/// How much news there was within this second and the one before.
#[derive(Debug, Default)]
struct Motion {
    since: Mono,
    count: u32,
    before: u32,
}

impl Motion {
    fn note(&mut self, now: Mono) {
        let passed = now.since(self.since);
        if passed >= MOTION_WINDOW {
            self.before = if passed < MOTION_WINDOW * 2 { self.count } else { 0 };
            (self.count, self.since) = (0, now);
        }
        self.count = self.count.saturating_add(1);
    }

    fn is_much(&self, is_large: bool, now: Mono) -> bool {
        let is_old = now.since(self.since) >= MOTION_WINDOW * 2;
        is_large && !is_old && self.count.max(self.before) > FEW_NEWS
    }
}

/// The next of the times at which things are due together.
fn together(at: Mono) -> Mono {
    let step = u64::try_from(TOGETHER.as_micros()).unwrap_or(1);
    Mono(at.0.div_ceil(step).saturating_mul(step))
}

fn frame_of(entry: &Entry) -> Arc<Frame> {
    let message = Wire::Routing(Message::Advertisement(entry.line.clone()));
    Arc::new(Frame { message, body: Some(entry.body.clone()) })
}

/// As few frames as hold these advertisements.
fn frames_of(entries: &[&Entry]) -> Vec<Arc<Frame>> {
    let (mut frames, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() {
        let mut room = MAX_BODY;
        let fits = |entry: &&&Entry| {
            let left = room.checked_sub(entry.body.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let count = rest.iter().take(MAX_ADVERTISEMENTS).take_while(fits).count().max(1);
        let Some((some, others)) = rest.split_at_checked(count) else { break };
        frames.push(if let [entry] = some { frame_of(entry) } else { frame_of_several(some) });
        rest = others;
    }
    frames
}

fn frame_of_several(entries: &[&Entry]) -> Arc<Frame> {
    let mut body = BytesMut::with_capacity(entries.iter().map(|entry| entry.body.len()).sum());
    let parts = entries.iter().map(|entry| {
        body.extend_from_slice(&entry.body);
        let len = u32::try_from(entry.body.len()).unwrap_or(u32::MAX);
        AdvertisementPart { by: entry.line.by, seq: entry.line.seq, sig: entry.line.sig.clone(), len }
    });
    let message = Message::Advertisements(RoutingAdvertisements { entries: Bounded::from_first(parts) });
    let body: Bytes = body.freeze();
    Arc::new(Frame { message: Wire::Routing(message), body: Some(body) })
}

/// Tells a peer what is here: it need not send that, and can ask for it.
pub(super) fn offer(peer: &NodeId, held: &[SummaryEntry], shared: &mut Shared) {
    for some in held.chunks(MAX_IDS) {
        let ack = RoutingAck { entries: Bounded::from_first(some.iter().copied()) };
        shared.send(peer, Wire::Routing(Message::Ack(ack)));
    }
}

fn listed(pairs: BTreeMap<NodeId, UnixMicros>) -> Vec<SummaryEntry> {
    pairs.into_iter().map(|(id, seq)| SummaryEntry { id, seq }).collect()
}

/// An order of a node's peers that is another one for each author and node, and the same each time.
fn rank(author: &NodeId, own: &NodeId, peer: &NodeId) -> u64 {
    let head = |id: &NodeId| id.as_bytes().first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
    let mix = |value: u64| (value ^ (value >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix(mix(head(author)) ^ mix(head(own)).rotate_left(21) ^ head(peer))
}

/// Whether of those who have an advertisement from its author it is this node that hands it to a peer: all of them know
/// who else is linked with both, and one copy is enough.
fn is_mine((entry, lsdb): (&Entry, &Lsdb), own: &NodeId, peer: &NodeId) -> bool {
    let author = &entry.line.by;
    let mine = rank(author, own, peer);
    let others = entry.state.links.iter().map(|link| link.peer).filter(|other| other != own && other != peer);
    let hands_over =
        |other: &NodeId| lsdb.get(other).is_some_and(|entry| entry.state.carries && entry.state.lists(peer));
    others.filter(hands_over).all(|other| rank(author, &other, peer) > mine)
}

/// How much later than others a peer is told.
fn step(own: &NodeId, peer: &NodeId) -> Duration {
    let steps = rank(own, peer, own) % u64::from(OFFER_STEPS);
    OFFER_STEP * u32::try_from(steps).unwrap_or(0)
}

impl Flood {
    pub(super) fn link_up(&mut self, peer: NodeId) {
        self.neighbours.insert(peer, Neighbour::default());
    }

    pub(super) fn link_down(&mut self, peer: &NodeId) {
        self.neighbours.remove(peer);
    }

    /// Within how many links a peer keeps advertisements.
    pub(super) fn radius(&self, peer: &NodeId) -> Option<u8> {
        self.neighbours.get(peer).and_then(|neighbour| neighbour.radius)
    }

    /// Whether any peer keeps a part only.
    pub(super) fn is_any_part(&self) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.radius.is_some())
    }

    pub(super) fn set_radius(&mut self, peer: &NodeId, radius: Option<u8>) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.radius = radius;
        }
    }

    /// Sends an advertisement to all but the one it came from, those who have it already, those for whom its author, so
    /// many links away from here, is too far, and those to whom its author says to be linked: they have it from the
    /// author. In a full mesh nothing is passed on at all.
    pub(super) fn spread(
        &mut self,
        (entry, lsdb): (&Entry, &Lsdb),
        (except, level): (Option<NodeId>, u8),
        shared: &mut Shared,
    ) {
        let (mut frame, now) = (None, shared.now.mono);
        let (author, seq) = (entry.line.by, entry.line.seq);
        self.motion.note(now);
        let is_moving = self.motion.is_much(self.is_any_part() || lsdb.len() > ALL_PATHS_UP_TO, now);
        self.is_moving = is_moving;
        let paced_until = if is_moving { together(now.after(PACE_IN_MOTION)) } else { now.after(PACE) };
        let is_linked = |peer: &NodeId| except.is_some() && entry.state.links.iter().any(|link| link.peer == *peer);
        let lacks = |neighbour: &Neighbour| neighbour.received.get(&author).is_none_or(|received| *received < seq);
        let is_meant = |(peer, neighbour): &(&NodeId, &Neighbour)| {
            let is_near = neighbour.radius.is_none_or(|radius| level < radius);
            Some(**peer) != except && **peer != author && !is_linked(peer) && is_near && lacks(neighbour)
        };
        let meant = self.neighbours.iter().filter(is_meant).map(|(peer, _)| (rank(&author, &shared.id, peer), *peer));
        let mut meant: Vec<(u64, NodeId)> = meant.collect();
        meant.sort_unstable();
        for (at, (_, peer)) in meant.iter().enumerate() {
            let Some(neighbour) = self.neighbours.get_mut(peer) else { continue };
            let is_eager = match except {
                None => true,
                Some(from) if from == author => is_mine((entry, lsdb), &shared.id, peer),
                Some(_) if is_moving || neighbour.paced_until > now => at < EAGER_IN_BURST,
                Some(_) => at < EAGER,
            };
            if !is_eager {
                neighbour.offer(author, seq, (step(&shared.id, peer), is_moving), now);
            } else if neighbour.paced_until > now && !(is_moving && except.is_none()) {
                neighbour.waiting.insert(author, seq);
            } else {
                neighbour.paced_until = paced_until;
                neighbour.sent(entry, now);
                shared.send_frame(peer, frame.get_or_insert_with(|| frame_of(entry)));
            }
        }
    }

    /// A peer told what it holds, and the answer will tell what is here: nothing more has to be offered to it.
    pub(super) fn compared(&mut self, peer: &NodeId) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        neighbour.offered.clear();
        neighbour.offers_all = false;
        neighbour.offer_at = None;
    }

    /// Sends advertisements to one peer.
    pub(super) fn send(&mut self, peer: &NodeId, ids: impl Iterator<Item = NodeId>, lsdb: &Lsdb, shared: &mut Shared) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        let entries: Vec<&Entry> = ids.filter(|id| id != peer).filter_map(|id| lsdb.get(&id)).collect();
        neighbour.send(peer, &entries, shared);
    }

    /// An advertisement came, new or known: it is acknowledged soon. If it is one that we sent, that is an
    /// acknowledgement too.
    pub(super) fn received(&mut self, peer: &NodeId, author: NodeId, seq: UnixMicros, now: Mono) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        neighbour.received.insert(author, seq);
        let ack_at = if self.is_moving { together(now.after(ACK_IN_MOTION)) } else { now.after(ACK_AFTER) };
        neighbour.ack_at.get_or_insert(ack_at);
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
    /// `radius` is how far this node looks.
    pub(super) fn handle_timeout(&mut self, (lsdb, radius): (&Lsdb, Option<u8>), shared: &mut Shared) {
        let now = shared.now.mono;
        let is_moving = self.motion.is_much(self.is_any_part() || lsdb.len() > ALL_PATHS_UP_TO, now);
        self.is_moving = is_moving;
        for (peer, neighbour) in &mut self.neighbours {
            if neighbour.ack_at.is_some_and(|at| at <= now) {
                neighbour.ack_at = None;
                offer(peer, &listed(std::mem::take(&mut neighbour.received)), shared);
            }
            if neighbour.paced_until <= now && !neighbour.waiting.is_empty() {
                let waiting = std::mem::take(&mut neighbour.waiting);
                neighbour.paced_until = match waiting.len() {
                    _ if is_moving => together(now.after(PACE_IN_MOTION)),
                    ..MANY => now.after(PACE),
                    _ => now.after(PACE_IN_BURST),
                };
                let entries: Vec<&Entry> = waiting.keys().filter_map(|author| lsdb.get(author)).collect();
                neighbour.send(peer, &entries, shared);
            }
            if neighbour.offer_at.is_some_and(|(_, at)| at <= now) {
                neighbour.tell_offers(peer, (lsdb, radius), shared);
            }
            if neighbour.resend_at.is_some_and(|at| at <= now) {
                neighbour.send_again(peer, lsdb, shared);
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let times = |neighbour: &Neighbour| {
            let flush_at = Some(neighbour.paced_until).filter(|_| !neighbour.waiting.is_empty());
            [flush_at, neighbour.offer_at.map(|(_, at)| at), neighbour.ack_at, neighbour.resend_at]
        };
        self.neighbours.values().flat_map(times).flatten().min()
    }
}

impl Neighbour {
    fn offer(&mut self, author: NodeId, seq: UnixMicros, (later, is_moving): (Duration, bool), now: Mono) {
        if !self.offers_all {
            self.offered.insert(author, seq);
        }
        if self.offered.len() > MAX_OFFERED {
            self.offers_all = true;
            self.offered.clear();
        }
        let since = self.offer_at.map_or(now, |(since, _)| since);
        let at = if is_moving {
            together(since.after(OFFER_IN_MOTION).after(later))
        } else {
            now.after(OFFER_AFTER).min(since.after(OFFER_LIMIT)).after(later)
        };
        self.offer_at = Some((since, at));
    }

    fn tell_offers(&mut self, peer: &NodeId, (lsdb, radius): (&Lsdb, Option<u8>), shared: &mut Shared) {
        self.offer_at = None;
        let offered = std::mem::take(&mut self.offered);
        if std::mem::take(&mut self.offers_all) {
            let summary = RoutingSummary { digest: lsdb.digest(), entries: Bounded::default(), reply: true, radius };
            shared.send(peer, Wire::Routing(Message::Summary(summary)));
        } else {
            offer(peer, &listed(offered), shared);
        }
    }

    fn send(&mut self, peer: &NodeId, entries: &[&Entry], shared: &mut Shared) {
        entries.iter().for_each(|entry| self.sent(entry, shared.now.mono));
        frames_of(entries).iter().for_each(|frame| {
            shared.send_frame(peer, frame);
        });
    }

    fn sent(&mut self, entry: &Entry, now: Mono) {
        self.unacked.insert(entry.line.by, (entry.line.seq, now));
        self.resend_at.get_or_insert_with(|| now.after(RESEND_AFTER));
    }

    /// What was sent long enough ago. What was not goes with the next look: its acknowledgement is under way.
    fn send_again(&mut self, peer: &NodeId, lsdb: &Lsdb, shared: &mut Shared) {
        let now = shared.now.mono;
        self.unacked.retain(|author, (seq, _)| lsdb.get(author).is_some_and(|entry| entry.line.seq == *seq));
        let late = self.unacked.iter_mut().filter(|(_, (_, at))| at.after(RESEND_AFTER) <= now).take(MAX_RESENT);
        let again = late.filter_map(|(author, (_, at))| {
            *at = now;
            lsdb.get(author)
        });
        let again: Vec<&Entry> = again.collect();
        frames_of(&again).iter().for_each(|frame| {
            shared.send_frame(peer, frame);
        });
        let least = if again.is_empty() { now } else { now.after(RESEND_AFTER) };
        let next = self.unacked.values().map(|(_, at)| at.after(RESEND_AFTER)).min();
        self.resend_at = next.map(|at| together(at.max(least)));
    }

    fn acked(&mut self, author: &NodeId, seq: UnixMicros) {
        if self.offered.get(author).is_some_and(|offered| *offered <= seq) {
            self.offered.remove(author);
        }
        if self.waiting.get(author).is_some_and(|waiting| *waiting <= seq) {
            self.waiting.remove(author);
        }
        if self.unacked.get(author).is_some_and(|(sent, _)| *sent <= seq) {
            self.unacked.remove(author);
        }
        if self.unacked.is_empty() {
            self.resend_at = None;
        }
    }
}

#[cfg(test)]
mod tests;
