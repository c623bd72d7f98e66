//! The few links that are kept because they are quick.

use std::collections::BTreeSet;

use meshline_protocol::NodeId;

use super::LinkSet;
use super::shape::Shape;
use crate::link::Links;
use crate::relay::is_quicker;
use crate::shared::Shared;

impl LinkSet {
    /// The nearest of those that are linked; one gives way to another only if that is quicker by far. Those out of prefixes
    /// from which many come are none while there are others: one of many is always quick.
    pub(super) fn choose_near(&mut self, shape: Shape, links: &Links, shared: &Shared) {
        let rtt = |id: &NodeId| links.get(shared.up.get(id)?.link)?.rtt_us();
        let (many, others): (BTreeSet<NodeId>, BTreeSet<NodeId>) =
            shared.up.keys().partition(|id| self.is_of_many(id, links, shared));
        let left_out = if others.is_empty() { BTreeSet::new() } else { many };
        self.near.retain(|id| !left_out.contains(id));
        let mut others: Vec<(u64, NodeId)> = shared
            .up
            .keys()
            .filter(|id| !self.near.contains(id) && !self.guests.contains_key(id) && !self.parting.has(id))
            .filter(|id| !left_out.contains(id) && !self.shortcuts.has(id))
            .filter_map(|id| Some((rtt(id)?, *id)))
            .collect();
        others.sort_unstable();
        for (quick, id) in others {
            let slowest = self.near.iter().map(|id| (rtt(id).unwrap_or(u64::MAX), *id)).max();
            match slowest {
                Some((slow, worst)) if self.near.len() >= shape.near => {
                    if !is_quicker(quick, slow) {
                        break;
                    }
                    self.near.remove(&worst);
                    self.near.insert(id);
                }
                Some(_) | None => {
                    self.near.insert(id);
                }
            }
        }
    }
}
