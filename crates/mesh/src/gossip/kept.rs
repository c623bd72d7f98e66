//! Which members are known, where there are too many to know all: those near by links and on the ring, those talked to
//! lately, and some of the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::limits::MAX_IDS;
use meshline_protocol::message::{Gossip as Message, Want};
use meshline_protocol::{Bounded, Message as Wire, NodeId};

use super::{Gossip, Known, News};
use crate::now::Mono;
use crate::routing::Routing;
use crate::shared::Shared;

/// Beside as many members as the area may hold, half as many are known: neighbours on the ring, those talked to, and a
/// sample of all others, from which links and proxies are chosen.
pub(crate) fn most_kept(max_area: usize) -> usize {
    max_area + max_area / 2
}

/// So many more are held for a moment, so that not each new one is a reason to look through all.
const SURPLUS: usize = 32;

/// Members kept on either side on the ring: whoever is next stays known when several go at once.
pub(crate) const RING_SIDE: usize = 8;

/// Members talked to lately, and how long that is.
pub(super) const MAX_TALKED: usize = 64;
const TALKED_FOR: Duration = Duration::from_secs(900);

/// Records of members near are asked for so often, so many of one peer at a time.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_MOST: usize = 32;

/// A record is asked for again so long before it ends, in microseconds: a third of the half after which there is a new one.
const ASK_BEFORE_END: i64 = 600_000_000;

impl Gossip {
    /// Whether a member is worth knowing here. The author of a message that waits is: otherwise nobody behind this node
    /// would get it either.
    pub(super) fn wants(&self, id: &NodeId, shared: &Shared, routing: &Routing) -> bool {
        self.members.get(id).is_some()
            || self.members.len() < self.max_kept
            || shared.awaited.contains(id)
            || self.is_near(id, shared, routing)
    }

    /// Whether a member is known whatever the number.
    fn is_near(&self, id: &NodeId, shared: &Shared, routing: &Routing) -> bool {
        !routing.is_part()
            || shared.up.contains_key(id)
            || routing.level(id).is_some()
            || self.members.is_ring_near(id, &shared.id, RING_SIDE)
    }

    /// Takes in a checked member that was talked to or lies next on the ring, however far away it is by links.
    pub(crate) fn keep_far(&mut self, member: Arc<Member>, shared: &mut Shared) -> Option<News> {
        let arrived = self.members.get(&member.id).is_none_or(Known::has_left);
        self.members.talked(member.id, shared.now.mono);
        if member.id == shared.id || !self.members.insert(Arc::clone(&member)) {
            return None;
        }
        shared.known_changed = true;
        Some(News::Member { member, arrived, from: None })
    }

    /// Forgets members beyond the bound, those first that nothing speaks for.
    pub(crate) fn trim(&mut self, shared: &Shared, routing: &Routing) {
        if !routing.is_part() || self.members.len() <= self.max_kept + SURPLUS {
            return;
        }
        self.members.forget_talked(shared.now.mono, TALKED_FOR);
        let surplus = self.members.len() - self.max_kept;
        let is_kept = |id: &NodeId| self.members.was_talked(id) || self.is_near(id, shared, routing);
        let others = self.members.iter().map(|known| known.member.id).filter(|id| !is_kept(id));
        // By a number that is another one at each node: so each keeps other ones.
        let mut others: Vec<(u64, NodeId)> = others.map(|id| (mixed(&id, &shared.id), id)).collect();
        others.sort_unstable();
        for (_, id) in others.iter().take(surplus) {
            self.members.remove(id);
        }
    }

    /// Asks linked members for the records of those near that are not known, or about to end.
    pub(super) fn ask_near(&mut self, shared: &mut Shared, routing: &Routing) {
        let now = shared.now.mono;
        if !routing.is_part() || now < self.asked_at {
            return;
        }
        self.asked_at = now.after(ASK_EVERY);
        let soon = shared.judged().offset(ASK_BEFORE_END);
        let is_known = |id: &NodeId| self.members.get(id).is_some_and(|known| known.is_current(soon));
        let mut asked: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (id, branch) in routing.area_members().filter(|(id, _)| !is_known(id)) {
            asked.entry(branch).or_default().push(id);
        }
        for (peer, ids) in asked {
            // Another part of them each time: what one does not have is in nobody's way.
            let start = shared.below(ids.len());
            let some = ids.iter().cycle().skip(start).take(ids.len().min(ASK_MOST).min(MAX_IDS)).copied();
            shared.send(&peer, Wire::Gossip(Message::Want(Want { ids: Bounded::from_first(some) })));
        }
    }

    pub(super) fn next_ask(&self, is_part: bool) -> Option<Mono> {
        is_part.then_some(self.asked_at)
    }
}

fn mixed(id: &NodeId, own: &NodeId) -> u64 {
    let head = |id: &NodeId| id.as_bytes().first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
    (head(id) ^ head(own)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}
