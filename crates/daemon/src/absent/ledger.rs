//! In place of the ledger, in a program that was built without: there is none, and nothing is asked of it.

use std::sync::Arc;

use meshline_net::LedgerPort;

use crate::config::NodeConfig;

/// Nothing.
#[derive(Debug)]
pub struct NodeLedger;

impl NodeLedger {
    /// Never fails: a configuration with a ledger was refused before.
    pub(crate) fn start(_: &NodeConfig) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self))
    }

    pub(crate) fn join(&self, port: LedgerPort) {
        drop(port);
    }

    pub(crate) fn end(&self) -> std::future::Ready<()> {
        std::future::ready(())
    }
}
