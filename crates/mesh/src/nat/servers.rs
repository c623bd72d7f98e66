//! The STUN servers of the configuration, and where their names lead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use meshline_protocol::Address;

use crate::now::Mono;
use crate::output::Output;
use crate::shared::Shared;

/// Servers asked. Two tell the mapping, the others stand in for those that are gone.
pub(crate) const MAX_SERVERS: usize = 4;

/// Names are looked up again after this at the earliest: servers move seldom.
const LOOKED_UP_FOR: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
struct Server {
    addresses: Vec<SocketAddr>,
    looked_up: Option<Mono>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: BTreeMap<Address, Server>,
}

impl Servers {
    /// Looks up names that have not been, or not of late.
    pub(super) fn look_up(&mut self, shared: &mut Shared) {
        let wanted: Vec<Address> = shared.config.stun.iter().take(MAX_SERVERS).cloned().collect();
        self.known.retain(|name, _| wanted.contains(name));
        let now = shared.now.mono;
        for name in wanted {
            let server = self.known.entry(name.clone()).or_default();
            if let Ok(address) = name.as_str().parse() {
                server.addresses = vec![address];
            } else if server.looked_up.is_none_or(|at| now.since(at) >= LOOKED_UP_FOR) {
                server.looked_up = Some(now);
                shared.push(Output::Resolve { name });
            }
        }
    }

    /// Where a name leads; says whether that is news.
    pub(super) fn resolved(&mut self, name: &Address, addresses: &[SocketAddr]) -> bool {
        let Some(server) = self.known.get_mut(name) else { return false };
        if addresses.is_empty() || server.addresses == addresses {
            return false;
        }
        server.addresses = addresses.to_vec();
        true
    }

    /// One address of each server, IPv4 if this host has it: that is where translation is.
    pub(super) fn addresses(&self, hosts: &[SocketAddr]) -> Vec<SocketAddr> {
        let has_v4 = hosts.iter().any(SocketAddr::is_ipv4);
        let choose = |server: &Server| {
            let fits = |address: &&SocketAddr| address.is_ipv4() == has_v4;
            server.addresses.iter().find(fits).copied()
        };
        self.known.values().filter_map(choose).collect()
    }
}
