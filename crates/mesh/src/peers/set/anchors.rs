//! Links that are tried first after a restart: with one of them honest, nobody can shut this node in.

use meshline_protocol::NodeId;

use super::{LinkSet, link_to};
use crate::link::Links;
use crate::now::Mono;
use crate::shared::Shared;

/// So many are kept.
pub(super) const MAX_ANCHORS: usize = 4;

impl LinkSet {
    /// The long links that have lasted longest, to be tried first after a restart, and those that were before this one and
    /// have not been tried yet.
    pub(crate) fn anchors(&self, links: &Links, shared: &Shared) -> Vec<NodeId> {
        let since = |id: &NodeId| link_to(id, links, shared).map(|link| (link.since, *id));
        let mut lasting: Vec<(Mono, NodeId)> = self.far.ids().filter_map(|id| since(&id)).collect();
        lasting.sort_unstable();
        lasting.into_iter().map(|(_, id)| id).chain(self.far.anchors()).take(MAX_ANCHORS).collect()
    }

    /// All links end, and what is kept of them is kept after that.
    pub(crate) fn hold_anchors(&mut self, links: &Links, shared: &Shared) {
        let anchors = self.anchors(links, shared);
        self.far.restore(anchors.into_iter());
    }

    /// These were linked for long before a restart.
    pub(crate) fn restore(&mut self, anchors: impl Iterator<Item = NodeId>) {
        self.far.restore(anchors);
    }
}
