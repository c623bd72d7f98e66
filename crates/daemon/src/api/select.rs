//! Which member is meant: by id, by name, or by a prefix of the id.

use meshline_mesh::{Command, PeerRow, Reply, Sought};
use meshline_protocol::NodeId;

use super::Shared;
use super::problem::Problem;
use super::reads::{mesh, rows};

/// Fewer characters of an id are not taken for a prefix.
const MIN_PREFIX: usize = 8;

/// The one member that `selector` names. In a network too large to know all of it is looked for.
pub(super) async fn meant(shared: &Shared, selector: &str) -> Result<NodeId, Problem> {
    let known = select(&rows(shared).await?, selector);
    if known.as_ref().is_err_and(|problem| !problem.is_nobody()) {
        return known;
    }
    // Who is known may still have to be reached.
    let sought = known.as_ref().map_or_else(|_| sought(selector), |id| Some(Sought::Id(*id)));
    match (known, look_for(shared, sought).await?.as_slice()) {
        (Ok(id), _) => Ok(id),
        (Err(_), [id]) => Ok(*id),
        (Err(_), []) if shared.gateway.is_own(selector) => Err(Problem::this_member(selector)),
        (Err(problem), []) => Err(problem),
        (Err(_), found) => Err(Problem::ambiguous(selector, found.to_vec())),
    }
}

/// Members that are looked for; none in a network of which all is known.
pub(super) async fn look_for(shared: &Shared, sought: Option<Sought>) -> Result<Vec<NodeId>, Problem> {
    let Some(sought) = sought else { return Ok(Vec::new()) };
    let Reply::Found(found) = mesh(shared, Command::Find(sought)).await? else { return Ok(Vec::new()) };
    Ok(found)
}

/// Whom a word may mean: beginnings of ids mean those alone that are known.
pub(super) fn sought(selector: &str) -> Option<Sought> {
    selector.parse().map(Sought::Id).or_else(|_| selector.parse().map(Sought::Name)).ok()
}

/// The one member that `selector` names.
fn select(peers: &[PeerRow], selector: &str) -> Result<NodeId, Problem> {
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
