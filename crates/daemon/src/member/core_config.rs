//! From the configuration file to the settings of the core.

use meshline_mesh::{Config, Reconfiguration, Saved, Topology};
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Encoding, NodeId, SignedRecord};

use crate::config::{self, NodeConfig, PeerRef};

/// What a proxy relays at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Links in all.
    pub max_relays: usize,
    /// Links of one member.
    pub max_relays_per_member: usize,
    /// Bits a second of one member.
    pub max_relay_bps_per_member: Option<u64>,
}

/// The settings that can change while a member runs.
pub(super) fn reconfiguration(config: &NodeConfig) -> Reconfiguration {
    let (peers, peer_ids) = peers_of(config);
    Reconfiguration {
        peers,
        peer_ids,
        proxies: config.proxies.clone(),
        signal: config.signal.iter().map(|url| url.as_str().to_owned()).collect(),
        stun: config.stun.clone(),
        max_links: usize::try_from(config.max_links).unwrap_or(usize::MAX),
        retries: config.retries,
        punch: config.punch,
        routing: config.routing.policy(),
    }
}

fn peers_of(config: &NodeConfig) -> (Vec<Address>, Vec<NodeId>) {
    let address = |peer: &PeerRef| match peer {
        PeerRef::Address(address) => Some(address.clone()),
        PeerRef::Id(_) => None,
    };
    let id = |peer: &PeerRef| match peer {
        PeerRef::Id(id) => Some(*id),
        PeerRef::Address(_) => None,
    };
    (config.peers.iter().filter_map(address).collect(), config.peers.iter().filter_map(id).collect())
}

/// The settings of the core.
#[must_use]
pub fn core_config(
    config: &NodeConfig,
    role: Role,
    proxy: Option<ProxyLimits>,
    membership: Option<SignedRecord>,
    saved: Saved,
) -> Config {
    let mut core = Config::new(config.network.clone(), config.name.clone());
    core.roles = vec![role];
    if !config.exit.rules.is_empty() {
        // Whoever looks for a way out asks those with the role. On a closed network the membership has to grant it.
        core.roles.push(Role::Exit);
    }
    core.membership = membership;
    core.listen.clone_from(&config.listen);
    core.topology = match config.topology {
        config::Topology::Mesh => Topology::Mesh,
        config::Topology::Ring => Topology::Ring,
    };
    core.next.clone_from(&config.next);
    Reconfiguration {
        peers: core.peers,
        peer_ids: core.peer_ids,
        proxies: core.proxies,
        signal: core.signal,
        stun: core.stun,
        max_links: core.max_links,
        retries: core.retries,
        punch: core.punch,
        routing: core.routing,
    } = reconfiguration(config);
    core.encoding = match config.encoding {
        config::LinkEncoding::Json => Encoding::Json,
        config::LinkEncoding::Bson => Encoding::Bson,
    };
    core.plain = config.plain;
    core.rebuild_auto = config.rebuild == config::RebuildMode::Auto;
    if let Some(limits) = proxy {
        core.max_relays = limits.max_relays;
        core.max_relays_per_member = limits.max_relays_per_member;
        core.relay_bps_per_member = limits.max_relay_bps_per_member;
    }
    core.saved = saved;
    core
}
