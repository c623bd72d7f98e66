//! The neighbours in the order of ids.
//!
//! On each side the nearest members that are linked are the neighbours; whoever stands before them and is not linked is
//! dialled, a few at first and more as time passes, so that a gap of dead ones is crossed in seconds.

use std::collections::BTreeSet;
use std::time::Duration;

use meshline_protocol::NodeId;

use crate::now::Mono;

/// Members dialled together on a side at first. Half as many more are added after each interval.
const FIRST_REACH: usize = 2;
const REACH_INTERVAL: Duration = Duration::from_millis(300);

/// Members looked at on a side: with four of five dead the neighbour is among the first sixty in all but one of a million
/// cases.
pub(super) const MAX_LOOK: usize = 256;

/// How far is dialled on one side.
#[derive(Debug)]
pub(super) struct Side {
    reach: usize,
    reach_at: Option<Mono>,
}

impl Default for Side {
    fn default() -> Self {
        Self { reach: FIRST_REACH, reach_at: None }
    }
}

impl Side {
    /// Of members in order, with whether they are linked: the `count` nearest linked ones, and whom to dial before them.
    pub(super) fn choose(
        &mut self,
        candidates: impl Iterator<Item = (NodeId, bool)>,
        count: usize,
        now: Mono,
    ) -> (Vec<NodeId>, BTreeSet<NodeId>) {
        let (mut linked, mut missing) = (Vec::new(), Vec::new());
        for (id, is_linked) in candidates.take(MAX_LOOK) {
            if is_linked {
                linked.push(id);
            } else {
                missing.push(id);
            }
            if linked.len() >= count {
                break;
            }
        }
        if self.reach_at.is_some_and(|at| at <= now) {
            self.reach += (self.reach / 2).max(1);
            self.reach_at = None;
        }
        if missing.len() <= FIRST_REACH {
            self.reach = FIRST_REACH;
        }
        if self.reach >= missing.len() {
            self.reach_at = None;
        } else {
            self.reach_at.get_or_insert_with(|| now.after(REACH_INTERVAL));
        }
        (linked, missing.into_iter().take(self.reach).collect())
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.reach_at
    }
}
