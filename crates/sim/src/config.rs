//! Addresses and reachability of simulated hosts.

use meshline_protocol::Address;

/// What happens to those who dial an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// They are connected if somebody listens, and refused at once otherwise.
    #[default]
    Open,
    /// Nothing comes back, as from behind a firewall or an address translation.
    Silent,
    /// Refused at once.
    Closed,
}

/// The address of the node with an index.
///
/// # Panics
/// Never: the text is an address.
#[must_use]
pub fn address(node: usize) -> Address {
    match format!("h{node}:6000").parse() {
        Ok(address) => address,
        Err(error) => panic!("{error}"),
    }
}
