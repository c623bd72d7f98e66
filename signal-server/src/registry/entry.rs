//! One member in the list.

use meshline_protocol::signal::ListedNode;
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use super::facts::Facts;

/// The number of an entry, for as long as it is there.
pub(super) type Slot = u32;

/// In place of a number: none.
pub(super) const NO_SLOT: Slot = Slot::MAX;

/// One entry. A million of these are held: what is seldom looked at is packed, and lists go through numbers in them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    pub(super) seq: UnixMicros,
    /// The end that the member signed.
    pub(super) expires: UnixMicros,
    /// The end unless refreshed; never behind `expires`.
    pub(super) ends: UnixMicros,
    /// [`Facts`].
    pub(super) packed: Box<[u8]>,
    /// Goes into the secret: an announcement repeated after its entry has ended gets another one.
    pub(super) nonce: u32,
    /// The number of its network, its place among the members there, and among the proxies if it is one.
    pub(super) network: u32,
    pub(super) place: u32,
    pub(super) proxy_place: u32,
    /// The second under which it is queued for its end, with its neighbours there.
    pub(super) due: u32,
    pub(super) before: Slot,
    pub(super) after: Slot,
}

impl Entry {
    /// What it holds, to be read.
    pub(super) fn facts(&self) -> Option<Facts> {
        Facts::unpack(&self.packed)
    }

    /// The row of the list as JSON. The announcement itself is not listed: it names the addresses that nothing speaks
    /// for as well.
    pub(super) fn json(&self) -> Option<String> {
        let facts = self.facts()?;
        let row = ListedNode {
            id: Some(self.id),
            addresses: Bounded::from_first(facts.addresses()),
            name: Some(facts.name),
            roles: Bounded::from_first(facts.roles),
            record: None,
        };
        serde_json::to_string(&row).ok()
    }
}
