//! Messages that were announced and are not here.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::MessageId;
use super::peer::Peer;
use crate::now::Mono;

/// Messages waited for. Each takes less than a kibibyte; more are announced again, or found by comparing.
pub(super) const MAX_MISSING: usize = 8_192;

/// Of these so many may be there by one peer's word, so that one that makes names up leaves room for the others.
pub(super) const MAX_MISSING_A_PEER: usize = 512;

/// Announcers remembered of a message, in the order they came.
pub(super) const MAX_ANNOUNCERS: usize = 8;

/// Messages asked of a peer at once; with the longest ones they fill what waits for a link to a quarter.
pub(super) const MAX_OUTSTANDING: usize = 16;

/// What had to wait for others of the same peer is looked at again after this.
const NEXT_LOOK: Duration = Duration::from_millis(20);

/// A message that was announced.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Who spoke of it first.
    by: NodeId,
    announcers: Vec<NodeId>,
    /// Who has been asked, of those above.
    tried: Vec<NodeId>,
    since: Mono,
    due: Mono,
    asked: Option<(NodeId, Mono)>,
}

impl Wanted {
    pub(super) fn announcers(&self) -> impl Iterator<Item = &NodeId> {
        self.announcers.iter()
    }

    /// When it was first heard of.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    /// Who was asked last, and when.
    pub(super) fn asked(&self) -> Option<(NodeId, Mono)> {
        self.asked
    }

    /// Asks the next announcer. Says whether there is one: if not, a further announcement begins anew, and comparing finds
    /// the rest.
    fn ask(
        &mut self,
        id: &MessageId,
        peers: &mut BTreeMap<NodeId, Peer>,
        asks: &mut Asks,
        (now, answer): (Mono, Duration),
    ) -> bool {
        if let Some((peer, _)) = self.asked.take() {
            peers.entry(peer).and_modify(Peer::broke_word);
        }
        let untried = self.announcers.iter().filter(|peer| !self.tried.contains(peer));
        let best = untried.min_by_key(|peer| peers.get(peer).map_or(u32::MAX, Peer::broken)).copied();
        let Some((peer, state)) = best.and_then(|peer| Some((peer, peers.get_mut(&peer)?))) else { return false };
        if state.outstanding >= MAX_OUTSTANDING {
            self.due = now.after(NEXT_LOOK);
            return true;
        }
        state.outstanding += 1;
        self.tried.push(peer);
        self.asked = Some((peer, now));
        self.due = now.after(answer);
        asks.entry(peer).or_default().push(*id);
        true
    }
}

/// Whom to ask for what.
pub(super) type Asks = BTreeMap<NodeId, Vec<MessageId>>;

/// Messages that were announced and are not here.
#[derive(Debug, Default)]
pub(super) struct Missing {
    wanted: BTreeMap<MessageId, Wanted>,
    /// How many there are by each peer's word.
    by: BTreeMap<NodeId, usize>,
    /// When to look again, at the latest.
    next: Option<Mono>,
}

impl Missing {
    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// A peer has a message that is not here. Says whether there is room for that.
    pub(super) fn announced(&mut self, id: MessageId, from: NodeId, due: Mono, now: Mono) -> bool {
        if let Some(wanted) = self.wanted.get_mut(&id) {
            if !wanted.announcers.contains(&from) && wanted.announcers.len() < MAX_ANNOUNCERS {
                wanted.announcers.push(from);
            }
            return true;
        }
        let of_peer = self.by.entry(from).or_default();
        if self.wanted.len() >= MAX_MISSING || *of_peer >= MAX_MISSING_A_PEER {
            return false;
        }
        *of_peer += 1;
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
        let announcers = vec![from];
        self.wanted.insert(id, Wanted { by: from, announcers, tried: Vec::new(), since: now, due, asked: None });
        true
    }

    pub(super) fn take(&mut self, id: &MessageId) -> Option<Wanted> {
        let wanted = self.wanted.remove(id)?;
        count_off(&mut self.by, &wanted);
        Some(wanted)
    }

    /// A peer is gone: what it announced alone is not waited for.
    pub(super) fn forget_peer(&mut self, peer: &NodeId) {
        let Self { wanted, by, .. } = self;
        wanted.retain(|_, wanted| {
            wanted.announcers.retain(|announcer| announcer != peer);
            let stays = !wanted.announcers.is_empty();
            if !stays {
                count_off(by, wanted);
            }
            stays
        });
    }

    /// Whom to ask for what now. Whoever was asked before and did not answer broke its word.
    pub(super) fn due(&mut self, peers: &mut BTreeMap<NodeId, Peer>, answer: Duration, now: Mono) -> Asks {
        let mut asks = Asks::new();
        if self.next.is_none_or(|next| next > now) {
            return asks;
        }
        self.count_outstanding(peers, now);
        let Self { wanted, by, .. } = self;
        wanted.retain(|id, wanted| {
            let stays = wanted.due > now || wanted.ask(id, peers, &mut asks, (now, answer));
            if !stays {
                count_off(by, wanted);
            }
            stays
        });
        self.next = self.wanted.values().map(|wanted| wanted.due).min();
        asks
    }

    fn count_outstanding(&self, peers: &mut BTreeMap<NodeId, Peer>, now: Mono) {
        peers.values_mut().for_each(|peer| peer.outstanding = 0);
        for (peer, _) in self.wanted.values().filter(|wanted| wanted.due > now).filter_map(|wanted| wanted.asked) {
            peers.entry(peer).and_modify(|state| state.outstanding += 1);
        }
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.next
    }
}

fn count_off(by: &mut BTreeMap<NodeId, usize>, wanted: &Wanted) {
    if let Some(count) = by.get_mut(&wanted.by) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            by.remove(&wanted.by);
        }
    }
}
