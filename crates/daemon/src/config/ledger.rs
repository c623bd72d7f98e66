//! The keys of `ledger`: which chain a node has, where it is kept, and for whom blocks are searched.

use std::path::PathBuf;

use meshline_ledger::Genesis;
use meshline_wallet::{Address, Prefix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::NodeConfig;
use super::review::Review;
use crate::ledger::{LedgerError, LedgerPlace};

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

/// The genesis file, and whether the address is one of its chain.
pub(super) fn check_files(config: &NodeConfig, review: &mut Review) {
    let place = LedgerPlace::of(config);
    match place.read_genesis() {
        Ok(genesis) => check_address(config, &genesis, review),
        Err(LedgerError::None(_)) if config.ledger.genesis.is_none() => {
            if config.ledger.mine_to.is_some() {
                let genesis = place.genesis.display();
                review
                    .warn("/ledger/mine_to", format!("is used with a ledger only, and there is none yet ({genesis})"));
            }
        }
        Err(error) => review.fault("/ledger/genesis", error.to_string()),
    }
}

fn check_address(config: &NodeConfig, genesis: &Genesis, review: &mut Review) {
    let Some(text) = &config.ledger.mine_to else { return };
    let parsed = Prefix::parse(genesis.params.prefix.as_str()).and_then(|prefix| Address::parse(text, prefix));
    if let Err(error) = parsed {
        review.fault("/ledger/mine_to", format!("found \"{text}\": {error}"));
    }
}
