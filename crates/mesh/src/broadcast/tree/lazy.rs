//! Names on lazy links: told, heard, and what they name asked for.

use std::time::Duration;

use meshline_protocol::NodeId;
use meshline_protocol::message::{BroadcastHave, BroadcastName};

use super::{MessageId, Step, Tree};
use crate::now::Mono;

/// Announcements wait so long for others to go with: a message that comes along the tree is mostly here before them.
const FLUSH_AFTER: Duration = Duration::from_millis(50);

/// Lazy links on which a message is announced. Whoever misses it hears of it from as many others on average; all sixty
/// links of a busy node would cost more than the messages.
pub(super) const ANNOUNCED_TO: usize = 8;

impl Tree {
    /// A peer says what it has. Says how many of the names were one too many.
    pub fn announced(
        &mut self,
        from: NodeId,
        have: &BroadcastHave,
        is_here: &dyn Fn(&MessageId) -> bool,
        now: Mono,
    ) -> usize {
        let mut refused = 0;
        self.counts.announcements_received += u64::try_from(have.names.len()).unwrap_or(u64::MAX);
        for name in have.names.iter() {
            let id = MessageId::from(name);
            let Some(peer) = self.peers.get_mut(&from) else { return refused };
            if !peer.may_announce(now) {
                refused += 1;
                continue;
            }
            peer.has(id);
            if is_here(&id) {
                continue;
            }
            if peer.is_believed() {
                let due = if have.past { now } else { now.after(self.pace.patience()) };
                refused += usize::from(!self.missing.announced(id, from, due, now));
            }
        }
        refused
    }

    /// Announces a message on lazy links: on some of many, the same ones until they are told.
    pub(super) fn announce(&mut self, mut lazy: Vec<NodeId>, id: MessageId, now: Mono) {
        if self.flush_at.is_none() {
            self.turn = usize::try_from(self.next_random() >> 33).unwrap_or(0);
        }
        if !lazy.is_empty() {
            let begin = self.turn % lazy.len();
            lazy.rotate_left(begin);
            self.flush_at.get_or_insert_with(|| now.after(FLUSH_AFTER));
        }
        for peer in lazy.iter().take(ANNOUNCED_TO) {
            if let Some(state) = self.peers.get_mut(peer) {
                state.queue(id);
            }
        }
    }

    pub(super) fn flush(&mut self) {
        self.flush_at = None;
        for (peer, state) in &mut self.peers {
            let ids = state.take_queue();
            // Hops from another place of entry cannot be compared.
            let hops = |id: &MessageId| {
                self.firsts.get(id).filter(|first| first.trail.entry == 0).map(|first| first.trail.hops)
            };
            let names: Vec<BroadcastName> =
                ids.iter().map(|id| BroadcastName { by: id.by, seq: id.seq, kind: id.kind, hops: hops(id) }).collect();
            if !names.is_empty() {
                self.counts.announcements_sent += u64::try_from(names.len()).unwrap_or(u64::MAX);
                self.out.push_back(Step::Have { to: *peer, names });
            }
        }
    }

    /// Asks for what was announced and did not come.
    pub(super) fn ask(&mut self, now: Mono) {
        let asks = self.missing.due(&mut self.peers, self.pace.answer(), now);
        for (to, ids) in asks {
            self.counts.asked += u64::try_from(ids.len()).unwrap_or(u64::MAX);
            self.out.push_back(Step::Want { to, ids });
        }
    }
}
