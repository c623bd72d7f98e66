//! Links that a node with some others tries: where no place is free a choice is a guest and is let go at once. Until it has
//! lasted nobody is told of it, as everybody around would hear of it twice for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::shape::Shape;
use super::{Choice, LinkSet};
use crate::now::Mono;
use crate::shared::Shared;

/// The other end lets a guest go as soon as it knows what the link is for: that takes two ways over a slow line and a pause of
/// its choice. What has lasted longer stays.
pub(super) const TRIAL: Duration = Duration::from_millis(1_500);

/// The links that are tried, with the time since when.
#[derive(Debug, Default)]
pub(super) struct Trials(BTreeMap<NodeId, Mono>);

impl Trials {
    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn forget(&mut self, id: &NodeId) {
        self.0.remove(id);
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.0.values().map(|since| since.after(TRIAL)).min()
    }

    /// All that are up stay: they are no longer tried.
    pub(super) fn end(&mut self, shared: &Shared) -> impl Iterator<Item = NodeId> {
        std::mem::take(&mut self.0).into_keys().filter(|id| shared.up.contains_key(id))
    }
}

impl LinkSet {
    /// Tries a member that was dialled because it was chosen, if there are links enough without it that nothing depends on it.
    pub(super) fn try_out(&mut self, shape: Shape, id: NodeId, shared: &Shared) {
        let is_only_chosen = self.far.has(&id) && !self.is_more_than_chosen(&id) && !self.is_redrawing();
        if is_only_chosen && !shape.is_poor(self.settled(shared)) {
            self.trials.0.insert(id, shared.now.mono);
        }
    }

    /// What has lasted, or is needed for more than its choice by now, stays.
    pub(super) fn judge_trials(&mut self, shape: Shape, shared: &Shared, choice: &mut Choice) {
        if self.trials.0.is_empty() {
            return;
        }
        let now = shared.now.mono;
        let is_short = shape.is_poor(self.settled(shared)) || self.is_redrawing();
        for (id, since) in std::mem::take(&mut self.trials.0) {
            let (is_up, is_over) = (shared.up.contains_key(&id), now.since(since) >= TRIAL);
            if is_up && (is_over || is_short || self.is_more_than_chosen(&id)) {
                choice.promoted.push(id);
            } else if !is_over {
                self.trials.0.insert(id, since);
            }
        }
    }

    /// Links that are meant to stay at both ends, as far as is known.
    pub(super) fn settled(&self, shared: &Shared) -> usize {
        let tried: Vec<NodeId> = self.trials.0.keys().copied().collect();
        self.regular_but(&tried, shared)
    }

    /// Whether a link is more than a choice of this node.
    pub(super) fn is_more_than_chosen(&self, id: &NodeId) -> bool {
        self.ring.contains(id) || self.near.contains(id) || self.kept.contains(id)
    }
}
