//! The configuration of the signal server.

use meshline_protocol::{Address, NetworkId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::program::{Program, Settings};
use super::review::Review;
use super::values::LogConfig;

/// Configuration of `signal-server`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalServerConfig {
    /// Addresses (host:port) to serve HTTP on.
    #[serde(default = "listen")]
    pub listen: Vec<Address>,
    /// Seconds after which an entry ends unless it is refreshed.
    #[serde(default = "ttl_s")]
    #[schemars(range(min = 5, max = 3600))]
    pub ttl_s: u32,
    /// Most entries of one key, over all networks.
    #[serde(default = "max_per_key")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_per_key: u32,
    /// Most entries from one address. Does not apply to loopback.
    #[serde(default = "max_per_address")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_per_address: u32,
    /// Most entries in all; each takes some two hundred bytes of memory.
    #[serde(default = "max_total")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_total: u32,
    /// Whether an announced address that is not the caller's own is tried, and listed if it answers; otherwise it is left out.
    #[serde(default = "dial_back")]
    pub dial_back: bool,
    /// The networks served, as ids or names of open ones; empty for all.
    #[serde(default)]
    pub networks: Vec<NetworkId>,
    /// Where the list is kept over restarts: a file (relative to this one), `redis://host:port/db` to share it with other
    /// servers of the same networks, or `none`. Default: signal-server.redb beside the configuration.
    #[serde(default = "store")]
    pub store: String,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
}

fn listen() -> Vec<Address> {
    "127.0.0.1:6000".parse().into_iter().collect()
}

/// Two minutes: a node that died without a word is forgotten soon, and one that refreshes every half
/// minute survives three lost requests.
fn ttl_s() -> u32 {
    120
}

/// One key belongs to a few networks at most.
fn max_per_key() -> u32 {
    5
}

/// A home or an office behind one address.
fn max_per_address() -> u32 {
    32
}

/// A network of this size needs two megabytes; more is for whoever serves many.
fn max_total() -> u32 {
    10_000
}

/// Beside the configuration; without one, nowhere.
fn store() -> String {
    "signal-server.redb".to_owned()
}

fn dial_back() -> bool {
    true
}

impl Settings for SignalServerConfig {
    const PROGRAM: Program = Program::SignalServer;
    const REQUIRED: &'static [(&'static str, &'static str)] = &[];
    const LATER: &'static [&'static str] = &["tls"];

    fn check(&self, review: &mut Review) {
        if self.listen.is_empty() {
            review.fault("/listen", "found no address, expected at least one");
        }
        if self.store.contains("://") && !self.store.starts_with("redis://") {
            review.fault("/store", "found another scheme, expected a file, redis://host:port/db or none");
        }
        review.range("/ttl_s", self.ttl_s, 5..=3_600);
        review.range("/max_per_key", self.max_per_key, 1..=1_000);
        review.range("/max_per_address", self.max_per_address, 1..=100_000);
        review.range("/max_total", self.max_total, 1..=1_000_000);
    }
}
