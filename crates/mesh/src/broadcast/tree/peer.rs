//! One linked peer: whether its link is of the tree, what it may ask and say, and whether it keeps its word.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use meshline_protocol::message::BroadcastPlace;

use super::MessageId;
use crate::bucket::{Bucket, Rate};
use crate::now::Mono;

/// Names that a peer may announce: all messages of forty busy authors, and a long list after a parting.
pub(super) const ANNOUNCED: Rate = Rate { per_second: 1_024, burst: 8_192 };

/// Grafts of a peer: one a message that did not come, and never more than messages.
pub(super) const GRAFTS: Rate = Rate { per_second: 32, burst: 256 };

/// Places a peer may tell: many while a network comes together. Of one that tells more nothing is believed until it is
/// within its rate again.
pub(super) const PLACES: Rate = Rate { per_second: 2, burst: 128 };

/// Kibibytes of messages handed to a peer that asks: what waits for a link at once, and what a good link carries a second.
/// Nobody asks for more than half of that before it comes.
pub(super) const ASKED_FOR: Rate = Rate { per_second: 2_048, burst: 1_024 };

/// Names that wait to be announced to a peer; the oldest give way and are found by comparing.
pub(super) const MAX_QUEUED: usize = 1_024;

/// Names that a peer is known to have, the newest: as long as a message takes to all.
const MAX_KNOWN: usize = 256;

/// A peer that broke so many promises more than it kept is not asked before it handed something over by itself.
pub(super) const MAX_BROKEN: u32 = 16;

/// A peer that goes on sending twice is pruned again after this.
const PRUNE_EVERY: Duration = Duration::from_millis(500);

/// What is known of a linked peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Messages are handed over, not announced.
    pub(super) eager: bool,
    /// Eager for want of a better one, until a place is found or a loop is.
    pub(super) is_stopgap: bool,
    place: Option<(BroadcastPlace, Mono)>,
    pub(super) told_place: Option<BroadcastPlace>,
    distrusted_until: Option<Mono>,
    places: Bucket,
    queue: VecDeque<MessageId>,
    known: BTreeSet<MessageId>,
    known_order: VecDeque<MessageId>,
    broken: u32,
    pruned_at: Option<Mono>,
    announced: Bucket,
    grafts: Bucket,
    asked_for: Bucket,
    /// Messages asked of it and not here yet.
    pub(super) outstanding: usize,
}

impl Peer {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            eager: false,
            is_stopgap: false,
            place: None,
            told_place: None,
            distrusted_until: None,
            places: Bucket::new(PLACES, now),
            queue: VecDeque::new(),
            known: BTreeSet::new(),
            known_order: VecDeque::new(),
            broken: 0,
            pruned_at: None,
            announced: Bucket::new(ANNOUNCED, now),
            grafts: Bucket::new(GRAFTS, now),
            asked_for: Bucket::new(ASKED_FOR, now),
            outstanding: 0,
        }
    }

    /// It has a message, and need not be told of it.
    pub(super) fn has(&mut self, id: MessageId) {
        self.queue.retain(|queued| *queued != id);
        if self.known.insert(id) {
            self.known_order.push_back(id);
        }
        if self.known_order.len() > MAX_KNOWN
            && let Some(oldest) = self.known_order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn knows(&self, id: &MessageId) -> bool {
        self.known.contains(id)
    }

    pub(super) fn queue(&mut self, id: MessageId) {
        self.queue.push_back(id);
        if self.queue.len() > MAX_QUEUED {
            self.queue.pop_front();
        }
    }

    pub(super) fn take_queue(&mut self) -> VecDeque<MessageId> {
        std::mem::take(&mut self.queue)
    }

    pub(super) fn may_announce(&mut self, now: Mono) -> bool {
        self.announced.take(now)
    }

    pub(super) fn may_graft(&mut self, now: Mono) -> bool {
        self.grafts.take(now)
    }

    pub(super) fn may_take(&mut self, bytes: usize, now: Mono) -> bool {
        let kibibytes = u64::try_from(bytes.div_ceil(1_024)).unwrap_or(u64::MAX).max(1);
        self.asked_for.take_many(kibibytes, now)
    }

    pub(super) fn may_prune(&mut self, now: Mono) -> bool {
        let may = self.pruned_at.is_none_or(|at| now.since(at) >= PRUNE_EVERY);
        if may {
            self.pruned_at = Some(now);
        }
        may
    }

    /// Where it is in the tree, and since when it says so.
    pub(super) fn place(&self) -> Option<(BroadcastPlace, Mono)> {
        self.place
    }

    pub(super) fn set_place(&mut self, place: BroadcastPlace, now: Mono) -> bool {
        let may = self.places.take(now);
        self.place = may.then_some((place, now));
        may
    }

    pub(super) fn is_distrusted(&self, now: Mono) -> bool {
        self.distrusted_until.is_some_and(|until| until > now)
    }

    pub(super) fn distrust_until(&mut self, until: Mono) {
        self.distrusted_until = Some(until);
    }

    /// It handed over a message that was new.
    pub(super) fn kept_word(&mut self) {
        self.broken = self.broken.saturating_sub(1);
    }

    /// It did not hand over what it had announced.
    pub(super) fn broke_word(&mut self) {
        self.broken = self.broken.saturating_add(1).min(2 * MAX_BROKEN);
    }

    pub(super) fn broken(&self) -> u32 {
        self.broken
    }

    pub(super) fn is_believed(&self) -> bool {
        self.broken < MAX_BROKEN
    }
}
