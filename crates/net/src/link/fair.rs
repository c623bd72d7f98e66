//! Datagrams that wait for a link: each flow has its own queue, and they take turns (deficit round robin).
//!
//! A flow that sends more than the link carries fills its own queue; when the room of all is full, the newest of the
//! longest flow goes. So whoever sends little neither waits behind nor loses by whoever sends much.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_protocol::message::Datagram;

use crate::limits::{
    COPIED_BODY, FLOW_ENOUGH, FLOW_QUANTUM, MAX_FLOW_BYTES, MAX_FLOWS, MAX_WAITING_BYTES, MAX_WAITING_CROWDED,
    MAX_WAITING_IN_ALL, WAITING_OVERHEAD,
};

/// A datagram on its way to a link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    /// As it came, in case it has to go another way.
    pub(crate) datagram: Box<Datagram>,
    /// Who handed it over; `None` if it is from here.
    pub(crate) from: Option<NodeId>,
    /// Its line as it goes on.
    pub(crate) head: Bytes,
    /// Its content.
    pub(crate) body: Bytes,
}

impl Waiting {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Bytes it counts while it waits.
    fn weight(&self) -> usize {
        self.len() + WAITING_OVERHEAD
    }

    pub(super) fn flow(&self) -> FlowKey {
        (self.datagram.src, self.datagram.flow)
    }
}

pub(super) type FlowKey = (NodeId, u32);

/// Why a datagram was dropped at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Overflow {
    /// Its flow has its room full.
    Flow,
    /// The link has its room full, and its flow was the longest.
    Link,
    /// Too many flows wait for the link.
    Flows,
    /// All links together have their room full, and this one has more than its share.
    Node,
}

impl Overflow {
    /// The name in counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow_full",
            Self::Link => "link_full",
            Self::Flows => "too_many_flows",
            Self::Node => "node_full",
        }
    }
}

/// What was dropped when a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) reason: Overflow,
    /// The newest ones of longer flows.
    pub(crate) others: u64,
    /// The one that came.
    pub(crate) this: bool,
}

impl Dropped {
    fn this(reason: Overflow) -> Self {
        Self { reason, others: 0, this: true }
    }
}

/// All flows of one link.
#[derive(Debug, Default)]
pub(super) struct Fair {
    flows: BTreeMap<FlowKey, Flow>,
    /// Those with something waiting, in the order of their turns.
    turns: VecDeque<FlowKey>,
    bytes: usize,
    frames: usize,
    /// Bytes that wait for all links of the node.
    in_all: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Flow {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Bytes it may still send in this turn.
    allowance: usize,
    /// Who fills it and wants to know when it has room.
    filler: Option<Waker>,
}

impl Flow {
    /// A flow that has its first turn before it: it need not wait for a second one.
    fn new() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, allowance: FLOW_QUANTUM, filler: None }
    }
}

impl Fair {
    /// One of several that share a room.
    pub(super) fn sharing(in_all: Arc<AtomicUsize>) -> Self {
        let mut fair = Self::default();
        fair.in_all = in_all;
        fair
    }

    fn is_crowded(&self, weight: usize) -> bool {
        self.bytes + weight > MAX_WAITING_CROWDED && self.in_all.load(Ordering::Relaxed) + weight > MAX_WAITING_IN_ALL
    }

    fn note_gone(&mut self, weight: usize) {
        self.bytes -= weight;
        self.frames -= 1;
        self.in_all.fetch_sub(weight, Ordering::Relaxed);
    }

    /// Adds a datagram; tells how many were dropped, if any, it or others for it, and why.
    pub(super) fn push(&mut self, mut new: Waiting) -> Option<Dropped> {
        let (key, weight) = (new.flow(), new.weight());
        let held = self.flows.get(&key).map(|flow| flow.bytes);
        match held {
            Some(held) if held + weight > MAX_FLOW_BYTES => return Some(Dropped::this(Overflow::Flow)),
            None if self.flows.len() >= MAX_FLOWS => return Some(Dropped::this(Overflow::Flows)),
            _ if self.is_crowded(weight) => return Some(Dropped::this(Overflow::Node)),
            Some(_) | None => {}
        }
        let mut others = 0;
        while self.bytes + weight > MAX_WAITING_BYTES {
            let longest = self.flows.iter().max_by_key(|(_, flow)| flow.bytes).map(|(key, flow)| (*key, flow.bytes));
            match longest {
                Some((longest, bytes)) if bytes > held.unwrap_or(0) + weight => self.drop_newest(longest),
                // It is of the longest flow itself, and the newest.
                _ => return Some(Dropped { reason: Overflow::Link, others, this: true }),
            }
            others += 1;
        }
        if new.body.len() < COPIED_BODY {
            new.body = Bytes::copy_from_slice(&new.body);
        }
        let flow = self.flows.entry(key).or_insert_with(Flow::new);
        if flow.waiting.is_empty() {
            self.turns.push_back(key);
        }
        flow.waiting.push_back(new);
        flow.bytes += weight;
        self.bytes += weight;
        self.frames += 1;
        self.in_all.fetch_add(weight, Ordering::Relaxed);
        (others > 0).then_some(Dropped { reason: Overflow::Link, others, this: false })
    }

    /// Whether a flow has enough waiting; if so, `filler` is woken when half of it is gone.
    pub(super) fn is_enough(&mut self, key: &FlowKey, filler: impl FnOnce() -> Waker) -> bool {
        let Some(flow) = self.flows.get_mut(key).filter(|flow| flow.bytes >= FLOW_ENOUGH) else { return false };
        flow.filler = Some(filler());
        true
    }

    fn drop_newest(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let Some(newest) = flow.waiting.pop_back() else { return };
        flow.bytes -= newest.weight();
        if flow.waiting.is_empty() {
            let filler = self.flows.remove(&key).and_then(|flow| flow.filler);
            filler.into_iter().for_each(Waker::wake);
            self.turns.retain(|turn| *turn != key);
        }
        self.note_gone(newest.weight());
    }

    /// The next datagram, if it is at most `room` bytes long.
    pub(super) fn pop(&mut self, room: usize) -> Option<Waiting> {
        loop {
            let key = *self.turns.front()?;
            let flow = self.flows.get_mut(&key)?;
            let length = flow.waiting.front()?.len();
            if length > flow.allowance {
                flow.allowance += FLOW_QUANTUM;
                // Alone there is nobody to let go first.
                self.turns.rotate_left(1);
                continue;
            }
            if length > room {
                return None;
            }
            flow.allowance -= length;
            let next = flow.waiting.pop_front()?;
            flow.bytes -= next.weight();
            if flow.bytes <= FLOW_ENOUGH / 2
                && let Some(filler) = flow.filler.take()
            {
                filler.wake();
            }
            if flow.waiting.is_empty() {
                self.flows.remove(&key);
                self.turns.pop_front();
            }
            self.note_gone(next.weight());
            return Some(next);
        }
    }

    /// Everything that waits, to go another way.
    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        let mut waiting = vec![];
        self.turns.clear();
        self.frames = 0;
        self.in_all.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        for flow in std::mem::take(&mut self.flows).into_values() {
            waiting.extend(flow.waiting);
            flow.filler.into_iter().for_each(Waker::wake);
        }
        waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Datagrams and bytes that wait.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.frames, self.bytes)
    }
}

impl Drop for Fair {
    fn drop(&mut self) {
        self.in_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests;
