//! Who is a member: announcements pushed to a few peers at once, and summaries compared with one peer at a
//! time that repair whatever the pushes missed.

mod kept;
mod members;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshline_identity::{Member, RecordError};
use meshline_protocol::limits::MAX_IDS;
use meshline_protocol::message::{Departure, Gossip as Message, Records, Summary, SummaryEntry, Want};
use meshline_protocol::{Bounded, Code, Message as Wire, NodeId, SignedRecord};

pub(crate) use kept::{RING_SIDE, most_kept};
pub(crate) use members::{Known, MAX_MEMBERS, Members};

use crate::now::Mono;
use crate::routing::Routing;
use crate::shared::Shared;

/// Peers to whom news is pushed at once where no tree is: on a ring. Three reach everyone in a few rounds; the summaries
/// do the rest.
const FANOUT: usize = 3;

/// After announcements were pushed, what is next waits so long and goes together: when a network starts they come by the
/// hundred, and a single one is not held up.
const PUSH_PACE: Duration = Duration::from_millis(20);

/// Between summaries while there was news lately, and otherwise.
const BUSY_INTERVAL: Duration = Duration::from_secs(2);
const QUIET_INTERVAL: Duration = Duration::from_secs(15);

/// How long after the last news the busy interval holds.
const BUSY_FOR: Duration = Duration::from_secs(30);

/// Announcements sent in answer to one summary: some hundred kilobytes, which no queue minds. The next summary
/// brings the next ones.
const MAX_RECORDS_A_TURN: usize = 64;

/// What came of a record.
#[derive(Debug)]
pub(crate) enum News {
    /// A member announced itself anew.
    Member {
        /// As it is now.
        member: Arc<Member>,
        /// Whether it was not known before, or had left.
        arrived: bool,
        /// Who told, if anybody did.
        from: Option<NodeId>,
    },
    /// A member left.
    Left(NodeId),
}

/// The state of gossip.
#[derive(Debug)]
pub(crate) struct Gossip {
    pub(crate) members: Members,
    max_kept: usize,
    /// When peers were last asked for the records of members near.
    asked_at: Mono,
    next_summary: Mono,
    last_news: Mono,
    /// Members whose announcements are to be pushed, and from whom they came. No more than there are members.
    waiting: BTreeMap<NodeId, Option<NodeId>>,
    paced_until: Mono,
}

impl Gossip {
    /// Keeps up to `max_kept` members and those that are near.
    pub(crate) fn new(now: Mono, max_kept: usize) -> Self {
        Self {
            max_kept,
            asked_at: now,
            members: Members::default(),
            next_summary: now,
            last_news: now,
            waiting: BTreeMap::new(),
            paced_until: Mono::default(),
        }
    }

    /// Takes in a message of a peer and returns what is new, and whether the peer did wrong: what was good is kept
    /// whatever came with it.
    pub(crate) fn handle(
        &mut self,
        from: NodeId,
        message: Message,
        (shared, routing): (&mut Shared, &Routing),
    ) -> (Vec<News>, Result<(), Code>) {
        match message {
            // Where everybody holds other members, there is nothing to compare.
            Message::Summary(_) if routing.is_part() => {}
            Message::Summary(summary) => self.handle_summary(from, &summary, shared),
            Message::Want(want) => {
                let wanted = self.members.records_of(want.ids.iter(), shared.judged());
                send_records(from, &wanted, shared);
            }
            Message::Records(records) => return self.handle_records(from, records, (shared, routing)),
            Message::Departure(record) => {
                return match self.handle_departure(Some(from), &record, shared) {
                    Ok(news) => (news.into_iter().collect(), Ok(())),
                    Err(code) => (Vec::new(), Err(code)),
                };
            }
        }
        (Vec::new(), Ok(()))
    }

    fn handle_records(
        &mut self,
        from: NodeId,
        records: Records,
        (shared, routing): (&mut Shared, &Routing),
    ) -> (Vec<News>, Result<(), Code>) {
        let (mut news, mut judged_all) = (Vec::new(), Ok(()));
        for record in records.records.into_vec() {
            // Most records come from several peers. What is known to the letter has been judged.
            if record.by == shared.id || self.members.judged_before(&record).is_some() {
                continue;
            }
            if !self.wants(&record.by, shared, routing) {
                continue;
            }
            let (config, judged) = (&shared.config, shared.judged());
            match meshline_identity::admit_by(&config.verifier, &record, &config.network, &shared.revoked, judged) {
                Ok(member) => news.extend(self.learn(Some(from), member, (shared, routing))),
                // The sender may not have heard yet, or its clock differs a little.
                Err(error @ (RecordError::Expired | RecordError::Revoked)) => shared.count(error.code()),
                // Members are made up for nothing: a good one beside it excuses no forged one.
                Err(error) => judged_all = Err(error.code()),
            }
        }
        (news, judged_all)
    }

    /// Takes in a checked member and passes it on if it is news.
    pub(crate) fn learn(
        &mut self,
        from: Option<NodeId>,
        member: Arc<Member>,
        (shared, routing): (&mut Shared, &Routing),
    ) -> Option<News> {
        if !self.wants(&member.id, shared, routing) {
            return None;
        }
        let arrived = self.members.get(&member.id).is_none_or(Known::has_left);
        if member.id == shared.id || !self.members.insert(Arc::clone(&member)) {
            return None;
        }
        if shared.awaited.contains(&member.id) {
            // Whoever says one thing says more.
            self.members.talked(member.id, shared.now.mono);
        }
        self.note_news(shared);
        shared.clock.set_known_members(self.members.len());
        if routing.is_shared(&member.id) {
            self.waiting.insert(member.id, from);
            self.push_waiting(shared);
        }
        Some(News::Member { member, arrived, from })
    }

    /// Takes in a departure and passes it on if it is news.
    pub(crate) fn handle_departure(
        &mut self,
        from: Option<NodeId>,
        record: &SignedRecord,
        shared: &mut Shared,
    ) -> Result<Option<News>, Code> {
        let departure: Departure = match meshline_identity::verify(record, &shared.config.network, shared.judged()) {
            Ok(departure) => departure,
            // Passed on too late; whoever left so long ago is known to have.
            Err(RecordError::Expired) => return Ok(None),
            Err(error) => return Err(error.code()),
        };
        if record.by == shared.id || !self.members.leave(record, departure.seq) {
            return Ok(None);
        }
        self.note_news(shared);
        self.push(from, record.by, &Wire::Gossip(Message::Departure(record.clone())), shared);
        Ok(Some(News::Left(record.by)))
    }

    fn note_news(&mut self, shared: &mut Shared) {
        self.last_news = shared.now.mono;
        self.next_summary = self.next_summary.min(shared.now.mono.after(BUSY_INTERVAL));
        shared.known_changed = true;
    }

    /// Pushes news to a few peers: not to whom it came from or whom it is about.
    fn push(&self, from: Option<NodeId>, about: NodeId, message: &Wire, shared: &mut Shared) {
        let peers = told(shared, |peer| Some(*peer) != from && *peer != about);
        let frame = Arc::new(message.clone().into());
        for peer in peers {
            shared.send_frame(&peer, &frame);
        }
    }

    /// Pushes the announcements that wait to a few peers, if the pace allows it: none to whom it came from or whom it is
    /// about.
    fn push_waiting(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        if self.waiting.is_empty() || self.paced_until > now {
            return;
        }
        self.paced_until = now.after(PUSH_PACE);
        let waiting = std::mem::take(&mut self.waiting);
        let alone = waiting.iter().next().filter(|_| waiting.len() == 1);
        let peers = told(shared, |peer| alone.is_none_or(|(about, from)| Some(*peer) != *from && peer != about));
        for peer in peers {
            let is_meant = |(about, from): &(&NodeId, &Option<NodeId>)| **from != Some(peer) && **about != peer;
            let ids = waiting.iter().filter(is_meant).map(|(about, _)| about);
            send_records(peer, &self.members.records_of(ids, shared.judged()), shared);
        }
    }

    fn handle_summary(&mut self, from: NodeId, summary: &Summary, shared: &mut Shared) {
        let digest = self.digest(shared);
        if summary.digest == digest {
            return;
        }
        if summary.entries.is_empty() && !summary.reply {
            let entries = Bounded::from_first(self.piece(shared));
            shared.send(&from, Wire::Gossip(Message::Summary(Summary { digest, entries, reply: true })));
            return;
        }
        let own = (shared.id, shared.announcement_seq.last());
        let newer_here = self.members.newer_than(&summary.entries, own, shared);
        let wanted: Vec<NodeId> = self.members.older_than(&summary.entries, shared.id);
        send_records(from, newer_here.get(..MAX_RECORDS_A_TURN).unwrap_or(&newer_here), shared);
        for departure in self.members.departures_for(&summary.entries) {
            shared.send(&from, Wire::Gossip(Message::Departure(departure)));
        }
        if !wanted.is_empty() {
            shared.send(&from, Wire::Gossip(Message::Want(Want { ids: Bounded::from_first(wanted) })));
        }
    }

    /// What is held, in the order of ids.
    fn entries(&self, shared: &Shared) -> Vec<SummaryEntry> {
        let own = SummaryEntry { id: shared.id, seq: shared.announcement_seq.last() };
        let mut entries: Vec<_> = std::iter::once(own).chain(self.members.entries(shared.judged())).collect();
        entries.sort_by_key(|entry| entry.id);
        entries
    }

    /// As much of what is held as fits one summary: of a large membership a piece that begins somewhere else each
    /// time.
    fn piece(&self, shared: &mut Shared) -> Vec<SummaryEntry> {
        let entries = self.entries(shared);
        let surplus = entries.len().saturating_sub(MAX_IDS);
        let start = shared.below(surplus + 1);
        entries.into_iter().skip(start).take(MAX_IDS).collect()
    }

    /// A hash over what is held: equal for two nodes that hold the same, whatever the order.
    fn digest(&self, shared: &Shared) -> String {
        let mix = |entry: SummaryEntry| {
            let head = entry.id.as_bytes().first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
            (head ^ entry.seq.get()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        };
        let sum = self.entries(shared).into_iter().map(mix).fold(0_u64, u64::wrapping_add);
        format!("{sum:016x}")
    }

    /// Compares with one peer when it is time.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared, routing: &Routing) {
        self.push_waiting(shared);
        self.ask_near(shared, routing);
        if shared.now.mono < self.next_summary {
            return;
        }
        let busy = shared.now.mono.since(self.last_news) < BUSY_FOR;
        self.next_summary = shared.jittered(if busy { BUSY_INTERVAL } else { QUIET_INTERVAL });
        let peers: Vec<NodeId> = shared.up.keys().copied().filter(|_| !routing.is_part()).collect();
        if let Some(peer) = peers.get(shared.below(peers.len())) {
            let summary = Summary { digest: self.digest(shared), entries: Bounded::default(), reply: false };
            shared.send(peer, Wire::Gossip(Message::Summary(summary)));
        }
    }

    pub(crate) fn next_timeout(&self, shared: &Shared, is_part: bool) -> Option<Mono> {
        let push_at = Some(self.paced_until).filter(|_| !self.waiting.is_empty());
        let summary_at = (!shared.up.is_empty()).then_some(self.next_summary);
        push_at.into_iter().chain(summary_at).chain(self.next_ask(is_part)).min()
    }
}

/// To whom news goes: along the tree on which messages go to all, or, where there is none, to a few.
fn told(shared: &mut Shared, is_meant: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
    if shared.tree.eager_peers().next().is_some() {
        return shared.tree.eager_peers().filter(is_meant).collect();
    }
    let mut peers: Vec<NodeId> = shared.up.keys().filter(|peer| is_meant(peer)).copied().collect();
    while peers.len() > FANOUT {
        let chosen = shared.below(peers.len());
        peers.swap_remove(chosen);
    }
    peers
}

/// Sends announcements, as many to a message as fit one.
fn send_records(to: NodeId, records: &[SignedRecord], shared: &mut Shared) {
    for chunk in records.chunks(meshline_protocol::limits::MAX_RECORDS) {
        let records = Bounded::from_first(chunk.iter().cloned());
        shared.send(&to, Wire::Gossip(Message::Records(Records { records })));
    }
}
