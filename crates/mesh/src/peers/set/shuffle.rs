//! With whom members found of late are exchanged, and how often.

use std::time::Duration;

use meshline_protocol::NodeId;

use super::LinkSet;
use crate::now::Mono;
use crate::shared::Shared;

/// Between exchanges of members found of late.
const SHUFFLE_PAUSE: Duration = Duration::from_secs(30);

impl LinkSet {
    /// With whom members found of late are exchanged now, if it is time.
    pub(crate) fn shuffle_with(&mut self, shared: &mut Shared) -> Option<NodeId> {
        let now = shared.now.mono;
        if !self.is_bounded() || now < self.shuffle_at {
            return None;
        }
        self.shuffle_at = shared.jittered(SHUFFLE_PAUSE);
        let peers: Vec<NodeId> = shared.up.keys().filter(|id| !self.is_guest(id)).copied().collect();
        self.shuffled_with = peers.get(shared.below(peers.len())).copied();
        self.shuffled_with
    }

    /// Whether what a peer sends in exchange is taken: an answer once, and a question as often as honest ones come.
    pub(crate) fn takes_shuffle(&mut self, peer: NodeId, is_question: bool, now: Mono) -> bool {
        if !is_question {
            return self.shuffled_with.take_if(|asked| *asked == peer).is_some();
        }
        let last = self.shuffled.get(&peer).copied();
        let is_early = last.is_some_and(|last| now.since(last) < SHUFFLE_PAUSE / 2);
        if !is_early {
            self.shuffled.insert(peer, now);
        }
        !is_early
    }
}
