//! `run`: the flags that stand for keys of the configuration.

use clap::Args;

use super::place::Place;
use super::topic::TopicArgs;
use crate::config::{Effective, Flags, MemberConfig};

/// Where a member listens: not for a view, which only connects out.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Address to listen on, host:port [env: MESHLINE_LISTEN]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<String>,
    /// Ring: address of the next member, which need not run yet [env: MESHLINE_NEXT]
    #[arg(long, value_name = "ADDRESS")]
    next: Option<String>,
}

impl ListenArgs {
    /// These flags as values of the configuration.
    #[must_use]
    pub fn flags(&self, place: &Place) -> Flags {
        // Without a file, who names a successor wants a ring.
        let ring = self.next.as_ref().filter(|_| place.config.is_none()).map(|_| "ring");
        let flags = Flags::new().set("/listen", Some(self.listen.clone())).set("/next", self.next.clone());
        flags.set("/topology", ring)
    }
}

/// The ledger of a node.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// Genesis file of the ledger [env: MESHLINE_LEDGER_GENESIS]
    #[arg(long, value_name = "FILE")]
    ledger_genesis: Option<String>,
    /// Address that gets the rewards: search for blocks [env: MESHLINE_LEDGER_MINE_TO]
    #[arg(long, value_name = "ADDRESS")]
    mine_to: Option<String>,
}

impl LedgerArgs {
    /// These flags as values of the configuration.
    #[must_use]
    pub fn flags(&self, flags: Flags) -> Flags {
        flags.set("/ledger/genesis", self.ledger_genesis.clone()).set("/ledger/mine_to", self.mine_to.clone())
    }
}

/// Keys of the configuration file as flags; a flag wins over the environment, that over the file. Each has its
/// variable: `MESHLINE_` and the name of the key, such as `MESHLINE_LISTEN`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// mesh or ring [env: MESHLINE_TOPOLOGY]
    #[arg(long, value_name = "KIND")]
    topology: Option<String>,
    /// Members to link to, host:port or id [env: MESHLINE_PEERS]
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    peers: Vec<String>,
    /// Signal servers or static lists [env: MESHLINE_SIGNAL]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    signal: Vec<String>,
    /// Proxies, host:port [env: MESHLINE_PROXIES]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    proxies: Vec<String>,
    /// Network: id of a closed one, or name of an open one [env: MESHLINE_NETWORK]
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Address of the local API and page [env: MESHLINE_HTTP]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Folder for what is kept over restarts [env: MESHLINE_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Most links held at once [env: MESHLINE_MAX_LINKS]
    #[arg(long, value_name = "N")]
    max_links: Option<u32>,
    /// Fast attempts to connect, one a second [env: MESHLINE_RETRIES]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Whether m and q are read: auto, always or never [env: MESHLINE_CONSOLE]
    #[arg(long, value_name = "WHEN")]
    console: Option<String>,
    /// Let an open network beyond loopback [env: MESHLINE_OPEN]
    #[arg(long)]
    open: bool,
    /// Links without TLS, for labs [env: MESHLINE_PLAIN]
    #[arg(long)]
    plain: bool,
    /// off, error, warn, info, debug or trace [env: MESHLINE_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json [env: MESHLINE_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl RunArgs {
    /// The configuration these flags, the environment and the file make.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn load<T: MemberConfig>(&self, place: &Place, flags: Flags) -> anyhow::Result<Effective<T>> {
        let topic = self.topic.entry(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
        let flags = flags
            .set("/topics", topic.map(|entry| [entry]))
            .set("/topology", self.topology.clone())
            .set("/peers", Some(self.peers.clone()))
            .set("/signal", Some(self.signal.clone()))
            .set("/proxies", Some(self.proxies.clone()))
            .set("/network", self.network.clone())
            .set("/http", self.http.clone())
            .set("/data_dir", self.data_dir.clone())
            .set("/max_links", self.max_links)
            .set("/retries", self.retries)
            .set("/console", self.console.clone())
            .set("/open", self.open.then_some(true))
            .set("/plain", self.plain.then_some(true))
            .set("/log/level", self.log_level.clone())
            .set("/log/format", self.log_format.clone());
        place.load(flags)
    }
}
