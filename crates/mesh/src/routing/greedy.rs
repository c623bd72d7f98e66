//! Where a datagram goes whose destination is beyond the area: towards the member nearest to it on the ring of ids.

use meshline_protocol::limits::{MAX_AVOIDED, MAX_PATH};
use meshline_protocol::message::{Datagram, Seek};
use meshline_protocol::{Bounded, NodeId};

use super::table::{Drop, Forward, Table};

/// Members looked at that are not to be avoided, the nearest first, until one can be reached.
const MAX_LOOKS: usize = 16;

/// Members known by one of the area alone that are remembered. As far as it goes each of those may name as many as any other.
const MAX_FRINGE: usize = 4_096;

/// How far two ids are from each other on the ring. Half of their bytes tell random ones apart.
pub(crate) fn distance(one: &NodeId, other: &NodeId) -> u128 {
    let head = |id: &NodeId| id.as_bytes().first_chunk().map_or(0, |head| u128::from_be_bytes(*head));
    let ahead = head(one).wrapping_sub(head(other));
    ahead.min(ahead.wrapping_neg())
}

/// Members towards which datagrams may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landmarks {
    /// By id, each with the member over which it is reached: itself, or one of the area that lists it.
    sorted: Vec<(NodeId, NodeId)>,
}

impl Landmarks {
    /// The members of the area that carry for others, and those listed beyond.
    pub(super) fn new(
        area: impl Iterator<Item = NodeId>,
        beyond: impl Iterator<Item = (NodeId, NodeId)>,
        held: usize,
    ) -> Self {
        let share = (MAX_FRINGE / held.max(1)).max(1);
        let mut named: std::collections::BTreeMap<NodeId, usize> = std::collections::BTreeMap::new();
        let beyond = beyond.filter(|(_, by)| {
            let count = named.entry(*by).or_default();
            *count += 1;
            *count <= share
        });
        let mut sorted: Vec<(NodeId, NodeId)> = area.map(|id| (id, id)).chain(beyond).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(id, _)| *id);
        // It stays until the ways change.
        sorted.shrink_to_fit();
        Self { sorted }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Over whom a member beyond the area is reached.
    pub(super) fn over(&self, id: &NodeId) -> Option<NodeId> {
        let at = self.sorted.binary_search_by_key(id, |(id, _)| *id).ok()?;
        self.sorted.get(at).map(|(_, over)| *over)
    }

    /// Members, the nearest to a place first.
    fn near(&self, to: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> {
        let split = self.sorted.partition_point(|(id, _)| *id < to);
        let (before, behind) = self.sorted.split_at_checked(split).unwrap_or((&[], &[]));
        let mut up = behind.iter().chain(before).copied().peekable();
        let mut down = before.iter().rev().chain(behind.iter().rev()).copied().peekable();
        std::iter::from_fn(move || {
            let far = |side: Option<&(NodeId, NodeId)>| side.map_or(u128::MAX, |(id, _)| distance(id, &to));
            if far(up.peek()) <= far(down.peek()) { up.next() } else { down.next() }
        })
        .take(self.sorted.len())
    }
}

/// Who may be passed and who may not.
struct Choice<'a, L> {
    table: &'a Table,
    avoid: &'a [NodeId],
    is_linked: L,
}

impl<L: Fn(&NodeId) -> bool> Choice<'_, L> {
    /// The way to a member of the area or one that is listed beyond.
    fn way_to(&self, to: &NodeId) -> Option<Vec<NodeId>> {
        let is_free = |hops: &[NodeId]| !hops.iter().any(|hop| hop != to && self.avoid.contains(hop));
        let best = |to: &NodeId| self.table.best(to, |first| (self.is_linked)(first)).map(|path| path.hops.clone());
        let hops = match best(to) {
            Some(hops) => hops,
            None => {
                let over = self.table.landmarks.over(to).filter(|over| over != to)?;
                best(&over)?.into_iter().chain([*to]).collect()
            }
        };
        (is_free(&hops) && hops.len() <= MAX_PATH).then_some(hops)
    }

    /// The member nearest to a place, nearer than so far, with the way to it.
    fn landmark(&self, to: NodeId, below: u128) -> Option<(NodeId, Vec<NodeId>)> {
        let nearer = self.table.landmarks.near(to).take_while(|(id, _)| distance(id, &to) < below);
        let is_avoided = |id: &NodeId| self.avoid.contains(id);
        // Whoever is to be avoided may list as many as it likes.
        nearer
            .filter(|(id, over)| !is_avoided(id) && !is_avoided(over) && Some(*id) != self.table.own)
            .take(MAX_LOOKS)
            .find_map(|(id, _)| Some((id, self.way_to(&id)?)))
    }
}

/// Decides what becomes of a datagram that looks for its way. `ttl` is what is left of it behind this node.
pub(super) fn seek(
    table: &Table,
    datagram: &Datagram,
    ttl: u8,
    from: Option<&NodeId>,
    is_linked: impl Fn(&NodeId) -> bool,
) -> Forward {
    let (Some(own), Some(seek)) = (table.own, datagram.seek.as_deref()) else { return Forward::Drop(Drop::NoRoute) };
    let mut way = seek.way.clone();
    let is_back = way.iter().filter(|passed| **passed == own).count() > 1;
    if is_back || !way.push(own) {
        return Forward::Drop(Drop::TtlExceeded);
    }
    let go = |hops: Vec<NodeId>, toward: Option<NodeId>| {
        let Some(next) = hops.first().copied() else { return Forward::Drop(Drop::NoRoute) };
        // The destination is no part of the path, a landmark is.
        let end = if toward.is_some() { hops.len() } else { hops.len().saturating_sub(1) };
        let path = Bounded::from_first(hops.into_iter().take(end).skip(1));
        let seek = Seek { toward, way: way.clone(), avoid: seek.avoid.clone() };
        Forward::To(next, Box::new(Datagram { ttl, path, seek: Some(seek.into()), ..datagram.clone() }))
    };
    let ahead = datagram.path.first().copied().or_else(|| seek.toward.is_none().then_some(datagram.dst));
    let ahead = ahead.filter(|next| from.is_some() && is_linked(next));
    let onward = |next: NodeId| go(std::iter::once(next).chain(rest(datagram)).collect(), seek.toward);
    if let (Some(next), None) = (ahead, seek.toward) {
        return onward(next);
    }
    let choice = Choice { table, avoid: &seek.avoid, is_linked: &is_linked };
    if let Some(hops) = choice.way_to(&datagram.dst) {
        return go(hops, None);
    }
    let here = distance(&own, &datagram.dst);
    let so_far = seek.toward.map_or(here, |toward| distance(&toward, &datagram.dst).min(here));
    if let Some((landmark, hops)) = choice.landmark(datagram.dst, so_far) {
        return go(hops, Some(landmark));
    }
    if let Some(next) = ahead {
        return onward(next);
    }
    // The way towards that member broke: to the next best one.
    match choice.landmark(datagram.dst, here) {
        Some((landmark, hops)) => go(hops, Some(landmark)),
        None => Forward::Drop(Drop::DeadEnd),
    }
}

/// What is left of the path behind the next member, the destination at its end unless it leads to a landmark.
fn rest(datagram: &Datagram) -> impl Iterator<Item = NodeId> {
    let is_exact = datagram.seek.as_deref().is_some_and(|seek| seek.toward.is_none());
    let end = (is_exact && !datagram.path.is_empty()).then_some(datagram.dst);
    datagram.path.iter().copied().skip(1).chain(end)
}

/// A datagram from here that looks for its way.
pub(super) fn seeking(datagram: Datagram, avoid: impl IntoIterator<Item = NodeId>) -> Datagram {
    let avoid: Bounded<NodeId, MAX_AVOIDED> = Bounded::from_first(avoid);
    Datagram { path: Bounded::default(), seek: Some(Seek { avoid, ..Seek::default() }.into()), ..datagram }
}
