//! Which member is meant: by id, by name, or by a prefix of the id.

use meshline_mesh::PeerRow;
use meshline_protocol::NodeId;

use super::problem::Problem;

/// Fewer characters of an id are not taken for a prefix.
const MIN_PREFIX: usize = 8;

/// The one member that `selector` names.
pub(super) fn select(peers: &[PeerRow], selector: &str) -> Result<NodeId, Problem> {
    let by_name = |row: &&PeerRow| row.name == selector;
    let by_prefix = |row: &&PeerRow| selector.len() >= MIN_PREFIX && row.id.to_string().starts_with(selector);
    let mut found: Vec<NodeId> = peers.iter().filter(|row| by_name(row) || by_prefix(row)).map(|row| row.id).collect();
    found.dedup();
    match found.as_slice() {
        [] => Err(Problem::no_such_peer(selector)),
        [one] => Ok(*one),
        _ => Err(Problem::ambiguous(selector, found)),
    }
}
