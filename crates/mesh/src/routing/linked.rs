//! Who is linked with whom, for areas that ask.

use meshline_protocol::NodeId;

use super::Routing;

impl Routing {
    /// Whether both of two members say that they are linked with each other.
    pub(crate) fn are_linked(&self, one: &NodeId, other: &NodeId) -> bool {
        self.claims(one, other) && self.claims(other, one)
    }

    /// Whether either of two members says so.
    pub(crate) fn is_claimed(&self, one: &NodeId, other: &NodeId) -> bool {
        self.claims(one, other) || self.claims(other, one)
    }

    fn claims(&self, from: &NodeId, to: &NodeId) -> bool {
        self.advertised(from).is_some_and(|state| state.links.iter().any(|link| link.peer == *to))
    }

    /// Changes with everything that is advertised of links.
    pub(crate) fn version(&self) -> u64 {
        self.lsdb.version
    }
}
