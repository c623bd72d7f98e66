//! What a node is told at its start.

use meshline_identity::Verifier;
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Encoding, Name, NetworkId, NodeId, SignedRecord, UnixMicros};
use serde::{Deserialize, Serialize};

/// How members are linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Every pair that can be linked is, up to `max_links` a node.
    #[default]
    Mesh,
    /// Each member is linked to its successor and its predecessor.
    Ring,
}

/// The settings of the core. Paths, ports of pages and the like stay outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network this node belongs to.
    pub network: NetworkId,
    /// The name it goes by.
    pub name: Name,
    /// What it does.
    pub roles: Vec<Role>,
    /// Its membership record, on a closed network.
    pub membership: Option<SignedRecord>,
    /// Where it listens and may be dialled; empty for one that only connects out.
    pub listen: Vec<Address>,
    /// How members are linked.
    pub topology: Topology,
    /// Ring: the configured successor, tried for ever.
    pub next: Option<Address>,
    /// Members to dial at the start, by address.
    pub peers: Vec<Address>,
    /// Members to dial at the start, by id, as soon as an address is known.
    pub peer_ids: Vec<NodeId>,
    /// Proxies to keep a link to.
    pub proxies: Vec<Address>,
    /// Signal servers and static lists.
    pub signal: Vec<String>,
    /// STUN servers that are asked beside members where this node is seen.
    pub stun: Vec<Address>,
    /// Links up and being dialled together; more are neither dialled nor accepted.
    pub max_links: usize,
    /// Members whose links are known and whose records are kept at least; of a larger network those that are near.
    pub max_area: usize,
    /// Fast attempts, a second apart, before an address is tried more slowly.
    pub retries: u32,
    /// The encoding asked for on links this node dials.
    pub encoding: Encoding,
    /// Links without TLS are dialled and accepted (labs: open network, loopback).
    pub plain: bool,
    /// Proxy: relayed links at once, in all.
    pub max_relays: usize,
    /// Proxy: relayed links at once, one member.
    pub max_relays_per_member: usize,
    /// Proxy: bits a second relayed for one member, both ways together; `None` for as many as go.
    pub relay_bps_per_member: Option<u64>,
    /// Whether direct ways through address translation are tried, and granted to those who ask.
    pub punch: bool,
    /// What bears on the ways.
    pub routing: RoutingPolicy,
    /// Whether this node, if its membership grants the role `rebuild`, signs a `rebuild` by itself when enough members
    /// find the mesh badly shaped.
    pub rebuild_auto: bool,
    /// What checks the signatures of members and of their links.
    pub verifier: Verifier,
    /// What was kept on disk.
    pub saved: Saved,
}

/// What an operator says about the ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingPolicy {
    /// Whether this node carries what others send to others.
    pub carry: bool,
    /// Members whose links with us are used rather than others: full ids, or names of a closed network.
    pub prefer: Vec<String>,
    /// Members whose links with us are used only if there is nothing else.
    pub avoid: Vec<String>,
    /// Members (by id or name) that are reached through another one, as long as that works.
    pub via: std::collections::BTreeMap<String, String>,
    /// Whether links of unknown goodput are tried out with a little filler, and others may try them.
    pub probe: bool,
}

impl Default for RoutingPolicy {
    fn default() -> Self {
        Self {
            carry: true,
            prefer: Vec::new(),
            avoid: Vec::new(),
            via: std::collections::BTreeMap::new(),
            probe: false,
        }
    }
}

impl Config {
    /// The settings of a node of `network` with nothing but a name; the rest is for the caller to fill in.
    #[must_use]
    pub fn new(network: NetworkId, name: Name) -> Self {
        Self {
            network,
            name,
            roles: vec![Role::Node],
            membership: None,
            listen: Vec::new(),
            topology: Topology::Mesh,
            next: None,
            peers: Vec::new(),
            peer_ids: Vec::new(),
            proxies: Vec::new(),
            signal: Vec::new(),
            stun: Vec::new(),
            max_links: 64,
            max_area: crate::routing::MAX_AREA,
            retries: 10,
            encoding: Encoding::Json,
            plain: false,
            max_relays: 256,
            max_relays_per_member: 16,
            relay_bps_per_member: None,
            punch: true,
            routing: RoutingPolicy::default(),
            rebuild_auto: false,
            verifier: Verifier::default(),
            saved: Saved::default(),
        }
    }

    /// Whether the node passes on what others send.
    #[must_use]
    pub fn carries(&self) -> bool {
        !self.roles.contains(&Role::View)
    }

    /// Whether the node carries others' datagrams.
    #[must_use]
    pub fn carries_for_others(&self) -> bool {
        self.carries() && self.routing.carry
    }

    /// Whether the node relays links.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.roles.contains(&Role::Proxy)
    }
}

/// What a node keeps on disk between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// Last sequence of an announcement or departure.
    pub announcement_seq: UnixMicros,
    /// Last sequence of a broadcast.
    pub broadcast_seq: UnixMicros,
    /// The newest signed time seen: judged time is never earlier.
    pub newest_signed: UnixMicros,
    /// Members to dial first at the next start.
    pub peers: Vec<SavedPeer>,
    /// Revocations in force.
    pub revocations: Vec<SignedRecord>,
    /// Orders to choose all links anew.
    pub rebuild: SavedRebuild,
}

/// Orders as kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedRebuild {
    /// Last sequence of a record about it that this node signed.
    pub seq: UnixMicros,
    /// The instant of the last one that was done here.
    pub done_at: UnixMicros,
    /// Orders, and ends of orders.
    pub records: Vec<SignedRecord>,
    /// Those of them that need not be done any more, by author and sequence.
    pub settled: Vec<(NodeId, UnixMicros)>,
}

/// A member as kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPeer {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: Name,
    /// Where it could be reached, the address at which it was found first.
    pub addresses: Vec<Address>,
    /// When a link to it was last up.
    pub last_linked: UnixMicros,
    /// When it was last found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<UnixMicros>,
    /// Whether it was linked for long, by this node's own choice: such are tried first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anchor: bool,
    /// Its last announcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<SignedRecord>,
}
