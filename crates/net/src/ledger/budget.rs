//! What each member had of the ledger's thread lately: a bucket that fills with what its frames cost, and empties with time.

use std::collections::BTreeMap;

use meshline_mesh::Mono;
use meshline_protocol::NodeId;

use crate::limits::{LEDGER_UNITS_A_SECOND, LEDGER_UNITS_AT_ONCE, MAX_LEDGER_UNITS};

/// All buckets that are not empty. Those of members whose links are gone count on: a new link buys nothing.
#[derive(Default)]
pub(super) struct Budgets {
    spent: BTreeMap<NodeId, Spent>,
}

/// What was in a bucket at a time.
struct Spent {
    units: u64,
    at: Mono,
}

impl Spent {
    fn left(&self, now: Mono) -> u64 {
        let micros = now.micros_since(self.at);
        self.units.saturating_sub(micros.saturating_mul(LEDGER_UNITS_A_SECOND) / 1_000_000)
    }
}

impl Budgets {
    /// What came from a member cost so much.
    pub(super) fn charge(&mut self, peer: NodeId, units: u64, now: Mono) {
        self.spent.retain(|_, spent| spent.left(now) > 0);
        let before = self.spent.get(&peer).map_or(0, |spent| spent.left(now));
        let units = before.saturating_add(units).min(MAX_LEDGER_UNITS);
        self.spent.insert(peer, Spent { units, at: now });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.spent.len()
    }

    /// Whether it had more than its share.
    pub(super) fn is_overdrawn(&self, peer: &NodeId, now: Mono) -> bool {
        self.spent.get(peer).is_some_and(|spent| spent.left(now) > LEDGER_UNITS_AT_ONCE)
    }
}
