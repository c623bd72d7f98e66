//! The token: sent to the successor, handed on by everyone, and back at its author the proof that the ring is
//! closed, with everyone on it in order.

use std::collections::VecDeque;
use std::time::Duration;

use meshline_protocol::message::{Ring as Message, RingToken};
use meshline_protocol::{Bounded, Message as Wire, NodeId};

use crate::event::Event;
use crate::now::Mono;
use crate::shared::Shared;

/// Between tokens of a quiet ring; a tenth of a second a member more on a large one, since every token
/// passes every member.
const INTERVAL: Duration = Duration::from_secs(5);
const INTERVAL_PER_MEMBER: Duration = Duration::from_millis(100);

/// After a change: long enough for the changes of others to arrive as well.
const SETTLE: Duration = Duration::from_millis(60);

/// Least time between two tokens, whatever passes by.
const LEAST_INTERVAL: Duration = Duration::from_millis(300);

/// A token not back after so long, or after so many times what the last one took, is lost, and the ring open.
const LOST_AFTER: Duration = Duration::from_secs(2);
const LOST_AFTER_TRIPS: u32 = 3;

/// Tokens under way whose times are remembered.
const MAX_UNDER_WAY: usize = 16;

/// Our own tokens, and what the last one that came back said.
#[derive(Debug, Default)]
pub(crate) struct Token {
    round: u32,
    returned: u32,
    sent_at: Mono,
    /// Rounds that have not returned, with when they were sent.
    under_way: VecDeque<(u32, Mono)>,
    /// How long the last one that returned took.
    trip: Duration,
    next_at: Mono,
    complete: bool,
    /// The ring in order, ourselves first, as the last token named it.
    members: Vec<NodeId>,
    /// The successor last told in an event.
    pub(super) told_successor: Option<NodeId>,
}

impl Token {
    /// The successor changed: nothing is proved any more, and a new token goes out soon.
    pub(super) fn reset(&mut self, now: Mono) {
        self.complete = false;
        self.members.clear();
        self.next_at = now.after(SETTLE);
    }

    pub(super) fn handle(&mut self, token: RingToken, successor: Option<NodeId>, shared: &mut Shared) {
        if token.author == shared.id {
            self.handle_returned(&token, shared);
            return;
        }
        // A token that passes twice has lost its author: it goes no further.
        if token.members.contains(&shared.id) {
            return;
        }
        self.compare(&token, shared);
        let mut members = token.members;
        if let Some(successor) = successor.filter(|_| members.push(shared.id)) {
            shared.send(&successor, Wire::Ring(Message::Token(RingToken { members, ..token })));
        }
    }

    fn handle_returned(&mut self, token: &RingToken, shared: &mut Shared) {
        if token.round <= self.returned || token.round > self.round {
            return;
        }
        self.returned = token.round;
        if let Some((_, sent_at)) = self.under_way.iter().find(|(round, _)| *round == token.round) {
            self.trip = shared.now.mono.since(*sent_at);
        }
        self.under_way.retain(|(round, _)| *round > token.round);
        let changed = !self.complete || self.members != token.members[..];
        self.complete = true;
        self.members = token.members.to_vec();
        if changed {
            shared.event(Event::RingClosed { length: self.members.len() });
        }
    }

    /// Another's token that came another way than ours did says that the ring has changed far from here: ours
    /// goes out soon to see.
    fn compare(&mut self, token: &RingToken, shared: &Shared) {
        let ours_backwards = self.members.iter().rev();
        let same_way = token.members.iter().rev().zip(ours_backwards).all(|(theirs, ours)| theirs == ours);
        if !same_way || !self.members.contains(&token.author) {
            let soon = shared.now.mono.after(SETTLE).max(self.sent_at.after(LEAST_INTERVAL));
            self.next_at = self.next_at.min(soon);
        }
    }

    pub(super) fn handle_timeout(&mut self, successor: Option<NodeId>, shared: &mut Shared) {
        let now = shared.now.mono;
        let outstanding = self.round != self.returned;
        if outstanding && now >= self.sent_at.after(self.lost_after()) {
            self.complete = false;
        }
        let Some(successor) = successor.filter(|_| now >= self.next_at) else { return };
        self.round = self.round.wrapping_add(1);
        self.sent_at = now;
        self.under_way.push_back((self.round, now));
        if self.under_way.len() > MAX_UNDER_WAY {
            self.under_way.pop_front();
        }
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let pause =
            if outstanding { self.lost_after() } else { INTERVAL.max(INTERVAL_PER_MEMBER.saturating_mul(members)) };
        self.next_at = now.after(pause);
        let token = RingToken { author: shared.id, round: self.round, members: Bounded::from_first([shared.id]) };
        shared.send(&successor, Wire::Ring(Message::Token(token)));
    }

    fn lost_after(&self) -> Duration {
        LOST_AFTER.max(self.trip.saturating_mul(LOST_AFTER_TRIPS))
    }

    pub(super) fn rounds(&self) -> (u32, u32) {
        (self.round, self.returned)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn length(&self) -> usize {
        self.members.len().max(1)
    }

    pub(super) fn members(&self) -> &[NodeId] {
        &self.members
    }

    pub(super) fn next_timeout(&self, has_successor: bool) -> Option<Mono> {
        let lost = (self.complete && self.round != self.returned).then(|| self.sent_at.after(self.lost_after()));
        let next = has_successor.then_some(self.next_at);
        [lost, next].into_iter().flatten().min()
    }
}
