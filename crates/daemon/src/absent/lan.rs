//! In place of the local segment, in a program that was built without: a configuration that asks for it is refused.

use std::sync::Arc;

use meshline_net::MeshHandle;
use meshline_protocol::NodeId;

use crate::cli::absent;
use crate::config::NodeConfig;
use crate::exit::Stop;
use crate::gateway::LocalGateway;

/// Nothing.
#[derive(Debug)]
pub(crate) enum LocalSegment {}

impl LocalSegment {
    /// Refuses if anything is to be done there.
    pub(crate) fn start(
        config: &NodeConfig,
        _: &NodeId,
        _: &MeshHandle,
        _: &Arc<LocalGateway>,
    ) -> anyhow::Result<Option<Self>> {
        if config.lan.is_wanted() {
            return Err(Stop::usage(format!("/lan: {}", absent("the local segment", "lan"))).into());
        }
        Ok(None)
    }

    pub(crate) fn finish(self) -> std::future::Ready<()> {
        match self {}
    }
}
