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
    packed: Box<[u8]>,
    /// Whether all its addresses are proved by where it was seen: then a refresh need not look at what is packed.
    pub(super) is_settled: bool,
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
    /// A member of a network that is in no queue or list yet.
    pub(super) fn new(
        (id, network): (NodeId, u32),
        facts: &Facts,
        (seq, expires): (UnixMicros, UnixMicros),
        nonce: u32,
    ) -> Self {
        Self {
            id,
            seq,
            expires,
            ends: expires,
            packed: facts.pack(),
            is_settled: facts.is_settled(),
            nonce,
            network,
            place: NO_SLOT,
            proxy_place: NO_SLOT,
            due: 0,
            before: NO_SLOT,
            after: NO_SLOT,
        }
    }

    /// Holds something else from now on.
    pub(super) fn set_facts(&mut self, facts: &Facts) {
        (self.packed, self.is_settled) = (facts.pack(), facts.is_settled());
    }

    /// What it holds, as it is kept.
    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

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
