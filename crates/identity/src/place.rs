//! Where a name has its place on the ring of ids.

use meshline_protocol::{Name, NetworkId, NodeId};
use sha2::{Digest, Sha256};

/// What is hashed before all else: nothing else that is hashed here begins so.
const PURPOSE: &[u8] = b"meshline place of a name\n";

/// The place of a name in a network, one of several that are far from each other: SHA-256 over a purpose, the number of the
/// copy, the network and the name, each in a line.
#[must_use]
pub fn place_of(network: &NetworkId, name: &Name, copy: u8) -> NodeId {
    let text = format!("{copy}\n{network}\n{name}\n");
    let hash = Sha256::new_with_prefix(PURPOSE).chain_update(text).finalize();
    NodeId::from_bytes(hash.into())
}
