//! What was not passed on a moment ago, because those left out have it from its author: as long as a link that broke
//! takes to be noticed, they may have to be told of it after all.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use meshline_protocol::NodeId;

use super::tree::MessageId;
use crate::now::Mono;

/// For so long: a link that fell silent is given up and advertised no more by then.
pub(super) const REMEMBERED: Duration = Duration::from_secs(20);

/// Messages remembered, the newest: what is beyond comes with the next comparison of histories.
pub(super) const MAX_RECENT: usize = 64;

/// A message, and those who were left out.
#[derive(Debug)]
struct Late {
    id: MessageId,
    peers: BTreeSet<NodeId>,
    at: Mono,
}

/// What was not passed on to everybody.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Late>);

impl Recent {
    /// A message was not passed on to these.
    pub(super) fn note(&mut self, id: MessageId, peers: BTreeSet<NodeId>, now: Mono) {
        self.forget(now);
        if peers.is_empty() {
            return;
        }
        if self.0.len() >= MAX_RECENT {
            self.0.pop_front();
        }
        self.0.push_back(Late { id, peers, at: now });
    }

    /// Takes out what is now to be told to whom: author and peer are linked no longer.
    pub(super) fn take_parted(
        &mut self,
        are_linked: impl Fn(&NodeId, &NodeId) -> bool,
        now: Mono,
    ) -> Vec<(MessageId, BTreeSet<NodeId>)> {
        self.forget(now);
        let parted = |late: &mut Late| {
            let by = late.id.by;
            let peers: BTreeSet<NodeId> = late.peers.iter().filter(|peer| !are_linked(&by, peer)).copied().collect();
            late.peers.retain(|peer| !peers.contains(peer));
            (!peers.is_empty()).then_some((late.id, peers))
        };
        self.0.iter_mut().filter_map(parted).collect()
    }

    fn forget(&mut self, now: Mono) {
        while self.0.front().is_some_and(|late| now.since(late.at) >= REMEMBERED) {
            self.0.pop_front();
        }
    }
}
