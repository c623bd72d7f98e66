//! The proxies that are kept warm: links to the two best by measured round trip, and a try of those not measured yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::NodeId;

use super::client::Known;
use crate::now::Mono;
use crate::report::ProxyRow;
use crate::shared::Shared;

/// Proxies kept linked: one in use, and one for when that dies.
const WARM: usize = 2;

/// Proxies tried at once for their round trip.
const TRIED_AT_ONCE: usize = 1;

/// How long a try may take. A link is measured within two of its round trips.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// A round trip that was measured holds so long: ways through the net change over a day, and a try costs a handshake.
const MEASURED_FOR: Duration = Duration::from_secs(600);

/// Between looks at the round trips.
const REVIEW_INTERVAL: Duration = Duration::from_secs(5);

/// Proxies looked at. A network has a few; of more the first ones by id.
const MAX_PROXIES: usize = 32;

/// Failures that are remembered, and how long. One member that never comes fails through every proxy, so a proxy
/// stands behind the others only when it failed for several.
const BLAMED_FOR: Duration = Duration::from_secs(60);
const BLAMED_BY: usize = 2;
const MAX_BLAME: usize = 16;

/// What is known of a proxy.
#[derive(Debug, Default)]
struct Sample {
    rtt_us: Option<u64>,
    measured_at: Mono,
    tried_at: Option<Mono>,
    blamed_for: BTreeMap<NodeId, Mono>,
}

/// The choice.
#[derive(Debug, Default)]
pub(crate) struct Warm {
    samples: BTreeMap<NodeId, Sample>,
    /// The best, best first.
    chosen: Vec<NodeId>,
    tried: BTreeSet<NodeId>,
    /// Linked now, best first.
    linked: Vec<NodeId>,
    review_at: Option<Mono>,
}

/// Whether one round trip is so much shorter than another that a change is worth it: by a fifth and two milliseconds,
/// which is more than a quiet line varies.
pub(crate) fn is_quicker(one_us: u64, other_us: u64) -> bool {
    one_us.saturating_add(one_us / 4).saturating_add(2_000) < other_us
}

impl Warm {
    /// Takes in what was measured and chooses anew.
    pub(crate) fn review(&mut self, shared: &Shared, known: Known<'_>) {
        let now = shared.now.mono;
        self.measure(shared, known);
        self.review_at = (!self.samples.is_empty()).then(|| now.after(REVIEW_INTERVAL));
        let mut linked: Vec<NodeId> = shared.up.iter().filter(|(_, up)| up.is_proxy).map(|(id, _)| *id).collect();
        linked.sort_by_key(|id| self.rank(id, now));
        let is_linked = |id: &NodeId| shared.up.contains_key(id);
        self.chosen.retain(|id| self.samples.contains_key(id));
        for id in &linked {
            self.consider(*id, is_linked, now);
        }
        let chosen = self.chosen.clone();
        linked.sort_by_key(|id| chosen.iter().position(|one| one == id).unwrap_or(WARM));
        self.linked = linked;
        self.choose_tries(now);
    }

    fn measure(&mut self, shared: &Shared, Known { links, members, .. }: Known<'_>) {
        let now = shared.now.mono;
        let ids: BTreeSet<NodeId> = members.proxies().map(|known| known.member.id).take(MAX_PROXIES).collect();
        self.samples.retain(|id, _| ids.contains(id));
        for id in ids {
            let sample = self.samples.entry(id).or_default();
            sample.blamed_for.retain(|_, at| now.since(*at) < BLAMED_FOR);
            let link = shared.up.get(&id).and_then(|up| links.get(up.link));
            if let Some(rtt) = link.and_then(|link| link.min_rtt_us().or_else(|| link.clock.rtt_us())) {
                (sample.rtt_us, sample.measured_at) = (Some(rtt), now);
            }
        }
    }

    /// A chosen one gives way to a linked one if it is gone, blamed, or slower by far.
    fn consider(&mut self, id: NodeId, is_linked: impl Fn(&NodeId) -> bool, now: Mono) {
        if self.chosen.contains(&id) {
            return;
        }
        if self.chosen.len() < WARM {
            self.chosen.push(id);
        } else {
            let worst = self.chosen.iter().copied().max_by_key(|one| (!is_linked(one), self.rank(one, now)));
            let Some(worst) = worst else { return };
            let (blamed, new_blamed) = (self.is_blamed(&worst, now), self.is_blamed(&id, now));
            let slower = match (self.rtt(&id), self.rtt(&worst)) {
                (Some(one), Some(other)) => is_quicker(one, other),
                (one, other) => one.is_some() && other.is_none(),
            };
            if !is_linked(&worst) || (blamed && !new_blamed) || (slower && !new_blamed) {
                self.chosen.retain(|one| *one != worst);
                self.chosen.push(id);
            }
        }
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.sort_by_key(|one| self.rank(one, now));
        self.chosen = chosen;
    }

    /// Those whose round trip nobody knows, or nobody knows any more, are linked for a moment, one after the other.
    fn choose_tries(&mut self, now: Mono) {
        let (chosen, mut tried) = (&self.chosen, BTreeSet::new());
        for (id, sample) in &mut self.samples {
            let is_known = sample.rtt_us.is_some() && now.since(sample.measured_at) < MEASURED_FOR;
            let was_tried = sample.tried_at.is_some_and(|at| now.since(at) >= TRY_LIMIT);
            let is_over = was_tried && sample.tried_at.is_some_and(|at| now.since(at) < MEASURED_FOR);
            if is_known || is_over || chosen.contains(id) || tried.len() >= TRIED_AT_ONCE {
                continue;
            }
            if was_tried || sample.tried_at.is_none() {
                sample.tried_at = Some(now);
            }
            tried.insert(*id);
        }
        self.tried = tried;
    }

    fn rtt(&self, id: &NodeId) -> Option<u64> {
        self.samples.get(id)?.rtt_us
    }

    fn is_blamed(&self, id: &NodeId, now: Mono) -> bool {
        let recent = |at: &&Mono| now.since(**at) < BLAMED_FOR;
        self.samples.get(id).is_some_and(|sample| sample.blamed_for.values().filter(recent).count() >= BLAMED_BY)
    }

    fn rank(&self, id: &NodeId, now: Mono) -> (bool, u64, NodeId) {
        (self.is_blamed(id, now), self.rtt(id).unwrap_or(u64::MAX), *id)
    }

    /// Something went wrong through a proxy on the way to a member.
    pub(crate) fn blame(&mut self, proxy: NodeId, peer: NodeId, now: Mono) {
        if let Some(sample) = self.samples.get_mut(&proxy)
            && (sample.blamed_for.len() < MAX_BLAME || sample.blamed_for.contains_key(&peer))
        {
            sample.blamed_for.insert(peer, now);
        }
    }

    /// All that are known with their round trips and whether they are chosen, the best first.
    pub(crate) fn report(&self, mut row: impl FnMut(&NodeId, Option<u64>, bool) -> ProxyRow) -> Vec<ProxyRow> {
        let mut known: Vec<&NodeId> = self.samples.keys().collect();
        known.sort_by_key(|id| (!self.chosen.contains(id), self.rtt(id).unwrap_or(u64::MAX)));
        known.into_iter().map(|id| row(id, self.rtt(id), self.chosen.contains(id))).collect()
    }

    /// Proxies linked now: the chosen ones first.
    pub(crate) fn linked(&self) -> Vec<NodeId> {
        self.linked.clone()
    }

    /// Proxies that are to be linked: the chosen ones, and one to be tried.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = NodeId> {
        self.chosen.iter().chain(&self.tried).copied()
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.review_at
    }
}

#[cfg(test)]
mod tests;
