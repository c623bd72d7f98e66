//! What the files of a ledger say.

use meshline_ledger::Genesis;
use meshline_wallet::{Address, Prefix};

use crate::config::member::NodeConfig;
use crate::config::review::Review;
use crate::ledger::{LedgerError, LedgerPlace};

/// The genesis file, and whether the address is one of its chain.
pub(in crate::config) fn check_files(config: &NodeConfig, review: &mut Review) {
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
