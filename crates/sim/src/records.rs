//! Records signed by the network of a world.

use meshline_identity::sign;
use meshline_mesh::Config;
use meshline_protocol::message::{Membership, RebuildAbort, RebuildOrder, RecordText, Revocation};
use meshline_protocol::{Bounded, NodeId, SignedRecord, UnixMicros};

use crate::world::World;

/// How long memberships hold.
const YEAR: i64 = 365 * 24 * 3_600 * 1_000_000;

/// How long before the present a membership was made.
const DAY: i64 = 24 * 3_600 * 1_000_000;

impl World {
    /// A membership record, on a closed network, as made a day ago.
    #[must_use]
    pub fn membership(&self, node: NodeId, config: &Config) -> Option<SignedRecord> {
        self.membership_at(node, config, self.wall().offset(-DAY))
    }

    fn membership_at(&self, node: NodeId, config: &Config, seq: UnixMicros) -> Option<SignedRecord> {
        let text = Membership {
            kind: Membership::TYPE.to_owned(),
            network: self.network_id(),
            seq,
            expires: self.wall().offset(YEAR),
            node,
            name: config.name.clone(),
            roles: Bounded::from_first(config.roles.iter().copied()),
        };
        sign(&text, self.network_key()?).ok()
    }

    /// The membership of a node, on a closed network.
    #[must_use]
    pub fn node_membership(&self, node: usize) -> Option<SignedRecord> {
        self.hosts.get(node)?.config.membership.clone()
    }

    /// A membership made now, for a node that was expelled; it keeps it for its next start as well.
    pub fn invite_anew(&mut self, node: usize) -> Option<SignedRecord> {
        let id = self.id(node);
        let seq = self.wall();
        let record = self.membership_at(id, &self.hosts.get(node)?.config, seq);
        self.host_mut(node).config.membership.clone_from(&record);
        record
    }

    /// A revocation of a node, on a closed network, as made now.
    #[must_use]
    pub fn revocation(&self, node: usize) -> Option<SignedRecord> {
        self.revocation_of(self.id(node))
    }

    /// A revocation of whoever holds a key, on a closed network, as made now.
    #[must_use]
    pub fn revocation_of(&self, node: NodeId) -> Option<SignedRecord> {
        let text = Revocation {
            kind: Revocation::TYPE.to_owned(),
            network: self.network_id(),
            seq: self.wall(),
            expires: self.wall().offset(YEAR),
            node,
        };
        sign(&text, self.network_key()?).ok()
    }

    /// An order to choose all links anew, on a closed network, signed by its key: made now for so many microseconds from
    /// now, as `change` has it.
    pub fn rebuild(&mut self, in_us: i64, change: impl FnOnce(&mut RebuildOrder)) -> Option<SignedRecord> {
        let order = self.rebuild_text(in_us, change);
        sign(&order, self.network_key()?).ok()
    }

    /// The same, signed by a node with its membership.
    pub fn rebuild_by(&mut self, node: usize, in_us: i64) -> Option<SignedRecord> {
        let membership = self.node_membership(node);
        let order = self.rebuild_text(in_us, |order| order.membership = membership);
        sign(&order, self.node_key(node)).ok()
    }

    fn rebuild_text(&mut self, in_us: i64, change: impl FnOnce(&mut RebuildOrder)) -> RebuildOrder {
        let at = self.wall().offset(in_us);
        let nonce: [u8; 32] = self.rng.bytes();
        let mut order = RebuildOrder {
            kind: RebuildOrder::TYPE.to_owned(),
            network: self.network_id(),
            seq: self.wall(),
            expires: at.offset(600_000_000),
            at,
            nonce: nonce.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            dry_run: false,
            reason: None,
            membership: None,
        };
        change(&mut order);
        order
    }

    /// The end of an order, signed by the key of the network.
    #[must_use]
    pub fn rebuild_abort(&self, order: &SignedRecord) -> Option<SignedRecord> {
        let text: RebuildOrder = serde_json::from_str(&order.signed).ok()?;
        let abort = RebuildAbort {
            kind: RebuildAbort::TYPE.to_owned(),
            network: text.network,
            seq: self.wall().max(text.seq.offset(1)),
            expires: text.expires,
            by: order.by,
            rebuild: text.seq,
            membership: None,
        };
        sign(&abort, self.network_key()?).ok()
    }
}
