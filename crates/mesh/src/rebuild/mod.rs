//! Links chosen anew by all at one instant of network time.
//!
//! An order is a signed record. Everybody holds it, tells peers who have not heard of it, and at its instant does it; who
//! hears of it later does it at once, until it expires, and not at all after that. Which of several orders stands follows
//! from the records alone ([`orders`]). What is done then is the link set's.

mod instant;
mod orders;
mod proposals;
mod quorum;
mod report;
mod shape;
mod words;

use std::collections::BTreeMap;

use meshline_identity::Sequence;
use meshline_protocol::message::{Rebuild as Message, RebuildInstant, RebuildKnown, RebuildOrder};
use meshline_protocol::{Code, Message as Wire, NodeId, UnixMicros};

pub(crate) use orders::{Key, LEAST_INTERVAL, Taken};
pub(crate) use proposals::cause_name;
use report::Outcome;
pub use report::RebuildReport;
pub(crate) use shape::{AUTO_LEAD, Facts, Next, PROPOSAL_VALIDITY, pause as look_pause};
pub(crate) use words::{Words, judged};

use crate::bucket::{Bucket, Rate};
use crate::config::SavedRebuild;
use crate::event::{Event, RebuildStep};
use crate::gossip::Members;
use crate::now::Mono;
use crate::peers::{RedrawPlan, Redrawn};
use crate::shared::Shared;
use instant::Instant;
use quorum::Quorum;
use report::Last;
use shape::Watch;

/// Records and figures taken from one peer: each record may cost two signatures, and honest ones come a few at a time.
pub(crate) const FROM_A_PEER: Rate = Rate { per_second: 8, burst: 64 };

/// An order that is given to a node is refused with less time than this to its instant, in microseconds: it would reach
/// most members too late.
pub(crate) const LEAST_LEAD: i64 = 2_000_000;

/// It is time for an order.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) key: Key,
    pub(crate) order: RebuildOrder,
    /// Microseconds since the instant, as it was agreed on.
    late_us: i64,
    error_us: u64,
}

/// Orders, and what became of them here.
#[derive(Debug, Default)]
pub(crate) struct Rebuild {
    /// Who has the order that stands.
    quorum: Option<Quorum>,
    /// When it is done.
    instant: Option<Instant>,
    /// What became of orders that are still held.
    settled: BTreeMap<Key, Outcome>,
    /// The instant, by its order, of the last one that was done here.
    done_at: UnixMicros,
    last: Option<Last>,
    running: Option<Key>,
    rates: BTreeMap<NodeId, Bucket>,
    seq: Sequence,
    pub(crate) watch: Watch,
    done: u64,
    skipped: u64,
}

impl Rebuild {
    /// As it was kept on disk. The records themselves are judged anew.
    pub(crate) fn restored(saved: &SavedRebuild) -> Self {
        let settled = saved.settled.iter().map(|(by, seq)| ((*seq, *by), Outcome::Before)).take(orders::MAX_HELD);
        Self { settled: settled.collect(), done_at: saved.done_at, seq: Sequence::after(saved.seq), ..Self::default() }
    }

    /// What is kept on disk.
    pub(crate) fn saved(&self, shared: &Shared) -> SavedRebuild {
        SavedRebuild {
            seq: self.seq.last(),
            done_at: self.done_at,
            records: shared.words.orders.records().map(|(_, record)| record.clone()).collect(),
            settled: self.settled.keys().map(|(seq, by)| (*by, *seq)).collect(),
        }
    }

    /// Whether more is taken from a peer now.
    pub(crate) fn admits(&mut self, peer: NodeId, shared: &Shared) -> bool {
        self.rates.retain(|id, _| shared.up.contains_key(id));
        self.rates.entry(peer).or_insert_with(|| Bucket::new(FROM_A_PEER, shared.now.mono)).take(shared.now.mono)
    }

    /// Looks which order stands, after records came or went, and tells what changed.
    pub(crate) fn review(&mut self, shared: &mut Shared) {
        self.expire(shared);
        let settled = &self.settled;
        let network = shared.config.network.clone();
        let standing = shared.words.orders.standing(&network);
        let next = standing.iter().filter(|held| !settled.contains_key(&held.key())).min_by_key(|held| held.order.at);
        let next = next.map(|held| (held.key(), held.order.clone()));
        let before = self.quorum.as_ref().map(|quorum| quorum.key);
        let Some((key, order)) = next else {
            self.drop_planned(before, shared);
            return;
        };
        if before == Some(key) {
            return;
        }
        self.drop_planned(before, shared);
        self.quorum = Some(Quorum::new(key, &order.nonce, &shared.id, shared.now.mono));
        self.instant = Some(Instant::new(order.at.since(shared.network_time().0), shared.now.mono));
        shared.dirty = true;
        tell(key, &order, RebuildStep::Planned, shared);
    }

    /// The order that was planned is so no more, unless it was done.
    fn drop_planned(&mut self, before: Option<Key>, shared: &mut Shared) {
        let Some(key) = before.filter(|key| !self.settled.contains_key(key)) else { return };
        self.quorum = None;
        let network = shared.config.network.clone();
        let ended = shared.words.orders.ended_by(&key, &network).is_some();
        let Some(held) = shared.words.orders.get(&key) else { return };
        let order = held.order.clone();
        let (step, outcome) = if ended {
            (RebuildStep::Aborted, Outcome::Aborted)
        } else {
            (RebuildStep::Superseded, Outcome::Superseded)
        };
        self.last = Some(Last::new(key, &order, outcome, None));
        shared.dirty = true;
        tell(key, &order, step, shared);
    }

    fn expire(&mut self, shared: &mut Shared) {
        let judged = shared.judged();
        self.skip_expired(judged, shared);
        shared.words.proposals.expire(judged);
        if shared.words.orders.expire(judged) {
            shared.dirty = true;
        }
        let orders = &shared.words.orders;
        self.settled.retain(|key, _| orders.get(key).is_some());
        if self.quorum.as_ref().is_some_and(|quorum| orders.get(&quorum.key).is_none()) {
            self.quorum = None;
        }
    }

    /// What nobody came to do in time is not done.
    fn skip_expired(&mut self, judged: UnixMicros, shared: &mut Shared) {
        let Some(key) = self.quorum.as_ref().map(|quorum| quorum.key) else { return };
        let Some(held) = shared.words.orders.get(&key) else { return };
        if held.order.expires <= judged && !self.settled.contains_key(&key) {
            let order = held.order.clone();
            self.settle(key, &order, (Outcome::Skipped, None), shared);
        }
    }

    /// The order whose time has come, once. Whoever knows no other clock and hears of nobody's instant waits.
    pub(crate) fn due(&mut self, shared: &mut Shared) -> Option<Due> {
        let key = self.planned()?;
        let instant = self.instant.as_ref()?;
        if self.running.is_some() || !instant.has_come(shared.now.mono) || self.by_clock(shared).is_none() {
            return None;
        }
        let late_us = -instant.left_us(shared.now.mono);
        let error_us = shared.network_time().1.max(instant.spread_us());
        let order = shared.words.orders.get(&key)?.order.clone();
        let is_too_soon = order.at.since(self.done_at) < LEAST_INTERVAL && !order.dry_run;
        if is_too_soon && self.done_at != UnixMicros::default() {
            self.settle(key, &order, (Outcome::Skipped, None), shared);
            return None;
        }
        Some(Due { key, order, late_us, error_us })
    }

    /// Microseconds until the instant by network time, if there is one.
    fn by_clock(&self, shared: &Shared) -> Option<i64> {
        let order = &shared.words.orders.get(&self.planned()?)?.order;
        (shared.network_estimate().members > 0).then(|| order.at.since(shared.network_time().0))
    }

    /// Tells peers when this node means to do it, and hears them.
    pub(crate) fn agree(&mut self, shared: &mut Shared) {
        let (Some(key), by_clock) = (self.planned(), self.by_clock(shared)) else { return };
        let Some(in_us) = self.instant.as_mut().and_then(|instant| instant.round(by_clock, shared.now.mono)) else {
            return;
        };
        if by_clock.is_none() {
            return;
        }
        let told = RebuildInstant { by: key.1, seq: key.0, in_us };
        let frame = std::sync::Arc::new(Wire::Rebuild(Message::Instant(told)).into());
        for peer in shared.up.keys().copied().collect::<Vec<_>>() {
            shared.send_frame(&peer, &frame);
        }
    }

    /// A peer tells when it means to do it; `delay_us` is what its words took to come here.
    pub(crate) fn handle_instant(&mut self, (peer, delay_us): (NodeId, u64), told: RebuildInstant, shared: &Shared) {
        let is_meant = self.planned() == Some((told.seq, told.by));
        if let Some(instant) = self.instant.as_mut().filter(|_| is_meant) {
            instant.heard(peer, (told.in_us, delay_us), shared.now.mono);
        }
    }

    /// The order that stands and was not done.
    fn planned(&self) -> Option<Key> {
        self.quorum.as_ref().map(|quorum| quorum.key).filter(|key| !self.settled.contains_key(key))
    }

    /// It was done, or only tried.
    pub(crate) fn begun(&mut self, due: &Due, plan: RedrawPlan, is_running: bool, shared: &mut Shared) {
        let Due { key, order, late_us, error_us } = due;
        let outcome = if order.dry_run { Outcome::Tried } else { Outcome::Done };
        let steps = (plan.fresh.len(), plan.idle.len());
        let mut last = Last::new(*key, order, outcome, Some(plan));
        (last.late_us, last.error_us) = (Some(*late_us), Some(*error_us));
        self.settled.insert(*key, outcome);
        let (fresh, idle) = steps;
        let step = if order.dry_run {
            RebuildStep::Tried { fresh, idle }
        } else {
            (self.done_at, self.running) = (order.at, is_running.then_some(*key));
            self.done += 1;
            shared.words.proposals.answer(order.at);
            self.watch.rebuilt(shared.now.mono);
            RebuildStep::Started { fresh, idle, late_us: *late_us }
        };
        self.last = Some(last);
        shared.dirty = true;
        tell(*key, order, step, shared);
        if !order.dry_run && !is_running {
            tell(*key, order, RebuildStep::Done { linked: 0, let_go: 0 }, shared);
        }
    }

    /// Whether links are being chosen anew.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// New links are up and old ones gone.
    pub(crate) fn finished(&mut self, redrawn: Redrawn, shared: &mut Shared) {
        let Some(key) = self.running.take() else { return };
        if let Some(last) = self.last.as_mut().filter(|last| last.key == key) {
            last.redrawn = Some(redrawn);
        }
        if let Some(held) = shared.words.orders.get(&key) {
            let order = held.order.clone();
            tell(key, &order, RebuildStep::Done { linked: redrawn.linked, let_go: redrawn.let_go }, shared);
        }
        self.review(shared);
    }

    fn settle(
        &mut self,
        key: Key,
        order: &RebuildOrder,
        (outcome, plan): (Outcome, Option<RedrawPlan>),
        shared: &mut Shared,
    ) {
        self.settled.insert(key, outcome);
        self.skipped += u64::from(outcome == Outcome::Skipped);
        self.last = Some(Last::new(key, order, outcome, plan));
        shared.dirty = true;
        tell(key, order, RebuildStep::Skipped, shared);
    }

    /// Others say who has an order.
    pub(crate) fn handle_known(
        &mut self,
        (peer, known): (NodeId, &RebuildKnown),
        members: Option<&Members>,
        shared: &Shared,
    ) {
        if let Some(quorum) = self.quorum.as_mut().filter(|quorum| quorum.key == (known.seq, known.by)) {
            quorum.merge(&known.tokens, members, shared.now.mono);
            quorum.forget_but(|peer| shared.up.contains_key(peer));
            quorum.meet(peer, &known.tokens, shared.now.mono);
        }
    }

    /// Tells peers along the tree who has the order, when there is something new.
    pub(crate) fn tell_known(&mut self, on_ring: bool, shared: &mut Shared) {
        self.tell_again(shared);
        let Some(quorum) = self.quorum.as_mut() else { return };
        let Some((known, is_first, unanswered)) = quorum.take_unsent(shared.now.mono) else { return };
        let to_all = on_ring || is_first;
        let peers: Vec<NodeId> =
            if to_all { shared.up.keys().copied().collect() } else { shared.tree.eager_peers().collect() };
        if !known.tokens.is_empty() {
            let frame = std::sync::Arc::new(Wire::Rebuild(Message::Known(known)).into());
            for peer in peers.iter().filter(|peer| !unanswered.contains(*peer)) {
                shared.send_frame(peer, &frame);
            }
        }
        for peer in unanswered {
            self.tell_all(&peer, shared);
        }
    }

    fn tell_again(&mut self, shared: &mut Shared) {
        let is_planned = self.planned().is_some();
        let now = shared.now.mono;
        if !is_planned || !self.quorum.as_mut().is_some_and(|quorum| quorum.take_retell(now)) {
            return;
        }
        let peers: Vec<NodeId> = shared.up.keys().copied().collect();
        if let Some(peer) = peers.get(shared.below(peers.len())) {
            self.tell_all(peer, shared);
        }
    }

    /// Tells one peer everything: a new one, or now and then.
    pub(crate) fn tell_all(&self, peer: &NodeId, shared: &mut Shared) {
        if let Some(quorum) = &self.quorum {
            shared.send(peer, Wire::Rebuild(Message::Known(quorum.all())));
        }
    }

    /// The next sequence for a record of this node.
    pub(crate) fn next_seq(&mut self, shared: &mut Shared) -> UnixMicros {
        shared.dirty = true;
        self.seq.next(shared.steady())
    }

    pub(crate) fn next_timeout(&self, shared: &Shared) -> Option<Mono> {
        let is_waiting = self.planned().is_some() && self.running.is_none() && shared.network_estimate().members > 0;
        let at = self.instant.as_ref().filter(|_| is_waiting).map(|instant| instant.next_timeout(shared.now.mono));
        let flush = self.quorum.as_ref().filter(|_| self.planned().is_some()).map(Quorum::next_timeout);
        at.into_iter().chain(flush).chain(self.watch.next_timeout()).min()
    }
}

/// Says whether an order may be given to this node now.
pub(crate) fn check_lead(order: &RebuildOrder, shared: &Shared) -> Result<(), (Code, String)> {
    let lead = order.at.since(shared.network_time().0);
    if lead < 0 {
        return Err((Code::RecordExpired, "its instant is past: sign another one".to_owned()));
    }
    if lead < LEAST_LEAD {
        let detail =
            format!("its instant is only {} ms away, and not all would hear of it: sign another one", lead / 1_000);
        return Err((Code::RecordExpired, detail));
    }
    Ok(())
}

fn tell(key: Key, order: &RebuildOrder, step: RebuildStep, shared: &mut Shared) {
    let (seq, by) = key;
    shared.event(Event::Rebuild { by, seq, at: order.at, dry_run: order.dry_run, step });
}

#[cfg(test)]
mod tests;
