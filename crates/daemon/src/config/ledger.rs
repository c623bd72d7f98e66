//! The keys of `ledger`: which chain a node has, where it is kept, and for whom blocks are searched.

#[cfg(feature = "ledger")]
mod files;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::NodeConfig;
use super::review::Review;
#[cfg(feature = "ledger")]
pub(super) use files::check_files;

/// More threads than any machine has cores.
const MAX_THREADS: u32 = 1_024;

/// The ledger of a node. Without a genesis file there is none, and it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Genesis file of the chain, as `ledger create` writes it. Default: genesis.json in the folder of the ledger, if there is one.
    #[serde(default)]
    pub genesis: Option<PathBuf>,
    /// Folder of the ledger. Default: ledger in data_dir.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
    /// Address that gets the rewards: blocks are searched from the start on.
    #[serde(default)]
    pub mine_to: Option<String>,
    /// Threads that search for blocks; one a core unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub mine_threads: Option<u32>,
    /// Whether views may follow the ledger with what this node tells them; false saves the disk that their filters take. Default: true.
    #[serde(default)]
    pub filters: Option<bool>,
    /// It follows the ledger and keeps none.
    #[serde(skip)]
    pub light: bool,
}

/// The ledger that a view follows: headers, filters and what concerns its wallet. Without a genesis file there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightLedgerConfig {
    /// Genesis file of the chain, as a node's `ledger create` writes it. Default: genesis.json in the folder of the ledger, if there is one.
    #[serde(default)]
    pub genesis: Option<PathBuf>,
    /// Folder of what is kept of it. Default: ledger in data_dir.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
}

impl From<LightLedgerConfig> for LedgerConfig {
    fn from(config: LightLedgerConfig) -> Self {
        let LightLedgerConfig { genesis, data_dir } = config;
        Self { genesis, data_dir, light: true, ..Self::default() }
    }
}

pub(super) fn check(config: &NodeConfig, review: &mut Review) {
    if let Some(threads) = config.ledger.mine_threads {
        review.range("/ledger/mine_threads", threads, 1..=MAX_THREADS);
    }
}

/// Nobody is to think that there is one.
#[cfg(not(feature = "ledger"))]
pub(super) fn check_files(config: &NodeConfig, review: &mut Review) {
    if config.ledger.genesis.is_some() {
        review.fault("/ledger", crate::cli::absent("the ledger", "ledger"));
    }
}
