//! What the server is told from outside, and the limits that are not settings.

use std::time::Duration;

use meshline_protocol::NetworkId;
use meshline_protocol::signal::MAX_ROWS;

use crate::registry::{Caps, Rules};
use crate::store::StoreSetting;

/// Connections held at once. Nodes ask and leave, so this serves some ten thousand of them, and stays below the
/// thousand open files that a process gets by default.
pub const MAX_CONNECTIONS: usize = 512;

/// Connections from one IPv4 address or IPv6 /64, so that it takes sixteen of them to fill the server. Loopback is
/// not counted.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 32;

/// From the first moment a request is awaited to the end of its headers; also how long an idle connection is kept.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// From the end of the headers to the end of the body; with [`HEADER_TIMEOUT`] ten seconds for a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take nothing of its answer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest request line and headers together.
pub const MAX_HEAD: usize = 16 * 1024;

/// Most header lines.
pub const MAX_HEADERS: usize = 64;

/// How long running requests get when the server stops; a program has 5 s to exit in.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Members listed unless the caller asks for another number: all of a small network, and enough to enter a large one.
pub const DEFAULT_ROWS: usize = 128;

/// What the server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens, as `host:port`; port 0 takes a free one.
    pub listen: Vec<String>,
    /// How long an entry lives without a refresh, in seconds.
    pub ttl_s: u32,
    /// Networks in which one key may have an entry.
    pub max_per_key: usize,
    /// Entries from one IPv4 address or IPv6 /64.
    pub max_per_address: usize,
    /// Entries of all networks together.
    pub max_total: usize,
    /// The networks served; none named means all.
    pub networks: Vec<NetworkId>,
    /// Where the registry is kept.
    pub store: StoreSetting,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:6000".to_owned()],
            ttl_s: 120,
            max_per_key: 5,
            max_per_address: 32,
            max_total: 10_000,
            networks: Vec::new(),
            store: StoreSetting::Memory,
        }
    }
}

impl Settings {
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            ttl_micros: i64::from(self.ttl_s) * 1_000_000,
            caps: Caps { per_key: self.max_per_key, per_address: self.max_per_address, total: self.max_total },
            networks: self.networks.iter().cloned().collect(),
        }
    }
}

/// How many rows a caller gets who asked for `limit`.
pub(crate) fn rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(DEFAULT_ROWS).min(MAX_ROWS)
}
