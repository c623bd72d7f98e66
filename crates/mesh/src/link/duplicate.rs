//! Two links to one member: which of them stays. Both sides compute the same.

use std::cmp::Ordering;

use meshline_protocol::NodeId;

use crate::event::Direction;
use crate::input::Transport;

/// What the rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) transport: Transport,
    pub(crate) direction: Direction,
}

/// Which kind of link is the better one. QUIC through a hole lasts as long as routers remember it, and costs more to
/// encrypt; TCP needs neither. A proxy is a detour.
fn rank(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp | Transport::Plain => 2,
        Transport::Quic => 1,
        Transport::Relay => 0,
    }
}

/// Whether a link is of a better kind than another. What is under way on that one deserves to be read.
pub(crate) fn is_upgrade(from: Transport, to: Transport) -> bool {
    rank(to) > rank(from)
}

/// Whether the newer of two links to `peer` replaces the older: the better kind stays; of the same kind the one dialled
/// by the smaller id; of two dialled by the same side the newer one, because that side would not have dialled again had it
/// thought the older one alive.
pub(crate) fn newer_wins(own: NodeId, peer: NodeId, older: Contender, newer: Contender) -> bool {
    match rank(newer.transport).cmp(&rank(older.transport)) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => {
            let ours_counts = own < peer;
            let dialled_by_smaller = |contender: Contender| (contender.direction == Direction::Outbound) == ours_counts;
            dialled_by_smaller(newer) || !dialled_by_smaller(older)
        }
    }
}
