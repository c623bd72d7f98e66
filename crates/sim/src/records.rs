//! Records signed by the network of a world.

use meshline_identity::sign;
use meshline_mesh::Config;
use meshline_protocol::message::{Membership, RecordText, Revocation};
use meshline_protocol::{Bounded, NodeId, SignedRecord};

use crate::world::World;

/// How long memberships hold.
const YEAR: i64 = 365 * 24 * 3_600 * 1_000_000;

/// How long before the present a membership was made.
const DAY: i64 = 24 * 3_600 * 1_000_000;

impl World {
    /// A membership record, on a closed network, as made a day ago.
    #[must_use]
    pub fn membership(&self, node: NodeId, config: &Config) -> Option<SignedRecord> {
        let text = Membership {
            kind: Membership::TYPE.to_owned(),
            network: self.network_id(),
            seq: self.wall().offset(-DAY),
            expires: self.wall().offset(YEAR),
            node,
            name: config.name.clone(),
            roles: Bounded::from_first(config.roles.iter().copied()),
        };
        sign(&text, self.network_key()?).ok()
    }

    /// A revocation of a node, on a closed network, as made now.
    #[must_use]
    pub fn revocation(&self, node: usize) -> Option<SignedRecord> {
        let text = Revocation {
            kind: Revocation::TYPE.to_owned(),
            network: self.network_id(),
            seq: self.wall(),
            expires: self.wall().offset(YEAR),
            node: self.id(node),
        };
        sign(&text, self.network_key()?).ok()
    }
}
