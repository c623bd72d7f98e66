//! How messages came here first, for a while.

use std::collections::{BTreeMap, VecDeque};

use meshline_protocol::NodeId;
use meshline_protocol::message::BroadcastTrail;

use super::MessageId;
use crate::now::Mono;

/// Messages remembered, the newest. A second copy is seconds behind the first; of what is older a copy prunes nothing.
pub(super) const MAX_FIRSTS: usize = 2_048;

/// How a message came here first.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    /// From whom; `None` if it is our own.
    pub(super) from: Option<NodeId>,
    /// With the links up to here.
    pub(super) trail: BroadcastTrail,
    pub(super) at: Mono,
}

/// How messages came here first.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    known: BTreeMap<MessageId, First>,
    order: VecDeque<MessageId>,
}

impl Firsts {
    pub(super) fn put(&mut self, id: MessageId, first: First) {
        if self.known.insert(id, first).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_FIRSTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&First> {
        self.known.get(id)
    }
}
