//! An own message on a ring: handed to the successor, back from the predecessor, and not at rest before everyone
//! on the closed ring has it.
//!
//! While a ring heals, successors are stopgaps for moments: a message may come back from a shorter ring than the
//! one that closes soon after. So the members of the own token, whenever that returns, are held against those who
//! have the message, and it goes round again for those who have not.

use std::collections::BTreeSet;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::handed::send_ring;
use super::own::{Pending, Way, attempt_at};
use crate::event::{Delivery, DeliveryState};
use crate::now::Mono;
use crate::ring::RingPlace;
use crate::shared::Shared;

/// How long a message that has reached everybody is held against returning tokens: two rings that were parted
/// find each other in this time.
const SETTLED: Duration = Duration::from_secs(10);

/// How far a message has come.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The round of the last own token before it was sent; `None` while it is not under way.
    sent: Option<u32>,
    /// The own token's return it was last held against.
    checked: u32,
    back_at: Option<Mono>,
    /// Whether it had reached everybody when it was last back.
    complete: bool,
}

impl Round {
    /// What there is to tell: a message that had reached everybody is not on its way again because the ring opened
    /// afterwards.
    pub(super) fn delivery(&self, holders: &BTreeSet<NodeId>, place: RingPlace<'_>) -> Delivery {
        let state = match (self.complete, place.complete && place.successor.is_some()) {
            (true, _) => DeliveryState::Complete,
            (false, true) => DeliveryState::OnItsWay,
            (false, false) => DeliveryState::Queued,
        };
        let (delivered_to, others) = (holders.len(), place.members.len().saturating_sub(1));
        let delivered_of = match state {
            DeliveryState::Complete => delivered_to,
            DeliveryState::OnItsWay => others.max(delivered_to),
            DeliveryState::Queued => 0,
        };
        Delivery { state, delivered_to, delivered_of }
    }
}

impl Pending {
    /// Hands the message to the successor, if there is one.
    pub(super) fn hand_round(&mut self, place: RingPlace<'_>, shared: &mut Shared) {
        let (Way::Ring(round), Some(successor)) = (&mut self.way, place.successor) else { return };
        send_ring(&successor, self.line.clone(), &self.body, shared);
        round.sent = Some(place.rounds.0);
    }

    /// The message is back.
    pub(super) fn come_back(&mut self, holders: &[NodeId], place: RingPlace<'_>, shared: &mut Shared) {
        let Way::Ring(round) = &mut self.way else { return };
        self.holders.extend(holders.iter().copied().filter(|id| *id != shared.id));
        round.sent = None;
        round.back_at.get_or_insert(shared.now.mono);
        self.compare(place, shared);
    }

    /// A token sent after a message takes the same way: if it came back and the message did not, the message is
    /// lost. If it names somebody who has not got the message, that goes round again.
    pub(super) fn look_again(&mut self, place: RingPlace<'_>, shared: &mut Shared) {
        let Way::Ring(round) = &mut self.way else { return };
        let again = match round.sent {
            None if round.back_at.is_none() => true,
            None if place.rounds.1 <= round.checked => return self.tell(Some(place), shared),
            None => place.members.iter().any(|id| *id != shared.id && !self.holders.contains(id)),
            Some(sent) if place.rounds.1 > sent => true,
            Some(_) => return self.tell(Some(place), shared),
        };
        round.checked = place.rounds.1;
        if !again {
            self.compare(place, shared);
            return;
        }
        if place.successor.is_some() && (round.sent.is_some() || round.back_at.is_some()) {
            self.line.attempt = self.line.attempt.saturating_add(1).max(attempt_at(self.line.seq, shared));
        }
        self.hand_round(place, shared);
        self.tell(Some(place), shared);
    }

    fn compare(&mut self, place: RingPlace<'_>, shared: &mut Shared) {
        let Way::Ring(round) = &mut self.way else { return };
        let has = |id: &NodeId| *id == shared.id || self.holders.contains(id);
        round.complete |= place.complete && place.members.iter().all(has);
        self.tell(Some(place), shared);
    }

    pub(super) fn is_told_complete(&self) -> bool {
        self.told.state == DeliveryState::Complete
    }

    /// Whether everybody has had it for a while.
    pub(super) fn is_over(&self, now: Mono) -> bool {
        match &self.way {
            Way::Mesh(_) => false,
            Way::Ring(round) => self.is_told_complete() && round.back_at.is_some_and(|back| now.since(back) >= SETTLED),
        }
    }
}
