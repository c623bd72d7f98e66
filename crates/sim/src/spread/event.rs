//! What happens when, in a network of nodes that only spread messages.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use meshline_mesh::MessageId;
use meshline_protocol::message::{BroadcastName, BroadcastPlace, BroadcastTrail};

/// What arrives at a node.
#[derive(Debug)]
pub(super) enum What {
    Message {
        id: MessageId,
        trail: BroadcastTrail,
        hops: u32,
    },
    Have(Vec<BroadcastName>),
    Want(Vec<MessageId>),
    Graft,
    Prune,
    Place(BroadcastPlace),
    /// The other end of the link is gone.
    Gone,
    Wake,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) at: u64,
    /// Set by the queue: what was put in first happens first.
    pub(super) number: u64,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) what: What,
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

/// What is still to happen.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BinaryHeap<Reverse<Event>>,
    number: u64,
}

impl Queue {
    pub(super) fn put(&mut self, event: Event) {
        self.number += 1;
        self.events.push(Reverse(Event { number: self.number, ..event }));
    }

    /// The next event, if it is not after `end`.
    pub(super) fn pop(&mut self, end: u64) -> Option<Event> {
        if self.events.peek().is_none_or(|Reverse(event)| event.at > end) {
            return None;
        }
        self.events.pop().map(|Reverse(event)| event)
    }
}
