//! Two links to one member: which of them stays. Both sides compute the same.

use meshline_protocol::NodeId;

use crate::event::Direction;
use crate::input::Transport;

/// What the rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) transport: Transport,
    pub(crate) direction: Direction,
}

/// Whether the newer of two links to `peer` replaces the older: a direct one replaces a relayed one; otherwise
/// the one dialled by the smaller id stays; of two dialled by the same side the newer one, because that side
/// would not have dialled again had it thought the older one alive.
pub(crate) fn newer_wins(own: NodeId, peer: NodeId, older: Contender, newer: Contender) -> bool {
    let relayed = |contender: Contender| contender.transport == Transport::Relay;
    match (relayed(older), relayed(newer)) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => {
            let ours_counts = own < peer;
            let dialled_by_smaller = |contender: Contender| (contender.direction == Direction::Outbound) == ours_counts;
            dialled_by_smaller(newer) || !dialled_by_smaller(older)
        }
    }
}
