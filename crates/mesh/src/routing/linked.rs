//! Who is linked with whom, for areas that ask.

use meshline_protocol::NodeId;

use super::Routing;

impl Routing {
    /// Whether both of two members say that they are linked with each other.
    pub(crate) fn are_linked(&self, one: &NodeId, other: &NodeId) -> bool {
        let claims = |from: &NodeId, to: &NodeId| {
            self.advertised(from).is_some_and(|state| state.links.iter().any(|link| link.peer == *to))
        };
        claims(one, other) && claims(other, one)
    }

    /// Changes with everything that is advertised of links.
    pub(crate) fn version(&self) -> u64 {
        self.lsdb.version
    }
}
