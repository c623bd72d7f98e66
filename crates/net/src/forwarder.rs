//! The forwarding plane: what readers forward datagrams by, without passing through the core.

use std::sync::{Arc, Mutex, PoisonError};

use meshline_mesh::Table;

/// The ways as the core published them last.
#[derive(Debug, Default)]
pub(crate) struct Forwarder {
    table: Mutex<Arc<Table>>,
}

impl Forwarder {
    /// Forward by this from now on.
    pub(crate) fn publish(&self, table: Arc<Table>) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = table;
    }
}
