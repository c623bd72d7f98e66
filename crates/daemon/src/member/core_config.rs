//! From the configuration file to the settings of the core.

use meshline_mesh::{Config, Saved, Topology};
use meshline_protocol::SignedRecord;
use meshline_protocol::message::Role;

use crate::config::{self, NodeConfig, PeerRef};

/// What a proxy relays at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Links in all.
    pub max_relays: usize,
    /// Links of one member.
    pub max_relays_per_member: usize,
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
    core.membership = membership;
    core.listen.clone_from(&config.listen);
    core.topology = match config.topology {
        config::Topology::Mesh => Topology::Mesh,
        config::Topology::Ring => Topology::Ring,
    };
    core.next.clone_from(&config.next);
    for peer in &config.peers {
        match peer {
            PeerRef::Address(address) => core.peers.push(address.clone()),
            PeerRef::Id(id) => core.peer_ids.push(*id),
        }
    }
    core.proxies.clone_from(&config.proxies);
    core.signal = config.signal.iter().map(|url| url.as_str().to_owned()).collect();
    core.max_links = usize::try_from(config.max_links).unwrap_or(usize::MAX);
    core.retries = config.retries;
    core.plain = config.plain;
    if let Some(limits) = proxy {
        core.max_relays = limits.max_relays;
        core.max_relays_per_member = limits.max_relays_per_member;
    }
    core.saved = saved;
    core
}
